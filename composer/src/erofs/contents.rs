//! What is in a volume: inodes, and what they are of.

use std::collections::BTreeMap;

use tree_manifest::TreePath;

use super::directory::{self, Entry};
use super::inode::{Inode, Kind};
use super::{BLOCK, attributes};
use crate::error::Error;
use crate::source::Sources;
use crate::tree::{FileContent, FileTree, Node, links};

/// The longest name of an entry, as Linux has it.
const LONGEST_NAME: usize = 255;

/// The longest text of a link that Linux reads.
const LONGEST_LINK: usize = 4095;

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
        let links = links::of(tree, sources);
        let mut objects = vec![Object::directory(FileTree::ROOT_MODE, 0, 0)];
        let mut by_path: BTreeMap<&TreePath, usize> = BTreeMap::new();
        for (path, node) in tree.iter() {
            let parent = path.parent();
            let parent = parent.map_or(0, |parent| by_path[&parent]);
            let index = if let Some(first) = links.get(path) {
                let index = by_path[first];
                objects[index].inode.links += 1;
                index
            } else {
                let index = objects.len();
                let made = Object::of(tree, path, node, (index, parent));
                objects.push(made.map_err(|reason| Error::NotForErofs {
                    path: path.to_string(),
                    reason,
                })?);
                index
            };
            objects[parent].add(path.name(), index, node);
            by_path.insert(path, index);
        }
        for object in &mut objects {
            if let Content::Entries(entries) = &mut object.content {
                // Some names come before `.` and `..`.
                entries.sort_unstable();
                object.inode.size = directory::size(&directory::blocks(entries));
            }
        }
        Ok(Self { objects })
    }
}

impl<'a> Object<'a> {
    /// What is at a place of a tree; the reason if it cannot be there.
    fn of(
        tree: &'a FileTree,
        path: &TreePath,
        node: &'a Node,
        (index, parent): (usize, usize),
    ) -> Result<Self, String> {
        if path.name().len() > LONGEST_NAME {
            return Err(format!("a name has at most {LONGEST_NAME} bytes"));
        }
        let mode = tree.mode(path);
        let (kind, size, content) = match node {
            Node::Directory => {
                let mut directory = Self::directory(mode, index, parent);
                directory.inode.attributes = attributes::render(tree.attributes(path))?;
                return Ok(directory);
            }
            Node::File(content) => (Kind::File, content.size(), Content::File(content)),
            Node::Symlink(target) if target.len() > LONGEST_LINK => {
                return Err(format!("a link leads at most {LONGEST_LINK} bytes far"));
            }
            Node::Symlink(target) => {
                let size = target.len() as u64;
                (Kind::Symlink, size, Content::Symlink(target))
            }
        };
        let inode = Inode {
            kind,
            mode,
            links: 1,
            size,
            attributes: attributes::render(tree.attributes(path))?,
        };
        Ok(Self { inode, content })
    }

    /// A directory, of which nothing is known but itself and the one above.
    fn directory(mode: u32, index: usize, parent: usize) -> Self {
        let entry = |name, inode| Entry { name, inode };
        let inode = Inode {
            kind: Kind::Directory,
            mode,
            // Its name and its `.`.
            links: 2,
            size: 0,
            attributes: Vec::new(),
        };
        Self {
            inode,
            content: Content::Entries(vec![entry(".", index), entry("..", parent)]),
        }
    }

    /// Adds an entry to a directory.
    fn add(&mut self, name: &'a str, inode: usize, node: &Node) {
        let Content::Entries(entries) = &mut self.content else {
            unreachable!("only directories hold something");
        };
        entries.push(Entry { name, inode });
        // The `..` of another directory.
        self.inode.links += u32::from(*node == Node::Directory);
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
