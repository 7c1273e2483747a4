//! Every byte of an image, before anything is written.

pub(crate) mod claims;
mod content;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use extents::ExtentMap;
use serde::Serialize;
use uuid::Uuid;

use crate::config::{FileSystem, ImageConfig, ImageSize, PartitionConfig, VeritySet, verity_sets};
use crate::error::Error;
use crate::fat::Geometry;
use crate::partition_type::PartitionType;
use crate::placement::Place;
use crate::protect;
use crate::scan::Inputs;
use crate::seed::Seed;
use crate::size::SectorSize;
use crate::table::{self, Disk, TableEntry};
use room::Room;

/// An image with every identifier, size and place fixed.
#[derive(Debug)]
pub struct ImagePlan {
    /// The sector size of the disk.
    pub sector: SectorSize,
    /// The GUID of the disk.
    pub disk: Uuid,
    /// The partitions in the order of the description.
    pub partitions: Vec<PlannedPartition>,
    /// The labels of partitions for which there is no room and which may be missing.
    pub left_out: Vec<String>,
    /// The bytes.
    pub extents: ExtentMap,
}

/// A partition of a planned image.
#[derive(Debug)]
pub struct PlannedPartition {
    /// Its place among those of the description.
    pub index: usize,
    /// Its number in the table.
    pub number: u32,
    /// Its entry in the table.
    pub entry: TableEntry,
    /// What is in it.
    pub content: PlannedContent,
    /// The root hash of data that is protected by dm-verity, if it is part of that.
    pub root_hash: Option<String>,
}

/// What is in a planned partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlannedContent {
    /// Nothing: it reads as zeros.
    Empty,
    /// What is in it already.
    Kept,
    /// Swap space.
    Swap,
    /// Hashes of dm-verity.
    Hashes,
    /// A signature of a root hash of dm-verity.
    Signature,
    /// The bytes of a file.
    Blocks {
        /// How many.
        size: u64,
    },
    /// A file system that is neither FAT nor swap space.
    FileSystem {
        /// Which.
        format: FileSystem,
        /// How many files it has.
        files: usize,
        /// How many bytes they have.
        bytes: u64,
    },
    /// A FAT file system.
    Vfat {
        /// Where its parts are.
        geometry: Geometry,
        /// How many files it has.
        files: usize,
        /// How many bytes they have.
        bytes: u64,
        /// How many bytes its clusters in use have.
        used: u64,
    },
}

/// An image with every identifier, size and place fixed, but not its content.
#[derive(Debug)]
pub struct ImageLayout {
    size: u64,
    /// What the partitions are called before anything is hashed.
    identities: Vec<Identity>,
    /// The number of each partition in the table; none where it is left out.
    numbers: Vec<Option<u32>>,
    /// The entry of each partition of the description; none where it is left out.
    pub entries: Vec<Option<TableEntry>>,
    /// The root hash of what each partition is protected by, or protects.
    root_hashes: Vec<Option<String>>,
}

impl ImageLayout {
    /// The root hash of what a partition is protected by, or protects.
    pub(crate) fn root_hash(&self, index: usize) -> Option<&str> {
        self.root_hashes[index].as_deref()
    }

    /// Notes the root hash of a partition, if there is one.
    pub(crate) fn set_root_hash(&mut self, index: Option<usize>, root_hash: &str) {
        if let Some(slot) = index.and_then(|index| self.root_hashes.get_mut(index)) {
            *slot = Some(root_hash.to_owned());
        }
    }
}

/// Lays an image out. The description is settled ([`ImageConfig::settle`]).
///
/// # Errors
/// When a partition cannot be as described, or the partitions do not fit the image.
pub fn lay_out(config: &ImageConfig, inputs: &Inputs) -> Result<ImageLayout, Error> {
    let mut claims = Vec::new();
    let identities = identities(config);
    let described = config.partitions.iter().zip(&inputs.partitions);
    for (number, ((partition, input), identity)) in (1..).zip(described.zip(&identities)) {
        let named = (partition, identity.uuid);
        let claim = claims::claim(config, named, input, &inputs.sources);
        claims.push(claim.map_err(in_partition_number(number, partition))?);
    }
    let sets = verity_sets(&config.partitions).unwrap_or_default();
    let demand = |set: &VeritySet, data: u64| {
        let data = claims::hashed(set, &inputs.partitions[set.data], data);
        protect::parameters(config, set).size(data)
    };
    for set in &sets {
        let demand = demand(set, claims[set.data].size.least);
        claims::raise_hashes(config, set, &mut claims[set.hash], demand);
    }
    // Data that has grown takes more hashes, which leave it less room.
    loop {
        let Room { size, places } = room::find(config, inputs.found.as_ref(), &claims)?;
        let mut grew = false;
        for set in &sets {
            if let (Some(data), Some(hash)) = (places[set.data], places[set.hash])
                && demand(set, data.size) > hash.size
            {
                let demand = demand(set, data.size);
                grew |= claims::raise_hashes(config, set, &mut claims[set.hash], demand);
            }
        }
        if !grew {
            return Ok(ImageLayout {
                size,
                numbers: places
                    .iter()
                    .map(|place| Some(place.as_ref()?.number))
                    .collect(),
                entries: entries(config, &identities, &places),
                root_hashes: vec![None; places.len()],
                identities,
            });
        }
    }
}

/// Lays an image out again, when more of its content is known. What was hashed must not
/// get another size; it keeps its root hash and UUIDs.
///
/// # Errors
/// As [`lay_out`], and when what was hashed would get another size.
pub fn lay_out_again(
    config: &ImageConfig,
    inputs: &Inputs,
    before: &ImageLayout,
) -> Result<ImageLayout, Error> {
    let mut layout = lay_out(config, inputs)?;
    layout.root_hashes.clone_from(&before.root_hashes);
    for set in verity_sets(&config.partitions).unwrap_or_default() {
        for index in [set.data, set.hash] {
            let size = |layout: &ImageLayout| layout.entries[index].as_ref().map(|it| it.size);
            if size(&layout) != size(before) {
                return Err(in_partition(config, index, Error::Resized));
            }
            if let (Some(entry), Some(before)) =
                (&mut layout.entries[index], &before.entries[index])
            {
                entry.uuid = before.uuid;
            }
        }
    }
    Ok(layout)
}

/// The content of one partition, which is in the table.
pub(crate) fn content_of(
    config: &ImageConfig,
    inputs: &Inputs,
    layout: &ImageLayout,
    index: usize,
    entry: &TableEntry,
) -> Result<(PlannedContent, ExtentMap), Error> {
    let (partition, input) = (&config.partitions[index], &inputs.partitions[index]);
    let entry = TableEntry {
        // That of protected data is known only when its content is.
        uuid: layout.identities[index].uuid,
        ..entry.clone()
    };
    let content = content::fill(partition, input, &entry, config.sector_size());
    content.map_err(|source| in_partition(config, index, source))
}

/// Plans the content of an image that is laid out.
///
/// # Errors
/// When a partition cannot hold what it should; nothing was written then.
pub fn complete(
    config: &ImageConfig,
    inputs: &Inputs,
    layout: &ImageLayout,
) -> Result<ImagePlan, Error> {
    let (size, sector) = (layout.size, config.sector_size());
    let disk = disk_of(config, inputs, size);
    let numbered = layout.numbers.iter().zip(&layout.entries);
    let numbered = numbered.filter_map(|(number, entry)| Some(((*number)?, entry.clone()?)));
    let mut table =
        table::render(&disk, &numbered.collect()).map_err(|reason| Error::Table { reason })?;
    if let Some(found) = inputs.found_table() {
        found.keep_boot_sector(&mut table, size);
    }
    let mut partitions = Vec::new();
    let mut left_out = Vec::new();
    let mut contents = BTreeMap::new();
    let parts = layout.entries.iter().zip(&layout.numbers).enumerate();
    for (index, (entry, number)) in parts {
        let (Some(entry), Some(number)) = (entry.clone(), *number) else {
            left_out.push(config.partitions[index].label().to_owned());
            continue;
        };
        let (content, bytes) = content_of(config, inputs, layout, index, &entry)?;
        contents.insert(entry.start, bytes);
        partitions.push(PlannedPartition {
            index,
            number,
            entry,
            content,
            root_hash: layout.root_hashes[index].clone(),
        });
    }
    let mut extents = ExtentMap::hole(size);
    table.push_head(&mut extents);
    for (start, bytes) in contents {
        extents.append(start, bytes);
    }
    table.push_tail(&mut extents);
    Ok(ImagePlan {
        sector,
        disk: disk.guid,
        partitions,
        left_out,
        extents,
    })
}

/// The disk of an image of this size: what is there stays.
fn disk_of(config: &ImageConfig, inputs: &Inputs, size: u64) -> Disk {
    let sector = config.sector_size();
    let found = inputs.found_table();
    let guid = found.map_or_else(|| seed_of(config).disk(), |found| found.disk);
    let keeps_size = inputs
        .found
        .as_ref()
        .is_some_and(|found| found.size == size);
    let mut disk = if config.image.size == ImageSize::Auto && !keeps_size {
        Disk::fitted(size, sector, guid)
    } else {
        Disk::whole(size, sector, guid)
    };
    if let Some(found) = found {
        disk.usable.start = found.usable.start;
        if keeps_size {
            disk.usable.end = found.usable.end;
        }
    }
    disk
}

/// The seed of an image.
#[must_use]
pub fn seed_of(config: &ImageConfig) -> Seed {
    let image = &config.image;
    let name = image.name.as_deref().unwrap_or("image");
    image
        .seed
        .map_or_else(|| Seed::of_name(name, image.version.as_deref()), Seed)
}

/// The entries of the table.
fn entries(
    config: &ImageConfig,
    identities: &[Identity],
    places: &[Option<Place>],
) -> Vec<Option<TableEntry>> {
    let named = config.partitions.iter().zip(identities).zip(places);
    named
        .map(|((partition, identity), place)| {
            place.map(|place| TableEntry {
                partition_type: identity.partition_type,
                uuid: identity.uuid,
                label: identity.label.clone(),
                attributes: partition.attributes(),
                start: place.start,
                size: place.size,
            })
        })
        .collect()
}

/// What a partition is called.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its type.
    pub partition_type: PartitionType,
    /// Its GUID.
    pub uuid: Uuid,
    /// Its label.
    pub label: String,
}

/// What the partitions are called; those that are left out count for the others,
/// whose identifiers so do not depend on the size of the image.
#[must_use]
pub fn identities(config: &ImageConfig) -> Vec<Identity> {
    let seed = seed_of(config);
    let given: BTreeSet<Uuid> = config.partitions.iter().filter_map(|it| it.uuid).collect();
    let mut identities: Vec<Identity> = Vec::new();
    for (partition, label) in config.partitions.iter().zip(labels(config)) {
        let partition_type = partition
            .partition_type()
            .unwrap_or_else(|error| unreachable!("checked: {error}"));
        let is_twin = |other: &&Identity| other.partition_type == partition_type;
        let index = identities.iter().filter(is_twin).count() as u64;
        // One that was given to another partition is passed over.
        let mut derived = (index..).map(|index| seed.partition(partition_type.0, index));
        let derived = || {
            derived
                .find(|uuid| !given.contains(uuid))
                .unwrap_or_default()
        };
        identities.push(Identity {
            partition_type,
            uuid: partition.uuid.unwrap_or_else(derived),
            label,
        });
    }
    identities
}

/// The labels, those that are not given derived from the type: `swap`, then
/// `swap-2`, as systemd-repart does, which heeds those that come before.
fn labels(config: &ImageConfig) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut label_of = |partition: &PartitionConfig| {
        if let Some(label) = &partition.label {
            taken.insert(label.clone());
            return label.clone();
        }
        let name = partition.label();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        let free = candidates.find(|label| taken.insert(label.clone()));
        free.unwrap_or_else(|| unreachable!("there are numbers enough"))
    };
    config.partitions.iter().map(&mut label_of).collect()
}

/// An error in a partition of the description.
pub(crate) fn in_partition(config: &ImageConfig, index: usize, source: Error) -> Error {
    let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
    in_partition_number(number, &config.partitions[index])(source)
}

fn in_partition_number(
    number: u32,
    config: &PartitionConfig,
) -> impl FnOnce(Error) -> Error + use<> {
    let label = config.label().to_owned();
    move |source| Error::Partition {
        number,
        label,
        source: Box::new(source),
    }
}
