//! A volume whose layout is known, as extents.

use std::ops::Range;
use std::sync::Arc;

use extents::ExtentMap;

use super::checksum::Checksum;
use super::contents::{Content, Contents, FileBytes, SHORT_LINK};
use super::extent_tree::{self, Run};
use super::geometry::Geometry;
use super::group::{self, Group};
use super::inode::{Inode, Kind, Map};
use super::layout::{Layout, Place};
use super::superblock::{self, Numbers};
use super::{BLOCK, VolumeId};
use super::{attributes, inode, journal, resize};
use crate::joined::Joined;
use crate::structure::{in_memory, put};

/// A volume that becomes extents.
#[derive(Debug)]
pub struct Volume<'a> {
    /// What is in it.
    pub contents: &'a Contents<'a>,
    /// Where that is.
    pub layout: &'a Layout,
    /// How it is called.
    pub id: &'a VolumeId,
}

/// Parts of a volume, each at its first byte.
#[derive(Debug, Default)]
struct Parts<'a>(Vec<(u64, Part<'a>)>);

#[derive(Debug)]
enum Part<'a> {
    Bytes(Vec<u8>),
    /// Bytes that are there more than once.
    Copy(Arc<[u8]>),
    /// Some blocks of a file.
    Blocks(&'a FileBytes<'a>, Run),
}

impl Parts<'_> {
    fn block(&mut self, block: u64, bytes: Vec<u8>) {
        self.0.push((block * BLOCK, Part::Bytes(bytes)));
    }
}

impl<'a> Volume<'a> {
    /// The extents of a volume in so many bytes.
    pub fn extents(&self, length: u64) -> ExtentMap {
        let mut parts = Parts::default();
        let mut inodes = self.push_objects(&mut parts);
        let journal = self.push_journal(&mut parts, &mut inodes);
        self.push_resize(&mut parts, &mut inodes);
        self.push_inodes(&inodes, &mut parts);
        self.push_groups(journal, &mut parts);
        parts.0.sort_unstable_by_key(|(at, _)| *at);
        let mut out = Joined::of(length);
        for (at, part) in parts.0 {
            match part {
                Part::Bytes(bytes) => out.bytes(at, &bytes),
                Part::Copy(bytes) => {
                    let mut map = ExtentMap::hole(bytes.len() as u64);
                    map.push_bytes(0, bytes);
                    out.append(at, map);
                }
                Part::Blocks(bytes, run) => {
                    let start = u64::from(run.logical) * BLOCK;
                    out.append(at, bytes.slice(start, run.length * BLOCK));
                }
            }
        }
        out.finish()
    }

    fn checksum(&self) -> Checksum {
        Checksum::of_volume(self.id.uuid)
    }

    /// Adds the content of all objects; gives their inodes.
    fn push_objects(&self, parts: &mut Parts<'a>) -> Vec<(u32, [u8; inode::SIZE])> {
        let mut inodes = Vec::new();
        let all = self.contents.objects.iter().zip(&self.layout.places);
        for (index, (object, place)) in all.enumerate() {
            let number = self.contents.number(index);
            let (map, nodes) = self.map_of(place, number);
            parts.0.extend(nodes);
            let mut map = Map::Extents(map);
            let mut is_indexed = false;
            match &object.content {
                Content::Directory(directory) => {
                    is_indexed = directory.is_indexed();
                    let checksum = self.checksum().of_inode(number);
                    let bytes = directory.render(|index| self.entry(index), checksum);
                    push_runs(&bytes, &place.runs, parts);
                }
                Content::Symlink(target) if object.content.size() < SHORT_LINK => {
                    let mut text = [0; 60];
                    put(&mut text, 0, target.as_bytes());
                    map = Map::Other(text);
                }
                Content::Symlink(target) => push_runs(target.as_bytes(), &place.runs, parts),
                Content::File(bytes) => {
                    let blocks = place.runs.iter();
                    let blocks = blocks.map(|run| (run.start * BLOCK, Part::Blocks(bytes, *run)));
                    parts.0.extend(blocks);
                }
            }
            if let (Some(block), Some(bytes)) = (place.attributes, &object.attributes.block) {
                let mut bytes = bytes.clone();
                attributes::seal(&mut bytes, block, self.checksum());
                parts.block(block, bytes);
            }
            let inode = Inode {
                kind: object.kind,
                mode: object.mode,
                links: object.links,
                size: object.content.size(),
                blocks: place.blocks(),
                is_indexed,
                map,
                attributes: &object.attributes.inline,
                attribute_block: place.attributes.unwrap_or(0),
            };
            inodes.push((number, self.rendered(&inode, number)));
        }
        inodes
    }

    /// What an entry of a directory says of an object.
    fn entry(&self, index: usize) -> (u32, Kind) {
        (
            self.contents.number(index),
            self.contents.objects[index].kind,
        )
    }

    fn rendered(&self, inode: &Inode<'_>, number: u32) -> [u8; inode::SIZE] {
        inode.render(number, self.id.time, self.checksum())
    }

    /// What an inode says of where its content is, and the blocks that it leads to.
    fn map_of(&self, place: &Place, number: u32) -> ([u8; 60], Vec<(u64, Part<'a>)>) {
        let checksum = self.checksum().of_inode(number);
        let (map, nodes) = extent_tree::render(&place.runs, &place.nodes, checksum);
        let nodes = nodes.into_iter();
        let nodes = nodes.map(|(block, bytes)| (block * BLOCK, Part::Bytes(bytes)));
        (map, nodes.collect())
    }

    /// Adds the journal, if there is one; gives what its inode says of blocks, and its length.
    fn push_journal(
        &self,
        parts: &mut Parts<'a>,
        inodes: &mut Vec<(u32, [u8; inode::SIZE])>,
    ) -> Option<([u8; 60], u64)> {
        let place = self.layout.journal.as_ref()?;
        let blocks: u64 = place.runs.iter().map(|run| run.length).sum();
        let (map, nodes) = self.map_of(place, journal::INODE);
        parts.0.extend(nodes);
        push_runs(
            &journal::first_block(blocks, self.id.uuid),
            &place.runs[..1],
            parts,
        );
        let size = blocks * BLOCK;
        let inode = Inode {
            kind: Kind::File,
            mode: 0o600,
            links: 1,
            size,
            blocks: place.blocks(),
            is_indexed: false,
            map: Map::Extents(map),
            attributes: &[],
            attribute_block: 0,
        };
        inodes.push((journal::INODE, self.rendered(&inode, journal::INODE)));
        Some((map, size))
    }

    /// Adds the room for descriptors, if there is any.
    fn push_resize(&self, parts: &mut Parts<'a>, inodes: &mut Vec<(u32, [u8; inode::SIZE])>) {
        let Some(block) = self.layout.resize else {
            return;
        };
        let geometry = &self.layout.geometry;
        for (block, bytes) in resize::blocks(geometry, block) {
            parts.block(block, bytes);
        }
        let inode = resize::inode(geometry, block);
        inodes.push((resize::INODE, self.rendered(&inode, resize::INODE)));
    }

    fn push_inodes(&self, inodes: &[(u32, [u8; inode::SIZE])], parts: &mut Parts<'a>) {
        let geometry = &self.layout.geometry;
        for (number, bytes) in inodes {
            let index = u64::from(number - 1);
            let tables = geometry.tables[in_memory(index / geometry.inodes_per_group)];
            let offset = index % geometry.inodes_per_group * inode::SIZE as u64;
            let at = tables.inodes * BLOCK + offset;
            parts.0.push((at, Part::Bytes(bytes.to_vec())));
        }
    }

    /// Adds what is known of groups, and superblocks.
    fn push_groups(&self, journal: Option<([u8; 60], u64)>, parts: &mut Parts<'a>) {
        let geometry = &self.layout.geometry;
        let groups = self.groups();
        let numbers = Numbers {
            geometry,
            free_blocks: groups.iter().map(|group| group.free_blocks).sum(),
            free_inodes: groups.iter().map(|group| group.free_inodes).sum(),
            journal,
        };
        let mut descriptors = Vec::new();
        for ((number, group), tables) in (0..).zip(groups).zip(&geometry.tables) {
            let inodes = geometry.inodes_per_group;
            descriptors.extend(group.descriptor(number, *tables, inodes, self.checksum()));
            if let Some(bits) = group.block_bitmap {
                parts.block(tables.block_bitmap, bits);
            }
            if let Some(bits) = group.inode_bitmap {
                parts.block(tables.inode_bitmap, bits);
            }
        }
        let descriptors: Arc<[u8]> = descriptors.into();
        for group in geometry.copies() {
            let first = geometry.group(group).start;
            let at = first * BLOCK + if group == 0 { superblock::AT as u64 } else { 0 };
            let superblock = superblock::render(self.id, &numbers, group);
            parts.0.push((at, Part::Bytes(superblock.to_vec())));
            let at = (first + 1) * BLOCK;
            parts.0.push((at, Part::Copy(Arc::clone(&descriptors))));
        }
    }

    /// What is taken of each group.
    fn groups(&self) -> Vec<Group> {
        let geometry = &self.layout.geometry;
        let per_group = geometry.inodes_per_group;
        let mut directories = vec![0; in_memory(geometry.groups())];
        for (index, object) in self.contents.objects.iter().enumerate() {
            let group = u64::from(self.contents.number(index) - 1) / per_group;
            directories[in_memory(group)] += u64::from(object.kind == Kind::Directory);
        }
        let mut taken = self.layout.taken.as_slice();
        let groups = (0..geometry.groups()).zip(directories);
        let groups = groups.map(|(number, directories)| {
            let range = geometry.group(number);
            let within = take_within(&mut taken, &range);
            let count: u64 = within.iter().map(|range| range.end - range.start).sum();
            let used = self
                .contents
                .inodes()
                .saturating_sub(number * per_group)
                .min(per_group);
            let has_bitmap = count > geometry.head(number) || number + 1 == geometry.groups();
            Group {
                free_blocks: range.end - range.start - count,
                free_inodes: per_group - used,
                directories,
                block_bitmap: has_bitmap.then(|| block_bitmap(geometry, number, within)),
                inode_bitmap: (used > 0).then(|| group::bitmap([0..used, per_group..BLOCK * 8])),
            }
        });
        groups.collect()
    }
}

/// The parts of sorted ranges that are in one; those before it are left behind.
fn take_within(ranges: &mut &[Range<u64>], within: &Range<u64>) -> Vec<Range<u64>> {
    let behind = ranges.partition_point(|range| range.end <= within.start);
    *ranges = &ranges[behind..];
    let inside = ranges.iter().take_while(|range| range.start < within.end);
    let cut = |range: &Range<u64>| range.start.max(within.start)..range.end.min(within.end);
    inside.map(cut).collect()
}

/// The bits of the blocks of a group; those behind the last of a volume are set.
fn block_bitmap(geometry: &Geometry, number: u64, taken: Vec<Range<u64>>) -> Vec<u8> {
    let range = geometry.group(number);
    let taken = taken.into_iter();
    let taken = taken.map(|taken| taken.start - range.start..taken.end - range.start);
    group::bitmap(taken.chain(std::iter::once(range.end - range.start..BLOCK * 8)))
}

/// Adds bytes where runs say; what is beyond them is left as it is.
fn push_runs(bytes: &[u8], runs: &[Run], parts: &mut Parts<'_>) {
    let mut left = bytes;
    for run in runs {
        let (now, rest) = left.split_at(in_memory(run.length * BLOCK).min(left.len()));
        parts.0.push((run.start * BLOCK, Part::Bytes(now.to_vec())));
        left = rest;
    }
}
