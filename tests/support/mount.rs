//! File systems in files, mounted until the value that holds them ends, also when a
//! test panics: one that can share blocks between files, and one that cannot.
//!
//! Mounting needs root; a plain user's tests go through `sudo -n`. FAT is not mounted
//! here, because the kernel of a build machine often has no driver for it: a guest's
//! has ([`crate::guest::list`]).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::peer::Peer;

/// mkfs.xfs refuses less than 300 MiB; the file is sparse.
const FILE_SYSTEM_SIZE: u64 = 512 << 20;

/// A mounted, empty file system of its own.
#[derive(Debug)]
pub struct Mounted {
    /// Holds the file and the mount point.
    folder: TempDir,
}

impl Mounted {
    /// An empty xfs file system, in which copies of files can share their blocks.
    #[must_use]
    pub fn xfs_with_reflink() -> Self {
        Self::fresh(
            "xfs",
            &["mkfs.xfs", "-q", "-m", "reflink=1", "-b", "size=4096"],
        )
    }

    /// An empty ext4 file system, in which they cannot.
    #[must_use]
    pub fn ext4() -> Self {
        Self::fresh("ext4", &["mkfs.ext4", "-q", "-b", "4096"])
    }

    /// An empty file system in memory that holds so many MiB.
    #[must_use]
    pub fn small(mebibytes: u32) -> Self {
        let mounted = Self::empty();
        let size = format!("size={mebibytes}M,mode=1777");
        as_root("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(mounted.path())
            .ok();
        mounted
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        let mounted = Self { folder };
        fs::create_dir(mounted.path()).expect("a fresh folder can be written");
        mounted
    }

    fn fresh(kind: &str, mkfs: &[&str]) -> Self {
        let mounted = Self::empty();
        let file = mounted.folder.path().join("file-system");
        File::create(&file)
            .and_then(|file| file.set_len(FILE_SYSTEM_SIZE))
            .expect("the temporary folder can be written");
        Peer::host(mkfs[0]).args(&mkfs[1..]).arg(&file).ok();
        as_root("mount")
            .args(["-t", kind, "-o", "loop"])
            .args([&file, &mounted.path()])
            .ok();
        as_root("chmod").arg("1777").arg(mounted.path()).ok();
        mounted
    }

    /// The root of the mounted file system.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

impl Drop for Mounted {
    /// A file that is still open does not keep the mount: `--lazy` ends it later.
    fn drop(&mut self) {
        let _ = as_root("umount").arg("--lazy").arg(self.path()).run();
    }
}

/// Whether a test runs as root is the owner of its own process folder.
fn as_root(program: &str) -> Peer {
    let owner = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if owner == 0 {
        Peer::host(program)
    } else {
        Peer::host("sudo").arg("-n").arg(program)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn clone_file(folder: &Path) -> bool {
        fs::write(folder.join("from"), vec![1; 8192]).unwrap();
        let copy = Peer::host("cp").args(["--reflink=always", "from", "to"]);
        copy.dir(folder).run().status.success()
    }

    #[test]
    fn xfs_shares_blocks_and_ext4_does_not() {
        assert!(clone_file(&Mounted::xfs_with_reflink().path()));
        assert!(!clone_file(&Mounted::ext4().path()));
    }

    #[test]
    fn a_file_system_is_unmounted_when_dropped() {
        let mounted = Mounted::ext4();
        let point = mounted.path().display().to_string();
        let is_mounted = || fs::read_to_string("/proc/mounts").unwrap().contains(&point);
        assert!(is_mounted());
        drop(mounted);
        assert!(!is_mounted());
    }
}
