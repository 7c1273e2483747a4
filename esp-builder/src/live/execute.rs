//! Makes the writes of a run.
#![expect(
    clippy::disallowed_methods,
    reason = "installing writes to boot partitions"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tree_manifest::{Role, Sha256};

use super::changes::Place;
use super::steps::Step;
use crate::content::{self, Failure};
use crate::error::Error;
use crate::plan::Recipe;

/// Where the partitions are mounted.
pub type Mounts = BTreeMap<Role, PathBuf>;

/// Makes every step in order, and stops at the first that fails.
///
/// `digests` are what writes must have that were planned with one, by temporary name.
///
/// `before` is told of each step; what it refuses is not made. Tests put faults
/// there, a progress bar what it counts.
///
/// # Errors
/// When a step cannot be made. What was made stays; the steps are such that
/// everything that booted still does.
pub fn execute(
    steps: &[Step],
    mounts: &Mounts,
    digests: &BTreeMap<Place, Sha256>,
    before: &mut dyn FnMut(&Step) -> io::Result<()>,
) -> Result<(), Error> {
    for step in steps {
        let path = match step {
            Step::MakeDirectory(place) | Step::Remove(place) | Step::RemoveDirectory(place) => {
                on(mounts, place)?
            }
            Step::Write { to, .. } | Step::Rename { to, .. } => on(mounts, to)?,
            Step::Sync(role) => mount(mounts, role)?.to_owned(),
        };
        let made = before(step).and_then(|()| make(step, &path, mounts, digests));
        if let Err(source) = made {
            discard(step, &path);
            return Err(Error::Write { path, source });
        }
    }
    Ok(())
}

fn make(
    step: &Step,
    path: &Path,
    mounts: &Mounts,
    digests: &BTreeMap<Place, Sha256>,
) -> io::Result<()> {
    match step {
        Step::MakeDirectory(_) => fs::create_dir(path),
        Step::Remove(_) => fs::remove_file(path),
        Step::RemoveDirectory(_) => fs::remove_dir(path).or_else(|error| {
            let is_in_use = error.kind() == io::ErrorKind::DirectoryNotEmpty;
            if is_in_use { Ok(()) } else { Err(error) }
        }),
        Step::Rename { from, .. } => fs::rename(on(mounts, from).map_err(io::Error::other)?, path),
        Step::Sync(_) => rustix::fs::syncfs(File::open(path)?).map_err(Into::into),
        Step::Write { to, recipe } => {
            let made = content::make(recipe, Some(&create(path, recipe)?), &|_| {});
            let digest = made.map_err(Failure::into_io)?;
            if digests.get(to).is_some_and(|promised| *promised != digest) {
                return Err(io::Error::other(match recipe {
                    Recipe::Copy { from, .. } => {
                        format!("`{}` changed while it was read", from.display())
                    }
                    _ => "it is not what it was planned to be".to_owned(),
                }));
            }
            Ok(())
        }
    }
}

/// Starts a file: one with secrets for its owner alone, where permissions are kept.
fn create(path: &Path, recipe: &Recipe) -> io::Result<File> {
    let is_secret = match recipe {
        Recipe::Secret(_) => true,
        Recipe::Assembled(assembled) => assembled.has_secrets(),
        Recipe::Copy { .. } | Recipe::Text(_) => false,
    };
    let mut options = OpenOptions::new();
    let mode = if is_secret { 0o600 } else { 0o644 };
    options.write(true).create_new(true).mode(mode).open(path)
}

/// Removes what a failed write left; it would take room, and has no name that
/// anything reads. If that fails too, the next run does it.
fn discard(step: &Step, path: &Path) {
    if let Step::Write { .. } = step {
        let _ = fs::remove_file(path);
    }
}

fn on(mounts: &Mounts, (role, path): &Place) -> Result<PathBuf, Error> {
    Ok(path.on(mount(mounts, role)?))
}

fn mount<'a>(mounts: &'a Mounts, role: &Role) -> Result<&'a Path, Error> {
    mounts
        .get(role)
        .map(PathBuf::as_path)
        .ok_or_else(|| Error::NoMount(role.clone()))
}
