//! Where files have data, and where holes.
#![expect(clippy::disallowed_methods, reason = "looks into files")]

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use extents::ExtentMap;
use rustix::fs::SeekFrom;

use crate::error::{self, Error};
use crate::scan;
use crate::source::{Source, Sources};

/// What `stat` counts room in, in bytes.
const SECTOR: u64 = 512;

/// Where a file has data between two places: start and length of each run.
pub(crate) fn data_of(file: &File, start: u64, end: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut runs = Vec::new();
    let mut at = start;
    while at < end {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Err(rustix::io::Errno::NXIO) => break,
            start => start?,
        };
        if at >= end {
            break;
        }
        let stop = rustix::fs::seek(file, SeekFrom::Hole(at))?.min(end);
        runs.push((at, stop - at));
        at = stop;
    }
    Ok(runs)
}

/// Whether a file takes less room than its length.
pub(crate) fn may_have_some(metadata: &Metadata) -> bool {
    metadata.blocks() < metadata.len() / SECTOR
}

/// Where a file has data: start and length of each run.
pub(crate) fn data_in(path: &Path) -> io::Result<Vec<(u64, u64)>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    data_of(&file, 0, size)
}

/// All of a file, without its holes.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn slices_of(path: &Path, sources: &mut Sources) -> Result<ExtentMap, Error> {
    let file = File::open(path).map_err(error::read(path))?;
    let metadata = file.metadata().map_err(error::read(path))?;
    let size = metadata.len();
    let runs = data_of(&file, 0, size).map_err(error::read(path))?;
    let source = sources.add(Source {
        path: path.to_owned(),
        size,
        stamp: scan::stamp(&metadata),
        sha256: None,
    });
    Ok(ExtentMap::of_source(size, source, &runs))
}
