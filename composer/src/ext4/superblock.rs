//! The superblock.
//!
//! Specification: chapter *Super Block* of the kernel's documentation, `struct
//! ext4_super_block`.

use super::checksum::Checksum;
use super::contents::FIRST;
use super::geometry::{FLEX, GROUP, Geometry};
use super::group::DESCRIPTOR;
use super::{BLOCK, VolumeId};
use super::{hash, inode, journal};
use crate::label::cut;
use crate::structure::put;

/// Its size in bytes.
pub const SIZE: usize = 1024;

/// Where it is in the first block, in bytes. Before it there is room for a boot loader.
pub const AT: usize = 1024;

const MAGIC: u16 = 0xef53;

/// Inodes have attributes, room for descriptors, and directories indices.
const COMPATIBLE: u32 = 0x8 | RESIZE | 0x20;
const JOURNAL: u32 = 0x4;
const RESIZE: u32 = 0x10;

/// Directories have types, files extents, descriptors 64 bytes, and groups their tables
/// together.
const INCOMPATIBLE: u32 = 0x2 | 0x40 | 0x80 | 0x200;

/// Few groups have copies, files may be large, even in blocks, directories hold any number
/// of others, inodes have more fields, and all metadata has checksums.
const READ_ONLY: u32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400;

/// Attributes of users and access lists are heeded.
const MOUNT_OPTIONS: u32 = 0x4 | 0x8;

/// Bytes of names have no sign where they are hashed.
const UNSIGNED: u32 = 0x2;

/// What a superblock says of its volume.
#[derive(Debug)]
pub struct Numbers<'a> {
    /// The groups.
    pub geometry: &'a Geometry,
    /// How many blocks are free.
    pub free_blocks: u64,
    /// How many inodes are free.
    pub free_inodes: u64,
    /// What the inode of the journal says of blocks, and its length in bytes.
    pub journal: Option<([u8; 60], u64)>,
}

/// The superblock of a group that has one.
pub fn render(id: &VolumeId, numbers: &Numbers<'_>, group: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    write_counts(&mut bytes, numbers);
    write_features(&mut bytes, numbers);
    if let Some((map, size)) = numbers.journal {
        // A copy, for when the inode is lost.
        bytes[0xfd] = 1;
        put(&mut bytes, 0x10c, &map);
        put(&mut bytes, 0x10c + 60, &low(size >> 32));
        put(&mut bytes, 0x10c + 64, &low(size));
        put(&mut bytes, 0xe0, &journal::INODE.to_le_bytes());
    }
    put(&mut bytes, 0x5a, &low(group)[..2]);
    put(&mut bytes, 0x68, id.uuid.as_bytes());
    put(&mut bytes, 0x78, cut(&id.label, 16).as_bytes());
    put(&mut bytes, 0xec, id.uuid.as_bytes());
    // Of writing, of checking and of making.
    for (at, high) in [(0x30, 0x274), (0x40, 0x277), (0x108, 0x276)] {
        put(&mut bytes, at, &low(id.time));
        bytes[high] = low(id.time >> 32)[0];
    }
    let checksum = Checksum::NONE.with(&bytes[..SIZE - 4]).value();
    put(&mut bytes, SIZE - 4, &checksum.to_le_bytes());
    bytes
}

/// Writes what there is how much of.
fn write_counts(bytes: &mut [u8], numbers: &Numbers<'_>) {
    let geometry = numbers.geometry;
    let log = u64::from(BLOCK.ilog2() - 10);
    for (at, number) in [
        (0x00, geometry.inodes_per_group * geometry.groups()),
        (0x04, geometry.blocks),
        (0x0c, numbers.free_blocks),
        (0x10, numbers.free_inodes),
        (0x18, log),
        (0x1c, log),
        (0x20, GROUP),
        (0x24, GROUP),
        (0x28, geometry.inodes_per_group),
        (0x54, u64::from(FIRST)),
        (0x150, geometry.blocks >> 32),
        (0x158, numbers.free_blocks >> 32),
    ] {
        put(bytes, at, &low(number));
    }
    let extra = inode::SIZE - 128 - inode::ATTRIBUTES;
    for (at, number) in [
        (0x58, inode::SIZE as u64),
        (0xce, geometry.reserved),
        (0xfe, DESCRIPTOR as u64),
        (0x15c, extra as u64),
        (0x15e, extra as u64),
    ] {
        put(bytes, at, &low(number)[..2]);
    }
    bytes[0x174] = low(u64::from(FLEX.ilog2()))[0];
}

/// Writes what it is, and what its readers must know.
fn write_features(bytes: &mut [u8], numbers: &Numbers<'_>) {
    let mut compatible = COMPATIBLE;
    if numbers.geometry.reserved == 0 {
        compatible &= !RESIZE;
    }
    if numbers.journal.is_some() {
        compatible |= JOURNAL;
    }
    for (at, number) in [
        // The revision that has inodes of any size.
        (0x4c, 1),
        (0x5c, compatible),
        (0x60, INCOMPATIBLE),
        (0x64, READ_ONLY),
        (0x100, MOUNT_OPTIONS),
        (0x160, UNSIGNED),
    ] {
        put(bytes, at, &number.to_le_bytes());
    }
    // It is never checked for its age, is whole, and goes on after errors.
    for (at, number) in [(0x36, u16::MAX), (0x38, MAGIC), (0x3a, 1), (0x3c, 1)] {
        put(bytes, at, &number.to_le_bytes());
    }
    bytes[0xfc] = hash::HALF_MD4;
    // Checksums are CRC32C.
    bytes[0x175] = 1;
}

/// The lower half of a number.
fn low(number: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [a, b, c, d]
}
