//! Where everything in a volume is.

use super::BLOCK;
use super::contents::{Contents, Object};
use super::inode::{Data, Kind};
use super::slots::{SLOT, Slots};
use super::superblock;
use crate::error::Error;
use crate::size::ByteSize;
use crate::tree::inodes;

/// Where the root lies: kernels find its inode by sixteen bits, and the rest of its block
/// has a checksum, so that nothing may be there whose bytes are not known.
pub const ROOT_AT: u64 = superblock::AT + superblock::SIZE;

/// Where the parts of an object are.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Where its inode is, in bytes.
    pub at: u64,
    /// Where its content is.
    pub data: Data,
}

impl Place {
    /// The number by which directories name it.
    pub fn number(self) -> u64 {
        self.at / SLOT
    }
}

/// Where everything is.
#[derive(Debug)]
pub struct Layout {
    /// The places of the objects, in their order.
    pub places: Vec<Place>,
    /// How many blocks the volume has.
    pub blocks: u32,
}

impl Layout {
    /// Gives everything a place.
    ///
    /// # Errors
    /// When it takes more blocks than EROFS counts.
    pub fn of(contents: &Contents<'_>) -> Result<Self, Error> {
        let mut slots = Slots::from(BLOCK);
        let objects = contents.objects.iter().enumerate();
        let places = objects.map(|(index, object)| match index {
            0 => place_inode(object, BLOCK - ROOT_AT, |_| ROOT_AT),
            _ => place_inode(object, BLOCK, |bytes| slots.take(bytes)),
        });
        let mut places: Vec<Place> = places.collect();
        let mut next = slots.end() / BLOCK;
        // Directories lie close to the inodes, for those who look for something.
        for takes_files in [false, true] {
            for (object, place) in contents.objects.iter().zip(&mut places) {
                let count = blocks(object, place.data.is_inline);
                if is_file(object) == takes_files && count > 0 {
                    // One that is beyond them is refused below.
                    place.data.block = u32::try_from(next).ok();
                    next += count;
                }
            }
        }
        let blocks = u32::try_from(next).map_err(|_| {
            let size = ByteSize(next.saturating_mul(BLOCK));
            let reason = format!("with {size} it has more than the 16 TiB that EROFS counts");
            inodes::refuse(None, reason)
        })?;
        Ok(Self { places, blocks })
    }
}

/// Places an inode, and what is left of its content, where both have room.
fn place_inode(object: &Object<'_>, room: u64, take: impl FnOnce(u64) -> u64) -> Place {
    let (head, rest) = (object.head(), object.rest());
    let is_inline = rest > 0 && head + rest <= room;
    let at = take(if is_inline { head + rest } else { head });
    let block = None;
    let data = Data { block, is_inline };
    Place { at, data }
}

/// Whether something is a file, whose blocks lie apart.
pub fn is_file(object: &Object<'_>) -> bool {
    object.inode.kind == Kind::File
}

/// How many blocks the content of an object takes, but for what is inline.
pub fn blocks(object: &Object<'_>, is_inline: bool) -> u64 {
    let size = object.inode.size;
    if is_inline {
        size / BLOCK
    } else {
        size.div_ceil(BLOCK)
    }
}
