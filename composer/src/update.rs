//! Brings an image to what its description says now, in place.
//!
//! Only partitions whose content differs are written, sparse as in a new image. They come
//! first, then the backup of the table, then the table, each on the disk before the next
//! begins: at any time one of both tables is whole, and agrees with where partitions are.
//! In the same order partitions are added to an image.
#![expect(clippy::disallowed_methods, reason = "writes the image")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use extents::ExtentMap;
use rustix::fs::{FallocateFlags, FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{self, Error};
use crate::found::{FoundDisk, FoundTable};
use crate::image::Image;
use crate::pieces;
use crate::plan::{ImagePlan, PlannedContent};
use crate::raw;
use crate::source::Sources;
use crate::table::{Disk, FIRST_BYTE};

/// What became of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updated {
    /// The numbers of the partitions that were written.
    pub written: Vec<u32>,
    /// Whether the table was written.
    pub table: bool,
    /// What was wrong with the table before.
    pub repaired: Vec<String>,
}

/// How many bytes of partitions are compared, and made what a plan says.
#[must_use]
pub fn work(plan: &ImagePlan) -> u64 {
    let partitions = plan.partitions.iter();
    let wanted = partitions.filter(|it| it.content != PlannedContent::Kept);
    wanted.map(|partition| partition.entry.size).sum()
}

/// Makes an image what a plan says.
///
/// `progress` is told how many bytes of [`work`] were done since the last call.
///
/// # Errors
/// When the image has another size or partitions elsewhere, which is found before anything
/// is written; when a source changed, or reading or writing fails.
pub fn update(
    plan: &ImagePlan,
    sources: &Sources,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Updated, Error> {
    let file = open(path)?;
    let image = Image::open(path)?;
    check_places(plan, &image)?;
    let target = Target {
        file,
        path,
        plan,
        sources,
    };
    let mut updated = Updated {
        repaired: image.damage,
        ..Updated::default()
    };
    target.replace_partitions(&mut updated, progress)?;
    // What is behind the last partition is the backup of the table.
    let ends = plan.partitions.iter().map(|partition| &partition.entry);
    let end = ends.map(|entry| entry.start + entry.size).max();
    let end = end.unwrap_or(FIRST_BYTE);
    let mut tables = [(end, plan.extents.length() - end), (0, FIRST_BYTE)];
    // Never the only one that is whole first.
    if updated.repaired.iter().any(|it| it.starts_with("primary")) {
        tables.reverse();
    }
    for (start, length) in tables {
        updated.table |= target.replace(start, length, &mut |_| {})?;
    }
    Ok(updated)
}

/// Adds to an image what a plan has beyond what is there ([`FoundDisk::note`]).
///
/// `progress` is told how many bytes of [`work`] were done since the last call.
///
/// # Errors
/// When the image changed meanwhile, which is found before anything is written; when a source
/// changed, or reading or writing fails: the table is then as before, and so is the size.
pub fn add(
    plan: &ImagePlan,
    (found, table): (&FoundDisk, &FoundTable),
    sources: &Sources,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Updated, Error> {
    let file = open(path)?;
    if !table.is_that_of(&Image::open(path)?) {
        let path = path.to_owned();
        return Err(Error::Changed { path });
    }
    let target = Target {
        file,
        path,
        plan,
        sources,
    };
    let mut updated = Updated {
        repaired: table.damage.clone(),
        ..Updated::default()
    };
    if table.has_lost_primary {
        // The other one is lost as soon as the image grows.
        target.write(&table.as_it_is(found.size)?.head, 0)?;
    }
    let size = plan.extents.length();
    target.resize(size)?;
    if let Err(error) = target.replace_partitions(&mut updated, progress) {
        if size > found.size {
            let tail = table.as_it_is(found.size)?.tail;
            target.resize(found.size)?;
            target.write(&tail, found.size - tail.len() as u64)?;
        }
        return Err(error);
    }
    let disk = Disk::whole(size, plan.sector, plan.disk);
    for (start, end) in [(disk.tail(), size), (0, disk.head())] {
        updated.table |= target.replace(start, end - start, &mut |_| {})?;
    }
    Ok(updated)
}

/// Opens an image to write to it, which nobody else does meanwhile.
fn open(path: &Path) -> Result<File, Error> {
    let open = OpenOptions::new().read(true).write(true).open(path);
    let file = open.map_err(error::write(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Error::Output {
            path: path.to_owned(),
            what: "being written to by another process",
        }),
        // Some file systems have no locks.
        _ => Ok(file),
    }
}

/// Refuses an image that would have to move something.
fn check_places(plan: &ImagePlan, image: &Image) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::Unlike { reason });
    let (size, sector) = (plan.extents.length(), plan.sector);
    if (image.size, image.sector) != (size, sector) {
        return refuse(format!(
            "it has {} bytes in sectors of {}, and the description makes {size} in sectors of {}",
            image.size,
            image.sector.get(),
            sector.get()
        ));
    }
    let places = image.partitions.iter();
    let places: Vec<_> = places
        .map(|(number, it)| (*number, it.start, it.size))
        .collect();
    let planned = plan.partitions.iter();
    let planned: Vec<_> = planned
        .map(|it| (it.number, it.entry.start, it.entry.size))
        .collect();
    for (found, planned) in places.iter().zip(&planned) {
        if found != planned {
            return refuse(format!(
                "partition {} has {} bytes at {}, and the description makes partition {} of {} bytes at {}",
                found.0, found.2, found.1, planned.0, planned.2, planned.1
            ));
        }
    }
    if places.len() != planned.len() {
        let (found, planned) = (places.len(), planned.len());
        return refuse(format!(
            "it has {found} partitions, and the description makes {planned}"
        ));
    }
    Ok(())
}

/// An image that is written to.
struct Target<'a> {
    file: File,
    path: &'a Path,
    plan: &'a ImagePlan,
    sources: &'a Sources,
}

/// Why a comparison ended.
enum Ended {
    Different,
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Target<'_> {
    /// Writes every partition that differs, but those that stay as they are.
    fn replace_partitions(
        &self,
        updated: &mut Updated,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        for partition in &self.plan.partitions {
            let entry = &partition.entry;
            let stays = partition.content == PlannedContent::Kept;
            if !stays && self.replace(entry.start, entry.size, progress)? {
                updated.written.push(partition.number);
            }
        }
        Ok(())
    }

    /// Writes bytes and waits for the disk.
    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, at);
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(error::write(self.path))
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        self.file.set_len(size).map_err(error::write(self.path))
    }

    /// Writes a run of the image and waits for the disk, if it differs; tells whether it
    /// did.
    fn replace(
        &self,
        start: u64,
        length: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<bool, Error> {
        let map = self.plan.extents.slice(start, length);
        let mut told = self.equal(&map, start, progress)?;
        if told == length {
            return Ok(false);
        }
        let mut end = start;
        for extent in map.extents() {
            self.clear(end, start + extent.start - end)?;
            end = start + extent.end();
        }
        self.clear(end, start + length - end)?;
        let mut whole = ExtentMap::hole(self.plan.extents.length());
        whole.append(start, map);
        // What was found to be equal was told before it is written once more.
        let mut written = 0;
        let mut tell = |bytes: u64| {
            written += bytes;
            progress(written.saturating_sub(told));
            told = told.max(written);
        };
        raw::write_into(&self.file, self.path, &whole, self.sources, &mut tell)?;
        progress(length - told);
        self.file.sync_data().map_err(error::write(self.path))?;
        Ok(true)
    }

    /// How many bytes from `start` on are as a run is to be, in whole pieces.
    fn equal(
        &self,
        map: &ExtentMap,
        start: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, Error> {
        let mut equal = 0;
        let mut found = Vec::new();
        let compared = pieces::read(map, self.sources, |bytes| {
            found.resize(bytes.len(), 0);
            let read = self.file.read_exact_at(&mut found, start + equal);
            read.map_err(error::read(self.path))?;
            if found != bytes {
                return Err(Ended::Different);
            }
            equal += bytes.len() as u64;
            progress(bytes.len() as u64);
            Ok(())
        });
        match compared {
            Ok(()) | Err(Ended::Different) => Ok(equal),
            Err(Ended::Failed(error)) => Err(error),
        }
    }

    /// Makes a run read as zeros, as a hole where the file system can.
    fn clear(&self, start: u64, length: u64) -> Result<(), Error> {
        if length == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, start, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            result => return result.map_err(|errno| error::write(self.path)(errno.into())),
        }
        ExtentMap::hole(length).read(|_, _, _| Ok(()), {
            let mut at = start;
            move |zeros: &[u8]| {
                let written = self.file.write_all_at(zeros, at);
                at += zeros.len() as u64;
                written.map_err(error::write(self.path))
            }
        })
    }
}
