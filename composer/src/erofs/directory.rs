//! The content of directories.
//!
//! Specification: chapter *Directories* of `erofs.rst`, and `struct erofs_dirent`. Each
//! block is a table of entries, then their names; kernels search it by halves, so names
//! are in the order of their bytes.

use super::BLOCK;
use super::inode::Kind;
use crate::structure::put;
pub(super) use crate::tree::inodes::Entry;

/// The size of an entry without its name.
const ENTRY: usize = 12;

impl Entry<'_> {
    fn length(&self) -> usize {
        ENTRY + self.name.len()
    }
}

/// The entries of each block; sorted, they fill one after the other.
pub fn blocks<'e, 'a>(mut entries: &'e [Entry<'a>]) -> Vec<&'e [Entry<'a>]> {
    let mut blocks = Vec::new();
    while !entries.is_empty() {
        let mut length = 0;
        let fits = |entry: &Entry<'_>| {
            length += entry.length();
            length as u64 <= BLOCK
        };
        let count = entries.iter().copied().take_while(fits).count();
        let (block, rest) = entries.split_at(count);
        blocks.push(block);
        entries = rest;
    }
    blocks
}

/// The length of a directory in bytes: every block is filled up but the last.
pub fn size(blocks: &[&[Entry<'_>]]) -> u64 {
    let Some((last, full)) = blocks.split_last() else {
        return 0;
    };
    let last: usize = last.iter().map(Entry::length).sum();
    full.len() as u64 * BLOCK + last as u64
}

/// The bytes of a block. `inode` tells of an inode its number and what it is of.
pub fn render(block: &[Entry<'_>], inode: impl Fn(usize) -> (u64, Kind)) -> Vec<u8> {
    let mut bytes = vec![0; block.len() * ENTRY];
    for (entry, place) in block.iter().zip((0..).step_by(ENTRY)) {
        let (number, kind) = inode(entry.inode);
        // Within a block, names begin before its 4096th byte.
        let name = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        put(&mut bytes, place, &number.to_le_bytes());
        put(&mut bytes, place + 8, &name.to_le_bytes());
        bytes[place + 10] = kind.in_directory();
        bytes.extend_from_slice(entry.name.as_bytes());
    }
    bytes
}
