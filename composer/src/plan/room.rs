//! How large an image is, and where each partition goes.

use crate::config::{ImageConfig, ImageSize, MinimumSizes};
use crate::error::Error;
use crate::found::FoundDisk;
use crate::placement::{self, Claim, Place, Usable};
use crate::size::{ByteSize, round_up};
use crate::table::{self, GRAIN};

/// The size of an image, and the places of its partitions.
#[derive(Debug)]
pub struct Room {
    /// The size in bytes.
    pub size: u64,
    /// The place of every partition; none where it is left out.
    pub places: Vec<Option<Place>>,
}

/// No file is longer than this.
const LARGEST: u64 = i64::MAX.unsigned_abs() / GRAIN * GRAIN;

/// Finds room for the claims; a disk that is there keeps its size at least.
///
/// # Errors
/// When those that must not be left out do not fit.
pub fn find(
    config: &ImageConfig,
    found: Option<&FoundDisk>,
    claims: &[Claim],
) -> Result<Room, Error> {
    let size = match (config.image.size, config.image.minimum_sizes) {
        (ImageSize::Auto, _) => None,
        (ImageSize::Bytes(size), MinimumSizes::Content) => Some(size.bytes() / GRAIN * GRAIN),
        (ImageSize::Bytes(size), MinimumSizes::Repart) => Some(round_up(size.bytes(), GRAIN)),
    };
    let needed = needed(found, claims);
    let has_table = found.is_some_and(|found| found.table.is_some());
    let try_size = |size| {
        let is_too_small = !has_table && size < table::FIRST_BYTE + table::BACKUP_BYTES;
        if is_too_small || size > LARGEST {
            return None;
        }
        let places = placement::place(claims, usable(found, size))?;
        Some(Room { size, places })
    };
    let least = found.map_or(0, |found| found.size);
    let wanted = size.unwrap_or(least).max(least);
    // One that may be left out takes its room where the image may grow.
    let is_whole = |room: &Room| size.is_some() || room.places.iter().all(Option::is_some);
    if wanted > 0
        && let Some(room) = try_size(wanted).filter(is_whole)
    {
        return Ok(room);
    }
    let size = size.map_or(needed, |_| wanted).max(least);
    if let Some(room) = try_size(size) {
        return Ok(room);
    }
    let required = || {
        let described = claims.iter().zip(&config.partitions).enumerate();
        described.filter(|(_, (claim, _))| claim.priority <= 0)
    };
    let claims: Vec<Claim> = required().map(|(_, (claim, _))| *claim).collect();
    let partitions = required().map(|(index, (claim, partition))| {
        let size = ByteSize(claim.size.least);
        let name = match partition.label() {
            "" => &partition.partition_type,
            label => label,
        };
        let is_there = claim.existing.map_or("", |_| " (there already)");
        format!("{} (`{name}`) {size}{is_there}", index + 1)
    });
    let partitions = match partitions.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => none,
        list => format!(": {list}"),
    };
    Err(Error::ImageFull {
        needed: ByteSize(self::needed(found, &claims)),
        available: ByteSize(size.min(LARGEST)),
        partitions,
    })
}

/// The size of a disk that has room for all claims behind what is there.
fn needed(found: Option<&FoundDisk>, claims: &[Claim]) -> u64 {
    placement::needed(claims, usable(found, 0)).saturating_add(table::BACKUP_BYTES)
}

/// What a disk of a size gives to partitions; one that keeps its size, as it did.
fn usable(found: Option<&FoundDisk>, size: u64) -> Usable {
    let table = found.and_then(|found| found.table.as_ref());
    let start = table.map_or(table::FIRST_BYTE, |table| {
        round_up(table.usable.start, GRAIN)
    });
    let end = match (found, table) {
        (Some(found), Some(table)) if found.size == size => table.usable.end / GRAIN * GRAIN,
        _ => size.saturating_sub(table::BACKUP_BYTES) / GRAIN * GRAIN,
    };
    Usable {
        start,
        end,
        grain: GRAIN,
    }
}
