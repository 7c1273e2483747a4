//! Compares sources with the digests their manifests promise.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::fs::File;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use extents::ExtentMap;
use tree_manifest::{Hasher, Sha256};

use crate::error::{self, Error};
use crate::pieces;
use crate::source::{Promise, Source, Sources};

/// Reads every source that has a digest, and every file that is put together and has
/// one, and compares.
///
/// As many files at once as there are processors; the error is that of the first in
/// order, whichever thread was faster.
///
/// # Errors
/// When a source cannot be read or has another digest.
pub fn check(sources: &Sources) -> Result<(), Error> {
    let files = sources.iter().filter(|source| source.sha256.is_some());
    let files = files.map(Promised::File);
    let put_together = sources.promises().map(Promised::PutTogether);
    let promised: Vec<_> = files.chain(put_together).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut errors = Vec::new();
        while let Some(promised) = promised.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = promised.check(sources) {
                errors.push((promised.name(), error));
            }
        }
        errors
    };
    let workers = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(promised.len());
    let errors = thread::scope(|scope| {
        let threads: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut errors = work();
        for thread in threads {
            errors.extend(
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        errors
    });
    match errors
        .into_iter()
        .min_by(|(one, _), (other, _)| one.cmp(other))
    {
        None => Ok(()),
        Some((_, error)) => Err(error),
    }
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
