//! Inodes: their fields, the extents of their blocks, and their attributes.

use std::collections::BTreeMap;

use extents::ExtentMap;

use super::bytes::{Bytes, bytes_of, crc};
use super::{BLOCK, Reader, special};

/// Flags: blocks are found by extents, a directory has an index.
const EXTENTS: u32 = 0x8_0000;
const INDEX: u32 = 0x1000;

/// An inode, and what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Which it is.
    pub number: u32,
    /// Its type and permissions.
    pub mode: u16,
    /// How many names it has.
    pub links: u16,
    /// Its length in bytes.
    pub size: u64,
    /// The seconds of its times, since 1970.
    pub time: u64,
    /// What a file or a directory is of.
    pub content: ExtentMap,
    /// The target of a link.
    pub target: Vec<u8>,
    /// How many extents it has.
    pub extents: usize,
    /// How many levels of blocks lead to those.
    pub depth: u16,
    /// Whether it has an index of names.
    pub is_indexed: bool,
    /// Attributes, by their full names.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// The 60 bytes that lead to its blocks.
    pub map: Bytes,
    /// The sectors that it takes.
    pub sectors: u64,
    /// The checksum with which those of its blocks begin.
    pub seed: u32,
}

/// A node of a tree of extents.
struct Node {
    bytes: Bytes,
    depth: u16,
    /// The first of the blocks below it, as the node above says.
    least: u64,
}

/// Blocks of an inode, the first of which is number `logical` of them.
struct Run {
    logical: u64,
    start: u64,
    length: u64,
}

/// What a tree of extents is of.
#[derive(Default)]
struct Found {
    runs: Vec<Run>,
    nodes: u64,
}

impl Inode {
    pub fn is_directory(&self) -> bool {
        self.mode >> 12 == 0o04
    }

    /// The type as directories have it.
    pub fn kind(&self) -> u8 {
        match self.mode >> 12 {
            0o10 => 1,
            0o04 => 2,
            0o12 => 7,
            other => panic!("{} is of type {other}", self.number),
        }
    }
}

impl Reader<'_> {
    /// The inode at a place; none if all of it is zeros.
    pub fn inode(&mut self, number: u32, at: u64) -> Option<Inode> {
        let bytes = self.bytes(at, 256);
        if bytes.is_zero() {
            return None;
        }
        let seed = crc(self.seed, &number.to_le_bytes());
        let seed = crc(seed, bytes.at(0x64, 4));
        let sum = crc(seed, &bytes.without(0x7c..0x7e).without(0x82..0x84).0);
        assert_eq!(
            bytes.halves(0x7c, 0x82, 2),
            u64::from(sum),
            "inode {number}"
        );
        for (at, length, expected, what) in [
            (0x02, 2, 0, "owner"),
            (0x14, 4, 0, "time of removal"),
            (0x18, 2, 0, "group"),
            (0x70, 4, 0, "fragment"),
            (0x78, 4, 0, "owner"),
            (0x80, 2, 32, "fields"),
            (0x98, 4, 0, "version"),
            (0x9c, 4, 0, "project"),
        ] {
            assert_eq!(bytes.number(at, length), expected, "{what} of {number}");
        }
        let flags = bytes.word(0x20);
        assert_eq!(flags & !(EXTENTS | INDEX), 0, "flags of {number}");
        let mut inode = Inode {
            number,
            mode: bytes.short(0),
            links: bytes.short(0x1a),
            size: bytes.halves(0x04, 0x6c, 4),
            time: time(&bytes),
            content: ExtentMap::hole(0),
            target: Vec::new(),
            extents: 0,
            depth: 0,
            is_indexed: flags & INDEX != 0,
            attributes: BTreeMap::new(),
            map: Bytes(bytes.at(0x28, 60).to_vec()),
            sectors: bytes.number(0x1c, 4) | bytes.number(0x74, 2) << 32,
            seed,
        };
        assert!(inode.links > 0, "inode {number}");
        assert!(!inode.is_indexed || inode.is_directory());
        let attributes = bytes.number(0x68, 4) | bytes.number(0x76, 2) << 32;
        self.read_attributes(&mut inode, &bytes, attributes);
        let of_attributes = u64::from(attributes > 0);
        if flags & EXTENTS != 0 {
            self.read_content(&mut inode, of_attributes);
        } else if inode.kind() == 7 {
            assert!((1..60).contains(&inode.size), "a short link");
            let (text, rest) = inode.map.0.split_at(usize::try_from(inode.size).unwrap());
            assert!(!text.contains(&0) && rest.iter().all(|byte| *byte == 0));
            inode.target = text.to_vec();
            assert_eq!(inode.sectors, of_attributes * 8);
        } else {
            assert_eq!(number, special::RESIZE, "blocks without extents");
        }
        Some(inode)
    }

    /// Finds the blocks of an inode, and sees that they are of its length.
    fn read_content(&mut self, inode: &mut Inode, of_attributes: u64) {
        let found = self.extents(inode);
        inode.extents = found.runs.len();
        let (number, size) = (inode.number, inode.size);
        let mut content = ExtentMap::hole(size);
        let (mut next, mut blocks) = (0, 0);
        for run in found.runs {
            assert!(next <= run.logical, "order in {number}");
            assert!(
                inode.kind() == 1 || next == run.logical,
                "a hole in {number}"
            );
            next = run.logical + run.length;
            blocks += run.length;
            assert!(
                next <= size.div_ceil(BLOCK),
                "{number} ends before its blocks"
            );
            let (at, start) = (run.logical * BLOCK, run.start * BLOCK);
            let length = (run.length * BLOCK).min(size - at);
            content.append(at, self.map.slice(start, length));
            let rest = start + length..start + run.length * BLOCK;
            assert!(self.is_zero(rest), "bytes behind the end of {number}");
        }
        let sectors = (blocks + found.nodes + of_attributes) * 8;
        assert_eq!(inode.sectors, sectors, "sectors of {number}");
        if inode.kind() == 7 {
            assert!((60..4096).contains(&size) && next == 1, "a long link");
            inode.target = bytes_of(&content, self.sources);
            assert!(!inode.target.contains(&0));
        } else if inode.kind() == 2 {
            assert!(size > 0 && size == next * BLOCK, "length of {number}");
        }
        inode.content = content;
    }

    fn extents(&mut self, inode: &mut Inode) -> Found {
        let root = Node {
            depth: inode.map.short(6),
            bytes: inode.map.clone(),
            least: 0,
        };
        assert!(root.depth <= 5);
        inode.depth = root.depth;
        let mut found = Found::default();
        self.enter_node(&root, 4, inode.seed, &mut found);
        found
    }

    fn enter_node(&mut self, node: &Node, room: u16, seed: u32, found: &mut Found) {
        let bytes = &node.bytes;
        let [magic, count, most, depth] = [0, 2, 4, 6].map(|at| bytes.short(at));
        assert_eq!((magic, most, depth), (0xf30a, room, node.depth));
        assert!(count <= most && (count > 0 || room == 4 && depth == 0));
        for index in 0..usize::from(count) {
            let at = 12 + index * 12;
            let logical = bytes.number(at, 4);
            assert!(
                index > 0 || room == 4 || logical == node.least,
                "the first in a node"
            );
            if depth == 0 {
                let length = bytes.number(at + 4, 2);
                assert!((1..=32768).contains(&length), "a run that is not written");
                let start = bytes.number(at + 8, 4) | bytes.number(at + 6, 2) << 32;
                self.take(start, length);
                found.runs.push(Run {
                    logical,
                    start,
                    length,
                });
                continue;
            }
            let block = bytes.number(at + 4, 4) | bytes.number(at + 8, 2) << 32;
            self.take(block, 1);
            found.nodes += 1;
            let inner = self.block(block);
            let sum = crc(seed, inner.at(0, 4092));
            assert_eq!(inner.word(4092), sum, "extents in {block}");
            let inner = Node {
                bytes: inner,
                depth: depth - 1,
                least: logical,
            };
            self.enter_node(&inner, 340, seed, found);
        }
    }

    fn read_attributes(&mut self, inode: &mut Inode, bytes: &Bytes, block: u64) {
        let own = Bytes(bytes.at(160, 96).to_vec());
        if own.word(0) == 0xea02_0000 {
            let (region, all) = (Bytes(own.at(4, 92).to_vec()), &mut inode.attributes);
            read_entries(&region, 0, all);
        } else {
            assert!(own.is_zero());
        }
        if block == 0 {
            return;
        }
        self.take(block, 1);
        let bytes = self.block(block);
        assert_eq!([0, 4, 8].map(|at| bytes.word(at)), [0xea02_0000, 1, 1]);
        let sum = crc(
            crc(self.seed, &block.to_le_bytes()),
            &bytes.without(16..20).0,
        );
        assert_eq!(bytes.word(16), sum, "attributes in {block}");
        let hashes = read_entries(&bytes, 32, &mut inode.attributes);
        let whole = hashes
            .iter()
            .fold(0_u32, |whole, hash| whole.rotate_left(16) ^ hash);
        assert_eq!(bytes.word(12), whole, "hash of {block}");
    }
}

/// The time that all four of an inode are.
fn time(bytes: &Bytes) -> u64 {
    // The lower half has a sign.
    let read = |at: usize, more: usize| {
        let extra = bytes.number(more, 4);
        assert_eq!(extra >> 2, 0, "nanoseconds");
        let low = i64::from(i32::from_le_bytes(bytes.at(at, 4).try_into().unwrap()));
        u64::try_from(low + (i64::try_from(extra).unwrap() << 32)).unwrap()
    };
    let places = [(0x08, 0x8c), (0x0c, 0x84), (0x10, 0x88), (0x90, 0x94)];
    let [time, rest @ ..] = places.map(|(at, more)| read(at, more));
    assert_eq!(rest, [time; 3]);
    time
}

/// Adds the attributes whose entries begin at a place; gives their hashes.
fn read_entries(bytes: &Bytes, start: usize, all: &mut BTreeMap<String, Vec<u8>>) -> Vec<u32> {
    let mut at = start;
    let (mut hashes, mut values, mut order) = (Vec::new(), Vec::new(), Vec::new());
    while bytes.word(at) != 0 {
        let length = usize::from(bytes.0[at]);
        let prefix = match bytes.0[at + 1] {
            1 => "user.",
            4 => "trusted.",
            6 => "security.",
            other => panic!("namespace {other}"),
        };
        let name = bytes.at(at + 16, length);
        assert!(length > 0 && !name.contains(&0));
        let (offset, size) = (usize::from(bytes.short(at + 2)), bytes.number(at + 8, 4));
        assert_eq!(bytes.word(at + 4), 0, "no inode of a value");
        let size = usize::try_from(size).unwrap();
        let value = if size == 0 {
            &[]
        } else {
            assert!(offset.is_multiple_of(4));
            values.push(offset..(offset + size).next_multiple_of(4));
            bytes.at(offset, size)
        };
        assert_eq!(bytes.word(at + 12), hash(name, value));
        hashes.push(hash(name, value));
        order.push((bytes.0[at + 1], length, name.to_vec()));
        let name = String::from_utf8(name.to_vec()).unwrap();
        let known = all.insert(format!("{prefix}{name}"), value.to_vec());
        assert!(known.is_none(), "an attribute twice");
        at += (16 + length).next_multiple_of(4);
    }
    assert!(start == 0 || order.is_sorted(), "order of attributes");
    // Values lie behind the entries and their end, each in a place of its own.
    values.sort_unstable_by_key(|value| value.start);
    let mut end = at + 4;
    for value in values {
        assert!(end <= value.start && value.end <= bytes.0.len());
        end = value.end;
    }
    hashes
}

/// The hash of an attribute.
fn hash(name: &[u8], value: &[u8]) -> u32 {
    let mut hash = 0_u32;
    for byte in name {
        hash = (hash << 5) ^ (hash >> 27) ^ u32::from(*byte);
    }
    for word in value.chunks(4) {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash << 16) ^ (hash >> 16) ^ word;
    }
    hash
}
