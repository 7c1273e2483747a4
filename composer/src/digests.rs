//! Compares sources with the digests their manifests promise.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::fs::File;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tree_manifest::Sha256;

use crate::error::{self, Error};
use crate::source::{Source, Sources};

/// Reads every source that has a digest, and compares.
///
/// As many files at once as there are processors; the error is that of the first
/// source in order, whichever thread was faster.
///
/// # Errors
/// When a source cannot be read or has another digest.
pub fn check(sources: &Sources) -> Result<(), Error> {
    let promised: Vec<_> = sources
        .iter()
        .filter(|source| source.sha256.is_some())
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut errors = Vec::new();
        while let Some(source) = promised.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = check_one(source) {
                errors.push((&source.path, error));
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
    match errors.into_iter().min_by_key(|(path, _)| *path) {
        None => Ok(()),
        Some((_, error)) => Err(error),
    }
}

fn check_one(source: &Source) -> Result<(), Error> {
    let Some(promised) = source.sha256 else {
        return Ok(());
    };
    let file = File::open(&source.path).map_err(error::read(&source.path))?;
    let (digest, _) = Sha256::of_reader(file).map_err(error::read(&source.path))?;
    if digest == promised {
        return Ok(());
    }
    let change = format!("changed its content (SHA-256 {promised}, now {digest})");
    Err(Error::NotAsManifest {
        path: source.path.clone(),
        change,
    })
}
