//! What a mounted boot partition holds, and how much room it has.
#![expect(
    clippy::disallowed_methods,
    reason = "taking an inventory reads directories"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use tree_manifest::{TreePath, fat};

use crate::error::{Error, read_error};
use crate::source::read_whole;

/// The longest text that is read, in bytes. Entries have a few hundred.
const LONGEST_TEXT: u64 = 64 << 10;

/// Directories in directories; a boot partition has a handful.
const MAX_DEPTH: usize = 32;

/// What a mounted boot partition holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Its room.
    pub space: Space,
    files: BTreeMap<String, Found>,
    directories: BTreeMap<String, TreePath>,
}

/// The room of a file system, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Files take multiples of this.
    pub cluster: u64,
    /// What is free.
    pub free: u64,
    /// What there is in all.
    pub total: u64,
}

impl Space {
    /// The room that a file of this length takes.
    #[must_use]
    pub fn taken_by(&self, size: u64) -> u64 {
        size.next_multiple_of(self.cluster.max(1))
    }
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where, in the spelling of the file system.
    pub path: TreePath,
    /// Its length in bytes.
    pub size: u64,
    /// Its text, if it is one of the boot loader's.
    pub text: Option<String>,
}

impl Inventory {
    /// Looks at everything below a mount point.
    ///
    /// # Errors
    /// When a directory or one of the boot loader's texts cannot be read.
    pub fn take(root: &Path) -> Result<Self, Error> {
        let mut inventory = Self {
            space: space(root).map_err(read_error(root))?,
            ..Self::default()
        };
        inventory.walk(root, None, 0)?;
        Ok(inventory)
    }

    /// The file that FAT finds under a path.
    #[must_use]
    pub fn file(&self, path: &TreePath) -> Option<&Found> {
        self.files.get(&fat::fold(path.as_str()))
    }

    /// Whether there is a directory of this path.
    #[must_use]
    pub fn has_directory(&self, path: &TreePath) -> bool {
        self.directories.contains_key(&fat::fold(path.as_str()))
    }

    /// Every directory, in the spelling of the file system, those above others first.
    #[must_use]
    pub fn directories(&self) -> impl DoubleEndedIterator<Item = &TreePath> {
        self.directories.values()
    }

    /// Every file, sorted by the form in which FAT compares names.
    pub fn files(&self) -> impl Iterator<Item = &Found> {
        self.files.values()
    }

    fn walk(&mut self, root: &Path, below: Option<&TreePath>, depth: usize) -> Result<(), Error> {
        let directory = below.map_or_else(|| root.to_owned(), |path| path.on(root));
        let items = fs::read_dir(&directory).map_err(read_error(&directory))?;
        for item in items {
            let item = item.map_err(read_error(&directory))?;
            // What has no name a tree could have is none of ours.
            let Some(path) = place(below, &item.file_name()) else {
                continue;
            };
            let metadata = item.metadata().map_err(read_error(&item.path()))?;
            let fold = fat::fold(path.as_str());
            if metadata.is_dir() && depth < MAX_DEPTH {
                self.walk(root, Some(&path), depth + 1)?;
                self.directories.insert(fold, path);
            } else if metadata.is_file() {
                let size = metadata.len();
                let text = if is_text(&path, &fold) && size <= LONGEST_TEXT {
                    text_of(&item.path(), size)?
                } else {
                    None
                };
                self.files.insert(fold, Found { path, size, text });
            }
        }
        Ok(())
    }
}

fn place(below: Option<&TreePath>, name: &std::ffi::OsStr) -> Option<TreePath> {
    let name = name.to_str()?;
    let path = below.map_or_else(|| name.to_owned(), |below| format!("{below}/{name}"));
    TreePath::new(path).ok()
}

/// Whether a file is one whose text decides something: entries and settings, also
/// those of Xen. `fold` is
/// its path as FAT compares it.
fn is_text(path: &TreePath, fold: &str) -> bool {
    fold.starts_with("LOADER/") && (has_extension(path, "conf") || has_extension(path, "srel"))
        || fold.starts_with("EFI/NIXOS/") && has_extension(path, "cfg")
}

/// Whether a path begins as given, in upper case: lies in a directory, when that ends in `/`.
pub(crate) fn is_below(path: &TreePath, start: &str) -> bool {
    fat::fold(path.as_str()).starts_with(start)
}

/// Whether a file has an extension, as FAT compares names.
pub(crate) fn has_extension(path: &TreePath, wanted: &str) -> bool {
    let extension = path.name().rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// A text; `None` when it is not UTF-8, and so none of ours.
fn text_of(path: &Path, size: u64) -> Result<Option<String>, Error> {
    let bytes = fs::File::open(path)
        .and_then(|file| read_whole(file, size))
        .map_err(read_error(path))?;
    Ok(String::from_utf8(bytes).ok())
}

fn space(root: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(root)?;
    Ok(Space {
        cluster: found.f_frsize,
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}
