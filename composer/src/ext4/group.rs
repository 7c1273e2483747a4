//! Descriptors of groups, and what is taken in each.
//!
//! Specification: chapters *Block Group Descriptors* and *Block and Inode Bitmaps* of the
//! kernel's documentation.

use std::ops::Range;

use super::BYTES;
use super::checksum::Checksum;
use super::geometry::Tables;
use crate::structure::{in_memory, put};

/// The size of a descriptor, in bytes.
pub const DESCRIPTOR: usize = 64;

/// None of its inodes is taken, so that nobody reads which.
const NO_INODES: u16 = 1;

/// None of its blocks is taken but by its own head.
const NO_BLOCKS: u16 = 2;

/// Its inodes that are not used are zeros.
const ZEROED: u16 = 4;

/// What is taken of a group.
#[derive(Debug)]
pub struct Group {
    /// How many blocks are free.
    pub free_blocks: u64,
    /// How many inodes are free; all of them are behind those that are taken.
    pub free_inodes: u64,
    /// How many directories there are among its inodes.
    pub directories: u64,
    /// The bits of its blocks; none where nothing is taken but its own head.
    pub block_bitmap: Option<Vec<u8>>,
    /// The bits of its inodes; none where none is taken.
    pub inode_bitmap: Option<Vec<u8>>,
}

impl Group {
    /// The descriptor of group `number`, each of which has so many inodes.
    pub fn descriptor(
        &self,
        number: u64,
        tables: Tables,
        inodes: u64,
        volume: Checksum,
    ) -> [u8; DESCRIPTOR] {
        let mut bytes = [0; DESCRIPTOR];
        let mut flags = ZEROED;
        if self.block_bitmap.is_none() {
            flags |= NO_BLOCKS;
        }
        if self.inode_bitmap.is_none() {
            flags |= NO_INODES;
        }
        let places = [tables.block_bitmap, tables.inode_bitmap, tables.inodes];
        for (place, at) in places.into_iter().zip((0..).step_by(4)) {
            put(&mut bytes, at, &place.to_le_bytes()[..4]);
            put(&mut bytes, 0x20 + at, &place.to_le_bytes()[4..]);
        }
        // None is more than two bytes count, and so their other halves are 0.
        let counts = [
            (0x0c, self.free_blocks),
            (0x0e, self.free_inodes),
            (0x10, self.directories),
            (0x12, u64::from(flags)),
            // The last inodes that are not used.
            (0x1c, self.free_inodes),
        ];
        for (at, count) in counts {
            put(&mut bytes, at, &count.to_le_bytes()[..2]);
        }
        let of_inodes = in_memory(inodes / 8);
        let bitmaps = [
            (0x18, self.block_bitmap.as_deref()),
            (
                0x1a,
                self.inode_bitmap.as_ref().map(|bits| &bits[..of_inodes]),
            ),
        ];
        for (at, bits) in bitmaps {
            let (low, high) = bits
                .map(|bits| volume.with(bits).halves())
                .unwrap_or_default();
            put(&mut bytes, at, &low);
            put(&mut bytes, 0x20 + at, &high);
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let (checksum, _) = volume.with(&number).with(&bytes).halves();
        put(&mut bytes, 0x1e, &checksum);
        bytes
    }
}

/// A block whose bits of some ranges are set.
pub fn bitmap(ranges: impl IntoIterator<Item = Range<u64>>) -> Vec<u8> {
    let mut bits = vec![0_u8; BYTES];
    for Range { start, end } in ranges {
        let (first, last) = (start.next_multiple_of(8).min(end), end / 8 * 8);
        for bit in (start..first).chain(last.max(first)..end) {
            bits[in_memory(bit / 8)] |= 1 << (bit % 8);
        }
        if first < last {
            bits[in_memory(first / 8)..in_memory(last / 8)].fill(0xff);
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_ranges_are_set() {
        for ranges in [
            [0..0, 5..9],
            [0..1, 3..7],
            [7..8, 8..16],
            [31..64, 64..65],
            [1..32767, 32767..32767],
        ] {
            let bits = bitmap(ranges.clone());
            for bit in 0..32768_u64 {
                let is_set = bits[in_memory(bit / 8)] & 1 << (bit % 8) != 0;
                let expected = ranges.iter().any(|range| range.contains(&bit));
                assert_eq!(is_set, expected, "{bit} of {ranges:?}");
            }
        }
    }
}
