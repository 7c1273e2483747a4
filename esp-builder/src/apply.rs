//! From a plan to directories and a manifest.
//!
//! Each file is made and its digest taken on as many threads as there are processors;
//! the result does not depend on their number. Where no content is to be read, the manifest
//! is made younger than all of it instead: that it has not changed since can then be seen.
#![expect(clippy::disallowed_methods, reason = "applying a plan writes it")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use tree_manifest::{ByteSize, Entry, Manifest, Role, Sha256, Source, TreePath};

use crate::assembled::absolute;
use crate::content::{self, Changed};
use crate::error::{Error, write_error};
use crate::parallel;
use crate::plan::{PlannedFile, Recipe, TreePlan};
use crate::publish::{MANIFEST, Staging, set_mode};

/// How many milliseconds the clock of a file system is waited for. It ticks a hundred times a
/// second or more.
const TICKS: u32 = 100;

/// Both times of a file: now, by the clock of its file system.
const NOW: Timestamps = {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    Timestamps {
        last_access: now,
        last_modification: now,
    }
};

/// What becomes of the content of the trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It is in the trees.
    Copied,
    /// The manifest refers to it where it is; only texts are in the trees.
    ByReference,
    /// The same, and no content is read: the manifest knows its length alone.
    Unread,
}

/// Told of every piece that was read, by its length in bytes, from any thread.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Says whether an output may be made at a place, before anything is read.
///
/// # Errors
/// When something is there that is not an earlier result.
pub fn check_output(out: &Path) -> Result<(), Error> {
    crate::publish::check_replaceable(out)
}

/// Makes the output of a plan: one directory a tree, and the manifest.
///
/// It appears at `out` in one step; an earlier result there is replaced. After an
/// error nothing is left.
///
/// # Errors
/// When a source is not what it was when the plan was made, when something cannot
/// be read or written, or when `out` holds something else.
pub fn apply(
    plan: &TreePlan,
    out: &Path,
    content: Content,
    progress: Progress<'_>,
) -> Result<Manifest, Error> {
    let staging = Staging::beside(out)?;
    let jobs = jobs(plan, staging.path(), content)?;
    make_directories(plan, &jobs, staging.path())?;
    let free = free(staging.path());
    let done = parallel::map(&jobs, |job| job.run(progress));
    let done = done.map_err(|error| with_numbers(error, &jobs, free))?;
    let newest = done.iter().filter_map(|done| done.changed).max();
    let mut manifest = Manifest {
        architectures: plan.architectures.clone(),
        ..Manifest::default()
    };
    for role in plan.trees.keys() {
        manifest.tree_mut(role.clone());
    }
    for (job, done) in jobs.into_iter().zip(done) {
        let file = tree_manifest::File {
            size: job.file.recipe.size(),
            sha256: done.digest,
            source: job.source,
            mode: None,
            provenance: Some(job.file.provenance.clone()),
        };
        let tree = manifest.tree_mut(job.role.clone());
        tree.insert(job.path.clone(), Entry::File(file));
    }
    manifest.check().map_err(Error::Manifest)?;
    // Last, so that no file is younger than the manifest that describes it.
    let path = staging.path().join(MANIFEST);
    let text = manifest.to_json();
    let mut file = create(&path)?;
    let written = file.write_all(text.as_bytes());
    let written = written.and_then(|()| newest.map_or(Ok(()), |newest| outdate(&file, newest)));
    written.map_err(write_error(&path))?;
    staging.publish()?;
    Ok(manifest)
}

/// Makes a file younger than a time of its file system's clock, which ticks in milliseconds.
/// A time that is still to come is let be: whoever compares the two reads the content.
fn outdate(file: &File, time: Changed) -> io::Result<()> {
    for _ in 0..TICKS {
        let metadata = file.metadata()?;
        if (metadata.mtime(), metadata.mtime_nsec()) > time {
            break;
        }
        thread::sleep(Duration::from_millis(1));
        rustix::fs::futimens(file, &NOW)?;
    }
    Ok(())
}

/// What a file system has free.
fn free(directory: &Path) -> Option<ByteSize> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(ByteSize(found.f_bavail.saturating_mul(found.f_frsize)))
}

/// Says how much room there was, where there was too little.
fn with_numbers(error: Error, jobs: &[Job<'_>], free: Option<ByteSize>) -> Error {
    match (error, free) {
        (Error::Write { path, source }, Some(free)) if source.kind() == ErrorKind::StorageFull => {
            let written = jobs.iter().filter(|job| job.target.is_some());
            let needed = ByteSize(written.map(|job| job.file.recipe.size()).sum());
            let reason = format!("the trees take {needed}, and {free} were free");
            let source = io::Error::new(ErrorKind::StorageFull, reason);
            Error::Write { path, source }
        }
        (error, _) => error,
    }
}

/// One file to be made or read.
struct Job<'a> {
    role: &'a Role,
    path: &'a TreePath,
    file: &'a PlannedFile,
    /// Where the manifest says that the bytes are.
    source: Source,
    /// Where to write the file; `None` when it stays where it is.
    target: Option<PathBuf>,
    /// Whether its bytes are only looked for.
    is_unread: bool,
}

/// What became of a job.
struct Done {
    digest: Option<Sha256>,
    /// When content last changed that was not read.
    changed: Option<Changed>,
}

fn jobs<'a>(plan: &'a TreePlan, staging: &Path, content: Content) -> Result<Vec<Job<'a>>, Error> {
    let mut jobs = Vec::new();
    for (role, tree) in &plan.trees {
        for (path, file) in tree {
            let mut job = Job {
                role,
                path,
                file,
                source: Source::Beside(beside(role, path)?),
                target: Some(path.on(&staging.join(role.as_str()))),
                is_unread: false,
            };
            if content != Content::Copied
                && let Some(source) = elsewhere(&file.recipe)?
            {
                job.source = source;
                job.target = None;
                job.is_unread = content == Content::Unread;
            }
            jobs.push(job);
        }
    }
    Ok(jobs)
}

fn beside(role: &Role, path: &TreePath) -> Result<TreePath, Error> {
    TreePath::new(format!("{role}/{path}")).map_err(|error| Error::NotForFat {
        role: role.clone(),
        path: path.clone(),
        origin: "the plan".to_owned(),
        reason: error.reason.to_owned(),
    })
}

/// Where the bytes of a recipe are already; `None` when they have to be written.
fn elsewhere(recipe: &Recipe) -> Result<Option<Source>, Error> {
    Ok(match recipe {
        Recipe::Copy { from, .. } => Some(Source::Absolute(absolute(from)?)),
        Recipe::Assembled(assembled) => assembled.written_down()?.map(Source::Pieces),
        Recipe::Text(_) | Recipe::Secret(_) => None,
    })
}

/// Makes the trees' own directories, and those that files are written into.
fn make_directories(plan: &TreePlan, jobs: &[Job<'_>], staging: &Path) -> Result<(), Error> {
    for role in plan.trees.keys() {
        make_directory(&staging.join(role.as_str()))?;
    }
    let written = jobs.iter().filter(|job| job.target.is_some());
    let directories: BTreeSet<(&Role, TreePath)> = written
        .flat_map(|job| job.path.ancestors().map(|path| (job.role, path)))
        .collect();
    for (role, directory) in directories {
        make_directory(&directory.on(&staging.join(role.as_str())))?;
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir(path).map_err(write_error(path))?;
    set_mode(path, 0o755)
}

impl Job<'_> {
    fn run(&self, progress: Progress<'_>) -> Result<Done, Error> {
        let target = self.target.as_deref().unwrap_or(Path::new(""));
        let recipe = &self.file.recipe;
        if self.is_unread {
            let changed = content::changed(recipe);
            return Ok(Done {
                digest: None,
                changed: changed.map_err(|failure| failure.into_error(target))?,
            });
        }
        let file = self.target.as_deref().map(create).transpose()?;
        let made = content::make(recipe, file.as_ref(), progress);
        Ok(Done {
            digest: Some(made.map_err(|failure| failure.into_error(target))?),
            changed: None,
        })
    }
}

fn create(path: &Path) -> Result<File, Error> {
    let file = File::create_new(path).map_err(write_error(path))?;
    set_mode(path, 0o644)?;
    Ok(file)
}
