//! Writes the file of an image, with holes.
//!
//! Sources are read here for the first time, so this is also where one that
//! changed since it was planned is found out.
#![expect(clippy::disallowed_methods, reason = "writes the image")]

use std::fs::File;
use std::io::ErrorKind;
use std::mem;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use extents::copy::{Copier, Failure, Slice};
use extents::{Content, Extent, ExtentMap, staging};

use crate::disk_space::{self, Room};
use crate::error::{self, Error};
use crate::scan;
use crate::source::{Source, Sources};
use crate::stream::{self, Compressing};

/// How the names of what is being made begin.
pub const TEMPORARY: &str = ".compose-";

/// Extents of fewer bytes are read and written together. To share so little takes longer
/// than to copy it, by a half for 1 GB in 25000 files on XFS, and leaves a file in pieces.
const SMALL: u64 = 16 << 10;

/// The most bytes that are gathered.
const GATHERED: usize = 1 << 20;

/// How an image is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// How it is compressed, if it is.
    pub compressing: Option<Compressing<'a>>,
    /// Whether it is flushed to the disk before it gets its name, so that not
    /// even a power cut leaves half an image.
    pub sync: bool,
}

/// Writes an image under its final name, or not at all: it is made under a
/// temporary name in the same directory and renamed when it is complete.
///
/// `progress` is told how many bytes were written since the last call.
///
/// # Errors
/// When the output is something that must not be replaced, there is too little room for it,
/// a source changed since it was planned, or reading or writing fails.
pub fn write(
    extents: &ExtentMap,
    sources: &Sources,
    output: &Path,
    options: Options<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    check_output(output)?;
    let directory = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The umask has its say, as with any file a program writes.
    let temporary = staging::file(directory, TEMPORARY, 0o666).map_err(error::write(output))?;
    if let Some(compressing) = options.compressing {
        let file = temporary.as_file().try_clone();
        let file = file.map_err(error::write(output))?;
        let room = Room::before(temporary.as_file(), output)?;
        let done = stream::compress(extents, sources, compressing, file, progress);
        done.map_err(|error| room.explain(error))?;
    } else {
        let file = temporary.as_file();
        disk_space::check(file, output, extents, sources)?;
        let mut writer = Writer::new((file, output), Copier::onto_holes(), progress);
        let written = writer.write(extents, sources);
        written.map_err(|error| disk_space::explain(error, file, extents.data()))?;
    }
    if options.sync {
        temporary
            .as_file()
            .sync_all()
            .map_err(error::write(output))?;
    }
    temporary
        .persist(output)
        .map_err(|error| error::write(output)(error.error))?;
    Ok(())
}

/// Writes an empty file: its bytes, its slices and its holes.
pub(crate) fn fill(
    extents: &ExtentMap,
    sources: &Sources,
    file: &File,
    path: &Path,
) -> Result<(), Error> {
    let progress = &mut |_| {};
    let mut writer = Writer::new((file, path), Copier::onto_holes(), progress);
    writer.write(extents, sources)
}

/// Writes extents to an open file, whose holes are left as they are.
pub(crate) fn write_into(
    file: &File,
    output: &Path,
    extents: &ExtentMap,
    sources: &Sources,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let mut writer = Writer::new((file, output), Copier::default(), progress);
    writer.write(extents, sources)
}

/// Refuses outputs whose replacement nobody means.
///
/// # Errors
/// When it is a directory or a device.
pub fn check_output(output: &Path) -> Result<(), Error> {
    let refuse = |what| {
        Err(Error::Output {
            path: output.to_owned(),
            what,
        })
    };
    match std::fs::symlink_metadata(output) {
        Ok(found) if found.is_dir() => refuse("a directory"),
        Ok(found) if found.file_type().is_block_device() => {
            refuse("a block device; write a file and copy it there")
        }
        Ok(found) if !found.is_file() && !found.is_symlink() => refuse("not a regular file"),
        _ => Ok(()),
    }
}

struct Writer<'a> {
    output: &'a Path,
    file: &'a File,
    copier: Copier,
    progress: &'a mut dyn FnMut(u64),
    gathered: Gathered,
}

/// Bytes of small extents that lie side by side.
#[derive(Default)]
struct Gathered {
    start: u64,
    bytes: Vec<u8>,
}

impl Gathered {
    /// Whether an extent goes on where the bytes end.
    fn takes(&self, extent: &Extent) -> bool {
        let end = self.start + self.bytes.len() as u64;
        self.bytes.is_empty() || (end == extent.start && self.bytes.len() < GATHERED)
    }
}

impl<'a> Writer<'a> {
    fn new(
        (file, output): (&'a File, &'a Path),
        copier: Copier,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self {
            output,
            file,
            copier,
            progress,
            gathered: Gathered::default(),
        }
    }

    fn write(&mut self, extents: &ExtentMap, sources: &Sources) -> Result<(), Error> {
        self.file
            .set_len(extents.length())
            .map_err(error::write(self.output))?;
        for extent in extents.extents() {
            let is_small = extent.length < SMALL;
            if !is_small || !self.gathered.takes(extent) {
                self.write_gathered()?;
            }
            if is_small {
                self.gather(extent, sources)?;
                continue;
            }
            match &extent.content {
                Content::Bytes(bytes) => self.put(bytes, extent.start)?,
                Content::Slice { source, offset } => {
                    let slice = Slice {
                        read_at: *offset,
                        write_at: extent.start,
                        length: extent.length,
                    };
                    self.copy(sources.get(*source), slice)?;
                }
            }
        }
        self.write_gathered()
    }

    fn put(&mut self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, at);
        written.map_err(error::write(self.output))?;
        (self.progress)(bytes.len() as u64);
        Ok(())
    }

    fn write_gathered(&mut self) -> Result<(), Error> {
        let mut gathered = mem::take(&mut self.gathered);
        if !gathered.bytes.is_empty() {
            self.put(&gathered.bytes, gathered.start)?;
        }
        gathered.bytes.clear();
        self.gathered.bytes = gathered.bytes;
        Ok(())
    }

    /// Adds an extent to those that are gathered. Its source must then be what was planned.
    fn gather(&mut self, extent: &Extent, sources: &Sources) -> Result<(), Error> {
        let bytes = &mut self.gathered.bytes;
        if bytes.is_empty() {
            self.gathered.start = extent.start;
        }
        let (source, offset) = match &extent.content {
            Content::Bytes(more) => {
                bytes.extend_from_slice(more);
                return Ok(());
            }
            Content::Slice { source, offset } => (sources.get(*source), *offset),
        };
        let from = File::open(&source.path).map_err(error::read(&source.path))?;
        let start = bytes.len();
        let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
        bytes.resize(start + length, 0);
        let read = from.read_exact_at(&mut bytes[start..], offset);
        read.map_err(|cause| match cause.kind() {
            ErrorKind::UnexpectedEof => Error::Changed {
                path: source.path.clone(),
            },
            _ => error::read(&source.path)(cause),
        })?;
        check_unchanged(&from, source)
    }

    /// Copies a slice of a source, which must be before and after what was planned.
    fn copy(&mut self, planned: &Source, slice: Slice) -> Result<(), Error> {
        let from = File::open(&planned.path).map_err(error::read(&planned.path))?;
        check_unchanged(&from, planned)?;
        let copied = self.copier.copy(&from, self.file, slice, self.progress);
        copied.map_err(|failure| match failure {
            Failure::Read(source) => error::read(&planned.path)(source),
            Failure::Write(source) => error::write(self.output)(source),
            Failure::Ended => Error::Changed {
                path: planned.path.clone(),
            },
        })?;
        check_unchanged(&from, planned)
    }
}

/// Compares an open source with what was planned.
pub(crate) fn check_unchanged(file: &File, planned: &Source) -> Result<(), Error> {
    let found = file.metadata().map_err(error::read(&planned.path))?;
    if found.len() == planned.size && scan::stamp(&found) == planned.stamp {
        return Ok(());
    }
    Err(Error::Changed {
        path: planned.path.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn small_extents_are_gathered_and_their_sources_checked() {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = Sources::default();
        let content: Vec<u8> = (0..=250).cycle().take(20_000).collect();
        let path = folder.path().join("source");
        fs::write(&path, &content).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let id = sources.add(Source {
            path: path.clone(),
            size: metadata.len(),
            stamp: scan::stamp(&metadata),
            sha256: None,
        });
        let mut map = ExtentMap::hole(40_000);
        let mut expected = vec![0; 40_000];
        let mut slice = |map: &mut ExtentMap, start: usize, length: usize, offset: usize| {
            map.push_slice(start as u64, length as u64, id, offset as u64);
            expected[start..start + length].copy_from_slice(&content[offset..offset + length]);
        };
        slice(&mut map, 1, 99, 7);
        slice(&mut map, 100, 4095, 300);
        slice(&mut map, 4196, 16_384, 2000);
        slice(&mut map, 20_580, 10, 0);
        map.push_bytes(20_590, *b"bytes");
        expected[20_590..20_595].copy_from_slice(b"bytes");
        let output = folder.path().join("image");
        let mut told = 0;
        let mut progress = |bytes| told += bytes;
        let options = Options::default();
        write(&map, &sources, &output, options, &mut progress).unwrap();
        assert!(fs::read(&output).unwrap() == expected);
        assert_eq!(told, map.data());
        fs::write(&path, b"short").unwrap();
        let error = write(&map, &sources, &output, options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
    }
}
