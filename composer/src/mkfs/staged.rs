//! A copy of a tree in a folder, for programs that read nothing else.
//!
//! It shares its blocks with the sources where the file system can.
#![expect(clippy::disallowed_methods, reason = "copies trees")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;

use crate::error::{self, Error};
use crate::raw;
use crate::source::Sources;
use crate::tree::{Attribute, FileContent, FileTree, Node, links};

/// A copy of a tree, which goes with this.
#[derive(Debug)]
pub struct StagedTree {
    /// Where it is.
    pub folder: PathBuf,
    /// Its directories, from above.
    directories: Vec<PathBuf>,
}

impl StagedTree {
    /// Copies a tree to a new folder.
    ///
    /// # Errors
    /// When a source cannot be read or changed, or the copy cannot be written.
    pub fn copy(tree: &FileTree, sources: &Sources, folder: PathBuf) -> Result<Self, Error> {
        let directories = tree.iter();
        let directories = directories.filter(|(_, node)| matches!(node, Node::Directory));
        let directories = directories.map(|(path, _)| path.on(&folder)).collect();
        let staged = Self {
            folder,
            directories,
        };
        copy_tree(tree, sources, &staged.folder)?;
        Ok(staged)
    }
}

/// Copies a tree to a new folder, which stays.
///
/// # Errors
/// When a source cannot be read or changed, or the copy cannot be written.
pub fn copy_tree(tree: &FileTree, sources: &Sources, folder: &Path) -> Result<(), Error> {
    fs::create_dir(folder).map_err(error::write(folder))?;
    let links = links::of(tree, sources);
    let mut directories = Vec::new();
    for (path, node) in tree.iter() {
        let place = path.on(folder);
        match node {
            Node::Directory => {
                fs::create_dir(&place).map_err(error::write(&place))?;
                set_attributes(&place, tree.attributes(path))?;
                directories.push((place, tree.mode(path)));
            }
            Node::Symlink(leads) => symlink(leads, &place).map_err(error::write(&place))?,
            Node::File(_) if links.contains_key(path) => {
                let first = links[path].on(folder);
                fs::hard_link(first, &place).map_err(error::write(&place))?;
            }
            Node::File(content) => {
                copy_content(content, sources, &place)?;
                set_attributes(&place, tree.attributes(path))?;
                set_mode(&place, tree.mode(path))?;
            }
        }
    }
    // These come last and from below: one may permit nobody to write to it.
    for (directory, mode) in directories.iter().rev() {
        set_mode(directory, *mode)?;
    }
    set_mode(folder, FileTree::ROOT_MODE)
}

impl Drop for StagedTree {
    fn drop(&mut self) {
        // What cannot be removed here is reported by nobody: it lies in a folder that is
        // removed as well.
        for directory in &self.directories {
            let _ = set_mode(directory, 0o700);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Writes what is to be in a file to a new one.
///
/// # Errors
/// When a source cannot be read or changed, or the copy cannot be written.
pub fn copy_content(content: &FileContent, sources: &Sources, to: &Path) -> Result<(), Error> {
    let file = File::create_new(to).map_err(error::write(to))?;
    raw::fill(&content.extents(), sources, &file, to)
}

fn set_attributes(path: &Path, attributes: &[Attribute]) -> Result<(), Error> {
    for (name, value) in attributes {
        let set = rustix::fs::setxattr(path, name.as_str(), value, XattrFlags::empty());
        set.map_err(|errno| error::write(path)(errno.into()))?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(error::write(path))
}
