//! The journal: how large it is, and its first block. The others are empty.
//!
//! Specification: chapter *Journal (jbd2)* of the kernel's documentation, `struct
//! journal_superblock_s`; sizes are those of mke2fs.

use uuid::Uuid;

use super::{BLOCK, BYTES};
use crate::structure::put;

/// The number of its inode.
pub const INODE: u32 = 8;

const MAGIC: u32 = 0xc03b_3998;

/// The type of the block.
const SUPERBLOCK: u32 = 4;

/// File systems of fewer blocks have a journal of so many blocks.
const SIZES: [(u64, u64); 8] = [
    (2048, 0),
    (32768, 1024),
    (256 << 10, 4096),
    (512 << 10, 8192),
    (4096 << 10, 16384),
    (8192 << 10, 32768),
    (16384 << 10, 65536),
    (32768 << 10, 131_072),
];

/// The size of the largest.
const LARGEST: u64 = 262_144;

/// The blocks of the journal of a file system of so many; none where it would be most of it.
pub fn blocks(of: u64) -> u64 {
    let found = SIZES.iter().find(|(below, _)| of < *below);
    found.map_or(LARGEST, |(_, blocks)| *blocks)
}

/// The first block of one of so many.
pub fn first_block(blocks: u64, uuid: Uuid) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    let numbers = [
        (0x00, MAGIC),
        (0x04, SUPERBLOCK),
        (0x0c, u32::try_from(BLOCK).unwrap_or_default()),
        (0x10, u32::try_from(blocks).unwrap_or(u32::MAX)),
        // The first block of entries, and the number of the first entry.
        (0x14, 1),
        (0x18, 1),
        // How many file systems have it.
        (0x40, 1),
    ];
    for (at, number) in numbers {
        put(&mut bytes, at, &number.to_be_bytes());
    }
    put(&mut bytes, 0x30, uuid.as_bytes());
    bytes
}
