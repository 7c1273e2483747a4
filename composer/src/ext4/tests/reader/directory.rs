//! Directories: the tree of names, and the hashes that lead to them.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Bytes, bytes_of, crc};
use super::hash::half_md4;
use super::{Inode, Reader};

/// The size of a block.
const BYTES: usize = 4096;

/// A name in a directory.
#[derive(Debug, Clone)]
struct Entry {
    name: Vec<u8>,
    inode: u32,
    kind: u8,
}

/// A block that an index leads to, and the least hash in it.
#[derive(Debug, Clone, Copy)]
struct Pointer {
    hash: u32,
    block: usize,
}

/// A tree that is walked.
struct Walk<'a> {
    reader: &'a Reader<'a>,
    inodes: &'a BTreeMap<u32, Inode>,
    objects: BTreeMap<String, Inode>,
    /// How many names each inode has.
    names: BTreeMap<u32, u32>,
}

impl Walk<'_> {
    fn enter(&mut self, directory: &Inode, parent: u32, path: &str) {
        assert!(directory.is_directory());
        let mut names = BTreeSet::new();
        let mut links = 0_u32;
        for entry in self.reader.entries(directory) {
            assert!(names.insert(entry.name.clone()), "a name twice in {path}");
            let inode = &self.inodes[&entry.inode];
            assert_eq!(inode.kind(), entry.kind);
            links += u32::from(entry.kind == 2);
            match entry.name.as_slice() {
                b"." => assert_eq!(entry.inode, directory.number),
                b".." => assert_eq!(entry.inode, parent),
                name => {
                    assert!(entry.inode > 10);
                    let name = String::from_utf8(name.to_vec()).unwrap();
                    assert!(!name.contains(['/', '\0']));
                    *self.names.entry(entry.inode).or_default() += 1;
                    let path = format!("{path}/{name}");
                    if inode.is_directory() {
                        self.enter(inode, directory.number, &path);
                    } else {
                        self.objects.insert(path, inode.clone());
                    }
                }
            }
        }
        // Its own name, `.`, and one `..` for each in it.
        let expected = if links > 65000 { 1 } else { links };
        assert_eq!(u32::from(directory.links), expected, "links of {path}");
        self.objects.insert(path.to_owned(), directory.clone());
    }
}

impl Reader<'_> {
    /// Everything by its path. No inode is without a name, or has another number of them.
    pub fn tree(&self, inodes: &BTreeMap<u32, Inode>) -> BTreeMap<String, Inode> {
        let mut walk = Walk {
            reader: self,
            inodes,
            objects: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        walk.enter(&inodes[&2], 2, "");
        for inode in inodes.values().filter(|inode| inode.number > 10) {
            let links = if inode.is_directory() { 1 } else { inode.links };
            let names = walk.names.get(&inode.number).copied().unwrap_or(0);
            assert_eq!(names, u32::from(links), "names of {}", inode.number);
        }
        let lost = &walk.objects["/lost+found"];
        assert_eq!((lost.number, lost.kind()), (11, 2));
        walk.objects
    }

    fn entries(&self, directory: &Inode) -> Vec<Entry> {
        let content = bytes_of(&directory.content, self.sources);
        let blocks = content.chunks(BYTES).map(|block| Bytes(block.to_vec()));
        let blocks: Vec<_> = blocks.collect();
        let seed = directory.seed;
        if directory.is_indexed {
            return self.indexed(&blocks, seed);
        }
        let leaves = blocks.iter().map(|block| leaf(block, seed));
        let entries: Vec<Entry> = leaves.flatten().collect();
        assert_eq!(
            (&entries[0].name[..], &entries[1].name[..]),
            (&b"."[..], &b".."[..])
        );
        entries
    }

    /// The entries that an index leads to. It leads to each block once, in order of hashes.
    fn indexed(&self, blocks: &[Bytes], seed: u32) -> Vec<Entry> {
        let root = &blocks[0];
        let mut entries = chain(root, BYTES);
        assert_eq!(entries.len(), 2, "a directory begins with dots");
        assert_eq!((root.short(4), root.short(16)), (12, 4084));
        // Nothing, half of MD4, eight bytes, levels, no flags.
        assert_eq!((root.word(24), root.at(28, 2)), (0, &[1, 8][..]));
        assert!(root.0[30] <= 1 && root.0[31] == 0);
        let mut pointers = index(root, 32, 507, seed);
        let mut visited: BTreeSet<usize> = BTreeSet::from([0]);
        if root.0[30] == 1 {
            let above = std::mem::take(&mut pointers);
            for pointer in above {
                assert!(visited.insert(pointer.block));
                let node = &blocks[pointer.block];
                assert_eq!((node.word(0), node.word(4)), (0, 4096));
                let mut below = index(node, 8, 510, seed);
                below[0].hash = pointer.hash;
                pointers.extend(below);
            }
        }
        assert!(pointers.is_sorted_by_key(|pointer| pointer.hash));
        let uuid = Bytes(self.superblock.at(0xec, 16).to_vec());
        let mut last = None;
        for (index, pointer) in pointers.iter().enumerate() {
            assert!(visited.insert(pointer.block));
            let found = leaf(&blocks[pointer.block], seed);
            let hashes = found.iter().map(|entry| half_md4(&entry.name, &uuid));
            let hashes: Vec<u32> = hashes.collect();
            let (low, high) = (*hashes.iter().min().unwrap(), *hashes.iter().max().unwrap());
            assert!(pointer.hash & !1 <= low, "a hash before its block");
            if let Some(next) = pointers.get(index + 1) {
                let end = next.hash & !1;
                assert!(high < end || high == end && next.hash & 1 == 1);
            }
            // Odd where the block before has the same hash too.
            let goes_on = last == Some(pointer.hash & !1);
            assert_eq!(pointer.hash & 1 == 1, goes_on, "block {index}");
            last = Some(high);
            entries.extend(found);
        }
        assert_eq!(visited.len(), blocks.len(), "blocks that nothing leads to");
        entries
    }
}

/// The entries of a block of names.
fn leaf(block: &Bytes, seed: u32) -> Vec<Entry> {
    let tail = BYTES - 12;
    assert_eq!((block.word(tail), block.word(tail + 4)), (0, 0xde00_000c));
    let sum = crc(seed, block.at(0, tail));
    assert_eq!(block.word(tail + 8), sum, "names");
    chain(block, tail)
}

/// The entries of a block, each of which says where the next is.
fn chain(block: &Bytes, end: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < end {
        let length = usize::from(block.short(at + 4));
        let (name, kind) = (usize::from(block.0[at + 6]), block.0[at + 7]);
        assert!(length >= (8 + name).next_multiple_of(4) && length.is_multiple_of(4));
        assert!(length >= 12 && at + length <= end);
        let inode = block.word(at);
        if inode != 0 {
            assert!(name > 0);
            let name = block.at(at + 8, name).to_vec();
            entries.push(Entry { name, inode, kind });
        }
        at += length;
    }
    assert_eq!(at, end);
    entries
}

/// The pointers of a block of an index. The hash of the first is in the block above.
fn index(block: &Bytes, at: usize, room: u16, seed: u32) -> Vec<Pointer> {
    let count = usize::from(block.short(at + 2));
    assert_eq!(block.short(at), room);
    assert!((1..=usize::from(room)).contains(&count));
    // The entries that are used, and the tail without its sum.
    let sum = crc(seed, block.at(0, at + count * 8));
    assert_eq!(
        block.word(4092),
        crc(crc(sum, block.at(4088, 4)), &[0; 4]),
        "index"
    );
    let pointers = (0..count).map(|index| Pointer {
        hash: if index == 0 {
            0
        } else {
            block.word(at + index * 8)
        },
        block: usize::try_from(block.word(at + index * 8 + 4)).unwrap(),
    });
    pointers.collect()
}
