//! A directory that stands for the root directory, and paths inside it.
#![expect(clippy::disallowed_methods, reason = "resolving links reads them")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// How many symbolic links a path may go through, as in the kernel.
const MOST_LINKS: usize = 40;

/// A directory that stands for the root directory.
#[derive(Debug)]
pub(super) struct Root {
    /// As the user wrote it, to recognise paths below it.
    pub(super) given: PathBuf,
    pub(super) canonical: PathBuf,
    directory: OwnedFd,
    /// What is there and is no symbolic link, as seen from inside: every store path
    /// has the same directories above it.
    plain: RefCell<BTreeSet<OsString>>,
}

impl Root {
    pub(super) fn new(given: &Path) -> io::Result<Self> {
        let canonical = fs::canonicalize(given)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            given: given.into(),
            directory: rustix::fs::open(&canonical, flags, Mode::empty())?,
            canonical,
            plain: RefCell::default(),
        })
    }

    /// Opens what a path leads to when this is the root directory.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let inside = ResolveFlags::IN_ROOT;
        Ok(openat2(
            &self.directory,
            path,
            flags,
            Mode::empty(),
            inside,
        )?)
    }

    /// Resolves every symbolic link of a path as if this were the root directory.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut resolved = PathBuf::from("/");
        // What is still to be walked, the next component last.
        let mut rest: Vec<OsString> = Vec::new();
        push_components(&mut rest, path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                resolved.pop();
                continue;
            }
            resolved.push(&part);
            let Some(target) = self.target(&resolved, !rest.is_empty())? else {
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many symbolic links"));
            }
            resolved.pop();
            if target.is_absolute() {
                resolved = PathBuf::from("/");
            }
            push_components(&mut rest, &target);
        }
        Ok(resolved)
    }

    /// What a symbolic link says; `None` when it is something else. What is looked
    /// into will be again.
    fn target(&self, inside: &Path, is_looked_into: bool) -> io::Result<Option<PathBuf>> {
        if is_looked_into && self.plain.borrow().contains(inside.as_os_str()) {
            return Ok(None);
        }
        match fs::read_link(below(&self.canonical, inside)) {
            // So Linux says that something is there and is no link.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                if is_looked_into {
                    self.plain.borrow_mut().insert(inside.into());
                }
                Ok(None)
            }
            found => found.map(Some),
        }
    }
}

/// A path of the inside, as the host reads it.
pub(super) fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

fn push_components(rest: &mut Vec<OsString>, path: &Path) {
    let walked = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    rest.extend(walked);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;
    use crate::source::Sources;

    #[test]
    fn files_are_opened_inside_the_root_alone_and_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("inside"), "").unwrap();
        let outside = directory.path().join("outside");
        fs::write(&outside, "").unwrap();
        symlink("/inside", root.join("absolute")).unwrap();
        symlink("../inside", root.join("above")).unwrap();
        symlink(&outside, root.join("host")).unwrap();
        symlink("../outside", root.join("escape")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, root.join("pipe"), FileType::Fifo, mode, 0).unwrap();
        let sources = Sources::new(Some(&root), Path::new("/nix/store")).unwrap();
        for (path, is_opened) in [
            ("/inside", true),
            ("/../inside", true),
            ("/absolute", true),
            ("/above", true),
            ("/host", false),
            ("/escape", false),
            ("/loop", false),
            ("/pipe", false),
            ("/", false),
            ("/nothing", false),
        ] {
            let path = Path::new(path);
            assert_eq!(sources.open(path).is_ok(), is_opened, "{}", path.display());
            // The kernel finds what we find.
            assert_eq!(
                sources.locate(path).is_ok(),
                is_opened,
                "{}",
                path.display()
            );
        }
    }
}
