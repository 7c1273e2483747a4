//! Extended attributes: behind an inode as far as they fit, the others in a block.
//!
//! Specification: chapter *Extended Attributes* of the kernel's documentation, `struct
//! ext4_xattr_header` and `struct ext4_xattr_entry`. No two inodes share a block: few files
//! have attributes.

use super::BYTES;
use super::checksum::Checksum;
use super::inode;
use crate::structure::put;
use crate::tree::{Attribute, inodes};

/// The namespaces, and the numbers that stand for them.
const NAMESPACES: [(&str, u8); 3] = [("user.", 1), ("trusted.", 4), ("security.", 6)];

const MAGIC: u32 = 0xea02_0000;

/// The size of the head of a block.
const BLOCK_HEAD: usize = 32;

/// The size of an entry without its name.
const ENTRY: usize = 16;

/// What is behind the last entry.
const END: usize = 4;

/// The attributes of an inode.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The bytes behind the inode, none for none.
    pub inline: Vec<u8>,
    /// The bytes of a block, whose checksum is to be added.
    pub block: Option<Vec<u8>>,
}

/// An attribute, as entries have it.
struct Part<'a> {
    namespace: u8,
    name: &'a [u8],
    value: &'a [u8],
}

/// The bytes of attributes.
///
/// # Errors
/// With the reason when ext4 cannot hold one.
pub fn render(attributes: &[Attribute]) -> Result<Attributes, String> {
    let room = inode::ATTRIBUTES - 4;
    let (mut inline, mut block) = (Vec::new(), Vec::new());
    for (name, value) in attributes {
        let refuse = |what: &str| format!("ext4 cannot hold its attribute `{name}`: {what}");
        let (namespace, bare) = inodes::namespaced(name, &NAMESPACES).map_err(refuse)?;
        let part = Part {
            namespace,
            name: bare.as_bytes(),
            value,
        };
        if taken(&inline) + part.size() <= room {
            inline.push(part);
        } else {
            block.push(part);
        }
        if taken(&block) > BYTES - BLOCK_HEAD {
            return Err(refuse(
                "with the others it takes more than a block of 4096 bytes",
            ));
        }
    }
    // Kernels search blocks, which are in this order.
    block.sort_by_key(|part| (part.namespace, part.name.len(), part.name));
    let inline = match inline.as_slice() {
        [] => Vec::new(),
        parts => {
            let mut bytes = MAGIC.to_le_bytes().to_vec();
            bytes.extend(region(parts, room, 0));
            bytes
        }
    };
    let block = (!block.is_empty()).then(|| in_block(&block));
    Ok(Attributes { inline, block })
}

/// Adds to the block that is number `block` of a volume its checksum.
pub fn seal(bytes: &mut [u8], block: u64, volume: Checksum) {
    let checksum = volume.with(&block.to_le_bytes()).with(bytes);
    put(bytes, 16, &checksum.value().to_le_bytes());
}

impl Part<'_> {
    /// The bytes that it takes: an entry, and apart from it the value.
    fn size(&self) -> usize {
        self.entry() + self.value.len().next_multiple_of(4)
    }

    /// The bytes of its entry.
    fn entry(&self) -> usize {
        (ENTRY + self.name.len()).next_multiple_of(4)
    }

    /// The hash of name and value.
    fn hash(&self) -> u32 {
        let name = self
            .name
            .iter()
            .fold(0_u32, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte));
        self.value.chunks(4).fold(name, |hash, bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

/// The bytes that attributes take, with the end of their entries.
fn taken(parts: &[Part<'_>]) -> usize {
    END + parts.iter().map(Part::size).sum::<usize>()
}

/// A block without its checksum.
fn in_block(parts: &[Part<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_HEAD];
    let hash = parts
        .iter()
        .fold(0_u32, |hash, part| hash.rotate_left(16) ^ part.hash());
    for (at, number) in [(0, MAGIC), (4, 1), (8, 1), (12, hash)] {
        put(&mut bytes, at, &number.to_le_bytes());
    }
    bytes.extend(region(parts, BYTES - BLOCK_HEAD, BLOCK_HEAD));
    bytes
}

/// Entries from the start of some bytes on, and values before their end. Values are found by
/// their distance from `origin` bytes before the first entry.
fn region(parts: &[Part<'_>], size: usize, origin: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let (mut at, mut end) = (0, size);
    for part in parts {
        let mut offset = 0;
        if !part.value.is_empty() {
            end -= part.value.len().next_multiple_of(4);
            put(&mut bytes, end, part.value);
            offset = end + origin;
        }
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        bytes[at] = length(part.name.len())[0];
        bytes[at + 1] = part.namespace;
        put(&mut bytes, at + 2, &length(offset)[..2]);
        put(&mut bytes, at + 8, &length(part.value.len()));
        put(&mut bytes, at + 12, &part.hash().to_le_bytes());
        put(&mut bytes, at + ENTRY, part.name);
        at += part.entry();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &[u8]) -> Attribute {
        (name.to_owned(), value.to_vec())
    }

    #[test]
    fn small_attributes_follow_the_inode_and_others_have_a_block() {
        let capability = of("security.capability", &[1; 20]);
        let found = render(std::slice::from_ref(&capability)).unwrap();
        assert_eq!(found.inline.len(), inode::ATTRIBUTES);
        assert_eq!(found.inline[4..8], [10, 6, 72, 0]);
        assert_eq!(found.inline[20..30], *b"capability");
        assert_eq!(found.inline[76..96], [1; 20]);
        assert_eq!(found.block, None);
        let large = of("user.note", &[2; 100]);
        let found = render(&[capability, large]).unwrap();
        let block = found.block.unwrap();
        assert_eq!(block.len(), 4096);
        assert_eq!(block[32..36], [4, 1, 0x9c, 0xf]);
        assert_eq!(block[4096 - 100..], [2; 100]);
        assert_eq!(render(&[]), Ok(Attributes::default()));
    }

    #[test]
    fn attributes_that_do_not_fit_are_refused() {
        for (attributes, expected) in [
            (
                vec![of("other.x", &[])],
                "`other.x`: it knows no such namespace",
            ),
            (vec![of("user.x", &[0; 4096])], "`user.x`: with the others"),
            (
                vec![of("user.a", &[0; 3000]), of("user.b", &[0; 1100])],
                "`user.b`: with the others",
            ),
            (
                vec![of(&format!("user.{}", "x".repeat(256)), &[])],
                "its name is too long",
            ),
        ] {
            let error = render(&attributes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(render(&[of("user.x", &[0; 4040])]).is_ok());
    }
}
