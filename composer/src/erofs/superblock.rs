//! The superblock.
//!
//! Specification: `struct erofs_super_block`.

use super::{BLOCK, VolumeId};
use crate::label::cut;
use crate::structure::{in_memory, put};

/// Where it is, in bytes. Before it there is room for a boot loader.
pub const AT: u64 = 1024;

/// Its size in bytes, without extensions.
pub const SIZE: u64 = 128;

const MAGIC: u32 = 0xe0f5_e1e2;

/// The superblock has a checksum of its block.
const HAS_CHECKSUM: u32 = 1;

/// Times are those of changes of content.
const HAS_MODIFIED: u32 = 2;

/// The checksum of the superblock, which is kept without its last complement.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// What a superblock says of its volume.
#[derive(Debug)]
pub struct Numbers {
    /// The inode of the root, in slots from the start.
    pub root: u16,
    /// How many inodes there are.
    pub inodes: u64,
    /// How many blocks there are.
    pub blocks: u32,
}

/// Writes the superblock to the first block, whose other bytes are there already.
pub fn write(block: &mut [u8], id: &VolumeId, numbers: &Numbers) {
    let head = &mut block[in_memory(AT)..];
    put(head, 0, &MAGIC.to_le_bytes());
    put(head, 8, &(HAS_CHECKSUM | HAS_MODIFIED).to_le_bytes());
    head[12] = u8::try_from(BLOCK.ilog2()).unwrap_or(u8::MAX);
    put(head, 14, &numbers.root.to_le_bytes());
    put(head, 16, &numbers.inodes.to_le_bytes());
    put(head, 24, &id.time.to_le_bytes());
    put(head, 36, &numbers.blocks.to_le_bytes());
    put(head, 48, id.uuid.as_bytes());
    // With a zero behind it.
    put(head, 64, cut(&id.label, 15).as_bytes());
    let checksum = !CRC.checksum(head);
    put(head, 4, &checksum.to_le_bytes());
}
