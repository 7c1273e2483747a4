//! The inode that holds room for descriptors, so that the file system can grow.
//!
//! Specification: the *resize inode* of the kernel's documentation. It is a file of 4 GiB,
//! most of it a hole, whose blocks are found through one block of numbers of blocks of
//! numbers. The latter are the room itself behind the first descriptors, and name the room
//! in the copies.

use super::geometry::{GROUP, Geometry};
use super::inode::{Inode, Kind, Map};
use super::{BLOCK, BYTES};
use crate::structure::{in_memory, put};

/// The number of the inode.
pub const INODE: u32 = 7;

/// How many numbers of blocks there are in a block.
pub const IN_BLOCK: u64 = BLOCK / 4;

/// How many blocks an inode names by itself.
const DIRECT: u64 = 12;

/// Where the inode names a block of numbers of blocks of numbers.
const DOUBLE: usize = 13;

/// The inode; `block` is the one it names.
pub fn inode(geometry: &Geometry, block: u64) -> Inode<'static> {
    let mut map = [0; 60];
    put(&mut map, DOUBLE * 4, &number(block));
    let copies = copies(geometry).count() as u64;
    Inode {
        kind: Kind::File,
        mode: 0o600,
        links: 1,
        size: (DIRECT + IN_BLOCK + IN_BLOCK * IN_BLOCK) * BLOCK,
        blocks: 1 + geometry.reserved * (1 + copies),
        is_indexed: false,
        map: Map::Other(map),
        attributes: &[],
        attribute_block: 0,
    }
}

/// The blocks: where each is, and its bytes. The inode names the block `block`.
pub fn blocks(geometry: &Geometry, block: u64) -> Vec<(u64, Vec<u8>)> {
    let copies: Vec<u64> = copies(geometry).collect();
    let mut all = Vec::new();
    let mut first = vec![0; BYTES];
    for index in geometry.descriptors..geometry.descriptors + geometry.reserved {
        let place = 1 + index;
        put(&mut first, in_memory(index % IN_BLOCK * 4), &number(place));
        let mut bytes = vec![0; BYTES];
        for (group, at) in copies.iter().zip((0..).step_by(4)) {
            put(&mut bytes, at, &number(group * GROUP + place));
        }
        all.push((place, bytes));
    }
    all.push((block, first));
    all
}

/// The groups that have a copy.
fn copies(geometry: &Geometry) -> impl Iterator<Item = u64> {
    geometry.copies().filter(|group| *group > 0)
}

fn number(block: u64) -> [u8; 4] {
    // There is no room for descriptors where numbers would be greater.
    u32::try_from(block).unwrap_or_default().to_le_bytes()
}
