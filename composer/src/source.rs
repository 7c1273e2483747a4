//! The files that an image takes its content from, as they were when it was planned.

use std::collections::BTreeMap;
use std::path::PathBuf;

use extents::{ExtentMap, SourceId};
use tree_manifest::{Sha256, TreePath};

/// The files whose slices an image is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<Source>,
    data: BTreeMap<SourceId, Vec<(u64, u64)>>,
    promises: Vec<Promise>,
}

/// What a manifest says of the content of a file that is put together from slices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Its place in its partition.
    pub place: TreePath,
    /// What it is put together from.
    pub map: ExtentMap,
    /// The digest.
    pub sha256: Sha256,
}

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
        let id = SourceId::new(self.files.len());
        self.files.push(source);
        id
    }

    /// Sets where a file has data, and not holes: start and length of each run, in bytes.
    pub fn set_data(&mut self, id: SourceId, data: Vec<(u64, u64)>) {
        self.data.insert(id, data);
    }

    /// Where a file has data, if it is known to have holes.
    #[must_use]
    pub fn data(&self, id: SourceId) -> Option<&[(u64, u64)]> {
        self.data.get(&id).map(Vec::as_slice)
    }

    /// Adds what is to be checked of a file that is put together.
    pub fn promise(&mut self, promise: Promise) {
        self.promises.push(promise);
    }

    /// What is to be checked of files that are put together.
    pub fn promises(&self) -> impl Iterator<Item = &Promise> {
        self.promises.iter()
    }

    /// The file of a name given by [`Sources::add`].
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.files[id.index()]
    }

    /// Every file, in the order of addition.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }
}
