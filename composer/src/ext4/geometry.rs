//! Groups of blocks, and where the tables of each are.
//!
//! Specification: chapters *Layout* and *Flexible Block Groups* of the kernel's
//! documentation.

use std::ops::Range;

use super::BLOCK;
use super::group::DESCRIPTOR;
use super::inode;
use super::layout::Shortage;
use super::resize;

/// Blocks of a group: as many as a block has bits.
pub const GROUP: u64 = BLOCK * 8;

/// The groups whose tables lie together.
pub const FLEX: usize = 16;

/// Inodes of a block.
pub const IN_BLOCK: u64 = BLOCK / inode::SIZE as u64;

/// The most inodes of a group: as many as a block has bits.
const MOST_INODES: u64 = BLOCK * 8;

/// The most inodes of a volume: 32 bits number them.
const MOST_OF_ALL: u64 = u32::MAX as u64;

/// The blocks that a last group must have beside its tables, or it is left out.
const LEAST_IN_GROUP: u64 = 50;

/// By how many times a file system can grow before its descriptors lie elsewhere.
const GROWTH: u64 = 1024;

/// The most groups whose blocks 32 bits can number, as the room for descriptors has them.
const GROUPS_IN_32_BITS: u64 = (1 << 32) / GROUP;

/// How a volume is divided.
#[derive(Debug)]
pub struct Geometry {
    /// How many blocks it has.
    pub blocks: u64,
    /// How many inodes each group has.
    pub inodes_per_group: u64,
    /// How many blocks the descriptors take.
    pub descriptors: u64,
    /// How many blocks are kept for more of them.
    pub reserved: u64,
    /// The tables of each group.
    pub tables: Vec<Tables>,
}

/// Where the tables of a group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// Which of its blocks are taken.
    pub block_bitmap: u64,
    /// Which of its inodes are taken.
    pub inode_bitmap: u64,
    /// Its inodes.
    pub inodes: u64,
}

impl Geometry {
    /// Divides so many blocks, with so many inodes and others to spare, as far as there can
    /// be so many.
    ///
    /// # Errors
    /// When there are too few.
    pub fn of(blocks: u64, inodes: u64, spare: u64) -> Result<Self, Shortage> {
        let mut geometry = Self::without_tables(blocks, inodes + spare);
        let last = geometry.groups() - 1;
        let needed = geometry.least_of(last);
        if geometry.blocks - last * GROUP < needed {
            if last == 0 {
                return Err(Shortage { needed });
            }
            geometry = Self::without_tables(last * GROUP, inodes + spare);
        }
        let least_groups = inodes.div_ceil(MOST_INODES);
        if geometry.groups() < least_groups {
            let last = least_groups - 1;
            let needed = last * GROUP + geometry.least_of(last);
            return Err(Shortage { needed });
        }
        geometry.place_tables()?;
        Ok(geometry)
    }

    fn without_tables(blocks: u64, inodes: u64) -> Self {
        let groups = blocks.div_ceil(GROUP).max(1);
        let inodes_per_group = inodes.div_ceil(groups).next_multiple_of(IN_BLOCK);
        let most_inodes = MOST_INODES.min(MOST_OF_ALL / groups / IN_BLOCK * IN_BLOCK);
        let in_block = BLOCK / DESCRIPTOR as u64;
        let descriptors = groups.div_ceil(in_block);
        let most = (groups * GROWTH).min(GROUPS_IN_32_BITS).div_ceil(in_block);
        let reserved = most.saturating_sub(descriptors).min(resize::IN_BLOCK);
        Self {
            blocks,
            inodes_per_group: inodes_per_group.min(most_inodes),
            descriptors,
            reserved,
            tables: Vec::new(),
        }
    }

    /// Gives each table a place: those of sixteen groups one behind the other, where the
    /// first of them begins.
    fn place_tables(&mut self) -> Result<(), Shortage> {
        let groups: Vec<u64> = (0..self.groups()).collect();
        let mut tables = Vec::new();
        for groups in groups.chunks(FLEX) {
            let mut next = groups[0] * GROUP;
            let mut take = |length| {
                let start = self.free_run(next, length);
                next = start + length;
                start
            };
            let blocks: Vec<u64> = groups.iter().map(|_| take(1)).collect();
            let inodes: Vec<u64> = groups.iter().map(|_| take(1)).collect();
            for (block_bitmap, inode_bitmap) in blocks.into_iter().zip(inodes) {
                tables.push(Tables {
                    block_bitmap,
                    inode_bitmap,
                    inodes: take(self.inode_blocks()),
                });
            }
            if next > self.blocks {
                return Err(Shortage { needed: next });
            }
        }
        self.tables = tables;
        Ok(())
    }

    /// The first place from some block on where so many lie together in one group, behind its
    /// head. Any whole group has room for a table.
    fn free_run(&self, from: u64, length: u64) -> u64 {
        let behind_head = |group| group * GROUP + self.head(group);
        let group = from / GROUP;
        let start = from.max(behind_head(group));
        if start + length <= (group + 1) * GROUP {
            start
        } else {
            behind_head(group + 1)
        }
    }

    /// The blocks that a group must have as the last one.
    fn least_of(&self, group: u64) -> u64 {
        self.head(group) + 2 + self.inode_blocks() + LEAST_IN_GROUP
    }

    /// How many blocks there must be, about, for so many more of content.
    pub fn grown_by(&self, more: u64) -> u64 {
        let (needed, group) = (self.blocks + more, self.groups());
        let start = group * GROUP;
        if needed <= start {
            return needed;
        }
        let of_group = self.head(group) + 2 + self.inode_blocks();
        (needed + of_group).max(start + self.least_of(group))
    }

    /// How many groups there are.
    pub fn groups(&self) -> u64 {
        self.blocks.div_ceil(GROUP).max(1)
    }

    /// The blocks of the inodes of a group.
    pub fn inode_blocks(&self) -> u64 {
        self.inodes_per_group / IN_BLOCK
    }

    /// The blocks of a group.
    pub fn group(&self, group: u64) -> Range<u64> {
        group * GROUP..((group + 1) * GROUP).min(self.blocks)
    }

    /// The groups that begin with a superblock and descriptors: the first two, and powers of
    /// 3, 5 and 7.
    pub fn copies(&self) -> impl Iterator<Item = u64> {
        let groups = self.groups();
        (0..groups).filter(|group| has_copy(*group))
    }

    /// The blocks with which a group begins: superblock, descriptors and room for more.
    pub fn head(&self, group: u64) -> u64 {
        if has_copy(group) {
            1 + self.descriptors + self.reserved
        } else {
            0
        }
    }

    /// The blocks that are taken before anything is in it, in order.
    pub fn taken(&self) -> Vec<Range<u64>> {
        let of = |start: u64, length: u64| start..start + length;
        let heads = self
            .copies()
            .map(|group| of(group * GROUP, self.head(group)));
        let tables = self.tables.iter().flat_map(|tables| {
            [
                of(tables.block_bitmap, 1),
                of(tables.inode_bitmap, 1),
                of(tables.inodes, self.inode_blocks()),
            ]
        });
        let mut all: Vec<_> = heads.chain(tables).collect();
        all.sort_unstable_by_key(|range| range.start);
        all
    }
}

fn has_copy(group: u64) -> bool {
    let is_power = |base: u64| {
        let mut powers = std::iter::successors(Some(1), |power: &u64| power.checked_mul(base));
        powers.find(|power| *power >= group) == Some(group)
    };
    group < 2 || [3, 5, 7].into_iter().any(is_power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_of_the_largest_volumes_are_fewer_than_32_bits_number() {
        let terabyte = (1 << 40) / BLOCK;
        for (size, expected) in [(63, 8192), (64, 8176), (127, 4128), (128, 4080)] {
            let blocks = size * terabyte;
            let geometry = Geometry::without_tables(blocks, blocks / 4);
            assert_eq!(geometry.inodes_per_group, expected, "{size} TiB");
            assert!(u32::try_from(geometry.groups() * expected).is_ok());
        }
    }
}
