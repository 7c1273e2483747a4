//! Every byte of an image, before anything is written.

use std::collections::BTreeSet;

use extents::{ExtentMap, SourceId};
use serde::Serialize;
use uuid::Uuid;

use crate::config::{FileSystem, ImageConfig, ImageSize, PartitionConfig};
use crate::error::Error;
use crate::fat::{self, FatType, Geometry, Request, VolumeId};
use crate::fit::{self, Claim};
use crate::partition_type::PartitionType;
use crate::scan::{Inputs, PartitionInput};
use crate::seed::{self, Seed};
use crate::size::{ByteSize, SectorSize, round_up};
use crate::source::Sources;
use crate::table::{self, GRAIN, TableEntry};
use crate::tree::FileTree;

/// The size of a partition of which nothing is known, as in systemd-repart.
const DEFAULT_SIZE: ByteSize = ByteSize::mib(10);

/// The share of a partition that names none, as in systemd-repart.
const DEFAULT_WEIGHT: u32 = 1000;

/// An image with every identifier, size and place fixed.
#[derive(Debug)]
pub struct ImagePlan {
    /// The sector size of the disk.
    pub sector: SectorSize,
    /// The GUID of the disk.
    pub disk: Uuid,
    /// The partitions in order; the first has number 1.
    pub partitions: Vec<PlannedPartition>,
    /// The bytes.
    pub extents: ExtentMap,
}

/// A partition of a planned image.
#[derive(Debug)]
pub struct PlannedPartition {
    /// Its entry in the table.
    pub entry: TableEntry,
    /// What is in it.
    pub content: PlannedContent,
}

/// What is in a planned partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlannedContent {
    /// Nothing: it reads as zeros.
    Empty,
    /// The bytes of a file.
    Blocks {
        /// How many.
        size: u64,
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

/// Plans an image.
///
/// # Errors
/// When a partition cannot be as described, or the partitions do not fit the
/// image; nothing was written then.
pub fn plan(config: &ImageConfig, inputs: &Inputs) -> Result<ImagePlan, Error> {
    let sector = config.sector_size();
    let mut claims = Vec::new();
    for (number, (partition, input)) in (1..).zip(config.partitions.iter().zip(&inputs.partitions))
    {
        let claim = claim(partition, input, sector, &inputs.sources);
        claims.push(claim.map_err(in_partition(number, partition))?);
    }
    let (size, sizes) = place(config, &claims)?;
    let seed = seed_of(config);
    let mut extents = ExtentMap::hole(size);
    let entries = entries(config, seed, &sizes);
    let disk = seed.disk();
    let table =
        table::render(size, sector, disk, &entries).map_err(|reason| Error::Table { reason })?;
    table.push_head(&mut extents);
    let mut partitions = Vec::new();
    let parts = config
        .partitions
        .iter()
        .zip(&inputs.partitions)
        .zip(entries);
    for (number, ((partition, input), entry)) in (1..).zip(parts) {
        let content = fill(partition, input, &entry, sector);
        let (content, bytes) = content.map_err(in_partition(number, partition))?;
        extents.append(entry.start, bytes);
        partitions.push(PlannedPartition { entry, content });
    }
    table.push_tail(&mut extents);
    Ok(ImagePlan {
        sector,
        disk,
        partitions,
        extents,
    })
}

/// The seed of an image.
fn seed_of(config: &ImageConfig) -> Seed {
    let image = &config.image;
    let name = image.name.as_deref().unwrap_or("image");
    image
        .seed
        .map_or_else(|| Seed::of_name(name, image.version.as_deref()), Seed)
}

/// What a partition asks for.
fn claim(
    config: &PartitionConfig,
    input: &PartitionInput,
    sector: SectorSize,
    sources: &Sources,
) -> Result<Claim, Error> {
    let needed = match (input, config.format) {
        (PartitionInput::Blocks(_, size), _) => ByteSize(*size),
        (PartitionInput::Tree(tree), _) => vfat_size(config, tree, sector, sources)?,
        (PartitionInput::Empty, Some(FileSystem::Vfat)) => {
            vfat_size(config, &FileTree::default(), sector, sources)?
        }
        (PartitionInput::Empty, _) => config
            .size_max_bytes
            .map_or(DEFAULT_SIZE, |most| most.min(DEFAULT_SIZE)),
    };
    let least = match (config.size_min_bytes, input) {
        (Some(least), PartitionInput::Empty) if config.format != Some(FileSystem::Vfat) => least,
        (least, _) => needed.max(least.unwrap_or_default()),
    };
    let least = round_up(least.bytes().max(1), GRAIN);
    let most = config
        .size_max_bytes
        .map_or(u64::MAX, |most| most.bytes() / GRAIN * GRAIN);
    if least > most {
        return Err(Error::TooLarge {
            needed: ByteSize(least),
            most: ByteSize(most),
        });
    }
    let weight = u64::from(config.weight.unwrap_or(DEFAULT_WEIGHT));
    Ok(Claim {
        least,
        most,
        weight,
    })
}

/// The size of a FAT file system that holds a tree.
///
/// A boot partition for which no size is given is large enough for FAT32, which
/// UEFI asks for on fixed disks; holes cost nothing.
fn vfat_size(
    config: &PartitionConfig,
    tree: &FileTree,
    sector: SectorSize,
    sources: &Sources,
) -> Result<ByteSize, Error> {
    tree.check_fat(sources)?;
    let is_open = config.size_min_bytes.is_none() && config.size_max_bytes.is_none();
    let is_boot = config.partition_type().is_ok_and(PartitionType::is_boot);
    let wants_fat32 =
        is_open && is_boot && config.fat_type.is_none() && config.cluster_size.is_none();
    let least = config
        .size_min_bytes
        .map_or(0, |least| round_up(least.bytes(), GRAIN));
    let most = config
        .size_max_bytes
        .map_or(u64::MAX, |most| most.bytes() / GRAIN * GRAIN);
    let request = Request {
        fat_type: if wants_fat32 {
            Some(FatType::Fat32)
        } else {
            config.fat_type
        },
        cluster: config.cluster_size.map(ByteSize::bytes),
        ..Request::of_size(least, sector)
    };
    fat::minimum_size(tree, &request, most)
}

/// The size of the image and of every partition.
fn place(config: &ImageConfig, claims: &[Claim]) -> Result<(u64, Vec<u64>), Error> {
    let around = table::FIRST_BYTE + table::BACKUP_BYTES;
    let needed = claims
        .iter()
        .map(|claim| claim.least)
        .fold(around, u64::saturating_add);
    let available = match config.image.size {
        ImageSize::Auto => needed,
        ImageSize::Bytes(size) => size.bytes() / GRAIN * GRAIN,
    };
    if needed > available {
        let partitions =
            (1..)
                .zip(config.partitions.iter().zip(claims))
                .map(|(number, (partition, claim))| {
                    format!(
                        "{number} (`{}`) {}",
                        partition.label(),
                        ByteSize(claim.least)
                    )
                });
        return Err(Error::ImageFull {
            needed: ByteSize(needed),
            available: ByteSize(available),
            partitions: partitions.collect::<Vec<_>>().join(", "),
        });
    }
    Ok((available, fit::share(claims, available - around, GRAIN)))
}

fn entries(config: &ImageConfig, seed: Seed, sizes: &[u64]) -> Vec<TableEntry> {
    let mut start = table::FIRST_BYTE;
    let mut types: Vec<PartitionType> = Vec::new();
    let mut entries = Vec::new();
    let labels = labels(config);
    for ((partition, size), label) in config.partitions.iter().zip(sizes).zip(labels) {
        let partition_type = partition
            .partition_type()
            .unwrap_or_else(|error| unreachable!("checked: {error}"));
        let index = types
            .iter()
            .filter(|other| **other == partition_type)
            .count() as u64;
        types.push(partition_type);
        let derived = || seed.partition(partition_type.0, index);
        entries.push(TableEntry {
            partition_type,
            uuid: partition.uuid.unwrap_or_else(derived),
            label,
            attributes: partition.attributes(),
            start,
            size: *size,
        });
        start += size;
    }
    entries
}

/// The labels, those that are not given derived from the type: `swap`, then
/// `swap-2`, as systemd-repart does.
fn labels(config: &ImageConfig) -> Vec<String> {
    let given = config
        .partitions
        .iter()
        .filter_map(|partition| partition.label.clone());
    let mut taken: BTreeSet<String> = given.collect();
    let mut label_of = |partition: &PartitionConfig| {
        if let Some(label) = &partition.label {
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

/// The bytes of a partition.
fn fill(
    config: &PartitionConfig,
    input: &PartitionInput,
    entry: &TableEntry,
    sector: SectorSize,
) -> Result<(PlannedContent, ExtentMap), Error> {
    let empty_tree = FileTree::default();
    let tree = match input {
        PartitionInput::Blocks(source, size) => return Ok(blocks(*source, *size, entry.size)),
        PartitionInput::Tree(tree) => tree,
        PartitionInput::Empty if config.format == Some(FileSystem::Vfat) => &empty_tree,
        PartitionInput::Empty => {
            return Ok((PlannedContent::Empty, ExtentMap::hole(entry.size)));
        }
    };
    let request = Request {
        fat_type: config.fat_type,
        cluster: config.cluster_size.map(ByteSize::bytes),
        ..Request::of_size(entry.size, sector)
    };
    let label = config.volume_label.as_deref().unwrap_or(&entry.label);
    let id = VolumeId {
        serial: seed::fat_serial(seed::file_system(entry.uuid)),
        label: Some(fat_label(label)),
    };
    let volume = fat::plan(tree, &request, &id)?;
    let (files, bytes) = tree.totals();
    let used = volume.used * volume.geometry.cluster();
    let content = PlannedContent::Vfat {
        geometry: volume.geometry,
        files,
        bytes,
        used,
    };
    Ok((content, volume.extents))
}

fn blocks(source: SourceId, size: u64, room: u64) -> (PlannedContent, ExtentMap) {
    let mut extents = ExtentMap::hole(room);
    extents.push_slice(0, size, source, 0);
    (PlannedContent::Blocks { size }, extents)
}

/// A label as FAT can hold it: eleven bytes of upper case, as systemd-repart
/// makes it.
fn fat_label(label: &str) -> String {
    let fit = |character: char| match character.to_ascii_uppercase() {
        c if !c.is_ascii_graphic() && c != ' ' || "*?.,;:/\\|+=<>[]\"".contains(c) => '_',
        c => c,
    };
    label.chars().take(11).map(fit).collect()
}

fn in_partition(number: u32, config: &PartitionConfig) -> impl FnOnce(Error) -> Error + use<> {
    let label = config.label().to_owned();
    move |source| Error::Partition {
        number,
        label,
        source: Box::new(source),
    }
}
