//! The superblock, as planners of whole volumes write it.

use super::bytes::crc;
use super::{BLOCK, GROUP, Reader};

/// The features that volumes may have: journal and room for descriptors come and go.
const COMPATIBLE: [u32; 4] = [0x28, 0x2c, 0x38, 0x3c];
const INCOMPATIBLE: u32 = 0x2c2;
const READ_ONLY: u32 = 0x46b;

impl Reader<'_> {
    /// Looks at the superblock; its counts are compared with what is found later.
    pub fn check_superblock(&self) {
        let superblock = &self.superblock;
        let groups = self.blocks.div_ceil(GROUP);
        assert!(self.blocks * BLOCK <= self.map.length());
        assert!(self.map.length() - self.blocks * BLOCK < GROUP * BLOCK);
        let per_group = self.inodes_per_group;
        assert!((16..=32768).contains(&per_group) && per_group.is_multiple_of(16));
        for (at, length, expected, what) in [
            (0x00, 4, groups * per_group, "inodes"),
            (0x08, 4, 0, "reserved blocks"),
            (0x14, 4, 0, "first block"),
            (0x18, 4, 2, "size of blocks"),
            (0x1c, 4, 2, "size of clusters"),
            (0x20, 4, GROUP, "blocks of a group"),
            (0x24, 4, GROUP, "clusters of a group"),
            (0x36, 2, 0xffff, "mounts before a check"),
            (0x38, 2, 0xef53, "magic"),
            (0x3a, 2, 1, "state"),
            (0x3c, 2, 1, "what errors lead to"),
            (0x44, 4, 0, "time between checks"),
            (0x48, 4, 0, "maker"),
            (0x4c, 4, 1, "revision"),
            (0x50, 4, 0, "owner of reserved blocks"),
            (0x54, 4, 11, "first inode"),
            (0x58, 2, 256, "size of inodes"),
            (0x60, 4, u64::from(INCOMPATIBLE), "incompatible features"),
            (
                0x64,
                4,
                u64::from(READ_ONLY),
                "features that forbid to write",
            ),
            (0xe8, 4, 0, "orphans"),
            (0xfc, 1, 1, "hash"),
            (0xfe, 2, 64, "size of descriptors"),
            (0x104, 4, 0, "first group of a block of descriptors"),
            (0x154, 4, 0, "reserved blocks"),
            (0x15c, 2, 32, "fields of inodes"),
            (0x15e, 2, 32, "fields of inodes"),
            (0x160, 4, 2, "sign of names"),
            (0x174, 1, 4, "groups whose tables lie together"),
            (0x175, 1, 1, "checksum"),
            (0x194, 4, 0, "errors"),
            (
                0x3fc,
                4,
                u64::from(crc(u32::MAX, superblock.at(0, 0x3fc))),
                "sum",
            ),
        ] {
            assert_eq!(superblock.number(at, length), expected, "{what}");
        }
        assert!(COMPATIBLE.contains(&superblock.word(0x5c)));
        assert_ne!(superblock.at(0x68, 16), [0; 16], "UUID");
        assert_eq!(superblock.at(0x68, 16), superblock.at(0xec, 16), "seed");
        let made = superblock.halves(0x108, 0x276, 4) & 0xff_ffff_ffff;
        for (low, high) in [(0x30, 0x274), (0x40, 0x277)] {
            let time = superblock.number(low, 4) | superblock.number(high, 1) << 32;
            assert_eq!(time, made, "time at {low}");
        }
    }
}
