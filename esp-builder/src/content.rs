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

use bootloaders::Secret;
use extents::copy::{Copier, Slice};
use extents::{Content, SourceId, copy};
use tree_manifest::{Hasher, Sha256};

use crate::assembled::{Assembled, Piece, Written};
use crate::error::{Error, read_error};
use crate::plan::Recipe;

mod reader;

pub(crate) use reader::Reader;

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
        Recipe::Assembled(assembled) => {
            if let Some(target) = target {
                write(assembled, target)?;
            }
            return digest(assembled, progress);
        }
    };
    if let Some(mut target) = target {
        target.write_all(bytes).map_err(Failure::Write)?;
    }
    progress(bytes.len() as u64);
    Ok(Sha256::of(bytes))
}

/// When an inode last changed, in seconds and nanoseconds.
pub(crate) type Changed = (i64, i64);

/// When what a recipe is made of last changed, as long as it was when the plan was made.
/// Nothing is read.
pub(crate) fn changed(recipe: &Recipe) -> Result<Option<Changed>, Failure> {
    Ok(match recipe {
        Recipe::Text(_) | Recipe::Secret(_) => None,
        Recipe::Copy { from, size } => Some(Opened::new(from, Some(*size))?.changed_at),
        Recipe::Assembled(assembled) => {
            let sources = Source::all(assembled)?;
            let files = sources.iter().filter_map(|source| match source {
                Source::File(opened) => Some(opened.changed_at),
                Source::Secret(_) => None,
            });
            files.max()
        }
    })
}

/// Writes a file that is put together, without taking its digest.
pub(crate) fn write(assembled: &Assembled, target: &File) -> Result<(), Failure> {
    let sources = Source::all(assembled)?;
    let mut copier = Copier::default();
    let mut end = 0;
    for extent in assembled.map.extents() {
        let put = |bytes: &[u8]| target.write_all_at(bytes, extent.start);
        end = extent.end();
        match &extent.content {
            Content::Bytes(bytes) => put(bytes).map_err(Failure::Write)?,
            Content::Slice { source, offset } => match &sources[source.index()] {
                Source::Secret(secret) => {
                    put(slice(secret, *offset, extent.length)).map_err(Failure::Write)?;
                }
                Source::File(from) => {
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
            },
        }
    }
    // Not before: FAT would write every byte of a hole, and then again.
    let length = assembled.map.length();
    if end < length {
        target.set_len(length).map_err(Failure::Write)?;
    }
    sources.iter().try_for_each(Source::check_untouched)
}

/// The digest of a file that is put together.
pub(crate) fn digest(assembled: &Assembled, progress: &dyn Fn(u64)) -> Result<Sha256, Failure> {
    let mut hasher = Hasher::default();
    read(assembled, &mut |bytes| {
        hasher.update(bytes);
        progress(bytes.len() as u64);
    })?;
    Ok(hasher.finish().0)
}

/// Reads a file that is put together, from its start to its end, piece by piece.
pub(crate) fn read(assembled: &Assembled, each: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
    let sources = Source::all(assembled)?;
    let fill = |id: SourceId, offset, buffer: &mut [u8]| match &sources[id.index()] {
        Source::File(from) => {
            let read = from.file.read_exact_at(buffer, offset);
            read.map_err(|error| from.unreadable(error))
        }
        Source::Secret(secret) => {
            buffer.copy_from_slice(slice(secret, offset, buffer.len() as u64));
            Ok(())
        }
    };
    let each = |bytes: &[u8]| {
        each(bytes);
        Ok(())
    };
    assembled.map.read(fill, each)?;
    sources.iter().try_for_each(Source::check_untouched)
}

/// Whether a file, which is long enough, has the secrets of another at their places. No
/// more of it is read.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn holds_secrets(path: &Path, assembled: &Assembled) -> Result<bool, Error> {
    let unreadable = read_error(path);
    if !assembled.has_secrets() {
        return Ok(true);
    }
    let file = File::open(path).map_err(unreadable)?;
    for (place, secret) in assembled.secrets() {
        let mut found = vec![0; secret.len()];
        file.read_exact_at(&mut found, place).map_err(unreadable)?;
        if found != secret {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What pieces of an assembled file are taken from.
enum Source<'a> {
    File(Opened<'a>),
    Secret(&'a Secret),
}

impl<'a> Source<'a> {
    fn all(assembled: &'a Assembled) -> Result<Vec<Self>, Failure> {
        let open = |piece: &'a Piece| match piece {
            Piece::File {
                path,
                size,
                written,
            } => Opened::new(path, *size)
                .and_then(|opened| opened.unwritten_since(*written))
                .map(Self::File),
            Piece::Secret(secret) => Ok(Self::Secret(secret)),
        };
        assembled.sources.iter().map(open).collect()
    }

    fn check_untouched(&self) -> Result<(), Failure> {
        match self {
            Self::File(opened) => opened.check_untouched(),
            Self::Secret(_) => Ok(()),
        }
    }
}

/// A slice of a secret. Whoever laid the file out took it from its length.
pub(crate) fn slice(secret: &Secret, offset: u64, length: u64) -> &[u8] {
    let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
    &secret.bytes()[index(offset)..index(offset + length)]
}

/// Copies a file and hashes it; without a target, hashes it.
fn copy_file(
    from: &Path,
    size: u64,
    target: Option<&File>,
    progress: &dyn Fn(u64),
) -> Result<Sha256, Failure> {
    let opened = Opened::new(from, Some(size))?;
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
    /// Its length when the plan was made, where that is known.
    planned: Option<u64>,
    file: File,
    before: Stamp,
    changed_at: Changed,
}

impl<'a> Opened<'a> {
    fn new(path: &'a Path, planned: Option<u64>) -> Result<Self, Failure> {
        let unreadable = |source| Failure::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let opened = Self {
            path,
            planned,
            file,
            before: stamp(&metadata),
            changed_at: (metadata.ctime(), metadata.ctime_nsec()),
        };
        opened.check_length(opened.before.length)?;
        Ok(opened)
    }

    /// The same, if nobody wrote to it since something was made of it.
    fn unwritten_since(self, planned: Option<Written>) -> Result<Self, Failure> {
        match planned {
            Some(planned) if planned != self.before.written() => {
                Err(self.changed("something wrote to it since it was read".to_owned()))
            }
            _ => Ok(self),
        }
    }

    fn check_length(&self, found: u64) -> Result<(), Failure> {
        match self.planned {
            Some(planned) if planned != found => {
                Err(self.changed(format!("{found} bytes instead of {planned}")))
            }
            _ => Ok(()),
        }
    }

    fn check_untouched(&self) -> Result<(), Failure> {
        let after = self
            .file
            .metadata()
            .map_err(|error| self.unreadable(error))?;
        if self.before == stamp(&after) {
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

/// What changes when somebody writes to a file: its length, and the time of the last
/// change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    fn written(self) -> Written {
        (self.seconds, self.nanoseconds)
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        length: metadata.len(),
        seconds: metadata.mtime(),
        nanoseconds: metadata.mtime_nsec(),
    }
}
