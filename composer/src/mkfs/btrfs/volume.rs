//! Goes over a new btrfs: everything gets to be root's and of one time, and subvolumes
//! get identifiers that follow from the seed.
//!
//! Specification: `Documentation/dev/On-disk-format.rst` of btrfs-progs. Items are
//! changed where they are; no node changes its place or its length.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use uuid::Uuid;

use crate::error::{self, Error};
use crate::holes::data_of;
use crate::seed;

/// The checksum of nodes.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

const SUPERBLOCK_AT: u64 = 64 << 10;
const HEADER: usize = 101;
const ITEM: usize = 25;
const POINTER: usize = 33;

/// Types of keys.
const INODE_ITEM: u8 = 1;
const ROOT_ITEM: u8 = 132;
const CHUNK_ITEM: u8 = 228;
const UUID_SUBVOLUME: u8 = 251;

/// What chunks hold.
const SYSTEM: u64 = 1 << 1;
const METADATA: u64 = 1 << 2;

/// Numbers of trees.
const FS_TREE: u64 = 5;
const UUID_TREE: u64 = 9;
const FIRST_SUBVOLUME: u64 = 256;

/// Nodes deeper than this are none.
const MAX_LEVEL: u8 = 8;

/// What everything is to have.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The UUID of the file system, of which those of subvolumes are derived.
    pub uuid: Uuid,
    /// The time, in seconds since 1970.
    pub time: u64,
}

/// Changes a file system that mkfs.btrfs has just made.
///
/// # Errors
/// When it cannot be read or written, or is not as it should be.
pub fn settle(file: &File, path: &Path, wanted: Wanted) -> Result<(), Error> {
    let mut superblock = vec![0; 4096];
    file.read_exact_at(&mut superblock, SUPERBLOCK_AT)
        .map_err(error::read(path))?;
    let mut volume = Volume {
        file,
        path,
        wanted,
        chunks: BTreeMap::new(),
        live: BTreeSet::new(),
        node: 0,
    };
    if bytes::<8>(&superblock, 64) != Some(*b"_BHRfS_M") {
        return Err(volume.broken());
    }
    volume.open(&superblock)
}

/// A run of logical addresses: its length, and the places of its copies.
#[derive(Debug)]
struct Chunk {
    length: u64,
    has_nodes: bool,
    places: Vec<u64>,
}

struct Volume<'a> {
    file: &'a File,
    path: &'a Path,
    wanted: Wanted,
    chunks: BTreeMap<u64, Chunk>,
    /// The addresses of the nodes of all trees.
    live: BTreeSet<u64>,
    /// The size of a node.
    node: usize,
}

/// An item of a leaf: its key, and where in the node its data is.
#[derive(Debug, Clone, Copy)]
struct Item {
    object: u64,
    kind: u8,
    offset: u64,
    at: usize,
    size: usize,
}

impl Volume<'_> {
    fn broken(&self) -> Error {
        Error::image(self.path, "mkfs.btrfs made something that is no btrfs")
    }

    fn open(&mut self, superblock: &[u8]) -> Result<(), Error> {
        let number = |at| u64_at(superblock, at).ok_or_else(|| self.broken());
        let (roots, chunks) = (number(80)?, number(88)?);
        let [node, system] = [148, 160].map(|at| u32_at(superblock, at).unwrap_or(0) as usize);
        if !(4096..=65536).contains(&node) || system > 2048 {
            return Err(self.broken());
        }
        self.node = node;
        let (mut at, end) = (811, 811 + system);
        while at < end {
            // A key, whose last part is the address, then the chunk.
            let start = u64_at(superblock, at + 9);
            let length = start.and_then(|start| self.add_chunk(start, superblock, at + 17));
            at += 17 + length.ok_or_else(|| self.broken())?;
        }
        self.walk(chunks, &mut |volume, leaf| {
            let chunks = items(leaf).filter(|item| item.kind == CHUNK_ITEM);
            for item in chunks.collect::<Vec<_>>() {
                volume.add_chunk(item.offset, leaf, item.at)?;
            }
            Some(())
        })?;
        let mut trees = Vec::new();
        self.walk(roots, &mut |volume, leaf| {
            let roots = items(leaf).filter(|item| item.kind == ROOT_ITEM);
            for item in roots.collect::<Vec<_>>() {
                trees.push((item.object, u64_at(leaf, item.at + 176)?));
                if is_of_files(item.object) {
                    volume.settle_root(leaf, item)?;
                }
            }
            Some(())
        })?;
        for (tree, at) in trees {
            self.walk(at, &mut |volume, leaf| match tree {
                UUID_TREE => volume.settle_identifiers(leaf),
                tree if is_of_files(tree) => volume.settle_inodes(leaf),
                _ => Some(()),
            })?;
        }
        self.forget_the_rest()
    }

    /// Erases what mkfs.btrfs wrote and replaced: nodes that no tree has any more, with
    /// identifiers and times of that run.
    fn forget_the_rest(&self) -> Result<(), Error> {
        let size = self.node as u64;
        let mut node = vec![0; self.node];
        let of_nodes = self.chunks.iter().filter(|(_, chunk)| chunk.has_nodes);
        for (start, chunk) in of_nodes {
            for place in &chunk.places {
                let end = place.saturating_add(chunk.length);
                let runs = data_of(self.file, *place, end).map_err(error::read(self.path))?;
                for (run, length) in runs {
                    let first = (run - place) / size;
                    for slot in first..(run - place + length).div_ceil(size) {
                        let (at, slot) = (place + slot * size, start + slot * size);
                        if self.live.contains(&slot) {
                            continue;
                        }
                        let read = self.file.read_exact_at(&mut node, at);
                        read.map_err(error::read(self.path))?;
                        if node.iter().any(|byte| *byte != 0) {
                            node.fill(0);
                            let written = self.file.write_all_at(&node, at);
                            written.map_err(error::write(self.path))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a chunk; returns the length of its description.
    fn add_chunk(&mut self, start: u64, from: &[u8], at: usize) -> Option<usize> {
        let length = u64_at(from, at)?;
        let count = usize::from(u16::from_le_bytes(bytes(from, at + 44)?));
        let place = |copy: usize| u64_at(from, at + 48 + 32 * copy + 8);
        let places: Vec<u64> = (0..count).map(place).collect::<Option<_>>()?;
        let has_nodes = u64_at(from, at + 24)? & (SYSTEM | METADATA) != 0;
        let chunk = Chunk {
            length,
            has_nodes,
            places,
        };
        self.chunks.insert(start, chunk);
        Some(48 + 32 * count)
    }

    /// Has `change` look at every leaf of a tree, and writes those that it changes.
    fn walk(
        &mut self,
        root: u64,
        change: &mut dyn FnMut(&mut Self, &mut [u8]) -> Option<()>,
    ) -> Result<(), Error> {
        let mut waiting = vec![(root, MAX_LEVEL)];
        while let Some((at, most)) = waiting.pop() {
            let (mut node, places) = self.read(at)?;
            self.live.insert(at);
            let level = node[100];
            if level > most {
                return Err(self.broken());
            }
            if level > 0 {
                let count = u32_at(&node, 96).unwrap_or(0) as usize;
                let child = |index: usize| u64_at(&node, HEADER + POINTER * index + 17);
                let children: Option<Vec<u64>> = (0..count).map(child).collect();
                let children = children.ok_or_else(|| self.broken())?;
                waiting.extend(children.into_iter().rev().map(|child| (child, level - 1)));
                continue;
            }
            let before = node.clone();
            change(self, &mut node).ok_or_else(|| self.broken())?;
            if node == before {
                continue;
            }
            let sum = CRC.checksum(&node[32..]).to_le_bytes();
            node[..4].copy_from_slice(&sum);
            for place in places {
                let written = self.file.write_all_at(&node, place);
                written.map_err(error::write(self.path))?;
            }
        }
        Ok(())
    }

    /// A node, and where its copies are.
    fn read(&self, at: u64) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let found = self.chunks.range(..=at).next_back();
        let (start, chunk) = found.ok_or_else(|| self.broken())?;
        let within = at - start;
        if within.saturating_add(self.node as u64) > chunk.length || chunk.places.is_empty() {
            return Err(self.broken());
        }
        let places = chunk
            .places
            .iter()
            .map(|place| place.saturating_add(within));
        let places: Vec<u64> = places.collect();
        let mut node = vec![0; self.node];
        let read = self.file.read_exact_at(&mut node, places[0]);
        read.map_err(error::read(self.path))?;
        let sum = CRC.checksum(&node[32..]);
        if u32_at(&node, 0) != Some(sum) || u64_at(&node, 48) != Some(at) {
            return Err(self.broken());
        }
        Ok((node, places))
    }

    /// Gives a subvolume its identifier and its times.
    fn settle_root(&self, leaf: &mut [u8], item: Item) -> Option<()> {
        let uuid = seed::subvolume(self.wanted.uuid, item.object);
        put(leaf, item.at + 247, uuid.as_bytes())?;
        [327, 339]
            .iter()
            .try_for_each(|at| put(leaf, item.at + at, &self.time()))
    }

    /// Gives every inode its owner and its times.
    fn settle_inodes(&self, leaf: &mut [u8]) -> Option<()> {
        let inodes = items(leaf).filter(|item| item.kind == INODE_ITEM);
        for item in inodes.collect::<Vec<_>>() {
            put(leaf, item.at + 44, &[0; 8])?;
            for at in [112, 124, 136, 148] {
                put(leaf, item.at + at, &self.time())?;
            }
        }
        Some(())
    }

    /// Lists the identifiers that the subvolumes now have, in the order of their keys.
    fn settle_identifiers(&self, leaf: &mut [u8]) -> Option<()> {
        let all: Vec<Item> = items(leaf).collect();
        let mut listed = Vec::new();
        for item in &all {
            if item.kind != UUID_SUBVOLUME || item.size != 8 {
                return None;
            }
            let subvolume = u64_at(leaf, item.at)?;
            let uuid = *seed::subvolume(self.wanted.uuid, subvolume).as_bytes();
            let key = (u64_at(&uuid, 0)?, u64_at(&uuid, 8)?);
            listed.push((key, subvolume));
        }
        listed.sort_unstable();
        for (index, (item, (key, subvolume))) in all.iter().zip(listed).enumerate() {
            put(leaf, HEADER + ITEM * index, &key.0.to_le_bytes())?;
            put(leaf, HEADER + ITEM * index + 9, &key.1.to_le_bytes())?;
            put(leaf, item.at, &subvolume.to_le_bytes())?;
        }
        Some(())
    }

    /// The time as it is in items: seconds and nanoseconds.
    fn time(&self) -> [u8; 12] {
        let mut time = [0; 12];
        time[..8].copy_from_slice(&self.wanted.time.to_le_bytes());
        time
    }
}

/// Whether a tree has files: that of the root or of a subvolume. Numbers from the end
/// are other trees.
fn is_of_files(tree: u64) -> bool {
    tree == FS_TREE || (FIRST_SUBVOLUME..u64::MAX - 255).contains(&tree)
}

/// The items of a leaf, as far as they are in it.
fn items(leaf: &[u8]) -> impl Iterator<Item = Item> + use<'_> {
    let count = u32_at(leaf, 96).unwrap_or(0) as usize;
    (0..count).map_while(|index| {
        let at = HEADER + ITEM * index;
        Some(Item {
            object: u64_at(leaf, at)?,
            kind: *leaf.get(at + 8)?,
            offset: u64_at(leaf, at + 9)?,
            at: HEADER + u32_at(leaf, at + 17)? as usize,
            size: u32_at(leaf, at + 21)? as usize,
        })
    })
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

fn u64_at(from: &[u8], at: usize) -> Option<u64> {
    bytes(from, at).map(u64::from_le_bytes)
}

fn u32_at(from: &[u8], at: usize) -> Option<u32> {
    bytes(from, at).map(u32::from_le_bytes)
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    let place = to.get_mut(at..at + bytes.len())?;
    place.copy_from_slice(bytes);
    Some(())
}
