//! The content of one file system, before it has a layout.

pub(crate) mod inodes;
pub(crate) mod links;
#[cfg(test)]
pub(crate) mod made_up;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use extents::{ExtentMap, SourceId};
use tree_manifest::{TreePath, fat};

use crate::error::Error;
use crate::source::{Sources, Stamp};

/// Files and directories by path. Every directory above an entry is there too.
#[derive(Debug, Clone, Default)]
pub struct FileTree {
    nodes: BTreeMap<TreePath, Node>,
    modes: BTreeMap<TreePath, u32>,
    attributes: BTreeMap<TreePath, Vec<Attribute>>,
    /// The directory that it is all of, as it lies, if it is.
    pub whole: Option<Whole>,
}

/// An extended attribute: its name, with the namespace, and its value.
pub type Attribute = (String, Vec<u8>);

/// A directory that was read with everything in it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Where it is.
    pub folder: PathBuf,
    /// It and those in it, as they were.
    pub directories: Vec<(PathBuf, Stamp)>,
    /// Whether something in it has attributes that the tree has not.
    pub leaves_attributes: bool,
}

/// One thing in a file tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File(FileContent),
    /// A symbolic link, and where it leads.
    Symlink(String),
}

/// The bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// All of a source of this many bytes.
    Source(SourceId, u64),
    /// Put together from slices of sources and bytes in memory.
    Pieces(ExtentMap),
}

impl FileContent {
    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source(_, size) => *size,
            Self::Pieces(map) => map.length(),
        }
    }

    /// The bytes, and where they come from.
    #[must_use]
    pub fn extents(&self) -> ExtentMap {
        let mut map = ExtentMap::hole(self.size());
        match self {
            Self::Bytes(bytes) => map.push_bytes(0, Arc::clone(bytes)),
            Self::Source(source, size) => map.push_slice(0, *size, *source, 0),
            Self::Pieces(pieces) => return pieces.clone(),
        }
        map
    }
}

impl FileTree {
    /// The permissions of the root.
    pub const ROOT_MODE: u32 = 0o755;

    /// Adds a file, and the directories above it.
    ///
    /// # Errors
    /// When something else is there already, or above it.
    pub fn add_file(&mut self, path: TreePath, content: FileContent) -> Result<(), Error> {
        self.add_leaf(path, Node::File(content))
    }

    /// Adds a symbolic link, and the directories above it.
    ///
    /// # Errors
    /// When something else is there already, or above it.
    pub fn add_symlink(&mut self, path: TreePath, target: String) -> Result<(), Error> {
        self.add_leaf(path, Node::Symlink(target))
    }

    fn add_leaf(&mut self, path: TreePath, node: Node) -> Result<(), Error> {
        if let Some(parent) = path.parent() {
            self.add_directory(parent)?;
        }
        match self.nodes.insert(path.clone(), node) {
            None => Ok(()),
            Some(_) => Err(Error::Twice { path }),
        }
    }

    /// Sets the permissions of an entry.
    pub fn set_mode(&mut self, path: TreePath, mode: u32) {
        self.modes.insert(path, mode);
    }

    /// The permissions of an entry: those that were set, or the usual ones.
    #[must_use]
    pub fn mode(&self, path: &TreePath) -> u32 {
        let usual = match self.nodes.get(path) {
            Some(Node::File(_)) => 0o644,
            Some(Node::Symlink(_)) => 0o777,
            Some(Node::Directory) | None => 0o755,
        };
        self.modes.get(path).copied().unwrap_or(usual)
    }

    /// Sets the extended attributes of an entry.
    pub fn set_attributes(&mut self, path: &TreePath, attributes: Vec<Attribute>) {
        if !attributes.is_empty() {
            self.attributes.insert(path.clone(), attributes);
        }
    }

    /// The extended attributes of an entry, by name.
    #[must_use]
    pub fn attributes(&self, path: &TreePath) -> &[Attribute] {
        self.attributes.get(path).map_or(&[], Vec::as_slice)
    }

    /// Whether any entry has extended attributes.
    #[must_use]
    pub fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// Adds a directory, and those above it. One that is there already stays.
    ///
    /// # Errors
    /// When a file is there, or above it.
    pub fn add_directory(&mut self, path: TreePath) -> Result<(), Error> {
        for directory in std::iter::successors(Some(path), TreePath::parent) {
            match self.nodes.get(&directory) {
                Some(Node::Directory) => break,
                Some(Node::File(_) | Node::Symlink(_)) => {
                    return Err(Error::Twice { path: directory });
                }
                None => self.nodes.insert(directory, Node::Directory),
            };
        }
        Ok(())
    }

    /// The entries in path order: a directory comes before what it holds.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// The sources of whole files.
    pub fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.nodes.values().filter_map(|node| match node {
            Node::File(FileContent::Source(id, _)) => Some(*id),
            _ => None,
        })
    }

    /// How many files there are and how many bytes they have.
    #[must_use]
    pub fn totals(&self) -> (usize, u64) {
        let files = self.nodes.values().filter_map(|node| match node {
            Node::File(content) => Some(content.size()),
            Node::Directory | Node::Symlink(_) => None,
        });
        files.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }

    /// Checks that a FAT file system can hold the tree.
    ///
    /// # Errors
    /// With the first name that breaks a rule of FAT, the first two that differ
    /// in case only, or the first file that is too large.
    pub fn check_fat(&self, sources: &Sources) -> Result<(), Error> {
        let mut spellings: BTreeMap<String, &TreePath> = BTreeMap::new();
        for (path, node) in &self.nodes {
            let refuse = |reason: String| Error::NotForFat {
                path: path.clone(),
                reason,
            };
            fat::check_name(path.name()).map_err(|reason| refuse(reason.to_owned()))?;
            if matches!(node, Node::Symlink(_)) {
                return Err(refuse("FAT holds no symbolic links".to_owned()));
            }
            if let Node::File(content) = node
                && content.size() > fat::MAX_FILE_SIZE
            {
                return Err(refuse(format!(
                    "{} bytes are more than the 4294967295 a FAT file can have",
                    content.size()
                )));
            }
            if let Some(first) = spellings.insert(fat::fold(path.as_str()), path) {
                return Err(Error::Collision {
                    first: self.describe(first, sources),
                    second: self.describe(path, sources),
                });
            }
        }
        Ok(())
    }

    /// An entry and where it comes from; of a directory, the first file in it.
    fn describe(&self, path: &TreePath, sources: &Sources) -> String {
        match self.nodes.get(path) {
            Some(Node::File(FileContent::Source(id, _))) => {
                format!("`{path}` (from `{}`)", sources.get(*id).path.display())
            }
            Some(Node::File(FileContent::Bytes(_))) => format!("`{path}` (text of a manifest)"),
            Some(Node::Symlink(_)) => format!("`{path}` (a symbolic link)"),
            Some(Node::File(FileContent::Pieces(_))) => {
                format!("`{path}` (pieces of a manifest)")
            }
            Some(Node::Directory) | None => {
                let below = format!("{path}/");
                let is_file_below = |(inner, node): &(&TreePath, &Node)| {
                    inner.as_str().starts_with(&below) && matches!(node, Node::File(_))
                };
                let held = self.nodes.range(path.clone()..).find(is_file_below);
                let held = held.map(|(inner, _)| self.describe(inner, sources));
                format!(
                    "directory `{path}` of {}",
                    held.unwrap_or_else(|| "nothing".to_owned())
                )
            }
        }
    }
}
