//! The content of directories.
//!
//! Specification: chapter *Directory Entries* of the kernel's documentation, `struct
//! ext4_dir_entry_2`, and `struct dx_root` and `dx_node` for indices. A directory of one
//! block is a list of names; a larger one has an index of their hashes, whose blocks look
//! like names that are not used.

use uuid::Uuid;

use super::BYTES;
use super::checksum::Checksum;
use super::hash;
use super::inode::Kind;
use crate::structure::put;
use crate::tree::inodes::Entry;

/// The size of an entry without its name.
const ENTRY: usize = 8;

/// The size of the entries of a directory and of the one above.
const DOTS: usize = 12 + 12;

/// Where the checksum of a block of names is: in the last entry.
const TAIL: usize = BYTES - 12;

/// How many leaves the first block of an index has room for, and any other.
const IN_ROOT: usize = (BYTES - ROOT_HEAD - 8) / 8;
const IN_NODE: usize = (BYTES - NODE_HEAD - 8) / 8;

/// Where an index begins in its first block, and in any other.
const ROOT_HEAD: usize = 32;
const NODE_HEAD: usize = 8;

/// A directory whose blocks are known.
#[derive(Debug)]
pub struct Directory<'a> {
    /// Itself, and the one above, among all.
    dots: [usize; 2],
    leaves: Vec<Leaf<'a>>,
    is_indexed: bool,
}

/// The names of a block, in it one behind the other.
#[derive(Debug, Default)]
struct Leaf<'a> {
    /// The least hash of those, odd when the block before has one of the same.
    hash: u32,
    entries: Vec<Entry<'a>>,
}

impl<'a> Directory<'a> {
    /// A directory, the one above it and what is in it; `seed` is that of hashes.
    ///
    /// # Errors
    /// With the reason when it is too large.
    pub fn of(dots: [usize; 2], entries: Vec<Entry<'a>>, seed: Uuid) -> Result<Self, String> {
        let length: usize = entries.iter().map(|entry| size(entry.name)).sum();
        let is_indexed = DOTS + length > TAIL;
        let leaves = if is_indexed {
            leaves(entries, seed)
        } else {
            vec![Leaf { hash: 0, entries }]
        };
        if leaves.len() > IN_ROOT * IN_NODE {
            return Err(format!(
                "it has {} blocks of names, and ext4 at most {}",
                leaves.len(),
                IN_ROOT * IN_NODE
            ));
        }
        Ok(Self {
            dots,
            leaves,
            is_indexed,
        })
    }

    /// An empty directory with so many blocks to spare.
    pub fn with_room(dots: [usize; 2], blocks: usize) -> Self {
        let mut leaves = Vec::new();
        leaves.resize_with(blocks, Leaf::default);
        Self {
            dots,
            leaves,
            is_indexed: false,
        }
    }

    /// Whether it has an index.
    pub fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> u64 {
        let index = if self.is_indexed { 1 + self.nodes() } else { 0 };
        (index + self.leaves.len()) as u64
    }

    /// The blocks of its index but the first.
    fn nodes(&self) -> usize {
        match self.leaves.len() {
            0..=IN_ROOT => 0,
            more => more.div_ceil(IN_NODE),
        }
    }

    /// Its bytes. `inode` tells of an inode its number and what it is of.
    pub fn render(&self, inode: impl Fn(usize) -> (u32, Kind), checksum: Checksum) -> Vec<u8> {
        let [own, above] = self.dots.map(|dot| inode(dot).0);
        let mut bytes = Vec::new();
        let mut leaves = self.leaves.iter();
        if self.is_indexed {
            self.push_index([own, above], checksum, &mut bytes);
        } else if let Some(first) = leaves.next() {
            let mut block = Block::new();
            block.push((own, Kind::Directory), ".");
            block.push((above, Kind::Directory), "..");
            bytes.extend(block.filled(first, &inode, checksum));
        }
        for leaf in leaves {
            bytes.extend(Block::new().filled(leaf, &inode, checksum));
        }
        bytes
    }

    fn push_index(&self, [own, above]: [u32; 2], checksum: Checksum, bytes: &mut Vec<u8>) {
        let nodes = self.nodes();
        let first_leaf = 1 + nodes;
        let leaves: Vec<(u32, usize)> = self
            .leaves
            .iter()
            .map(|leaf| leaf.hash)
            .zip(first_leaf..)
            .collect();
        let mut root = vec![0; BYTES];
        write_entry(&mut root, (0, 12), (own, Kind::Directory), ".");
        write_entry(&mut root, (12, BYTES - 12), (above, Kind::Directory), "..");
        root[28] = hash::HALF_MD4;
        // The size of what begins four bytes before.
        root[29] = 8;
        root[30] = u8::from(nodes > 0);
        if nodes == 0 {
            write_index(&mut root, ROOT_HEAD, &leaves, checksum);
            bytes.extend(root);
            return;
        }
        let groups: Vec<_> = leaves.chunks(IN_NODE).collect();
        let above: Vec<(u32, usize)> = groups.iter().map(|group| group[0].0).zip(1..).collect();
        write_index(&mut root, ROOT_HEAD, &above, checksum);
        bytes.extend(root);
        for group in groups {
            let mut node = vec![0; BYTES];
            put(&mut node, 4, &length(BYTES));
            write_index(&mut node, NODE_HEAD, group, checksum);
            bytes.extend(node);
        }
    }
}

/// The entries of each block, in the order of hashes.
fn leaves(entries: Vec<Entry<'_>>, seed: Uuid) -> Vec<Leaf<'_>> {
    let hashed = entries
        .into_iter()
        .map(|entry| (hash::of(entry.name, seed), entry));
    let mut hashed: Vec<_> = hashed.collect();
    hashed.sort_unstable();
    let mut leaves: Vec<Leaf<'_>> = Vec::new();
    let (mut free, mut last) = (0, None);
    for (hash, entry) in hashed {
        if size(entry.name) > free || leaves.is_empty() {
            free = TAIL;
            leaves.push(Leaf {
                hash: hash | u32::from(last == Some(hash)),
                entries: Vec::new(),
            });
        }
        free -= size(entry.name);
        last = Some(hash);
        if let Some(leaf) = leaves.last_mut() {
            leaf.entries.push(entry);
        }
    }
    leaves
}

/// The size of an entry with this name.
fn size(name: &str) -> usize {
    (ENTRY + name.len()).next_multiple_of(4)
}

/// A block of names in the making.
struct Block {
    bytes: Vec<u8>,
    at: usize,
    /// Where the last entry is.
    last: usize,
}

impl Block {
    fn new() -> Self {
        Self {
            bytes: vec![0; BYTES],
            at: 0,
            last: 0,
        }
    }

    fn push(&mut self, inode: (u32, Kind), name: &str) {
        let size = size(name);
        write_entry(&mut self.bytes, (self.at, size), inode, name);
        self.last = self.at;
        self.at += size;
    }

    /// With names, and the checksum. The last entry reaches to that.
    fn filled(
        mut self,
        leaf: &Leaf<'_>,
        inode: impl Fn(usize) -> (u32, Kind),
        checksum: Checksum,
    ) -> Vec<u8> {
        for entry in &leaf.entries {
            self.push(inode(entry.inode), entry.name);
        }
        put(&mut self.bytes, self.last + 4, &length(TAIL - self.last));
        put(&mut self.bytes, TAIL + 4, &[12, 0, 0, 0xde]);
        let checksum = checksum.with(&self.bytes[..TAIL]).value();
        put(&mut self.bytes, TAIL + 8, &checksum.to_le_bytes());
        self.bytes
    }
}

fn write_entry(bytes: &mut [u8], (at, size): (usize, usize), inode: (u32, Kind), name: &str) {
    let (number, kind) = inode;
    put(bytes, at, &number.to_le_bytes());
    put(bytes, at + 4, &length(size));
    bytes[at + 6] = u8::try_from(name.len()).unwrap_or(u8::MAX);
    bytes[at + 7] = kind.in_directory();
    put(bytes, at + ENTRY, name.as_bytes());
}

/// Writes what leads to blocks by hashes, from a place to the end of a block. The first of
/// them is for all below the second.
fn write_index(bytes: &mut [u8], at: usize, entries: &[(u32, usize)], checksum: Checksum) {
    let block = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    for ((hash, number), at) in entries.iter().zip((at..).step_by(8)) {
        put(bytes, at, &hash.to_le_bytes());
        put(bytes, at + 4, &block(*number));
    }
    let tail = BYTES - 8;
    put(bytes, at, &length((tail - at) / 8));
    put(bytes, at + 2, &length(entries.len()));
    let used = checksum.with(&bytes[..at + entries.len() * 8]);
    let checksum = used.with(&[0; 8]).value();
    put(bytes, tail + 4, &checksum.to_le_bytes());
}

/// A length in two bytes.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}
