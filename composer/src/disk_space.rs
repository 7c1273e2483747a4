//! Whether a file system has room for a file that is to be written.
#![expect(clippy::disallowed_methods, reason = "asks what sources take")]

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use extents::{Content, ExtentMap};

use crate::error::{self, Error};
use crate::size::ByteSize;
use crate::source::Sources;

/// File systems that share no blocks between files, by the numbers of `statfs(2)`: FAT, ext4
/// and tmpfs. What others do is not known here.
const SHARE_NOTHING: [u64; 3] = [0x4d44, 0xef53, 0x0102_1994];

/// Refuses to write what cannot fit. `file` is the empty one that is written to.
///
/// Slices that may share their blocks with a source are not counted.
///
/// # Errors
/// When there is too little room, or the file system cannot be asked.
pub(crate) fn check(
    file: &File,
    output: &Path,
    extents: &ExtentMap,
    sources: &Sources,
) -> Result<(), Error> {
    let (kind, free) = ask(file, output)?;
    let device = file.metadata().map_err(error::write(output))?.dev();
    let is_copied = |content: &Content| match content {
        Content::Bytes(_) => true,
        Content::Slice { source, .. } => {
            let (from, _) = sources.get(*source).stamp.inode;
            from != device || SHARE_NOTHING.contains(&kind)
        }
    };
    let copied = extents.extents().iter();
    let copied = copied.filter(|extent| is_copied(&extent.content));
    let copied: Vec<_> = copied.collect();
    if copied.iter().map(|extent| extent.length).sum::<u64>() <= free {
        return Ok(());
    }
    // Holes of sources stay holes.
    let needed = copied.iter().map(|extent| match &extent.content {
        Content::Bytes(_) => extent.length,
        Content::Slice { source, .. } => {
            let found = std::fs::metadata(&sources.get(*source).path);
            let taken = found.map_or(u64::MAX, |found| found.blocks().saturating_mul(512));
            extent.length.min(taken)
        }
    });
    let needed = needed.sum();
    if needed > free {
        return Err(full(output, needed, free));
    }
    Ok(())
}

/// A file system that turned out to be full, or another error as it is.
pub(crate) fn explain(error: Error, file: &File, needed: u64) -> Error {
    let is_full = |source: &std::io::Error| source.kind() == ErrorKind::StorageFull;
    match &error {
        Error::Write { path, source } if is_full(source) => {
            // What is written so far goes with the file.
            let emptied = file.set_len(0).is_ok();
            match ask(file, path) {
                Ok((_, free)) if emptied => full(path, needed, free),
                _ => error,
            }
        }
        _ => error,
    }
}

/// A file system that a program is about to write to.
pub(crate) struct Room<'a> {
    /// A file on it, or a folder.
    file: &'a File,
    path: &'a Path,
    kind: u64,
    free: u64,
}

/// So little is left only where a write has failed, in bytes.
const USED_UP: u64 = 1 << 20;

impl<'a> Room<'a> {
    /// Notes what is free.
    ///
    /// # Errors
    /// When the file system cannot be asked.
    pub fn before(file: &'a File, path: &'a Path) -> Result<Self, Error> {
        let (kind, free) = ask(file, path)?;
        Ok(Self {
            file,
            path,
            kind,
            free,
        })
    }

    /// Whether its files may share blocks.
    pub fn shares_blocks(&self) -> bool {
        !SHARE_NOTHING.contains(&self.kind)
    }

    /// A file system that a program has used up, or another error as it is.
    pub fn explain(&self, error: Error) -> Error {
        let is_used_up = match &error {
            Error::Program { said, .. } => {
                // Some remove what they wrote, and some say it in another language.
                said.contains("No space left on device")
                    || ask(self.file, self.path).is_ok_and(|(_, left)| left < USED_UP)
            }
            Error::Write { source, .. } => source.kind() == ErrorKind::StorageFull,
            _ => false,
        };
        if !is_used_up {
            return error;
        }
        Error::UsedUp {
            path: self.path.to_owned(),
            free: ByteSize(self.free),
            source: Box::new(error),
        }
    }
}

fn full(path: &Path, needed: u64, free: u64) -> Error {
    Error::DiskFull {
        path: path.to_owned(),
        needed: ByteSize(needed),
        free: ByteSize(free),
    }
}

/// The kind of a file system, and its free bytes.
fn ask(file: &File, path: &Path) -> Result<(u64, u64), Error> {
    let found = rustix::fs::fstatfs(file).map_err(|errno| error::write(path)(errno.into()))?;
    let kind = u64::try_from(found.f_type).unwrap_or_default();
    let block = u64::try_from(found.f_bsize).unwrap_or_default();
    // Some file systems say nothing of their size.
    if found.f_blocks == 0 {
        return Ok((kind, u64::MAX));
    }
    Ok((kind, found.f_bavail.saturating_mul(block)))
}
