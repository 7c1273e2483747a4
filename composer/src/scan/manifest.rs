//! Finds the files of trees that manifests describe.

use std::fs;
use std::path::{Path, PathBuf};

use tree_manifest::{Entry, File, Role, Tree, TreePath};

use super::{Scan, regular_file, stamp};
use crate::error::{self, Error};
use crate::source::Source;
use crate::tree::{FileContent, FileTree};

impl Scan<'_> {
    /// Adds the tree of one role of a manifest.
    pub(super) fn manifest(
        &mut self,
        tree: &mut FileTree,
        path: &str,
        role: &str,
    ) -> Result<(), Error> {
        let path = self.base.join(path);
        let directory = path.parent().unwrap_or(Path::new(""));
        // Taken first: what is written between the two looks changed, and is read.
        let written = stamp(&fs::metadata(&path).map_err(error::read(&path))?).modified;
        for (place, entry) in load_tree(&path, role)? {
            match entry {
                Entry::Directory { mode } => {
                    if let Some(mode) = mode {
                        tree.set_mode(place.clone(), u32::from(mode.bits()));
                    }
                    tree.add_directory(place)?;
                }
                Entry::File(file) => {
                    if let Some(mode) = file.mode {
                        tree.set_mode(place.clone(), u32::from(mode.bits()));
                    }
                    let content = self.manifest_file(&place, &file, directory, written)?;
                    tree.add_file(place, content)?;
                }
                Entry::Symlink { target } => tree.add_symlink(place, target)?,
            }
        }
        Ok(())
    }

    fn manifest_file(
        &mut self,
        place: &TreePath,
        file: &File,
        directory: &Path,
        written: i128,
    ) -> Result<FileContent, Error> {
        let path = match &file.source {
            tree_manifest::Source::Text(text) => {
                return Ok(FileContent::Bytes(text.as_bytes().into()));
            }
            tree_manifest::Source::Beside(path) => path.on(directory),
            tree_manifest::Source::Absolute(path) => PathBuf::from(path),
            tree_manifest::Source::Pieces(pieces) => {
                return self.pieces(place, file, pieces, written);
            }
            tree_manifest::Source::Nowhere => return Err(Error::NoSource(place.clone())),
        };
        let metadata = regular_file(&path)?;
        let (size, found) = (file.size, metadata.len());
        if found != size {
            let change = format!("went from {size} to {found} bytes");
            return Err(Error::NotAsManifest { path, change });
        }
        let stamp = stamp(&metadata);
        let sha256 = if self.is_doubtful(stamp, written) {
            Some(file.sha256.ok_or_else(|| undigested(&path))?)
        } else {
            None
        };
        Ok(FileContent::Source(
            self.sources.add(Source {
                path,
                size,
                stamp,
                sha256,
            }),
            size,
        ))
    }
}

/// Why a file is refused that may have changed, when nothing says what it was.
pub(super) fn undigested(path: &Path) -> Error {
    Error::NotAsManifest {
        path: path.to_owned(),
        change: "has no digest that tells whether it changed".to_owned(),
    }
}

/// The tree of one role of a manifest file.
///
/// # Errors
/// When the manifest cannot be read, or has no such tree.
pub fn load_tree(path: &Path, role: &str) -> Result<Tree, Error> {
    let mut manifest = tree_manifest::check::load(path).map_err(|source| Error::Manifest {
        path: path.to_owned(),
        source,
    })?;
    let tree = role
        .parse::<Role>()
        .ok()
        .and_then(|role| manifest.trees.remove(&role));
    tree.ok_or_else(|| {
        let known = manifest.trees.keys().map(|role| format!("`{role}`"));
        let known = known.collect::<Vec<_>>().join(", ");
        Error::NoTree {
            path: path.to_owned(),
            role: role.to_owned(),
            known,
        }
    })
}
