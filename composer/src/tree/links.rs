//! Hard links among the sources of a tree.

use std::collections::BTreeMap;
use std::path::Path;

use tree_manifest::TreePath;

use crate::source::Sources;
use crate::tree::{FileContent, FileTree, Node};

/// The places of a tree that have the file of an earlier place, and that place.
///
/// One source that was asked for twice becomes two files; two sources that are one file
/// become one.
pub fn of<'a>(tree: &'a FileTree, sources: &Sources) -> BTreeMap<&'a TreePath, &'a TreePath> {
    let mut first: BTreeMap<(u64, u64), (&TreePath, &Path)> = BTreeMap::new();
    let mut links = BTreeMap::new();
    for (place, node) in tree.iter() {
        let Node::File(FileContent::Source(id, _)) = node else {
            continue;
        };
        let source = sources.get(*id);
        let (earlier, path) = first
            .entry(source.stamp.inode)
            .or_insert((place, &source.path));
        if *path != source.path {
            links.insert(place, *earlier);
        }
    }
    links
}
