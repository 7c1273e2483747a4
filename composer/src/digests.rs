//! Compares sources with the digests their manifests promise.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::fs::File;
use std::path::PathBuf;

use extents::ExtentMap;
use tree_manifest::{Hasher, Sha256};

use crate::error::{self, Error};
use crate::parallel;
use crate::pieces;
use crate::source::{Promise, Source, Sources};

/// Reads every source that has a digest, and every file that is put together and has
/// one, and compares.
///
/// As many files at once as there are processors; the error is that of the first by
/// name, whichever thread was faster.
///
/// # Errors
/// When a source cannot be read or has another digest.
pub fn check(sources: &Sources) -> Result<(), Error> {
    let files = sources.iter().filter(|source| source.sha256.is_some());
    let files = files.map(Promised::File);
    let put_together = sources.promises().map(Promised::PutTogether);
    let mut promised: Vec<_> = files.chain(put_together).collect();
    promised.sort_by_cached_key(Promised::name);
    let checked = parallel::each(promised.len(), |index| promised[index].check(sources));
    checked.into_iter().collect()
}

/// Something whose digest a manifest promises.
enum Promised<'a> {
    File(&'a Source),
    PutTogether(&'a Promise),
}

impl Promised<'_> {
    /// What a message calls it.
    fn name(&self) -> PathBuf {
        match self {
            Self::File(source) => source.path.clone(),
            Self::PutTogether(promise) => promise.place.as_str().into(),
        }
    }

    fn check(&self, sources: &Sources) -> Result<(), Error> {
        let (promised, found) = match self {
            Self::File(source) => {
                let file = File::open(&source.path).map_err(error::read(&source.path))?;
                let found = Sha256::of_reader(file).map_err(error::read(&source.path))?;
                (source.sha256, found.0)
            }
            Self::PutTogether(promise) => (Some(promise.sha256), digest(&promise.map, sources)?),
        };
        match promised {
            Some(promised) if promised != found => Err(Error::NotAsManifest {
                path: self.name(),
                change: format!("changed its content (SHA-256 {promised}, now {found})"),
            }),
            _ => Ok(()),
        }
    }
}

/// The digest of a file that is put together.
fn digest(map: &ExtentMap, sources: &Sources) -> Result<Sha256, Error> {
    let mut hasher = Hasher::default();
    pieces::read(map, sources, |bytes| {
        hasher.update(bytes);
        Ok::<_, Error>(())
    })?;
    Ok(hasher.finish().0)
}
