//! A volume whose layout is known, as extents.

use extents::{Content as Bytes, ExtentMap};

use super::contents::{Content, Contents};
use super::directory::{self, Entry};
use super::layout::{Layout, ROOT_AT, blocks, is_file};
use super::superblock::{self, Numbers};
use super::{BLOCK, VolumeId};
use crate::joined::Joined;
use crate::structure::in_memory;
use crate::tree::FileContent;

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

impl Volume<'_> {
    /// The extents.
    pub fn extents(&self) -> ExtentMap {
        let mut out = Joined::of(u64::from(self.layout.blocks) * BLOCK);
        out.bytes(0, &self.first_block());
        let places = &self.layout.places;
        let mut order: Vec<usize> = (1..places.len()).collect();
        order.sort_unstable_by_key(|index| places[*index].at);
        for index in order {
            self.push_inode(index, &mut out);
        }
        for takes_files in [false, true] {
            for (index, object) in self.contents.objects.iter().enumerate() {
                if is_file(object) == takes_files {
                    self.push_blocks(index, &mut out);
                }
            }
        }
        out.finish()
    }

    /// The superblock and the root, and nothing else.
    fn first_block(&self) -> Vec<u8> {
        let root = self.layout.places[0];
        let mut block = vec![0; in_memory(ROOT_AT)];
        block.extend(self.inode(0));
        if let (Content::Entries(entries), true) =
            (&self.contents.objects[0].content, root.data.is_inline)
        {
            block.extend(self.last_entries(entries));
        }
        block.resize(in_memory(BLOCK), 0);
        let numbers = Numbers {
            root: u16::try_from(root.number()).unwrap_or(u16::MAX),
            inodes: self.contents.objects.len() as u64,
            blocks: self.layout.blocks,
        };
        superblock::write(&mut block, self.id, &numbers);
        block
    }

    fn inode(&self, index: usize) -> Vec<u8> {
        let data = self.layout.places[index].data;
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let inode = &self.contents.objects[index].inode;
        inode.render(number, data, self.id.time)
    }

    /// Adds an inode, and what of its content follows it.
    fn push_inode(&self, index: usize, out: &mut Joined) {
        let (object, place) = (&self.contents.objects[index], self.layout.places[index]);
        out.bytes(place.at, &self.inode(index));
        if !place.data.is_inline {
            return;
        }
        let at = place.at + object.head();
        match &object.content {
            Content::Entries(entries) => out.bytes(at, &self.last_entries(entries)),
            Content::Symlink(target) => out.bytes(at, target.as_bytes()),
            Content::File(FileContent::Source(source, size)) => {
                let rest = object.rest();
                out.slice(at, rest, *source, size - rest);
            }
            Content::File(content) => {
                let rest = object.rest();
                let rest = content.extents().slice(object.inode.size - rest, rest);
                for extent in rest.extents() {
                    match &extent.content {
                        Bytes::Bytes(bytes) => out.bytes(at + extent.start, bytes),
                        Bytes::Slice { source, offset } => {
                            out.slice(at + extent.start, extent.length, *source, *offset);
                        }
                    }
                }
            }
        }
    }

    /// Adds the blocks of an object, if it has any.
    fn push_blocks(&self, index: usize, out: &mut Joined) {
        let (object, data) = (
            &self.contents.objects[index],
            self.layout.places[index].data,
        );
        let Some(block) = data.block else { return };
        let at = u64::from(block) * BLOCK;
        let length = blocks(object, data.is_inline) * BLOCK;
        match &object.content {
            Content::Entries(entries) => {
                let count = blocks(object, data.is_inline);
                for (block, at) in directory::blocks(entries)
                    .into_iter()
                    .zip((at..).step_by(in_memory(BLOCK)))
                    .take(in_memory(count))
                {
                    out.bytes(at, &self.entries(block));
                }
            }
            Content::Symlink(target) => out.bytes(at, target.as_bytes()),
            Content::File(content) => {
                let length = length.min(object.inode.size);
                out.append(at, content.extents().slice(0, length));
            }
        }
    }

    /// The last block of a directory.
    fn last_entries(&self, entries: &[Entry<'_>]) -> Vec<u8> {
        let blocks = directory::blocks(entries);
        blocks
            .last()
            .map_or_else(Vec::new, |block| self.entries(block))
    }

    fn entries(&self, block: &[Entry<'_>]) -> Vec<u8> {
        directory::render(block, |index| {
            let kind = self.contents.objects[index].inode.kind;
            (self.layout.places[index].number(), kind)
        })
    }
}
