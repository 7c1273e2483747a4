//! Where the blocks of an inode are.
//!
//! Specification: chapter *Extent Tree* of the kernel's documentation, `struct
//! ext4_extent_header`, `ext4_extent` and `ext4_extent_idx`.

use super::BYTES;
use super::checksum::Checksum;
use crate::structure::put;

/// The most blocks of a run.
pub const LONGEST: u64 = 32768;

/// The size of the head, and of each entry.
const ENTRY: usize = 12;

/// How many entries an inode has room for.
const IN_INODE: usize = 4;

/// How many entries a block has room for, before its checksum.
const IN_BLOCK: usize = (BYTES - ENTRY - 4) / ENTRY;

const MAGIC: u16 = 0xf30a;

/// Blocks of a file that lie one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first, among those of the file.
    pub logical: u32,
    /// Where that is.
    pub start: u64,
    /// How many there are, up to [`LONGEST`].
    pub length: u64,
}

/// How many blocks it takes to tell of so many runs, beside the inode.
pub fn nodes(runs: usize) -> u64 {
    let levels = std::iter::successors(Some(runs), |count| {
        (*count > IN_INODE).then(|| count.div_ceil(IN_BLOCK))
    });
    levels.skip(1).map(|count| count as u64).sum()
}

/// What is in an inode, and the blocks that it leads to: where each is, and its bytes.
/// There are as many places as [`nodes`] says.
pub fn render(runs: &[Run], places: &[u64], inode: Checksum) -> ([u8; 60], Vec<(u64, Vec<u8>)>) {
    let mut entries: Vec<(u32, [u8; ENTRY])> = runs.iter().map(leaf).collect();
    let mut places = places.iter();
    let mut blocks = Vec::new();
    let mut depth = 0;
    while entries.len() > IN_INODE {
        let mut above = Vec::new();
        for (group, place) in entries.chunks(IN_BLOCK).zip(&mut places) {
            let mut bytes = vec![0; BYTES];
            write(&mut bytes, group, IN_BLOCK, depth);
            let at = ENTRY + IN_BLOCK * ENTRY;
            let checksum = inode.with(&bytes[..at]).value();
            put(&mut bytes, at, &checksum.to_le_bytes());
            blocks.push((*place, bytes));
            above.push((group[0].0, index(group[0].0, *place)));
        }
        entries = above;
        depth += 1;
    }
    let mut root = [0; 60];
    write(&mut root, &entries, IN_INODE, depth);
    (root, blocks)
}

fn leaf(run: &Run) -> (u32, [u8; ENTRY]) {
    let mut bytes = [0; ENTRY];
    let place = run.start.to_le_bytes();
    put(&mut bytes, 0, &run.logical.to_le_bytes());
    put(&mut bytes, 4, &run.length.to_le_bytes()[..2]);
    put(&mut bytes, 6, &place[4..6]);
    put(&mut bytes, 8, &place[..4]);
    (run.logical, bytes)
}

fn index(logical: u32, place: u64) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let place = place.to_le_bytes();
    put(&mut bytes, 0, &logical.to_le_bytes());
    put(&mut bytes, 4, &place[..6]);
    bytes
}

fn write(bytes: &mut [u8], entries: &[(u32, [u8; ENTRY])], room: usize, depth: u16) {
    let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    put(bytes, 0, &MAGIC.to_le_bytes());
    put(bytes, 2, &count(entries.len()));
    put(bytes, 4, &count(room));
    put(bytes, 6, &depth.to_le_bytes());
    for (entry, at) in entries.iter().zip((ENTRY..).step_by(ENTRY)) {
        put(bytes, at, &entry.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: u32) -> Vec<Run> {
        let run = |number| Run {
            logical: number * 2,
            start: 1000 + u64::from(number),
            length: 1,
        };
        (0..count).map(run).collect()
    }

    #[test]
    fn runs_that_do_not_fit_into_an_inode_have_blocks() {
        let levels = [0, 4, 5, 340, 341, 1360, 1361, 340 * 340].map(nodes);
        assert_eq!(levels, [0, 0, 1, 1, 2, 4, 5 + 1, 340 + 1]);
        let (root, blocks) = render(&runs(2), &[], Checksum::NONE);
        assert_eq!(blocks, []);
        assert_eq!(root[..8], [0x0a, 0xf3, 2, 0, 4, 0, 0, 0]);
        assert_eq!(root[24..36], [2, 0, 0, 0, 1, 0, 0, 0, 0xe9, 3, 0, 0]);
        let places: Vec<u64> = (1..=6).map(|number| number << 32 | 7).collect();
        let (root, blocks) = render(&runs(1361), &places, Checksum::NONE);
        assert_eq!(root[..8], [0x0a, 0xf3, 1, 0, 4, 0, 2, 0]);
        assert_eq!(root[12..24], [0, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0]);
        let found = blocks.iter();
        let found = found.map(|(place, bytes)| (place >> 32, bytes[2], bytes[6]));
        let found: Vec<_> = found.collect();
        let full = 340_u16.to_le_bytes()[0];
        let leaf = |place| (place, full, 0);
        assert_eq!(
            found,
            [leaf(1), leaf(2), leaf(3), leaf(4), (5, 1, 0), (6, 5, 1)]
        );
    }
}
