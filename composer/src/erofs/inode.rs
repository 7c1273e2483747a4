//! Inodes.
//!
//! Specification: `struct erofs_inode_compact`, and `struct erofs_inode_extended` for what
//! does not fit into that.

use crate::structure::{in_memory, put};
pub(super) use crate::tree::inodes::Kind;

/// What an inode says. It belongs to root.
#[derive(Debug)]
pub struct Inode {
    /// What it is of.
    pub kind: Kind,
    /// The permissions.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The length of what it is of, in bytes.
    pub size: u64,
    /// The bytes of the extended attributes.
    pub attributes: Vec<u8>,
}

/// Where the content of an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    /// The first of its whole blocks, if there are any.
    pub block: Option<u32>,
    /// Whether what is left of it follows the inode.
    pub is_inline: bool,
}

/// The format of an inode of 64 bytes.
const EXTENDED: u16 = 1;

/// The format of an inode that the rest of its content follows.
const INLINE: u16 = 2 << 1;

/// The first block where there is none.
const NO_BLOCK: u32 = u32::MAX;

impl Inode {
    /// Its size in bytes, without attributes.
    pub fn head(&self) -> u64 {
        if self.is_short() { 32 } else { 64 }
    }

    fn is_short(&self) -> bool {
        u32::try_from(self.size).is_ok() && u16::try_from(self.links).is_ok()
    }

    /// Its bytes, with attributes. `number` counts inodes from 1.
    pub fn render(&self, number: u32, data: Data, time: u64) -> Vec<u8> {
        let mut bytes = vec![0; in_memory(self.head())];
        let short = self.is_short();
        let mut format = if short { 0 } else { EXTENDED };
        if data.is_inline {
            format |= INLINE;
        }
        // The permissions are twelve bits.
        let mode = self.kind.mode() | u16::try_from(self.mode & 0o7777).unwrap_or_default();
        let first = data.block.unwrap_or(NO_BLOCK);
        put(&mut bytes, 0, &format.to_le_bytes());
        put(&mut bytes, 2, &self.count_of_attributes().to_le_bytes());
        put(&mut bytes, 4, &mode.to_le_bytes());
        put(&mut bytes, 16, &first.to_le_bytes());
        put(&mut bytes, 20, &number.to_le_bytes());
        if short {
            put(&mut bytes, 6, &self.links.to_le_bytes()[..2]);
            put(&mut bytes, 8, &self.size.to_le_bytes()[..4]);
        } else {
            put(&mut bytes, 8, &self.size.to_le_bytes());
            put(&mut bytes, 32, &time.to_le_bytes());
            put(&mut bytes, 44, &self.links.to_le_bytes());
        }
        bytes.extend_from_slice(&self.attributes);
        bytes
    }

    /// The size of the attributes: 1 for a head of twelve bytes, and 1 for each four more.
    fn count_of_attributes(&self) -> u16 {
        let size = self.attributes.len();
        let count = size.checked_sub(12).map_or(0, |rest| rest / 4 + 1);
        u16::try_from(count).unwrap_or_else(|_| unreachable!("attributes are bounded"))
    }
}
