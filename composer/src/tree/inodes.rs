//! What has an inode in a file system as Unix knows them.

use std::collections::BTreeMap;

use tree_manifest::TreePath;

use super::{Attribute, FileContent, FileTree, Node, links};
use crate::error::Error;
use crate::source::Sources;

/// The longest name of an entry, as Linux has it.
const LONGEST_NAME: usize = 255;

/// The longest text of a link that Linux reads.
const LONGEST_LINK: usize = 4095;

/// Something with an inode, which belongs to root.
#[derive(Debug)]
pub(crate) struct Inode<'a> {
    /// Its first place; none is the root's.
    pub path: Option<&'a TreePath>,
    /// The permissions.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The extended attributes.
    pub attributes: &'a [Attribute],
    /// What it is of.
    pub content: Content<'a>,
}

/// What an inode is of.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// A directory.
    Directory {
        /// The inode of the one above, among all; the root is above itself.
        parent: usize,
        /// What is in it, in path order.
        entries: Vec<Entry<'a>>,
    },
    /// A file.
    File(&'a FileContent),
    /// A symbolic link.
    Symlink(&'a str),
}

/// What an inode is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl Kind {
    /// The type as directories have it.
    pub fn in_directory(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Symlink => 7,
        }
    }

    /// The type in the upper bits of permissions.
    pub fn mode(self) -> u16 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
        }
    }
}

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry<'a> {
    /// The name.
    pub name: &'a str,
    /// Which inode it names, among all.
    pub inode: usize,
}

/// Why what is at a place, or at the root, cannot be in a file system.
pub(crate) fn refuse(path: Option<&TreePath>, reason: String) -> Error {
    let path = path.map_or_else(|| "/".to_owned(), TreePath::to_string);
    Error::NotForFileSystem { path, reason }
}

/// Splits the name of an attribute: the number of its namespace among these, and what is left.
///
/// # Errors
/// With the reason when a file system that knows these has no such name.
pub(crate) fn namespaced<'a>(
    name: &'a str,
    known: &[(&str, u8)],
) -> Result<(u8, &'a str), &'static str> {
    let split = |(prefix, number): &(&str, u8)| Some((*number, name.strip_prefix(prefix)?));
    let found = known.iter().find_map(split);
    let (number, bare) = found.ok_or("it knows no such namespace")?;
    if bare.len() > LONGEST_NAME {
        return Err("its name is too long");
    }
    Ok((number, bare))
}

/// The inodes of a tree: the root, then the others in path order. A file that has more
/// names than `most_links` becomes several.
///
/// # Errors
/// When Linux has no such name or link.
pub(crate) fn of<'a>(
    tree: &'a FileTree,
    sources: &Sources,
    most_links: u32,
) -> Result<Vec<Inode<'a>>, Error> {
    let links = links::of(tree, sources);
    let root = Content::Directory {
        parent: 0,
        entries: Vec::new(),
    };
    let mut inodes = vec![Inode {
        path: None,
        mode: FileTree::ROOT_MODE,
        // Its name and its `.`.
        links: 2,
        attributes: &[],
        content: root,
    }];
    let mut by_path: BTreeMap<&TreePath, usize> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let parent = path.parent().map_or(0, |parent| by_path[&parent]);
        let first = links.get(path).map(|first| (*first, by_path[first]));
        let index = match first {
            Some((_, index)) if inodes[index].links < most_links => {
                inodes[index].links += 1;
                index
            }
            _ => {
                inodes.push(inode(tree, path, node, parent)?);
                inodes.len() - 1
            }
        };
        inodes[parent].add(path.name(), index, node);
        by_path.insert(path, index);
        if let Some((first, _)) = first {
            by_path.insert(first, index);
        }
    }
    Ok(inodes)
}

/// The inode of what is at a place of a tree.
fn inode<'a>(
    tree: &'a FileTree,
    path: &'a TreePath,
    node: &'a Node,
    parent: usize,
) -> Result<Inode<'a>, Error> {
    let content = match node {
        Node::Directory => Content::Directory {
            parent,
            entries: Vec::new(),
        },
        Node::File(content) => Content::File(content),
        Node::Symlink(target) => Content::Symlink(target),
    };
    let inode = Inode {
        path: Some(path),
        mode: tree.mode(path),
        links: if *node == Node::Directory { 2 } else { 1 },
        attributes: tree.attributes(path),
        content,
    };
    if path.name().len() > LONGEST_NAME {
        return Err(refuse(
            inode.path,
            format!("a name has at most {LONGEST_NAME} bytes"),
        ));
    }
    match &inode.content {
        Content::Symlink(target) if target.len() > LONGEST_LINK => Err(refuse(
            inode.path,
            format!("a link leads at most {LONGEST_LINK} bytes far"),
        )),
        Content::Symlink(target) if target.is_empty() || target.contains('\0') => Err(refuse(
            inode.path,
            "a link leads somewhere, by a text without NUL".to_owned(),
        )),
        _ => Ok(inode),
    }
}

impl<'a> Inode<'a> {
    /// Adds an entry to a directory.
    fn add(&mut self, name: &'a str, inode: usize, node: &Node) {
        let Content::Directory { entries, .. } = &mut self.content else {
            unreachable!("only directories hold something");
        };
        entries.push(Entry { name, inode });
        // The `..` of another directory.
        self.links += u32::from(*node == Node::Directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::made_up::{path, source};

    #[test]
    fn a_file_with_more_names_than_there_may_be_becomes_several() {
        let (mut tree, mut sources) = (FileTree::default(), Sources::default());
        for name in ["a", "b", "c/d", "e", "f"] {
            let content = source(&mut sources, name, 7, 3);
            tree.add_file(path(name), content).unwrap();
        }
        let found = |most| {
            let inodes = of(&tree, &sources, most).unwrap();
            let said = inodes.iter().map(|inode| match &inode.content {
                Content::Directory { entries, .. } => {
                    let entries = entries.iter();
                    let entries = entries.map(|entry| format!("{}={}", entry.name, entry.inode));
                    format!("{}[{}]", inode.links, entries.collect::<Vec<_>>().join(" "))
                }
                _ => format!("{} names", inode.links),
            });
            said.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(found(9), "3[a=1 b=1 c=2 e=1 f=1], 5 names, 2[d=1]");
        assert_eq!(
            found(2),
            "3[a=1 b=1 c=2 e=3 f=4], 2 names, 2[d=3], 2 names, 1 names"
        );
    }
}
