//! Writes the file of an image, with holes.
//!
//! Sources are read here for the first time, so this is also where one that
//! changed since it was planned is found out.
#![expect(clippy::disallowed_methods, reason = "writes the image")]

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use extents::copy::{Copier, Failure, Slice};
use extents::{Content, ExtentMap, staging};

use crate::disk_space::{self, Room};
use crate::error::{self, Error};
use crate::scan;
use crate::source::{Source, Sources};
use crate::stream::{self, Compressing};

/// How the names of what is being made begin.
pub const TEMPORARY: &str = ".compose-";

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
        let mut writer = Writer {
            output,
            file,
            copier: Copier::onto_holes(),
            progress,
        };
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
    let mut writer = Writer {
        output: path,
        file,
        copier: Copier::onto_holes(),
        progress: &mut |_| {},
    };
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
    let mut writer = Writer {
        output,
        file,
        copier: Copier::default(),
        progress,
    };
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
}

impl Writer<'_> {
    fn write(&mut self, extents: &ExtentMap, sources: &Sources) -> Result<(), Error> {
        self.file
            .set_len(extents.length())
            .map_err(error::write(self.output))?;
        for extent in extents.extents() {
            match &extent.content {
                Content::Bytes(bytes) => {
                    let written = self.file.write_all_at(bytes, extent.start);
                    written.map_err(error::write(self.output))?;
                    (self.progress)(extent.length);
                }
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
        Ok(())
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
