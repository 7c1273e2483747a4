//! What is in a volume: inodes, and what they are of.

use extents::ExtentMap;
use uuid::Uuid;

use super::BLOCK;
use super::attributes::{self, Attributes};
use super::directory::Directory;
use super::inode::{Kind, MOST_LINKS};
use crate::error::Error;
use crate::source::Sources;
use crate::tree::inodes::{self, Entry};
use crate::tree::{FileContent, FileTree};

/// The number of the root.
const ROOT: u32 = 2;

/// The number of the first inode that is not kept for something, which is that of
/// [`LOST_AND_FOUND`].
pub const FIRST: u32 = 11;

/// Where checks of the file system put what has lost its name.
const LOST_AND_FOUND: &str = "lost+found";

/// The blocks of that folder, since there may be no others when it is needed.
const ROOM_FOR_LOST: usize = 4;

/// A link of fewer bytes is in its inode.
pub const SHORT_LINK: u64 = 60;

/// The most blocks of a file: 32 bits number them.
const MOST_BLOCKS: u64 = u32::MAX as u64;

/// Everything in a volume.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The root, then the others.
    pub objects: Vec<Object<'a>>,
    /// Which of them is the folder of what was lost.
    lost_and_found: usize,
}

/// Something with an inode.
#[derive(Debug)]
pub struct Object<'a> {
    /// What it is.
    pub kind: Kind,
    /// The permissions.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The extended attributes.
    pub attributes: Attributes,
    /// What it is of.
    pub content: Content<'a>,
    /// Its blocks that are no holes: the first of each run, and how many there are.
    pub runs: Vec<(u64, u64)>,
}

/// What an inode is of.
#[derive(Debug)]
pub enum Content<'a> {
    /// A directory.
    Directory(Directory<'a>),
    /// A file: its bytes, without its holes.
    File(FileBytes<'a>),
    /// A symbolic link.
    Symlink(&'a str),
}

/// The bytes of a file.
#[derive(Debug)]
pub enum FileBytes<'a> {
    /// All of something.
    Whole(&'a FileContent),
    /// With holes between them.
    Sparse(ExtentMap),
}

impl<'a> Contents<'a> {
    /// Finds everything in a tree. The UUID of the volume is the seed of its hashes.
    ///
    /// # Errors
    /// When ext4 cannot hold a name, a link, an attribute or a file.
    pub fn of(tree: &'a FileTree, sources: &Sources, uuid: Uuid) -> Result<Self, Error> {
        let mut inodes = inodes::of(tree, sources, MOST_LINKS)?;
        let mut found = lost_and_found(&inodes);
        if let Some(found) = found
            && !matches!(inodes[found].content, inodes::Content::Directory { .. })
        {
            let reason = "in ext4 it is a folder, for what checks find".to_owned();
            return Err(inodes::refuse(inodes[found].path, reason));
        }
        let added = inodes.len();
        if found.is_none()
            && let inodes::Content::Directory { entries, .. } = &mut inodes[0].content
        {
            let (name, inode) = (LOST_AND_FOUND, added);
            entries.push(Entry { name, inode });
            entries.sort_unstable();
            inodes[0].links += 1;
        }
        let objects = inodes.into_iter().enumerate();
        let objects = objects.map(|(index, inode)| Object::of(inode, index, sources, uuid));
        let mut objects: Vec<_> = objects.collect::<Result<_, _>>()?;
        if found.is_none() {
            let directory = Directory::with_room([added, 0], ROOM_FOR_LOST);
            let content = Content::Directory(directory);
            objects.push(Object {
                kind: Kind::Directory,
                mode: 0o700,
                links: 2,
                attributes: Attributes::default(),
                runs: content.runs(),
                content,
            });
        }
        Ok(Self {
            objects,
            lost_and_found: *found.get_or_insert(added),
        })
    }

    /// The number of an object's inode: after the folder of what was lost, in their order.
    pub fn number(&self, index: usize) -> u32 {
        let before = usize::from(index < self.lost_and_found);
        match index {
            0 => ROOT,
            index if index == self.lost_and_found => FIRST,
            index => FIRST + u32::try_from(index - 1 + before).unwrap_or(u32::MAX - FIRST),
        }
    }

    /// How many inodes are taken: those with a number up to the greatest.
    pub fn inodes(&self) -> u64 {
        u64::from(FIRST) + self.objects.len() as u64 - 2
    }

    /// How many blocks it takes at least.
    pub fn blocks(&self) -> u64 {
        let all = self.objects.iter();
        all.map(|object| {
            let data: u64 = object.runs.iter().map(|run| run.1).sum();
            data + u64::from(object.attributes.block.is_some())
        })
        .sum()
    }
}

/// The inode of the folder of what was lost, if the tree has it.
fn lost_and_found(inodes: &[inodes::Inode<'_>]) -> Option<usize> {
    let inodes::Content::Directory { entries, .. } = &inodes[0].content else {
        return None;
    };
    let found = entries.iter().find(|entry| entry.name == LOST_AND_FOUND);
    found.map(|entry| entry.inode)
}

impl<'a> Object<'a> {
    /// What has an inode that is number `index` among all.
    fn of(
        inode: inodes::Inode<'a>,
        index: usize,
        sources: &Sources,
        uuid: Uuid,
    ) -> Result<Self, Error> {
        let path = inode.path;
        let refuse = |reason| inodes::refuse(path, reason);
        let attributes = attributes::render(inode.attributes).map_err(refuse)?;
        let (kind, content) = match inode.content {
            inodes::Content::Directory { parent, entries } => {
                let directory = Directory::of([index, parent], entries, uuid);
                let directory = directory.map_err(refuse)?;
                (Kind::Directory, Content::Directory(directory))
            }
            inodes::Content::File(content) => {
                if content.size().div_ceil(BLOCK) > MOST_BLOCKS {
                    let reason = "a file has at most 16 TiB in ext4".to_owned();
                    return Err(refuse(reason));
                }
                (Kind::File, Content::File(FileBytes::of(content, sources)))
            }
            inodes::Content::Symlink(target) => (Kind::Symlink, Content::Symlink(target)),
        };
        Ok(Self {
            kind,
            mode: inode.mode,
            links: inode.links,
            attributes,
            runs: content.runs(),
            content,
        })
    }

    /// Whether it is a file, whose blocks lie apart.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

impl Content<'_> {
    /// The length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Directory(directory) => directory.blocks() * BLOCK,
            Self::File(FileBytes::Whole(content)) => content.size(),
            Self::File(FileBytes::Sparse(map)) => map.length(),
            Self::Symlink(target) => target.len() as u64,
        }
    }

    fn runs(&self) -> Vec<(u64, u64)> {
        match self {
            Self::File(FileBytes::Sparse(map)) => runs(map),
            Self::Symlink(target) if (target.len() as u64) < SHORT_LINK => Vec::new(),
            _ if self.size() == 0 => Vec::new(),
            _ => vec![(0, self.size().div_ceil(BLOCK))],
        }
    }
}

impl<'a> FileBytes<'a> {
    fn of(content: &'a FileContent, sources: &Sources) -> Self {
        match content {
            FileContent::Source(source, size) => match sources.data(*source) {
                Some(data) => Self::Sparse(ExtentMap::of_source(*size, *source, data)),
                None => Self::Whole(content),
            },
            FileContent::Pieces(map) => Self::Sparse(map.clone()),
            FileContent::Bytes(_) => Self::Whole(content),
        }
    }

    /// Where some of the bytes come from, as far as there are so many.
    pub fn slice(&self, start: u64, length: u64) -> ExtentMap {
        let of = |map: &ExtentMap| map.slice(start, length.min(map.length() - start));
        match self {
            Self::Whole(content) => of(&content.extents()),
            Self::Sparse(map) => of(map),
        }
    }
}

/// The blocks of a map that are no holes.
fn runs(map: &ExtentMap) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for extent in map.extents() {
        let (start, end) = (extent.start / BLOCK, extent.end().div_ceil(BLOCK));
        match runs.last_mut() {
            Some((first, count)) if *first + *count >= start => *count = end - *first,
            _ => runs.push((start, end - start)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_any_byte_are_no_holes() {
        let mut map = ExtentMap::hole(100_000);
        map.push_bytes(5000, vec![1; 10]);
        map.push_bytes(8000, vec![1; 300]);
        map.push_bytes(12_288, vec![1; 1]);
        map.push_bytes(20_480, vec![1; 4097]);
        assert_eq!(runs(&map), [(1, 3), (5, 2)]);
    }
}
