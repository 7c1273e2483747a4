//! Inodes without a name: the journal, and the room for descriptors.

use super::bytes::bytes_of;
use super::{BLOCK, GROUP, Inode, Reader, has_copy};

/// Their numbers.
pub const RESIZE: u32 = 7;
pub const JOURNAL: u32 = 8;

impl Reader<'_> {
    /// Looks at the journal, if there is one; gives its length in blocks.
    pub fn check_journal(&self, inode: Option<&Inode>) -> u64 {
        let superblock = &self.superblock;
        assert_eq!(self.has_feature(4), inode.is_some(), "a journal");
        let Some(inode) = inode else {
            assert!([superblock.word(0xe0), superblock.word(0xfc) >> 8 & 0xff] == [0, 0]);
            return 0;
        };
        let blocks = inode.size / BLOCK;
        assert_eq!((inode.mode, inode.links), (0o100_600, 1));
        assert!(blocks >= 1024 && inode.size.is_multiple_of(BLOCK));
        // No holes: there are blocks for all, and those of extents.
        assert!(inode.sectors / 8 >= blocks);
        assert_eq!(superblock.number(0xe0, 4), u64::from(JOURNAL));
        // The copy of what leads to it.
        assert_eq!(superblock.0[0xfd], 1);
        assert_eq!(superblock.at(0x10c, 60), inode.map.0);
        assert_eq!(superblock.number(0x148, 4), inode.size >> 32);
        assert_eq!(superblock.number(0x14c, 4), inode.size & 0xffff_ffff);
        let first = bytes_of(&inode.content.slice(0, BLOCK), self.sources);
        let number = |at: usize| u32::from_be_bytes(first[at..at + 4].try_into().unwrap());
        assert_eq!([0, 4].map(number), [0xc03b_3998, 4], "magic and type");
        let sizes = [4096, u32::try_from(blocks).unwrap(), 1];
        assert_eq!([0x0c, 0x10, 0x14].map(number), sizes);
        assert!(number(0x18) > 0, "the first entry");
        let [start, error] = [0x1c, 0x20].map(number);
        assert_eq!((start, error), (0, 0), "nothing is to be done again");
        assert_eq!([0x24, 0x28, 0x2c].map(number), [0; 3], "features");
        assert_eq!(first[0x30..0x40], *superblock.at(0x68, 16));
        assert_eq!(number(0x40), 1, "file systems that have it");
        blocks
    }

    /// Looks at the room for descriptors, if there is some, and takes its blocks.
    pub fn check_resize(&mut self, inode: Option<&Inode>) {
        let reserved = self.superblock.number(0xce, 2);
        assert_eq!(self.has_feature(0x10), reserved > 0);
        assert_eq!(inode.is_some(), reserved > 0);
        let Some(inode) = inode else {
            return;
        };
        assert!(self.blocks <= 1 << 32 && reserved <= 1024);
        assert_eq!((inode.mode, inode.links), (0o100_600, 1));
        assert_eq!(inode.size, (12 + 1024 + 1024 * 1024) * BLOCK);
        for index in 0..15 {
            assert_eq!(inode.map.word(index * 4) > 0, index == 13);
        }
        let double = inode.map.number(52, 4);
        self.take(double, 1);
        let (double, first) = (self.block(double), 1 + self.descriptors());
        let copies = (1..self.groups.len() as u64).filter(|group| has_copy(*group));
        let copies: Vec<u64> = copies.collect();
        let mut expected = vec![0; 1024];
        for place in first..first + reserved {
            expected[usize::try_from((place - 1) % 1024).unwrap()] = place;
            self.take(place, 1);
            let names = self.block(place);
            let count = copies.len();
            for (index, group) in copies.iter().enumerate() {
                assert_eq!(names.number(index * 4, 4), group * GROUP + place);
                self.take(group * GROUP + place, 1);
            }
            assert!(names.0[count * 4..].iter().all(|byte| *byte == 0));
        }
        let found: Vec<u64> = (0..1024).map(|index| double.number(index * 4, 4)).collect();
        assert!(found == expected, "room for descriptors");
        let blocks = 1 + reserved * (1 + copies.len() as u64);
        assert_eq!(inode.sectors, blocks * 8);
    }
}
