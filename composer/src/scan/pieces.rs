//! Finds the pieces of files that a manifest puts together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use extents::{ExtentMap, SourceId};
use tree_manifest::{File, Piece, TreePath};

use super::manifest::undigested;
use super::{CheckDigests, Scan, regular_file, stamp};
use crate::error::Error;
use crate::source::{Promise, Source, Stamp};
use crate::tree::FileContent;

impl Scan<'_> {
    /// A file that is put together. Where one of its files may have changed, all of it is
    /// to be checked.
    pub(super) fn pieces(
        &mut self,
        place: &TreePath,
        file: &File,
        pieces: &[Piece],
        written: i128,
    ) -> Result<FileContent, Error> {
        let mut map = ExtentMap::hole(file.size);
        let mut known: BTreeMap<&str, SourceId> = BTreeMap::new();
        let mut doubtful = self.digests == CheckDigests::Always;
        let mut at = 0;
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => map.push_bytes(at, Arc::clone(bytes)),
                Piece::Zeros(_) => {}
                Piece::Hidden(_) => return Err(Error::NoSource(place.clone())),
                Piece::Slice {
                    path,
                    offset,
                    length,
                } => {
                    let source = if let Some(source) = known.get(path.as_str()) {
                        *source
                    } else {
                        let metadata = regular_file(Path::new(path))?;
                        doubtful |= self.is_doubtful(stamp(&metadata), written);
                        self.source(path.into(), &metadata)
                    };
                    known.insert(path, source);
                    let Source { path, size, .. } = self.sources.get(source);
                    if offset + length > *size {
                        let (path, end) = (path.clone(), offset + length);
                        let change = format!("shrank to {size} bytes, of which {end} are needed");
                        return Err(Error::NotAsManifest { path, change });
                    }
                    map.push_slice(at, *length, source, *offset);
                }
            }
            at += piece.length();
        }
        if doubtful {
            let undigested = || undigested(Path::new(place.as_str()));
            let sha256 = file.sha256.ok_or_else(undigested)?;
            self.sources.promise(Promise {
                place: place.clone(),
                map: map.clone(),
                sha256,
            });
        }
        Ok(FileContent::Pieces(map))
    }

    /// Whether a file may have changed since its manifest was written.
    pub(super) fn is_doubtful(&self, stamp: Stamp, written: i128) -> bool {
        match self.digests {
            CheckDigests::Always => true,
            CheckDigests::Never => false,
            // The kernel sets the time of the last change of an inode, and it is
            // renewed by every write, rename and change of times.
            CheckDigests::Auto => stamp.changed >= written,
        }
    }
}
