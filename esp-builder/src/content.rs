//! Makes the bytes of recipes.
//!
//! Content is shared where the file system can, and copied elsewhere. What it was made
//! of is read for the digest, not what was made: shared blocks have no cached pages
//! yet. That the sources are the same before and after makes the digest that of both.
#![expect(clippy::disallowed_methods, reason = "making content reads sources")]

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use extents::copy::{Copier, Slice};
use extents::{Content, copy};
use tree_manifest::{Hasher, Sha256};

use crate::assembled::{Assembled, Piece};
use crate::error::Error;
use crate::plan::Recipe;

/// How much is read and hashed at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// Why content was not made.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A source cannot be read.
    Read { path: PathBuf, source: io::Error },
    /// The target cannot be written.
    Write(io::Error),
    /// A source is not what it was when the plan was made.
    Changed { path: PathBuf, reason: String },
}

impl Failure {
    /// As the cause of a write that failed.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Write(error) => error,
            Self::Read { path, source } => {
                let text = format!("cannot read `{}`: {source}", path.display());
                io::Error::new(source.kind(), text)
            }
            Self::Changed { path, reason } => {
                let path = path.display();
                io::Error::other(format!("`{path}` changed while it was read: {reason}"))
            }
        }
    }

    /// The error of content for `target`.
    pub(crate) fn into_error(self, target: &Path) -> Error {
        match self {
            Self::Read { path, source } => Error::Read { path, source },
            Self::Changed { path, reason } => Error::Changed { path, reason },
            Self::Write(source) => Error::Write {
                path: target.into(),
                source,
            },
        }
    }
}

/// Makes the bytes of a recipe, in an empty file if there is one, and returns their
/// digest. `progress` is told of every piece that was read, by its length in bytes.
pub(crate) fn make(
    recipe: &Recipe,
    target: Option<&File>,
    progress: &dyn Fn(u64),
) -> Result<Sha256, Failure> {
    let bytes = match recipe {
        Recipe::Text(text) => text.as_bytes(),
        Recipe::Secret(secret) => secret.bytes(),
        Recipe::Copy { from, size } => return copy_file(from, *size, target, progress),
    };
    if let Some(mut target) = target {
        target.write_all(bytes).map_err(Failure::Write)?;
    }
    progress(bytes.len() as u64);
    Ok(Sha256::of(bytes))
}

/// Writes a file that is put together, without taking its digest.
pub(crate) fn write(assembled: &Assembled, target: &File) -> Result<(), Failure> {
    let sources = Opened::all(assembled)?;
    let map = &assembled.map;
    target.set_len(map.length()).map_err(Failure::Write)?;
    let mut copier = Copier::default();
    for extent in map.extents() {
        match &extent.content {
            Content::Bytes(bytes) => target
                .write_all_at(bytes, extent.start)
                .map_err(Failure::Write)?,
            Content::Slice { source, offset } => {
                let from = &sources[source.index()];
                let slice = Slice {
                    read_at: *offset,
                    write_at: extent.start,
                    length: extent.length,
                };
                let made = copier.copy(&from.file, target, slice, &mut |_| {});
                made.map_err(|failure| match failure {
                    copy::Failure::Read(error) => from.unreadable(error),
                    copy::Failure::Write(error) => Failure::Write(error),
                    copy::Failure::Ended => from.changed("it is shorter now".to_owned()),
                })?;
            }
        }
    }
    sources.iter().try_for_each(Opened::check_untouched)
}

/// Reads a file that is put together, from its start to its end, piece by piece.
pub(crate) fn read(assembled: &Assembled, each: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    let mut read = 0;
    let map = &assembled.map;
    for extent in map.extents() {
        fill(extent.start - read, each);
        read = extent.end();
        match &extent.content {
            Content::Bytes(bytes) => each(bytes),
            Content::Slice { source, offset } => {
                let Piece { path, size } = assembled.sources.get(*source);
                let from = Opened::new(path, *size)?;
                let end = offset + extent.length;
                let mut at = *offset;
                while at < end {
                    let left = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                    let piece = &mut buffer[..left];
                    let found = from.file.read_exact_at(piece, at);
                    found.map_err(|error| from.unreadable(error))?;
                    each(piece);
                    at += left as u64;
                }
                from.check_untouched()?;
            }
        }
    }
    fill(map.length() - read, each);
    Ok(())
}

/// Hands out zeros.
fn fill(mut count: u64, each: &mut dyn FnMut(&[u8])) {
    const ZEROS: [u8; 512] = [0; 512];
    while count > 0 {
        let piece = usize::try_from(count)
            .unwrap_or(ZEROS.len())
            .min(ZEROS.len());
        each(&ZEROS[..piece]);
        count -= piece as u64;
    }
}

/// Copies a file and hashes it; without a target, hashes it.
fn copy_file(
    from: &Path,
    size: u64,
    target: Option<&File>,
    progress: &dyn Fn(u64),
) -> Result<Sha256, Failure> {
    let opened = Opened::new(from, size)?;
    let mut source = &opened.file;
    // A clone that is refused (another file system, or one that cannot) wrote
    // nothing, so copying starts afresh.
    let mut target = target.filter(|target| rustix::fs::ioctl_ficlone(target, source).is_err());
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(opened.unreadable(error)),
        };
        hasher.update(&buffer[..count]);
        if let Some(target) = &mut target {
            target.write_all(&buffer[..count]).map_err(Failure::Write)?;
        }
        progress(count as u64);
    }
    let (digest, length) = hasher.finish();
    opened.check_length(length)?;
    opened.check_untouched()?;
    Ok(digest)
}

/// A source, as it is while it is read.
struct Opened<'a> {
    path: &'a Path,
    planned: u64,
    file: File,
    before: Metadata,
}

impl<'a> Opened<'a> {
    fn new(path: &'a Path, planned: u64) -> Result<Self, Failure> {
        let unreadable = |source| Failure::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let before = file.metadata().map_err(unreadable)?;
        let opened = Self {
            path,
            planned,
            file,
            before,
        };
        opened.check_length(opened.before.len())?;
        Ok(opened)
    }

    fn all(assembled: &'a Assembled) -> Result<Vec<Self>, Failure> {
        let pieces = assembled.sources.iter();
        pieces
            .map(|Piece { path, size }| Self::new(path, *size))
            .collect()
    }

    fn check_length(&self, found: u64) -> Result<(), Failure> {
        if found == self.planned {
            return Ok(());
        }
        Err(self.changed(format!("{found} bytes instead of {}", self.planned)))
    }

    fn check_untouched(&self) -> Result<(), Failure> {
        let after = self
            .file
            .metadata()
            .map_err(|error| self.unreadable(error))?;
        if stamp(&self.before) == stamp(&after) {
            return Ok(());
        }
        Err(self.changed("something wrote to it".to_owned()))
    }

    fn unreadable(&self, source: io::Error) -> Failure {
        Failure::Read {
            path: self.path.into(),
            source,
        }
    }

    fn changed(&self, reason: String) -> Failure {
        Failure::Changed {
            path: self.path.into(),
            reason,
        }
    }
}

/// What changes when somebody writes to a file.
fn stamp(metadata: &Metadata) -> (u64, i64, i64) {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}
