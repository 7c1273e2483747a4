//! Images as sorted lists of extents.
//!
//! Everything that contributes to an image (the partition table, a file system,
//! the output of another program) is a list of extents, and so is the image. An
//! extent is bytes in memory or a slice of a file; what no extent covers is a
//! hole and reads as zeros. A list holds metadata only, so it stays small
//! however large the content is; a sink decides what to do with it.

use std::path::PathBuf;
use std::sync::Arc;

use tree_manifest::Sha256;

/// A run of bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Where it starts, in bytes.
    pub start: u64,
    /// How long it is, in bytes; never 0.
    pub length: u64,
    /// What its bytes are.
    pub content: Content,
}

impl Extent {
    /// The first byte behind it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// Where the bytes of an extent come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Memory, as many bytes as the extent is long. Shared, because file systems
    /// keep copies of their tables.
    Bytes(Arc<[u8]>),
    /// A slice of a source.
    Slice {
        /// The file.
        source: SourceId,
        /// Where the slice starts in it, in bytes.
        offset: u64,
    },
}

/// A sorted list of extents that do not overlap, and the length of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtentMap {
    length: u64,
    extents: Vec<Extent>,
}

impl ExtentMap {
    /// A map of so many bytes, all of them a hole.
    #[must_use]
    pub fn hole(length: u64) -> Self {
        Self {
            length,
            extents: Vec::new(),
        }
    }

    /// The length of the whole, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The extents in order.
    #[must_use]
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// How many bytes are not holes.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// Appends bytes at a place behind everything appended before. Empty bytes
    /// leave no extent.
    pub fn push_bytes(&mut self, start: u64, bytes: impl Into<Arc<[u8]>>) {
        let bytes = bytes.into();
        self.push(Extent {
            start,
            length: bytes.len() as u64,
            content: Content::Bytes(bytes),
        });
    }

    /// Appends a slice of a source at a place behind everything appended before.
    pub fn push_slice(&mut self, start: u64, length: u64, source: SourceId, offset: u64) {
        self.push(Extent {
            start,
            length,
            content: Content::Slice { source, offset },
        });
    }

    /// Appends every extent of another map, moved to `start`.
    pub fn append(&mut self, start: u64, other: Self) {
        for mut extent in other.extents {
            extent.start += start;
            self.push(extent);
        }
    }

    /// Keeps the order and the bounds; a planner that breaks them is wrong.
    fn push(&mut self, extent: Extent) {
        if extent.length == 0 {
            return;
        }
        let free = self.extents.last().map_or(0, Extent::end);
        assert!(
            free <= extent.start && extent.end() <= self.length,
            "extent at {}+{} is out of place: {free} bytes are taken of {}",
            extent.start,
            extent.length,
            self.length
        );
        self.extents.push(extent);
    }
}

/// Names one file of [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

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
        let id = u32::try_from(self.0.len())
            .unwrap_or_else(|_| unreachable!("an image has fewer than 2^32 files"));
        self.0.push(source);
        SourceId(id)
    }

    /// The file of a name given by [`Sources::add`].
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0 as usize]
    }

    /// Every file, in the order of addition.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_moved_into_another() {
        let mut inner = ExtentMap::hole(100);
        inner.push_bytes(10, vec![1; 5]);
        inner.push_bytes(20, vec![]);
        let mut outer = ExtentMap::hole(1000);
        outer.append(500, inner);
        assert_eq!(outer.data(), 5);
        assert_eq!(outer.extents()[0].start, 510);
    }

    #[test]
    #[should_panic(expected = "out of place")]
    fn overlaps_are_bugs() {
        let mut map = ExtentMap::hole(100);
        map.push_bytes(10, vec![1; 5]);
        map.push_bytes(12, vec![1]);
    }
}
