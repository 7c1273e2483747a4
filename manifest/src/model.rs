//! The manifest as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::digest::Sha256;
use crate::error::Error;
use crate::fat;
use crate::path::TreePath;
use crate::provenance::Provenance;

/// Every tree of one build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The EFI architectures the trees can boot, by their suffix (`x64`, `aa64`).
    pub architectures: BTreeSet<String>,
    /// The trees by role.
    pub trees: BTreeMap<Role, Tree>,
}

/// The entries of one tree. Directories that hold something need no entry.
pub type Tree = BTreeMap<TreePath, Entry>;

impl Manifest {
    /// The tree of a role, made when it is not there.
    pub fn tree_mut(&mut self, role: Role) -> &mut Tree {
        self.trees.entry(role).or_default()
    }

    /// Checks the rules that hold between entries: nothing lies under a file, and
    /// a tree for FAT holds only what FAT can hold, with no two spellings of one
    /// name.
    ///
    /// # Errors
    /// With the first rule broken, in path order.
    pub fn check(&self) -> Result<(), Error> {
        self.trees
            .iter()
            .try_for_each(|(role, tree)| check_tree(role, tree))
    }
}

/// What a tree is for.
///
/// `esp` and `xbootldr` are FAT file systems by specification; any other name is
/// a tree for a file system that keeps case, modes and symbolic links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role(String);

impl Role {
    /// The EFI System Partition.
    #[must_use]
    pub fn esp() -> Self {
        Self("esp".to_owned())
    }

    /// The Extended Boot Loader Partition.
    #[must_use]
    pub fn xbootldr() -> Self {
        Self("xbootldr".to_owned())
    }

    /// Whether the tree is for a FAT file system.
    #[must_use]
    pub fn is_fat(&self) -> bool {
        matches!(self.as_str(), "esp" | "xbootldr")
    }

    /// The role's name, which is also its directory beside the manifest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a role.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not a role: use lower-case letters, digits and `-`", .0.escape_debug())]
pub struct NotARole(String);

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
            return Err(NotARole(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File(File),
    /// A directory; only an empty one, or one with a mode, needs an entry.
    Directory {
        /// Permissions, where the file system keeps them.
        mode: Option<Mode>,
    },
    /// A symbolic link; never in a tree for FAT.
    Symlink {
        /// Where it points, verbatim.
        target: String,
    },
}

/// A regular file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes; `None` where it was not taken.
    pub sha256: Option<Sha256>,
    /// Where its bytes are.
    pub source: Source,
    /// Permissions, where the file system keeps them.
    pub mode: Option<Mode>,
    /// Why it is in the tree.
    pub provenance: Option<Provenance>,
}

impl File {
    /// A file whose bytes are in the manifest itself.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            size: text.len() as u64,
            sha256: Some(Sha256::of(text.as_bytes())),
            source: Source::Text(text),
            mode: None,
            provenance: None,
        }
    }
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Below the directory that holds the manifest.
    Beside(TreePath),
    /// Anywhere on the host, by absolute path.
    Absolute(String),
    /// Here.
    Text(String),
    /// Put together from these, one after the other.
    Pieces(Vec<Piece>),
    /// In the tree itself and nowhere else: secrets of a partition in use, which are
    /// written down nowhere. No image can be made of such a tree.
    Nowhere,
}

/// A piece of a file that is put together, such as a Unified Kernel Image. It is never
/// empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// So many zeros.
    Zeros(u64),
    /// So many bytes that are in the tree itself and nowhere else, as with
    /// [`Source::Nowhere`].
    Hidden(u64),
    /// A slice of a file.
    Slice {
        /// The file, anywhere on the host, by absolute path.
        path: String,
        /// Where the slice starts, in bytes.
        offset: u64,
        /// Its length in bytes. The end of the slice is at most [`i64::MAX`].
        length: u64,
    },
}

impl Piece {
    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(length) | Self::Hidden(length) | Self::Slice { length, .. } => *length,
        }
    }
}

/// Permission bits, at most `0o7777`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// Takes permission bits; `None` when there are others.
    #[must_use]
    pub fn new(bits: u16) -> Option<Self> {
        (bits <= 0o7777).then_some(Self(bits))
    }

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

fn check_tree(role: &Role, tree: &Tree) -> Result<(), Error> {
    // The spelling under which each name was met first.
    let mut spellings: BTreeMap<String, TreePath> = BTreeMap::new();
    let mut above: Option<TreePath> = None;
    for (path, entry) in tree {
        let parent = path.parent();
        // Neighbours mostly lie in one directory.
        let is_known = parent == above;
        above = parent;
        for directory in path.ancestors().filter(|_| !is_known) {
            if matches!(
                tree.get(&directory),
                Some(Entry::File(_) | Entry::Symlink { .. })
            ) {
                let reason = format!("it lies under `{directory}`, which is not a directory");
                return Err(entry_error(role, path, reason));
            }
            if role.is_fat() {
                note_spelling(role, &mut spellings, &directory)?;
            }
        }
        if role.is_fat() {
            check_fat_entry(role, path, entry)?;
            note_spelling(role, &mut spellings, path)?;
        }
    }
    Ok(())
}

fn note_spelling(
    role: &Role,
    spellings: &mut BTreeMap<String, TreePath>,
    path: &TreePath,
) -> Result<(), Error> {
    let first = spellings
        .entry(fat::fold(path.as_str()))
        .or_insert_with(|| path.clone());
    if first == path {
        return Ok(());
    }
    Err(Error::Collision {
        role: role.clone(),
        first: first.to_string(),
        second: path.to_string(),
    })
}

fn check_fat_entry(role: &Role, path: &TreePath, entry: &Entry) -> Result<(), Error> {
    for name in path.components() {
        fat::check_name(name).map_err(|reason| entry_error(role, path, reason.to_owned()))?;
    }
    let reason = match entry {
        Entry::Symlink { .. } => "FAT holds no symbolic links".to_owned(),
        Entry::Directory { mode: Some(_) } | Entry::File(File { mode: Some(_), .. }) => {
            "FAT holds no permissions".to_owned()
        }
        Entry::File(file) if file.size > fat::MAX_FILE_SIZE => {
            format!(
                "{} bytes are more than the 4294967295 a FAT file can have",
                file.size
            )
        }
        Entry::File(_) | Entry::Directory { .. } => return Ok(()),
    };
    Err(entry_error(role, path, reason))
}

fn entry_error(role: &Role, path: &TreePath, reason: String) -> Error {
    Error::Entry {
        role: role.clone(),
        path: path.to_string(),
        reason,
    }
}
