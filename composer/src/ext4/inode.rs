//! Inodes.
//!
//! Specification: chapter *Index Nodes* of the kernel's documentation, `struct ext4_inode`.
//! They belong to root and have one time.

use super::checksum::Checksum;
use crate::structure::put;
pub(super) use crate::tree::inodes::Kind;

/// The size of an inode, in bytes.
pub const SIZE: usize = 256;

/// The size of its fields behind the first 128 bytes.
const EXTRA: u16 = 32;

/// Room for attributes behind it.
pub const ATTRIBUTES: usize = SIZE - 128 - EXTRA as usize;

/// The most names of a file.
pub const MOST_LINKS: u32 = 65000;

/// Its blocks are found by extents.
const EXTENTS: u32 = 0x8_0000;

/// The directory has an index.
const INDEX: u32 = 0x1000;

/// Where the content of an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// The root of extents.
    Extents([u8; 60]),
    /// Something else, of which the format knows by other means.
    Other([u8; 60]),
}

/// What an inode says.
#[derive(Debug)]
pub struct Inode<'a> {
    /// What it is of.
    pub kind: Kind,
    /// The permissions.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The length of what it is of, in bytes.
    pub size: u64,
    /// How many blocks it takes, with those that lead to others.
    pub blocks: u64,
    /// Whether it is a directory with an index.
    pub is_indexed: bool,
    /// Where its content is.
    pub map: Map,
    /// The attributes behind it.
    pub attributes: &'a [u8],
    /// The block of the other attributes, or 0.
    pub attribute_block: u64,
}

impl Inode<'_> {
    /// Its bytes. `number` counts inodes from 1.
    pub fn render(&self, number: u32, time: u64, volume: Checksum) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        // The permissions are twelve bits.
        let mode = self.kind.mode() | u16::try_from(self.mode & 0o7777).unwrap_or_default();
        // A directory that holds more than can be counted says 1.
        let links = if self.links > MOST_LINKS {
            1
        } else {
            self.links
        };
        let (map, by_extents) = match self.map {
            Map::Extents(map) => (map, EXTENTS),
            Map::Other(map) => (map, 0),
        };
        let flags = by_extents | if self.is_indexed { INDEX } else { 0 };
        // Counted in sectors, in 48 bits.
        let sectors = (self.blocks * 8).to_le_bytes();
        let size = self.size.to_le_bytes();
        let attribute_block = self.attribute_block.to_le_bytes();
        put(&mut bytes, 0x00, &mode.to_le_bytes());
        put(&mut bytes, 0x04, &size[..4]);
        put(&mut bytes, 0x1a, &links.to_le_bytes()[..2]);
        put(&mut bytes, 0x1c, &sectors[..4]);
        put(&mut bytes, 0x20, &flags.to_le_bytes());
        put(&mut bytes, 0x28, &map);
        put(&mut bytes, 0x68, &attribute_block[..4]);
        put(&mut bytes, 0x6c, &size[4..]);
        put(&mut bytes, 0x74, &sectors[4..6]);
        put(&mut bytes, 0x76, &attribute_block[4..6]);
        put(&mut bytes, 0x80, &EXTRA.to_le_bytes());
        let (low, high) = seconds(time);
        // Of access, change and modification; of creation.
        for (at, extra) in [(0x08, 0x8c), (0x0c, 0x84), (0x10, 0x88), (0x90, 0x94)] {
            put(&mut bytes, at, &low);
            put(&mut bytes, extra, &high);
        }
        put(&mut bytes, SIZE - ATTRIBUTES, self.attributes);
        let (low, high) = volume.of_inode(number).with(&bytes).halves();
        put(&mut bytes, 0x7c, &low);
        put(&mut bytes, 0x82, &high);
        bytes
    }
}

/// A time in seconds since 1970: 32 bits with a sign, and how often these went round.
fn seconds(time: u64) -> ([u8; 4], [u8; 4]) {
    let [a, b, c, d, ..] = time.to_le_bytes();
    let epochs = (time + (1 << 31)) >> 32;
    let epochs = u32::try_from(epochs & 3).unwrap_or_default();
    ([a, b, c, d], epochs.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_beyond_31_bits_count_in_two_more() {
        let found = [
            1,
            (1 << 31) - 1,
            1 << 31,
            1 << 32,
            (1 << 34) - (1 << 31) - 1,
        ]
        .map(seconds);
        let epochs = found.map(|(_, high)| u32::from_le_bytes(high));
        assert_eq!(epochs, [0, 0, 1, 1, 3]);
        assert_eq!(found[2].0, [0, 0, 0, 0x80]);
    }

    #[test]
    fn directories_of_more_links_than_can_be_counted_have_one() {
        let found = [2, 65_000, 65_001, 70_000].map(|links| {
            let inode = Inode {
                kind: Kind::Directory,
                mode: 0o755,
                links,
                size: 4096,
                blocks: 1,
                is_indexed: false,
                map: Map::Other([0; 60]),
                attributes: &[],
                attribute_block: 0,
            };
            let bytes = inode.render(12, 1, Checksum::NONE);
            u16::from_le_bytes([bytes[0x1a], bytes[0x1b]])
        });
        assert_eq!(found, [2, 65_000, 1, 1]);
    }
}
