//! Reads files that are put together from slices of sources.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::os::unix::fs::FileExt;

use extents::{ExtentMap, SourceId};

use crate::error::{self, Error};
use crate::raw::check_unchanged;
use crate::source::Sources;

/// Reads a file from its first byte to its last, piece by piece. Its sources must be
/// before and after what was planned.
///
/// # Errors
/// The first of `sink`, or when a source cannot be read or has changed.
pub fn read<E: From<Error>>(
    map: &ExtentMap,
    sources: &Sources,
    sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut files: BTreeMap<SourceId, File> = BTreeMap::new();
    let fill = |id: SourceId, offset, buffer: &mut [u8]| {
        let file = match files.entry(id) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => new.insert(open(id, sources)?),
        };
        let read = file.read_exact_at(buffer, offset);
        Ok(read.map_err(error::read(&sources.get(id).path))?)
    };
    map.read(fill, sink)?;
    for (id, file) in &files {
        check_unchanged(file, sources.get(*id))?;
    }
    Ok(())
}

fn open(id: SourceId, sources: &Sources) -> Result<File, Error> {
    let planned = sources.get(id);
    let file = File::open(&planned.path).map_err(error::read(&planned.path))?;
    check_unchanged(&file, planned)?;
    Ok(file)
}
