//! Files and directories on their way, under hidden names beside the place they will have.
//!
//! Whoever makes one holds an advisory lock on it as long as it lives, so that what nobody
//! holds was left by a process that was killed: the next one that starts something in the
//! same directory removes it. Names are `PREFIX??????.tmp`, and nothing else is looked at.
#![expect(clippy::disallowed_methods, reason = "makes and removes files")]

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use tempfile::{Builder, NamedTempFile, TempDir};

/// How hidden names end.
const SUFFIX: &str = ".tmp";

/// How many characters are drawn for a name.
const DRAWN: usize = 6;

/// How often another name is drawn, where others remove what is not locked yet.
const TRIES: usize = 16;

/// Starts a file in a directory, with these permissions but for what the umask takes. It
/// goes when it is dropped, unless it gets a name before.
///
/// # Errors
/// When the directory cannot be written to.
pub fn file(directory: &Path, prefix: &str, mode: u32) -> io::Result<NamedTempFile> {
    sweep(directory, prefix);
    let start = || {
        let mut builder = Builder::new();
        let permissions = Permissions::from_mode(mode);
        builder.prefix(prefix).suffix(SUFFIX).rand_bytes(DRAWN);
        builder.permissions(permissions).tempfile_in(directory)
    };
    locked(start, |file| file.as_file().try_clone()).map(|(file, _)| file)
}

/// A directory on its way.
#[derive(Debug)]
pub struct Folder {
    directory: TempDir,
    #[expect(dead_code, reason = "it holds the lock")]
    lock: File,
}

impl Folder {
    /// Starts a directory in another, for its owner alone. It goes with all that is in it
    /// when it is dropped.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn new(directory: &Path, prefix: &str) -> io::Result<Self> {
        sweep(directory, prefix);
        let start = || {
            let mut builder = Builder::new();
            builder.prefix(prefix).suffix(SUFFIX).rand_bytes(DRAWN);
            builder.tempdir_in(directory)
        };
        let locked = locked(start, |folder| File::open(folder.path()));
        locked.map(|(directory, lock)| Self { directory, lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lets it be: it has another name now.
    pub fn keep(self) {
        let _ = self.directory.keep();
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn close(self) -> io::Result<()> {
        match self.directory.close() {
            // Somebody else swept it away in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// Makes something until its lock is had: between the two another process may take it for
/// a leftover.
fn locked<T: AsRef<Path>>(
    start: impl Fn() -> io::Result<T>,
    open: impl Fn(&T) -> io::Result<File>,
) -> io::Result<(T, File)> {
    for _ in 0..TRIES {
        let staged = start()?;
        let lock = match open(&staged) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            lock => lock?,
        };
        let is_free = match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => false,
            // Where a file system has no locks nobody sweeps either.
            _ => true,
        };
        let inode = |found: fs::Metadata| (found.dev(), found.ino());
        let is_there = fs::symlink_metadata(&staged).is_ok_and(|found| {
            lock.metadata()
                .is_ok_and(|ours| inode(ours) == inode(found))
        });
        if is_free && is_there {
            return Ok((staged, lock));
        }
    }
    let reason = "others remove what is made here before it can be locked";
    Err(io::Error::other(reason))
}

/// Removes what killed processes left. What cannot be removed stays: it is in nobody's way.
fn sweep(directory: &Path, prefix: &str) {
    for item in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = item.file_name();
        if name.to_str().is_some_and(|name| is_ours(name, prefix)) {
            let _ = remove(&item.path());
        }
    }
}

fn is_ours(name: &str, prefix: &str) -> bool {
    let drawn = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    drawn.is_some_and(|drawn| {
        drawn.len() == DRAWN && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Removes a file or a directory that nobody holds, without following links.
fn remove(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else if metadata.is_file() {
        fs::remove_file(path)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let items = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = items
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_killed_processes_left_goes_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path(".x-abc123.tmp"), "left").unwrap();
        fs::create_dir_all(path(".x-Def456.tmp/esp")).unwrap();
        fs::write(path(".x-Def456.tmp/esp/file"), "left").unwrap();
        let foreign = [".x-config", ".x-ab.tmp", ".x-abc12_.tmp", ".y-abc123.tmp"];
        for name in foreign {
            fs::write(path(name), "foreign").unwrap();
        }
        symlink(".x-config", path(".x-link00.tmp")).unwrap();
        let held = file(folder.path(), ".x-", 0o600).unwrap();
        let found = names(folder.path());
        assert_eq!(found.len(), foreign.len() + 2, "{found:?}");

        // What is held stays, a directory as well as a file, until it is let go.
        let other = Folder::new(folder.path(), ".x-").unwrap();
        assert!(held.path().exists() && other.path().is_dir());
        drop(file(folder.path(), ".x-", 0o600).unwrap());
        assert!(held.path().exists() && other.path().is_dir());
        drop((held, other));
        assert_eq!(names(folder.path()).len(), foreign.len() + 1);
        assert_eq!(fs::read_to_string(path(".x-config")).unwrap(), "foreign");
    }

    #[test]
    fn many_at_once_do_not_take_each_others() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let made = file(folder.path(), ".x-", 0o600).unwrap();
                        assert!(made.path().exists());
                        let made = Folder::new(folder.path(), ".x-").unwrap();
                        assert!(made.path().exists());
                        made.close().unwrap();
                    }
                });
            }
        });
        assert_eq!(names(folder.path()).len(), 0);
    }
}
