//! The files that an image takes its content from, as they were when it was planned.

use std::path::PathBuf;

use extents::SourceId;
use tree_manifest::Sha256;

/// The files whose slices an image is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

/// A file whose slices an image is made of, as it was when it was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is on the host.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Which version of the file was seen.
    pub stamp: Stamp,
    /// What a manifest says of its content.
    pub sha256: Option<Sha256>,
}

/// Which version of a file was seen. A file that changes gets another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode.
    pub inode: (u64, u64),
    /// Time of the last change of the content, in nanoseconds since the epoch.
    pub modified: i128,
    /// Time of the last change of the inode, in nanoseconds since the epoch.
    pub changed: i128,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, source: Source) -> SourceId {
        let id = SourceId::new(self.0.len());
        self.0.push(source);
        id
    }

    /// The file of a name given by [`Sources::add`].
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[id.index()]
    }

    /// Every file, in the order of addition.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }
}
