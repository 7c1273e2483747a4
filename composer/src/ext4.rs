//! ext4 file systems, laid out as extents.
//!
//! Specification: the kernel's `Documentation/filesystems/ext4`, and `fs/ext4/ext4.h` for
//! the bytes of each structure. The features are those that mke2fs has for ext4, but none
//! that GRUB 2.06 or Linux 5.10 cannot read.
//!
//! File data is named, not read. It lies on multiples of [`BLOCK`], so that a sink can share
//! it with the source, and every file follows the one before it. What nothing was written to
//! is a hole: free blocks, inodes that are not used, the journal behind its first block.
//!
//! ```text
//! superblock, descriptors │ bitmaps and inodes of 16 groups │ journal │ directories │ files
//! ```
//!
//! A copy of superblock and descriptors begins some of the groups, and bitmaps and inodes of
//! 16 groups each sixteenth. Everything belongs to root and has one time. The same tree,
//! sources, identifiers and size give the same bytes.
//!
//! It is made to be written to: with a journal, room for descriptors of a larger one
//! (`resize2fs`), and indices of large directories. Data in inodes, clusters, quota,
//! encryption and letter case of no importance are not made.

mod attributes;
mod checksum;
mod contents;
mod directory;
mod extent_tree;
mod geometry;
mod group;
mod hash;
mod inode;
mod journal;
mod layout;
mod render;
mod resize;
mod superblock;

use extents::ExtentMap;
use uuid::Uuid;

use crate::error::Error;
use crate::size::ByteSize;
use crate::source::Sources;
use crate::tree::{FileTree, inodes};
pub use crate::volume_id::VolumeId;
use contents::Contents;
use geometry::IN_BLOCK;
use layout::{Layout, Shortage};
use render::Volume;

/// The size of a block. Kernels with pages of 4096 bytes read no larger ones, and file
/// systems that can share blocks have these.
pub const BLOCK: u64 = BYTES as u64;

/// The same in memory.
const BYTES: usize = 4096;

/// For how many free bytes there is an inode to spare. mke2fs has it so for all bytes.
const BYTES_PER_INODE: u64 = 16384;

/// The same in a small file system, and what that is.
const BYTES_PER_INODE_OF_SMALL: u64 = 4096;
const SMALL: u64 = 512 << 20;

/// Inodes that the smallest file system has to spare.
const MORE_INODES: u64 = 21;

/// Blocks that a file system of the least size has to spare, beside a hundredth.
const MORE_BLOCKS: u64 = 32;

/// The largest file system that descriptors at its start can tell of, in bytes.
const LARGEST: u64 = 128 << 40;

/// The last second that inodes can tell of, in the year 2446.
const LAST_SECOND: u64 = (1 << 34) - (1 << 31) - 1;

/// Lays out a volume of `size` bytes, of which a rest that is of no use is left out.
///
/// # Errors
/// When ext4 cannot hold a name, a link, an attribute or a file, or so much in this size.
pub fn plan(
    tree: &FileTree,
    sources: &Sources,
    id: &VolumeId,
    size: u64,
) -> Result<ExtentMap, Error> {
    if id.time > LAST_SECOND {
        let reason = format!("the time {} is after the last of ext4, in 2446", id.time);
        return Err(inodes::refuse(None, reason));
    }
    check_size(size)?;
    let contents = &Contents::of(tree, sources, id.uuid)?;
    let layout = layout(contents, size / BLOCK).map_err(|_| Error::Outgrown {
        needed: ByteSize(least_blocks(contents, |_| 0).saturating_mul(BLOCK)),
        available: ByteSize(size),
    })?;
    let volume = Volume {
        contents,
        layout: &layout,
        id,
    };
    Ok(volume.extents(size))
}

/// The least size of a volume that holds a tree, in bytes, with a hundredth to spare.
/// `uuid` is that of the file system.
///
/// # Errors
/// As [`plan`], and when it takes more than ext4 can have.
pub fn least_size(tree: &FileTree, sources: &Sources, uuid: Uuid) -> Result<u64, Error> {
    let contents = Contents::of(tree, sources, uuid)?;
    let size = least_blocks(&contents, |taken| taken / 100 + MORE_BLOCKS).saturating_mul(BLOCK);
    check_size(size)?;
    Ok(size)
}

fn check_size(size: u64) -> Result<(), Error> {
    if size <= LARGEST {
        return Ok(());
    }
    let (size, most) = (ByteSize(size), ByteSize(LARGEST));
    let reason = format!("ext4 is not made of {size}, but of {most} at most");
    Err(inodes::refuse(None, reason))
}

/// Gives everything a place in so many blocks.
fn layout(contents: &Contents<'_>, blocks: u64) -> Result<Layout, Shortage> {
    let per_inode = match blocks * BLOCK {
        0..SMALL => BYTES_PER_INODE_OF_SMALL,
        _ => BYTES_PER_INODE,
    };
    let taken = contents.blocks() + contents.inodes().div_ceil(IN_BLOCK) + journal::blocks(blocks);
    let free = blocks.saturating_sub(taken) * BLOCK;
    Layout::of(contents, blocks, MORE_INODES.max(free / per_inode))
}

/// The blocks of the smallest volume that there is for something, about; more than there can
/// be if there is none. `spare` says of what is taken how many more are to be free.
fn least_blocks(contents: &Contents<'_>, spare: impl Fn(u64) -> u64) -> u64 {
    let mut blocks = contents.blocks();
    while blocks <= LARGEST / BLOCK {
        let needed = match layout(contents, blocks) {
            Ok(layout) => {
                let (taken, there) = (layout.taken(), layout.geometry.blocks);
                match (taken + spare(taken)).saturating_sub(there) {
                    0 => break,
                    more => layout.geometry.grown_by(more),
                }
            }
            // More blocks may take a larger journal, and one more group.
            Err(Shortage { needed }) => needed,
        };
        blocks = needed.max(blocks + 1);
    }
    blocks
}

#[cfg(test)]
pub(crate) mod tests;
