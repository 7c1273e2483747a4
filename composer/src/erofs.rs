//! EROFS file systems without compression, laid out as extents.
//!
//! Specification: the kernel's `Documentation/filesystems/erofs.rst`, and
//! `fs/erofs/erofs_fs.h` for the bytes of each structure.
//!
//! Everything belongs to root and has one time, so every inode but those of files of 4 GiB
//! has its short form. File data is named, not read. Whole blocks of files lie behind the
//! metadata, on multiples of [`BLOCK`], so that a sink can share them with the source. What
//! is left of a file, a directory or a link lies behind its inode, if it fits into one
//! block with it: that is the end of most files, and all of a small one.
//!
//! ```text
//! superblock, root │ inodes, ends of files │ directories │ whole blocks of files
//! ```
//!
//! The same tree, sources and identifiers give the same bytes. There are no shared
//! attributes, no chunks and no holes: a hole of a source is one of the image alone.

mod attributes;
mod contents;
mod directory;
mod inode;
mod layout;
mod render;
mod slots;
mod superblock;

use extents::ExtentMap;

use crate::error::Error;
use crate::source::Sources;
use crate::tree::FileTree;
pub use crate::volume_id::VolumeId;
use contents::Contents;
use layout::Layout;
use render::Volume;

/// The size of a block. Kernels with pages of 4096 bytes read no larger ones, and file
/// systems that can share blocks have these.
pub const BLOCK: u64 = 4096;

/// Lays out a volume.
///
/// # Errors
/// When EROFS cannot hold a name, a link, an attribute, or so much.
pub fn plan(tree: &FileTree, sources: &Sources, id: &VolumeId) -> Result<ExtentMap, Error> {
    let contents = &Contents::of(tree, sources)?;
    let layout = &Layout::of(contents)?;
    let volume = Volume {
        contents,
        layout,
        id,
    };
    Ok(volume.extents())
}

#[cfg(test)]
mod tests;
