//! Files that are put together from pieces of others, such as Unified Kernel Images.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bootloaders::Secret;
use extents::{Content, ExtentMap, SourceId};
use secure_boot::Amendment;
use tree_manifest as manifest;

use crate::content;
use crate::error::{Error, read_error};
use crate::live::changes::Place;

/// File systems share blocks of this length in bytes, or not at all: a slice that starts
/// within one is copied.
const BLOCK: u64 = 4096;

/// A file that is put together: where its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assembled {
    /// Every piece of it, and where it goes.
    pub map: ExtentMap,
    /// What the slices are taken from that the map names.
    pub sources: Pieces,
}

impl Assembled {
    /// A file that is one already, of so many bytes.
    #[must_use]
    pub fn of_file(path: &Path, size: u64) -> Self {
        let mut sources = Pieces::default();
        let source = sources.add(Piece::file(path, Some(size)));
        let mut map = ExtentMap::hole(size);
        map.push_slice(0, size, source, 0);
        Self { map, sources }
    }

    /// What messages call it: the file that it is, or its place in a tree.
    #[must_use]
    pub fn name(&self, (role, path): &Place) -> PathBuf {
        let file = self.as_file().map(Path::to_owned);
        file.unwrap_or_else(|| format!("{role}/{path}").into())
    }

    /// The file that it is, where it is all of one and nothing else.
    fn as_file(&self) -> Option<&Path> {
        let [extent] = self.map.extents() else {
            return None;
        };
        let Content::Slice { source, offset: 0 } = extent.content else {
            return None;
        };
        match self.sources.get(source) {
            Piece::File { path, size, .. } => (*size == Some(self.map.length())).then_some(path),
            Piece::Secret(_) => None,
        }
    }

    /// The file of a manifest that lies in a directory; `None` where there is none but
    /// what the manifest itself describes.
    #[must_use]
    pub fn of_source(file: &manifest::File, directory: &Path) -> Option<Self> {
        Some(match &file.source {
            manifest::Source::Beside(path) => Self::of_file(&path.on(directory), file.size),
            manifest::Source::Absolute(path) => Self::of_file(Path::new(path), file.size),
            manifest::Source::Pieces(pieces) => return Self::of_manifest(pieces),
            manifest::Source::Text(_) | manifest::Source::Nowhere => return None,
        })
    }

    /// The file with some bytes replaced and others behind it. What is left of it is cut
    /// where blocks begin, so that they can be shared.
    #[must_use]
    pub fn amended(&self, amendment: &Amendment) -> Self {
        let mut map = ExtentMap::hole(amendment.length());
        let keep = |map: &mut ExtentMap, range: Range<u64>| {
            let slice = self.map.slice(range.start, range.end - range.start);
            map.append(range.start, slice);
        };
        let mut at = 0;
        for (offset, bytes) in &amendment.replace {
            keep(&mut map, at..*offset);
            map.push_bytes(*offset, bytes.as_slice());
            at = offset + bytes.len() as u64;
        }
        let block = at.next_multiple_of(BLOCK).min(amendment.keep);
        keep(&mut map, at..block);
        keep(&mut map, block..amendment.keep);
        map.push_bytes(amendment.keep, amendment.append.as_slice());
        Self {
            map,
            sources: self.sources.clone(),
        }
    }

    /// What a manifest says of it, from which it can be put together again: the pieces, one
    /// after the other. `None` when one of them is a secret.
    ///
    /// # Errors
    /// As [`Assembled::pieces`].
    pub fn written_down(&self) -> Result<Option<Vec<manifest::Piece>>, Error> {
        let pieces = self.pieces()?;
        let is_hidden = |piece: &manifest::Piece| matches!(piece, manifest::Piece::Hidden(_));
        Ok((!pieces.iter().any(is_hidden)).then_some(pieces))
    }

    /// The pieces, one after the other, as a manifest has them. Of secrets it says how long
    /// they are, and no more.
    ///
    /// # Errors
    /// When a file has a path that no JSON can hold, or none that is absolute.
    pub fn pieces(&self) -> Result<Vec<manifest::Piece>, Error> {
        let mut pieces = Vec::new();
        let mut end = 0;
        for extent in self.map.extents() {
            push_zeros(&mut pieces, extent.start - end);
            end = extent.end();
            pieces.push(match &extent.content {
                Content::Bytes(bytes) => manifest::Piece::Bytes(bytes.clone()),
                Content::Slice { source, offset } => match self.sources.get(*source) {
                    Piece::Secret(_) => manifest::Piece::Hidden(extent.length),
                    Piece::File { path, .. } => manifest::Piece::Slice {
                        path: absolute(path)?,
                        offset: *offset,
                        length: extent.length,
                    },
                },
            });
        }
        push_zeros(&mut pieces, self.map.length() - end);
        Ok(pieces)
    }

    /// Whether one of the pieces is a secret.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.secrets().next().is_some()
    }

    /// The secrets in it, each with its place.
    pub fn secrets(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let extents = self.map.extents().iter();
        extents.filter_map(|extent| {
            let Content::Slice { source, offset } = extent.content else {
                return None;
            };
            match self.sources.get(source) {
                Piece::Secret(secret) => {
                    let bytes = content::slice(secret, offset, extent.length);
                    Some((extent.start, bytes))
                }
                Piece::File { .. } => None,
            }
        })
    }

    /// The file that a manifest wrote down; `None` when it has secrets.
    #[must_use]
    pub fn of_manifest(pieces: &[manifest::Piece]) -> Option<Self> {
        let mut map = ExtentMap::hole(pieces.iter().map(manifest::Piece::length).sum());
        let mut sources = Pieces::default();
        let mut at = 0;
        for piece in pieces {
            match piece {
                manifest::Piece::Bytes(bytes) => map.push_bytes(at, bytes.clone()),
                manifest::Piece::Zeros(_) => {}
                manifest::Piece::Hidden(_) => return None,
                manifest::Piece::Slice {
                    path,
                    offset,
                    length,
                } => {
                    let source = sources.add(Piece::file(Path::new(path), None));
                    map.push_slice(at, *length, source, *offset);
                }
            }
            at += piece.length();
        }
        Some(Self { map, sources })
    }

    /// Whether all that it is made of never changes, but for its secrets: all of its files
    /// are in the store.
    #[must_use]
    pub fn has_immutable_files(&self, store_dir: &Path) -> bool {
        self.sources.iter().all(|piece| match piece {
            Piece::File { path, .. } => path.starts_with(store_dir),
            Piece::Secret(_) => true,
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
    let absolute = std::path::absolute(path).map_err(read_error(path))?;
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
        /// When it was last written to, where something was made of what it held then.
        written: Option<Written>,
    },
    /// Bytes that are written down nowhere else.
    Secret(Secret),
}

/// When a file was last written to, in seconds and nanoseconds.
pub type Written = (i64, i64);

impl Piece {
    /// A file of a length, if that is known.
    #[must_use]
    pub fn file(path: &Path, size: Option<u64>) -> Self {
        Self::File {
            path: path.into(),
            size,
            written: None,
        }
    }
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

    /// Notes when the files were last written to, in the order of addition: they must stay
    /// so, or what is made of them is refused.
    pub(crate) fn pin(&mut self, times: impl IntoIterator<Item = Option<Written>>) {
        for (piece, time) in self.0.iter_mut().zip(times) {
            if let Piece::File { written, .. } = piece {
                *written = time;
            }
        }
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
    fn an_amended_file_keeps_whole_blocks() {
        let image = Assembled::of_file(Path::new("/store/linux"), 10_000);
        let amendment = Amendment {
            keep: 10_000,
            replace: vec![(100, vec![1; 4]), (200, vec![2; 8])],
            append: vec![3; 24],
        };
        let amended = image.amended(&amendment);
        assert_eq!(amended.map.length(), 10_024);
        insta::assert_debug_snapshot!(amended.written_down().unwrap().unwrap());
        // A second amendment has the first in it.
        let next = Amendment {
            keep: 10_024,
            replace: vec![(100, vec![4; 4]), (200, vec![5; 8])],
            append: vec![6; 8],
        };
        let mut bytes = vec![0; 10_032];
        bytes[100..104].fill(4);
        bytes[200..208].fill(5);
        bytes[10_000..10_024].fill(3);
        bytes[10_024..].fill(6);
        let mut found = Vec::new();
        let fill = |_, _, buffer: &mut [u8]| {
            buffer.fill(0);
            Ok::<(), Error>(())
        };
        let both = amended.amended(&next);
        both.map
            .read(fill, |piece| {
                found.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        assert!(found == bytes);
    }

    #[test]
    fn what_is_written_down_is_the_same_file() {
        let mut sources = Pieces::default();
        let file = sources.add(Piece::file(Path::new("/store/linux"), None));
        let mut map = ExtentMap::hole(9000);
        map.push_bytes(0, *b"MZ");
        map.push_slice(4096, 100, file, 7);
        map.push_slice(4196, 4, file, 0);
        let mut image = Assembled { map, sources };
        let written = image.written_down().unwrap().unwrap();
        assert_eq!(Assembled::of_manifest(&written).as_ref(), Some(&image));
        assert!(image.has_immutable_files(Path::new("/store")));
        assert!(!image.has_immutable_files(Path::new("/sto")));
        assert!(!image.has_secrets());
        let secret = image.sources.add(Piece::Secret(b"key".to_vec().into()));
        image.map.push_slice(8000, 3, secret, 0);
        assert_eq!(image.written_down().unwrap(), None);
        let pieces = image.pieces().unwrap();
        assert!(pieces.contains(&manifest::Piece::Hidden(3)), "{pieces:?}");
        assert_eq!(Assembled::of_manifest(&pieces), None);
        assert!(image.has_secrets() && image.has_immutable_files(Path::new("/store")));
        let secrets: Vec<_> = image.secrets().collect();
        assert_eq!(secrets, [(8000, &b"key"[..])]);
    }
}
