//! Outputs that appear in one step: directories, and files.
//!
//! Each is made under a hidden name beside its place. Until the last rename nothing can
//! be seen of it, and an earlier result stays as it was.
#![expect(clippy::disallowed_methods, reason = "publishing renames directories")]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use extents::staging::{self, Folder};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::NamedTempFile;

use crate::error::{Error, write_error};

/// The manifest's name in the output.
pub(crate) const MANIFEST: &str = "manifest.json";

/// The name of what is predicted of an output, where that was asked for.
pub(crate) const MEASUREMENTS: &str = "measurements.json";

/// How temporary names begin.
const TEMPORARY: &str = ".esp-builder-";

/// What an output holds at its top, besides the manifest: the trees.
const TREES: [&str; 2] = ["esp", "xbootldr"];

/// An output on its way.
#[derive(Debug)]
pub(crate) struct Staging {
    directory: Folder,
    out: PathBuf,
}

impl Staging {
    /// Starts an output for `out`, which must not be there, be an empty directory
    /// or an earlier result.
    pub(crate) fn beside(out: &Path) -> Result<Self, Error> {
        // A link to an earlier result stays a link: its target is replaced.
        let out = fs::canonicalize(out).unwrap_or_else(|_| out.into());
        check_replaceable(&out)?;
        let made = Folder::new(directory_of(&out), TEMPORARY);
        let directory = made.map_err(write_error(&out))?;
        set_mode(directory.path(), 0o755)?;
        Ok(Self { directory, out })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts the output in its place. On an error the place is as it was.
    pub(crate) fn publish(self) -> Result<(), Error> {
        let staged = self.directory.path();
        if !self.out.exists() {
            fs::rename(staged, &self.out).map_err(write_error(&self.out))?;
            // Nothing is left to clean up: the directory has another name now.
            self.directory.keep();
            return Ok(());
        }
        match renameat_with(CWD, staged, CWD, &self.out, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                swap_in_two_steps(staged, &self.out)?;
            }
            Err(error) => return Err(write_error(&self.out)(error.into())),
        }
        // What is at the temporary name now is the earlier result.
        let path = staged.to_owned();
        self.directory.close().map_err(write_error(&path))
    }
}

/// For file systems that cannot exchange two directories.
fn swap_in_two_steps(staged: &Path, out: &Path) -> Result<(), Error> {
    let aside = staged.with_extension("old");
    fs::rename(out, &aside).map_err(write_error(out))?;
    if let Err(error) = fs::rename(staged, out) {
        fs::rename(&aside, out).map_err(write_error(out))?;
        return Err(write_error(out)(error));
    }
    fs::rename(&aside, staged).map_err(write_error(staged))
}

/// Refuses to replace what this program did not make.
pub(crate) fn check_replaceable(out: &Path) -> Result<(), Error> {
    let refuse = |reason: String| Error::OutputExists {
        path: out.into(),
        reason,
    };
    let unreadable = |error: &io::Error| refuse(format!("cannot be looked into: {error}"));
    let items = match fs::read_dir(out) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(refuse("is not a directory".to_owned()));
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let mut names = Vec::new();
    for item in items {
        names.push(item.map_err(|error| unreadable(&error))?.file_name());
    }
    names.sort_unstable();
    if names.is_empty() {
        return Ok(());
    }
    let ours = |name: &std::ffi::OsString| {
        name == MANIFEST || name == MEASUREMENTS || TREES.iter().any(|tree| name == tree)
    };
    if let Some(foreign) = names.iter().find(|name| !ours(name)) {
        let foreign = foreign.to_string_lossy();
        return Err(refuse(format!("holds `{}`", foreign.escape_debug())));
    }
    match tree_manifest::check::load(&out.join(MANIFEST)) {
        Ok(_) | Err(tree_manifest::Error::Version(_)) => Ok(()),
        Err(_) => Err(refuse(format!("its `{MANIFEST}` is not a tree manifest"))),
    }
}

/// Writes a small file under its name, or not at all.
pub(crate) fn write(out: &Path, content: &[u8]) -> Result<(), Error> {
    // The umask has its say, as with any file a program writes.
    let mut staged = stage(out, 0o666)?;
    let written = staged.as_file_mut().write_all(content);
    written.map_err(write_error(out))?;
    put(staged, out)
}

/// Starts a file under a temporary name beside its place, with these permissions but for
/// what the umask takes. It goes if it is not [`put`].
pub(crate) fn stage(out: &Path, mode: u32) -> Result<NamedTempFile, Error> {
    staging::file(directory_of(out), TEMPORARY, mode).map_err(write_error(out))
}

/// Gives a staged file its name. On an error what had it stays.
pub(crate) fn put(staged: NamedTempFile, out: &Path) -> Result<(), Error> {
    match staged.persist(out) {
        Ok(_) => Ok(()),
        Err(error) => Err(write_error(out)(error.error)),
    }
}

fn directory_of(out: &Path) -> &Path {
    match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Sets permissions that depend on no umask.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(write_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_renames_do_what_one_exchange_does() {
        let directory = tempfile::tempdir().unwrap();
        let (staged, out) = (directory.path().join(".new"), directory.path().join("out"));
        for (path, text) in [(&staged, "new"), (&out, "old")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), text).unwrap();
        }
        swap_in_two_steps(&staged, &out).unwrap();
        assert_eq!(fs::read(out.join("file")).unwrap(), b"new");
        assert_eq!(fs::read(staged.join("file")).unwrap(), b"old");
        // When the new one cannot be moved, the old one is back in its place.
        fs::remove_dir_all(&staged).unwrap();
        assert!(swap_in_two_steps(&staged, &out).is_err());
        assert_eq!(fs::read(out.join("file")).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
