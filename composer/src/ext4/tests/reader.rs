//! Reads a whole volume, and fails on what kernels and e2fsck refuse: wrong checksums, counts,
//! bitmaps, copies, blocks that are used twice, names that an index does not lead to.
//!
//! Specification: the kernel's `Documentation/filesystems/ext4`, and `struct`s of the same
//! name. It shares nothing with the planner, and knows no features but those that it makes.

// By their places, since fuzz targets include this file too.
#[path = "reader/bytes.rs"]
mod bytes;
#[path = "reader/directory.rs"]
mod directory;
#[path = "reader/hash.rs"]
mod hash;
#[path = "reader/inode.rs"]
mod inode;
#[path = "reader/special.rs"]
mod special;
#[path = "reader/superblock.rs"]
mod superblock;

use std::collections::BTreeMap;
use std::ops::Range;

use extents::{Content, ExtentMap};

use bytes::crc;
pub use bytes::{Bytes, bytes_of};
pub use inode::Inode;

/// The size of a block.
const BLOCK: u64 = 4096;

/// Blocks of a group.
const GROUP: u64 = 32768;

/// What was read.
#[derive(Debug)]
pub struct Volume {
    /// The superblock.
    pub superblock: Bytes,
    /// How many blocks it has.
    pub blocks: u64,
    /// How many of them are free.
    pub free_blocks: u64,
    /// The blocks of the journal, 0 for none.
    pub journal: u64,
    /// Everything by its path; that of the root is empty.
    pub objects: BTreeMap<String, Inode>,
}

/// The descriptor of a group.
#[derive(Debug)]
struct Group {
    block_bitmap: u64,
    inode_bitmap: u64,
    inodes: u64,
    free_blocks: u64,
    free_inodes: u64,
    directories: u64,
    /// The last of its inodes that were never used.
    unused: u64,
    has_block_bitmap: bool,
    has_inode_bitmap: bool,
    checksums: [u64; 2],
}

struct Reader<'a> {
    map: &'a ExtentMap,
    sources: &'a [Vec<u8>],
    superblock: Bytes,
    /// The checksum that those of metadata begin with.
    seed: u32,
    blocks: u64,
    inodes_per_group: u64,
    groups: Vec<Group>,
    /// Blocks that something is in.
    used: Vec<Range<u64>>,
}

/// Reads a volume, whose sources have these bytes. Those of files are not looked at.
pub fn read(map: &ExtentMap, sources: &[Vec<u8>]) -> Volume {
    let superblock = Bytes(bytes_of(&map.slice(1024, 1024), sources));
    let mut reader = Reader {
        map,
        sources,
        seed: crc(u32::MAX, superblock.at(0x68, 16)),
        blocks: superblock.halves(0x04, 0x150, 4),
        inodes_per_group: superblock.number(0x28, 4),
        superblock,
        groups: Vec::new(),
        used: Vec::new(),
    };
    reader.check_superblock();
    reader.read_groups();
    let inodes = reader.read_inodes();
    let journal = reader.check_journal(inodes.get(&special::JOURNAL));
    reader.check_resize(inodes.get(&special::RESIZE));
    let objects = reader.tree(&inodes);
    reader.check_blocks();
    Volume {
        blocks: reader.blocks,
        free_blocks: reader.superblock.halves(0x0c, 0x158, 4),
        superblock: reader.superblock,
        journal,
        objects,
    }
}

impl Reader<'_> {
    fn block(&self, block: u64) -> Bytes {
        self.bytes(block * BLOCK, BLOCK)
    }

    fn bytes(&self, at: u64, length: u64) -> Bytes {
        Bytes(bytes_of(&self.map.slice(at, length), self.sources))
    }

    /// That some blocks are used, which are in the volume.
    fn take(&mut self, start: u64, length: u64) {
        assert!(length > 0 && start > 0, "{length} from {start}");
        assert!(start + length <= self.blocks, "{length} from {start}");
        self.used.push(start..start + length);
    }

    fn has_feature(&self, compatible: u32) -> bool {
        self.superblock.word(0x5c) & compatible != 0
    }

    /// Reads descriptors, compares their copies, and takes the blocks of metadata.
    fn read_groups(&mut self) {
        let count = self.blocks.div_ceil(GROUP);
        let length = (count * 64).div_ceil(BLOCK);
        let descriptors = self.bytes(BLOCK, length * BLOCK);
        let end = usize::try_from(count * 64).unwrap();
        assert!(descriptors.0[end..].iter().all(|byte| *byte == 0));
        for (number, bytes) in (0_u32..).zip(descriptors.0[..end].chunks(64)) {
            let group = self.group(number, &Bytes(bytes.to_vec()));
            self.take(group.block_bitmap, 1);
            self.take(group.inode_bitmap, 1);
            self.take(group.inodes, self.inodes_per_group / 16);
            self.groups.push(group);
        }
        for group in (0..count).filter(|group| has_copy(*group)) {
            let start = group * GROUP;
            self.used.push(start..start + 1 + length);
            if group == 0 {
                continue;
            }
            let mut copy = self.bytes(start * BLOCK, 1024);
            let sum = crc(u32::MAX, copy.at(0, 0x3fc));
            assert_eq!(copy.word(0x3fc), sum, "sum of copy {group}");
            assert_eq!(copy.number(0x5a, 2), group % 65536, "its group");
            for range in [0x5a..0x5c, 0x3fc..0x400] {
                copy.0[range.clone()].copy_from_slice(&self.superblock.0[range]);
            }
            assert_eq!(copy, self.superblock, "copy {group}");
            let copy = self.bytes((start + 1) * BLOCK, length * BLOCK);
            assert!(copy == descriptors, "descriptors of copy {group}");
        }
    }

    fn group(&self, number: u32, bytes: &Bytes) -> Group {
        let both = |low| bytes.halves(low, 0x20 + low, 2);
        let places = [0, 4, 8].map(|low| bytes.halves(low, 0x20 + low, 4));
        let sum = crc(self.seed, &number.to_le_bytes());
        let sum = crc(sum, &bytes.without(0x1e..0x20).0);
        assert_eq!(bytes.number(0x1e, 2), u64::from(sum & 0xffff), "{number}");
        let flags = bytes.number(0x12, 2);
        assert_eq!(flags & !3, 4, "its inodes are zeroed");
        let last = u64::from(number) + 1 == self.blocks.div_ceil(GROUP);
        assert!(flags & 2 == 0 || !last, "the last group has a bitmap");
        Group {
            block_bitmap: places[0],
            inode_bitmap: places[1],
            inodes: places[2],
            free_blocks: both(0x0c),
            free_inodes: both(0x0e),
            directories: both(0x10),
            unused: both(0x1c),
            has_block_bitmap: flags & 2 == 0,
            has_inode_bitmap: flags & 1 == 0,
            checksums: [both(0x18), both(0x1a)],
        }
    }

    /// Reads all inodes that are used, and compares what is said of how many there are.
    fn read_inodes(&mut self) -> BTreeMap<u32, Inode> {
        let per_group = self.inodes_per_group;
        let mut all = BTreeMap::new();
        let mut free = 0;
        for index in 0..self.groups.len() {
            let group = &self.groups[index];
            free += group.free_inodes;
            assert!(group.unused <= group.free_inodes);
            let seen = per_group - group.unused;
            let never = (group.inodes * 16 + seen) * 256..(group.inodes * 16 + per_group) * 256;
            assert!(self.is_zero(never), "inodes of {index} never used");
            if !group.has_inode_bitmap {
                assert_eq!(
                    (group.free_inodes, seen, group.directories),
                    (per_group, 0, 0)
                );
                continue;
            }
            let bitmap = self.block(group.inode_bitmap).0;
            let of_inodes = usize::try_from(per_group / 8).unwrap();
            let sum = crc(self.seed, &bitmap[..of_inodes]);
            assert_eq!(group.checksums[1], u64::from(sum), "inodes of {index}");
            assert!(bitmap[of_inodes..].iter().all(|byte| *byte == 0xff));
            let count: u32 = bitmap[..of_inodes].iter().map(|it| it.count_ones()).sum();
            assert_eq!(per_group - u64::from(count), group.free_inodes, "{index}");
            let (directories, at) = (group.directories, group.inodes * BLOCK);
            let mut found = 0;
            for inner in 0..per_group {
                let is_used = bitmap[usize::try_from(inner / 8).unwrap()] >> (inner % 8) & 1 == 1;
                if inner >= seen {
                    assert!(!is_used);
                    continue;
                }
                let number = u32::try_from(index as u64 * per_group + inner + 1).unwrap();
                let inode = self.inode(number, at + inner * 256);
                assert!(is_used || inode.is_none(), "{number} is free and used");
                assert!(!is_used || inode.is_some() || number < 11, "{number}");
                if let Some(inode) = inode {
                    found += u64::from(inode.is_directory());
                    all.insert(number, inode);
                }
            }
            assert_eq!(found, directories, "directories of {index}");
        }
        assert_eq!(self.superblock.number(0x10, 4), free, "free inodes");
        all
    }

    fn is_zero(&self, bytes: Range<u64>) -> bool {
        self.map.within(bytes).all(|extent| match extent.content {
            Content::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
            Content::Slice { .. } => false,
        })
    }

    /// Compares bitmaps and counts with what is used, after everything was read.
    fn check_blocks(&mut self) {
        self.used.sort_unstable_by_key(|range| range.start);
        for pair in self.used.windows(2) {
            assert!(pair[0].end <= pair[1].start, "twice: {pair:?}");
        }
        let (mut free, mut next) = (0, 0);
        for (number, group) in (0..).zip(&self.groups) {
            let range = number * GROUP..((number + 1) * GROUP).min(self.blocks);
            while self.used.get(next).is_some_and(|it| it.end <= range.start) {
                next += 1;
            }
            let within = self.used[next..].iter();
            let within = within.take_while(|it| it.start < range.end);
            let within = within.map(|it| it.start.max(range.start)..it.end.min(range.end));
            let within: Vec<Range<u64>> = within.collect();
            let count: u64 = within.iter().map(|it| it.end - it.start).sum();
            let length = range.end - range.start;
            assert_eq!(group.free_blocks, length - count, "free in {number}");
            free += group.free_blocks;
            if group.has_block_bitmap {
                self.check_block_bitmap(number, group, &within);
            } else {
                assert_eq!(count, self.implied(number, group), "used of {number}");
            }
        }
        assert_eq!(self.superblock.halves(0x0c, 0x158, 4), free, "free blocks");
        self.check_holes();
    }

    fn check_block_bitmap(&self, number: u64, group: &Group, used: &[Range<u64>]) {
        let start = number * GROUP;
        let end = (self.blocks - start).min(GROUP);
        let within = used.iter().map(|it| it.start - start..it.end - start);
        let mut expected = vec![0_u8; 4096];
        for Range { mut start, end } in within.chain(std::iter::once(end..GROUP)) {
            while start < end {
                let whole = start.is_multiple_of(8) && end - start >= 8;
                let (bits, count) = if whole {
                    (0xff, 8)
                } else {
                    (1 << (start % 8), 1)
                };
                expected[usize::try_from(start / 8).unwrap()] |= bits;
                start += count;
            }
        }
        let bitmap = self.block(group.block_bitmap).0;
        assert!(bitmap == expected, "blocks of {number}");
        let sum = u64::from(crc(self.seed, &bitmap));
        assert_eq!(group.checksums[0], sum, "bitmap of {number}");
    }

    /// How many blocks those who read it take for used of a group without a bitmap.
    fn implied(&self, number: u64, group: &Group) -> u64 {
        let of_copy = 1 + self.descriptors() + self.superblock.number(0xce, 2);
        let head = if has_copy(number) { of_copy } else { 0 };
        let tables = [group.block_bitmap, group.inode_bitmap, group.inodes];
        let lengths = [1, 1, self.inodes_per_group / 16];
        let tables = tables.into_iter().zip(lengths);
        let own = tables.filter(|(start, _)| start / GROUP == number);
        head + own.map(|it| it.1).sum::<u64>()
    }

    /// Nothing is written where nothing is.
    fn check_holes(&self) {
        let mut used = self.used.iter().peekable();
        for extent in self.map.extents() {
            let (mut at, end) = (extent.start / BLOCK, extent.end().div_ceil(BLOCK));
            while at < end {
                while used.peek().is_some_and(|range| range.end <= at) {
                    used.next();
                }
                let range = used.peek().unwrap();
                assert!(range.start <= at, "block {at} is written and free");
                at = range.end;
            }
        }
    }

    fn descriptors(&self) -> u64 {
        (self.groups.len() as u64 * 64).div_ceil(BLOCK)
    }
}

/// Whether a group begins with a copy of the superblock: the first, and powers of 3, 5, 7.
fn has_copy(group: u64) -> bool {
    let is_power = |base| {
        let mut rest = group;
        while rest > 1 && rest.is_multiple_of(base) {
            rest /= base;
        }
        rest <= 1
    };
    [3, 5, 7].into_iter().any(is_power)
}
