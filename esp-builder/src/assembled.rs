//! Files that are put together from pieces of others, such as Unified Kernel Images.

use std::path::{Path, PathBuf};

use bootloaders::Secret;
use extents::{Content, ExtentMap, SourceId};
use tree_manifest as manifest;

use crate::error::Error;

/// A file that is put together: where its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assembled {
    /// Every piece of it, and where it goes.
    pub map: ExtentMap,
    /// What the slices are taken from that the map names.
    pub sources: Pieces,
}

impl Assembled {
    /// What a manifest says of it: the pieces, one after the other. `None` when one of
    /// them is a secret, which is written down nowhere.
    ///
    /// # Errors
    /// When a file has a path that no JSON can hold, or none that is absolute.
    pub fn written_down(&self) -> Result<Option<Vec<manifest::Piece>>, Error> {
        let mut pieces = Vec::new();
        let mut end = 0;
        for extent in self.map.extents() {
            push_zeros(&mut pieces, extent.start - end);
            end = extent.end();
            pieces.push(match &extent.content {
                Content::Bytes(bytes) => manifest::Piece::Bytes(bytes.clone()),
                Content::Slice { source, offset } => match self.sources.get(*source) {
                    Piece::Secret(_) => return Ok(None),
                    Piece::File { path, .. } => manifest::Piece::Slice {
                        path: absolute(path)?,
                        offset: *offset,
                        length: extent.length,
                    },
                },
            });
        }
        push_zeros(&mut pieces, self.map.length() - end);
        Ok(Some(pieces))
    }

    /// The file that a manifest wrote down.
    #[must_use]
    pub fn of_manifest(pieces: &[manifest::Piece]) -> Self {
        let mut map = ExtentMap::hole(pieces.iter().map(manifest::Piece::length).sum());
        let mut sources = Pieces::default();
        let mut at = 0;
        for piece in pieces {
            match piece {
                manifest::Piece::Bytes(bytes) => map.push_bytes(at, bytes.clone()),
                manifest::Piece::Zeros(_) => {}
                manifest::Piece::Slice {
                    path,
                    offset,
                    length,
                } => {
                    let path = path.into();
                    let source = sources.add(Piece::File { path, size: None });
                    map.push_slice(at, *length, source, *offset);
                }
            }
            at += piece.length();
        }
        Self { map, sources }
    }

    /// Whether all that it is made of never changes: it has no secrets, and all of its
    /// files are in the store.
    #[must_use]
    pub fn is_immutable(&self, store_dir: &Path) -> bool {
        self.sources.iter().all(|piece| match piece {
            Piece::File { path, .. } => path.starts_with(store_dir),
            Piece::Secret(_) => false,
        })
    }
}

fn push_zeros(pieces: &mut Vec<manifest::Piece>, length: u64) {
    if length > 0 {
        pieces.push(manifest::Piece::Zeros(length));
    }
}

/// A path of the host as a manifest has it.
pub(crate) fn absolute(path: &Path) -> Result<String, Error> {
    let absolute = std::path::absolute(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or(Error::NotUtf8(absolute))
}

/// What the slices are taken from that a map names.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pieces(Vec<Piece>);

/// Something that slices are taken from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its length in bytes when the plan was made, where that is known.
        size: Option<u64>,
    },
    /// Bytes that are written down nowhere else.
    Secret(Secret),
}

impl Pieces {
    /// Adds a piece. One that is there already is the same.
    pub fn add(&mut self, piece: Piece) -> SourceId {
        let there = self.0.iter().position(|other| *other == piece);
        SourceId::new(there.unwrap_or_else(|| {
            self.0.push(piece);
            self.0.len() - 1
        }))
    }

    /// The piece of a name given by [`Pieces::add`].
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Piece {
        &self.0[id.index()]
    }

    /// Every piece, in the order of addition.
    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_the_same_file() {
        let mut sources = Pieces::default();
        let file = sources.add(Piece::File {
            path: "/store/linux".into(),
            size: None,
        });
        let mut map = ExtentMap::hole(9000);
        map.push_bytes(0, *b"MZ");
        map.push_slice(4096, 100, file, 7);
        map.push_slice(4196, 4, file, 0);
        let mut image = Assembled { map, sources };
        let written = image.written_down().unwrap().unwrap();
        assert_eq!(Assembled::of_manifest(&written), image);
        assert!(image.is_immutable(Path::new("/store")));
        assert!(!image.is_immutable(Path::new("/sto")));
        let secret = image.sources.add(Piece::Secret(b"key".to_vec().into()));
        image.map.push_slice(8000, 3, secret, 0);
        assert_eq!(image.written_down().unwrap(), None);
        assert!(!image.is_immutable(Path::new("/store")));
    }
}
