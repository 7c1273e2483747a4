//! What is in a volume: inodes, and what they are of.

use super::directory::{self, Entry};
use super::inode::{Inode, Kind};
use super::{BLOCK, attributes};
use crate::error::Error;
use crate::source::Sources;
use crate::tree::inodes;
use crate::tree::{FileContent, FileTree};

/// Everything in a volume.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The root, then the others in path order.
    pub objects: Vec<Object<'a>>,
}

/// Something with an inode.
#[derive(Debug)]
pub struct Object<'a> {
    /// The inode.
    pub inode: Inode,
    /// What it is of.
    pub content: Content<'a>,
}

/// What an inode is of.
#[derive(Debug)]
pub enum Content<'a> {
    /// A directory: what is in it, in order.
    Entries(Vec<Entry<'a>>),
    /// A file.
    File(&'a FileContent),
    /// A symbolic link.
    Symlink(&'a str),
}

impl<'a> Contents<'a> {
    /// Finds everything in a tree.
    ///
    /// # Errors
    /// When EROFS cannot hold a name, a link or an attribute.
    pub fn of(tree: &'a FileTree, sources: &Sources) -> Result<Self, Error> {
        let inodes = inodes::of(tree, sources, u32::MAX)?;
        let objects = inodes.into_iter().enumerate();
        let objects = objects.map(|(index, inode)| Object::of(inode, index));
        let objects = objects.collect::<Result<_, _>>()?;
        Ok(Self { objects })
    }
}

impl<'a> Object<'a> {
    /// What has an inode that is number `index` among all.
    fn of(inode: inodes::Inode<'a>, index: usize) -> Result<Self, Error> {
        let attributes = attributes::render(inode.attributes);
        let attributes = attributes.map_err(|reason| inodes::refuse(inode.path, reason))?;
        let (kind, size, content) = match inode.content {
            inodes::Content::Directory {
                parent,
                mut entries,
            } => {
                entries.push(Entry {
                    name: ".",
                    inode: index,
                });
                entries.push(Entry {
                    name: "..",
                    inode: parent,
                });
                // Some names come before those.
                entries.sort_unstable();
                let size = directory::size(&directory::blocks(&entries));
                (Kind::Directory, size, Content::Entries(entries))
            }
            inodes::Content::File(content) => (Kind::File, content.size(), Content::File(content)),
            inodes::Content::Symlink(target) => {
                let size = target.len() as u64;
                (Kind::Symlink, size, Content::Symlink(target))
            }
        };
        let inode = Inode {
            kind,
            mode: inode.mode,
            links: inode.links,
            size,
            attributes,
        };
        Ok(Self { inode, content })
    }

    /// The size of its inode with attributes.
    pub fn head(&self) -> u64 {
        self.inode.head() + self.inode.attributes.len() as u64
    }

    /// What is left behind its whole blocks.
    pub fn rest(&self) -> u64 {
        self.inode.size % BLOCK
    }
}
