//! Sorted lists of extents.

use std::ops::Range;
use std::sync::Arc;

/// A run of bytes of a file or an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

    /// What is left of it in a range that it overlaps.
    fn cut(&self, range: &Range<u64>) -> Self {
        let (start, end) = (self.start.max(range.start), self.end().min(range.end));
        let skipped = start - self.start;
        let content = match &self.content {
            Content::Bytes(bytes) if end - start < self.length => {
                let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
                let bytes = &bytes[index(skipped)..index(end - self.start)];
                Content::Bytes(bytes.into())
            }
            Content::Bytes(bytes) => Content::Bytes(Arc::clone(bytes)),
            Content::Slice { source, offset } => Content::Slice {
                source: *source,
                offset: offset + skipped,
            },
        };
        Self {
            start,
            length: end - start,
            content,
        }
    }
}

/// Where the bytes of an extent come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
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

    /// All of a source of so many bytes, with data in these places alone: start and length of
    /// each run, in bytes.
    #[must_use]
    pub fn of_source(length: u64, source: SourceId, data: &[(u64, u64)]) -> Self {
        let mut map = Self::hole(length);
        for (start, length) in data {
            map.push_slice(*start, *length, source, *start);
        }
        map
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

    /// The bytes from `start` on, `length` of them, as a map of their own. What is asked
    /// for beyond the end is a hole.
    #[must_use]
    pub fn slice(&self, start: u64, length: u64) -> Self {
        let mut slice = Self::hole(length);
        for mut extent in self.within(start..start.saturating_add(length)) {
            extent.start -= start;
            slice.push(extent);
        }
        slice
    }

    /// The extents of a range in order, those at its ends cut to what is inside. They keep
    /// their places.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Extent> {
        let first = self
            .extents
            .partition_point(|extent| extent.end() <= range.start);
        let inside = self.extents[first..].iter();
        let end = range.end;
        inside
            .take_while(move |extent| extent.start < end)
            .map(move |extent| extent.cut(&range))
    }

    /// Reads the whole from its first byte to its last, piece by piece.
    ///
    /// `source` fills a buffer with the bytes of a source at an offset; `sink` takes
    /// what was read.
    ///
    /// # Errors
    /// The first of either.
    pub fn read<E>(
        &self,
        mut source: impl FnMut(SourceId, u64, &mut [u8]) -> Result<(), E>,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = Vec::new();
        let mut end = 0;
        for extent in &self.extents {
            zeros(extent.start - end, &mut sink)?;
            end = extent.end();
            match &extent.content {
                Content::Bytes(bytes) => sink(bytes)?,
                Content::Slice { source: id, offset } => {
                    buffer.resize(CHUNK, 0);
                    for (done, length) in steps(extent.length, CHUNK) {
                        source(*id, offset + done, &mut buffer[..length])?;
                        sink(&buffer[..length])?;
                    }
                }
            }
        }
        zeros(self.length - end, &mut sink)
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

/// How much of a source is read at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// What holes read as, piece by piece.
const ZEROS: [u8; 4096] = [0; 4096];

fn zeros<E>(length: u64, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut steps = steps(length, ZEROS.len());
    steps.try_for_each(|(_, length)| sink(&ZEROS[..length]))
}

/// The steps in which so many bytes are gone through: where each begins, and its length.
fn steps(length: u64, longest: usize) -> impl Iterator<Item = (u64, usize)> {
    let starts = (0..length).step_by(longest);
    starts.map(move |start| {
        let rest = usize::try_from(length - start).unwrap_or(longest);
        (start, rest.min(longest))
    })
}

/// Names one of the files whose slices a map is made of; its owner knows which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

impl SourceId {
    /// The file at a place of its owner's list.
    #[must_use]
    pub fn new(index: usize) -> Self {
        let index = u32::try_from(index);
        Self(index.unwrap_or_else(|_| unreachable!("a map has fewer than 2^32 files")))
    }

    /// The place in its owner's list.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
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
    fn a_range_has_what_is_inside() {
        let mut map = ExtentMap::hole(100);
        map.push_bytes(10, *b"abcdef");
        map.push_slice(20, 30, SourceId::new(0), 7);
        let slice = |start, length, offset| Extent {
            start,
            length,
            content: Content::Slice {
                source: SourceId::new(0),
                offset,
            },
        };
        let bytes = |start, bytes: &[u8]| Extent {
            start,
            length: bytes.len() as u64,
            content: Content::Bytes(bytes.into()),
        };
        for (range, expected) in [
            (0..100, vec![bytes(10, b"abcdef"), slice(20, 30, 7)]),
            (12..25, vec![bytes(12, b"cdef"), slice(20, 5, 7)]),
            (11..13, vec![bytes(11, b"bc")]),
            (30..40, vec![slice(30, 10, 17)]),
            (16..20, vec![]),
            (50..100, vec![]),
            (10..10, vec![]),
        ] {
            let found: Vec<_> = map.within(range.clone()).collect();
            assert_eq!(found, expected, "{range:?}");
        }
    }

    #[test]
    fn a_map_reads_as_its_pieces_and_zeros_between() {
        let mut map = ExtentMap::hole(600_010);
        map.push_bytes(2, *b"head");
        map.push_slice(5000, 300_000, SourceId::new(0), 7);
        let file: Vec<u8> = (0..=250).cycle().take(300_007).collect();
        let mut expected = vec![0; 600_010];
        expected[2..6].copy_from_slice(b"head");
        expected[5000..305_000].copy_from_slice(&file[7..]);
        let mut found = Vec::new();
        let mut source = |_, offset: u64, buffer: &mut [u8]| {
            let start = usize::try_from(offset).unwrap();
            let slice = file.get(start..start + buffer.len()).ok_or("short")?;
            buffer.copy_from_slice(slice);
            Ok(())
        };
        let read = map.read(&mut source, |bytes| {
            found.extend_from_slice(bytes);
            Ok(())
        });
        assert_eq!(read, Ok(()));
        assert!(found == expected);
        let mut map = ExtentMap::hole(9);
        map.push_slice(0, 9, SourceId::new(0), 300_000);
        assert_eq!(map.read(source, |_| Ok(())), Err("short"));
    }

    #[test]
    fn a_slice_of_a_map_cuts_what_reaches_out_of_it() {
        let mut map = ExtentMap::hole(100);
        map.push_bytes(10, *b"abcdef");
        map.push_slice(20, 30, SourceId::new(1), 1000);
        map.push_bytes(60, *b"xyz");
        let slice = map.slice(12, 49);
        let mut expected = ExtentMap::hole(49);
        expected.push_bytes(0, *b"cdef");
        expected.push_slice(8, 30, SourceId::new(1), 1000);
        expected.push_bytes(48, *b"x");
        assert_eq!(slice, expected);
        let mut expected = ExtentMap::hole(10);
        expected.push_slice(0, 10, SourceId::new(1), 1010);
        assert_eq!(map.slice(30, 10), expected);
        assert_eq!(map.slice(0, 100), map);
        assert_eq!(map.slice(90, 50), ExtentMap::hole(50));
    }

    #[test]
    #[should_panic(expected = "out of place")]
    fn overlaps_are_bugs() {
        let mut map = ExtentMap::hole(100);
        map.push_bytes(10, vec![1; 5]);
        map.push_bytes(12, vec![1]);
    }
}
