//! Finds out whether a partition holds all of one directory and nothing else.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::PartitionConfig;
use crate::tree::FileTree;

/// The directory that a partition is all of, if it is, so that a program may read it by
/// itself. Its own permissions must be those that the root gets.
pub fn directory(config: &PartitionConfig, base: &Path) -> Option<PathBuf> {
    let has_more = config.has_store()
        || config.registration.is_some()
        || [
            &config.exclude_files,
            &config.exclude_files_target,
            &config.make_directories,
            &config.make_symlinks,
            &config.subvolumes,
        ]
        .iter()
        .any(|list| !list.is_empty());
    if has_more {
        return None;
    }
    let from = match (&config.tree, config.copy_files.as_slice()) {
        (Some(tree), []) if !tree.contains('#') => tree,
        (None, [item]) => {
            let (from, to) = item.split_once(':')?;
            to.trim_matches('/').is_empty().then_some(from)?
        }
        _ => return None,
    };
    let path = base.join(from);
    let metadata = fs::metadata(&path).ok()?;
    let is_like_root = metadata.is_dir() && metadata.mode() & 0o7777 == FileTree::ROOT_MODE;
    is_like_root.then_some(path)
}
