//! Signatures that earlier runs made, so that none is made twice.
//!
//! What a partition's state says of a file from the store holds for ever: where it is
//! the same image with a signature by the same certificates, nothing is read. Of other
//! images, the file that is at their place may hold the signature that they want.
#![expect(clippy::disallowed_methods, reason = "reads what is on the partitions")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use extents::Content;
use secure_boot::Amendment;
use secure_boot::authenticode::{self, Image, Measured};
use secure_boot::verify;
use tree_manifest::{Entry, Manifest, Piece, Source};

use crate::assembled::Assembled;
use crate::content::Reader;
use crate::error::{Error, read_error};
use crate::live::changes::{Place, recorded};
use crate::live::execute::Mounts;
use crate::signing::{OpenImage, Signer, refused};

/// How many bytes of an image are enough for its headers.
const HEAD: u64 = 64 * 1024;

/// What is known of earlier signatures.
#[derive(Debug, Clone, Default)]
pub struct Earlier<'a> {
    /// Boot loaders that stay as they are wherever they are: they want no signature.
    pub settled: BTreeSet<Place>,
    mounts: Vec<&'a Mounts>,
    store_dir: Option<&'a Path>,
    /// What was written down of files that are put together, by what they are made of.
    known: BTreeMap<BTreeSet<&'a str>, Vec<&'a [Piece]>>,
}

impl<'a> Earlier<'a> {
    /// What partitions tell, and what was written down of them. What is below the store
    /// has one content for ever.
    pub fn of(
        targets: impl IntoIterator<Item = (&'a Mounts, &'a Manifest)>,
        store_dir: &'a Path,
    ) -> Self {
        let mut earlier = Self {
            store_dir: Some(store_dir),
            ..Self::default()
        };
        for (mounts, state) in targets {
            earlier.mounts.push(mounts);
            for entry in state.trees.values().flat_map(BTreeMap::values) {
                if let Entry::File(file) = entry
                    && let Source::Pieces(pieces) = &file.source
                {
                    let known = earlier.known.entry(files(pieces)).or_default();
                    known.push(pieces);
                }
            }
        }
        earlier
    }

    /// The image, which messages call by its name, with the signature that was written
    /// down. Of the image itself no more
    /// than the head is read.
    pub(crate) fn signed(
        &self,
        image: &Assembled,
        name: &Path,
        signer: &Signer,
    ) -> Result<Option<Assembled>, Error> {
        let is_immutable = |store_dir| image.has_immutable_files(store_dir);
        if self.known.is_empty() || !self.store_dir.is_some_and(is_immutable) {
            return Ok(None);
        }
        let Some(pieces) = image.written_down()? else {
            return Ok(None);
        };
        let Some(candidates) = self.known.get(&files(&pieces)) else {
            return Ok(None);
        };
        let fields = changed_fields(image, name)?;
        for candidate in candidates {
            let old = Assembled::of_manifest(candidate);
            let amendment = old.and_then(|old| amendment(&old, image.map.length(), fields));
            let Some(amendment) = amendment else {
                continue;
            };
            let amended = image.amended(&amendment);
            if has_signature(&amendment, signer)
                && amended.written_down()?.as_deref() == Some(*candidate)
            {
                return Ok(Some(amended));
            }
        }
        Ok(None)
    }

    /// A signature for this image that a file at one of its places has.
    pub(crate) fn signature(
        &self,
        places: &[Place],
        image: &Measured,
        signer: &Signer,
    ) -> Option<Vec<u8>> {
        let files = self.mounts.iter().flat_map(|mounts| {
            let on = |(role, path): &Place| mounts.get(role).map(|mount| path.on(mount));
            places.iter().filter_map(on)
        });
        // One that is damaged, or no image at all, is about to be replaced.
        let signatures = files.filter_map(|file| signatures(&file).ok()).flatten();
        signatures.into_iter().find(|signature| {
            verify::is_by(signature, &signer.certificates) && verify::holds(signature, image)
        })
    }
}

/// Whether what is at a place of a partition has the signature of a signer: by what was
/// written down of it, or else by what it is.
#[must_use]
pub fn is_signed(place: &Place, mounts: &Mounts, state: &Manifest, signer: &Signer) -> bool {
    let (role, path) = place;
    let Some(file) = mounts.get(role).map(|mount| path.on(mount)) else {
        return false;
    };
    let written_down = || {
        let recorded = recorded(state, place)?;
        let Source::Pieces(pieces) = &recorded.source else {
            return None;
        };
        let Some(Piece::Bytes(end)) = pieces.last() else {
            return None;
        };
        let amendment = Amendment {
            keep: recorded.size - end.len() as u64,
            replace: Vec::new(),
            append: end.to_vec(),
        };
        let length = std::fs::metadata(&file).ok()?.len();
        Some(length == recorded.size && has_signature(&amendment, signer))
    };
    written_down() == Some(true)
        || OpenImage::open(&file).is_ok_and(|image| signer.has_signed(&image.measured))
}

/// The files that something is made of.
fn files(pieces: &[Piece]) -> BTreeSet<&str> {
    let files = pieces.iter().filter_map(|piece| match piece {
        Piece::Slice { path, .. } => Some(path.as_str()),
        Piece::Bytes(_) | Piece::Zeros(_) | Piece::Hidden(_) => None,
    });
    files.collect()
}

/// Where the fields of an image are that a signature changes.
fn changed_fields(image: &Assembled, name: &Path) -> Result<(u64, u64), Error> {
    let length = image.map.length();
    let mut head = vec![0; usize::try_from(length.min(HEAD)).unwrap_or(0)];
    let reader = Reader::open(image).map_err(|failure| failure.into_error(name))?;
    let read = reader.read_exact_at(&mut head, 0);
    read.map_err(read_error(name))?;
    let layout = Image::parse(&head, length).and_then(|layout| layout.changed_fields());
    layout.map_err(refused(name))
}

/// The amendment by which a file was made of an image of `keep` bytes.
fn amendment(signed: &Assembled, keep: u64, fields: (u64, u64)) -> Option<Amendment> {
    let (checksum, directory) = fields;
    let field = |start, length| {
        let bytes = bytes(signed, start..start + length)?;
        Some((start, bytes))
    };
    Some(Amendment {
        keep,
        replace: vec![
            field(checksum, authenticode::CHECKSUM_LENGTH)?,
            field(directory, authenticode::DIRECTORY_LENGTH)?,
        ],
        append: bytes(signed, keep..signed.map.length())?,
    })
}

/// The bytes of a range, where they are no slice of a file.
fn bytes(file: &Assembled, range: Range<u64>) -> Option<Vec<u8>> {
    let length = range.end.checked_sub(range.start)?;
    let mut extents = file.map.within(range);
    let (first, rest) = (extents.next()?, extents.next());
    match first.content {
        Content::Bytes(bytes) if rest.is_none() && first.length == length => Some(bytes.to_vec()),
        _ => None,
    }
}

/// Whether one of the signatures that were added is a signer's.
fn has_signature(amendment: &Amendment, signer: &Signer) -> bool {
    let is_by = |signature: &[u8]| verify::is_by(signature, &signer.certificates);
    let signatures = amendment.signatures();
    signatures.is_ok_and(|signatures| signatures.into_iter().any(is_by))
}

/// The signatures of a file, of which nothing else is read.
fn signatures(file: &Path) -> Result<Vec<Vec<u8>>, secure_boot::Error> {
    let failed = |source| secure_boot::Error::Read { offset: 0, source };
    let mut file = File::open(file).map_err(failed)?;
    Image::read(&mut file)?.read_signatures(&mut file)
}
