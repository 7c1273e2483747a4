//! Trees for file systems as Unix knows them.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use composer::tree::{FileContent, FileTree, Node};
use extents::ExtentMap;
use tree_manifest::TreePath;

use crate::name::Name;
use crate::volume::bytes_of;

/// The size of a block.
const BLOCK: usize = 4096;

/// What a tree is made of.
#[derive(Debug, Arbitrary)]
pub struct Wish {
    objects: Vec<Object>,
    /// Empty files in one folder.
    crowd: Option<u8>,
}

#[derive(Debug, Arbitrary)]
struct Object {
    folders: Vec<Name>,
    name: Name,
    kind: u8,
    size: u16,
    mode: u16,
    attribute: Option<u16>,
}

/// Type as directories have it, permissions and content of everything below the root.
pub type Found = BTreeMap<String, (u8, u32, Vec<u8>)>;

impl Wish {
    /// The tree, and what is in it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn tree(&self) -> (FileTree, Found) {
        let mut tree = FileTree::default();
        for (number, object) in (1_u8..).zip(self.objects.iter().take(60)) {
            // What cannot be added is left out.
            let _ = object.add(number, &mut tree);
        }
        for number in 0..self.crowd.map_or(0, |count| u16::from(count) * 4) {
            let path = TreePath::new(format!("crowd/a long name in a crowd {number}"));
            let content = FileContent::Bytes([].as_slice().into());
            let _ = tree.add_file(path.expect("a path"), content);
        }
        let found = found(&tree);
        (tree, found)
    }
}

impl Object {
    /// Adds it to a tree, which stays as it is when that cannot be.
    fn add(&self, number: u8, tree: &mut FileTree) -> Option<()> {
        let parts = self.folders.iter().take(12).chain([&self.name]);
        let parts: Vec<&str> = parts.map(|name| name.0.as_str()).collect();
        let path = TreePath::on_unix(parts.join("/")).ok()?;
        let size = usize::from(self.size);
        let mut grown = tree.clone();
        let added = match self.kind % 5 {
            0 => grown.add_directory(path.clone()),
            1 => grown.add_symlink(path.clone(), "x".repeat(1 + size % (BLOCK - 1))),
            2 => grown.add_file(path.clone(), FileContent::Pieces(sparse(self.size, number))),
            _ => {
                let content = vec![number; size];
                grown.add_file(path.clone(), FileContent::Bytes(content.as_slice().into()))
            }
        };
        added.ok()?;
        grown.set_mode(path.clone(), u32::from(self.mode % 0o10000));
        // Few are large, which some file systems refuse.
        let attribute = self.attribute.map(|size| match size % 16 {
            0 => vec![7; usize::from(size)],
            _ => vec![7; usize::from(size % 300)],
        });
        let attribute = attribute.map(|value| ("user.note".to_owned(), value));
        grown.set_attributes(&path, attribute.into_iter().collect());
        *tree = grown;
        Some(())
    }
}

/// A file of 16 blocks and a bit, of which those of a number are no holes.
fn sparse(blocks: u16, byte: u8) -> ExtentMap {
    let mut map = ExtentMap::hole(16 * BLOCK as u64 + u64::from(byte));
    for block in (0..16).filter(|block| blocks >> block & 1 == 1) {
        map.push_bytes(block * BLOCK as u64, vec![byte; BLOCK]);
    }
    map
}

fn found(tree: &FileTree) -> Found {
    let found = tree.iter().map(|(path, node)| {
        let (kind, content) = match node {
            Node::Directory => (2, Vec::new()),
            Node::Symlink(target) => (7, target.clone().into_bytes()),
            Node::File(content) => (1, bytes_of(&content.extents())),
        };
        (format!("/{path}"), (kind, tree.mode(path), content))
    });
    found.collect()
}
