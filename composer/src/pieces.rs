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

/// How many sources are open at once. A piece of an image may come from thousands, which are
/// more than a process may open.
const OPEN: usize = 64;

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
    let mut opened = Opened {
        files: BTreeMap::new(),
        sources,
    };
    let fill = |id, offset, buffer: &mut [u8]| {
        let read = opened.get(id)?.read_exact_at(buffer, offset);
        Ok(read.map_err(error::read(&sources.get(id).path))?)
    };
    map.read(fill, sink)?;
    Ok(opened.close()?)
}

/// Sources that are open.
struct Opened<'a> {
    files: BTreeMap<SourceId, File>,
    sources: &'a Sources,
}

impl Opened<'_> {
    /// A source that is as it was planned.
    fn get(&mut self, id: SourceId) -> Result<&File, Error> {
        if self.files.len() >= OPEN && !self.files.contains_key(&id) {
            self.close()?;
        }
        match self.files.entry(id) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(new) => {
                let planned = self.sources.get(id);
                let file = File::open(&planned.path).map_err(error::read(&planned.path))?;
                check_unchanged(&file, planned)?;
                Ok(new.insert(file))
            }
        }
    }

    /// Closes all, which must still be as they were planned.
    fn close(&mut self) -> Result<(), Error> {
        for (id, file) in std::mem::take(&mut self.files) {
            check_unchanged(&file, self.sources.get(id))?;
        }
        Ok(())
    }
}
