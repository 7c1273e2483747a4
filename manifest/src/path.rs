//! Paths inside a tree.
//!
//! A [`TreePath`] is relative, `/`-separated and cannot leave its tree. Rules of
//! one file system (what FAT can hold) are in [`crate::fat`].

use std::borrow::Borrow;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::PathError;

/// The longest path, in bytes. Linux cannot open a longer one.
const MAX_LENGTH: usize = 4095;

/// A relative path with at least one component, none of them empty, `.` or `..`.
///
/// It holds no NUL, no control character and, but for one made by
/// [`TreePath::on_unix`], no backslash, so its UEFI form is one replacement away and no
/// text file that quotes it can be broken by it.
/// The order is the order of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

impl TreePath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// When the path is absolute, empty, too long, leaves the tree, or holds a
    /// character no tree path may hold.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = Self::on_unix(path)?;
        if path.0.contains('\\') {
            return Err(PathError {
                path: path.0,
                reason: "a path in a tree holds no backslash or control character",
            });
        }
        Ok(path)
    }

    /// Takes a path of a file system that is not FAT, where names may hold backslashes: those
    /// of systemd's units do.
    ///
    /// # Errors
    /// As [`TreePath::new`] otherwise.
    pub fn on_unix(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        let refuse = |reason| PathError {
            path: path.clone(),
            reason,
        };
        if path.is_empty() {
            return Err(refuse("a path in a tree cannot be empty"));
        }
        if path.starts_with('/') {
            return Err(refuse("a path in a tree is relative"));
        }
        if path.len() > MAX_LENGTH {
            return Err(refuse("a path in a tree has at most 4095 bytes"));
        }
        if holds_control(&path) {
            return Err(refuse(
                "a path in a tree holds no backslash or control character",
            ));
        }
        for component in path.split('/') {
            match component {
                "" => return Err(refuse("a path in a tree has no empty component")),
                "." => return Err(refuse("`.` is not allowed in a tree")),
                ".." => return Err(refuse("`..` leaves the tree")),
                _ => {}
            }
        }
        Ok(Self(path))
    }

    /// The path as text, `/`-separated.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory that holds this path; `None` for the root of the tree.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Every directory above this path, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// This path below another one.
    ///
    /// # Errors
    /// When the joined path is too long.
    pub fn below(&self, directory: &Self) -> Result<Self, PathError> {
        Self::new(format!("{directory}/{self}"))
    }

    /// This path below a directory of the host.
    #[must_use]
    pub fn on(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

/// Whether a text holds a control character, of those beyond ASCII too.
#[must_use]
pub fn holds_control(text: &str) -> bool {
    // Nearly all texts are ASCII, and bytes are looked at many at once.
    if text.is_ascii() {
        text.bytes()
            .fold(false, |found, byte| found | byte.is_ascii_control())
    } else {
        text.contains(char::is_control)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for TreePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_leaves_the_tree_or_breaks_a_line() {
        for (path, why) in [
            ("", "cannot be empty"),
            ("/EFI", "is relative"),
            ("EFI//BOOT", "no empty component"),
            ("EFI/", "no empty component"),
            ("./EFI", "`.` is not allowed"),
            ("../loader.conf", "`..` leaves the tree"),
            ("EFI/../../etc/passwd", "`..` leaves the tree"),
            ("EFI\\BOOT", "no backslash"),
            ("EFI/a\nlinux /evil", "control character"),
            ("EFI/a\0", "control character"),
        ] {
            let error = TreePath::new(path).unwrap_err().to_string();
            assert!(error.contains(why), "{path:?}: {error}");
        }
        assert!(TreePath::new("a".repeat(4096)).is_err());
        assert!(TreePath::on_unix("a-\\x2d.slice").is_ok());
        assert!(TreePath::on_unix("../a").is_err());
    }

    #[test]
    fn walks_up_to_the_root() {
        let path = TreePath::new("EFI/nixos/kernel.efi").unwrap();
        assert_eq!(path.name(), "kernel.efi");
        let above: Vec<_> = path.ancestors().map(|path| path.to_string()).collect();
        assert_eq!(above, ["EFI/nixos", "EFI"]);
    }
}
