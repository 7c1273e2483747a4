//! Extents in the making.

use std::mem;

use extents::{ExtentMap, SourceId};

/// Gaps of fewer bytes are filled.
const BLOCK: u64 = 4096;

/// Bytes that come close to each other, which become one extent: there are as many writes
/// as extents.
#[derive(Debug)]
pub(crate) struct Joined {
    map: ExtentMap,
    /// Where the bytes begin that are in no extent yet.
    start: u64,
    bytes: Vec<u8>,
}

impl Joined {
    /// None yet, of a map of so many bytes.
    pub fn of(length: u64) -> Self {
        Self {
            map: ExtentMap::hole(length),
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Adds bytes behind all that was added. A gap of less than a block is filled with
    /// zeros.
    pub fn bytes(&mut self, at: u64, bytes: &[u8]) {
        let gap = at - self.start - self.bytes.len() as u64;
        match usize::try_from(gap) {
            Ok(gap) if (gap as u64) < BLOCK => self.bytes.resize(self.bytes.len() + gap, 0),
            _ => {
                self.flush();
                self.start = at;
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a slice of a source behind all that was added.
    pub fn slice(&mut self, at: u64, length: u64, source: SourceId, offset: u64) {
        let mut map = ExtentMap::hole(length);
        map.push_slice(0, length, source, offset);
        self.append(at, map);
    }

    /// Adds the extents of a map behind all that was added.
    pub fn append(&mut self, at: u64, map: ExtentMap) {
        self.flush();
        self.start = at + map.length();
        self.map.append(at, map);
    }

    /// The map.
    pub fn finish(mut self) -> ExtentMap {
        self.flush();
        self.map
    }

    fn flush(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        let end = self.start + bytes.len() as u64;
        self.map.push_bytes(self.start, bytes);
        self.start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_joined_across_gaps_of_less_than_a_block() {
        let mut joined = Joined::of(20_000);
        joined.bytes(2, b"ab");
        joined.bytes(6, b"c");
        joined.slice(10, 5, SourceId::new(3), 7);
        joined.bytes(16, b"d");
        joined.bytes(9000, b"e");
        let mut expected = ExtentMap::hole(20_000);
        expected.push_bytes(0, *b"\0\0ab\0\0c");
        expected.push_slice(10, 5, SourceId::new(3), 7);
        expected.push_bytes(15, *b"\0d");
        expected.push_bytes(9000, *b"e");
        assert_eq!(joined.finish(), expected);
    }
}
