//! What each partition asks for: its least and greatest size, and the space behind it.

use uuid::Uuid;

use crate::config::{
    FileSystem, ImageConfig, Minimize, MinimumSizes, PartitionConfig, Verity, VeritySet,
};
use crate::error::Error;
use crate::fat::{self, FatType, Request};
use crate::mkfs;
use crate::partition_type::PartitionType;
use crate::placement::{Bounds, Claim, Existing};
use crate::protect;
use crate::scan::PartitionInput;
use crate::size::{ByteSize, SectorSize, round_up};
use crate::source::Sources;
use crate::table::GRAIN;
use crate::tree::FileTree;

/// The size of a partition of which nothing is known, as in systemd-repart.
const DEFAULT_SIZE: u64 = 10 << 20;

/// The share of a partition that names none, as in systemd-repart.
const DEFAULT_WEIGHT: u32 = 1000;

/// The size of the signature of a root hash, as in systemd-repart.
const VERITY_SIGNATURE: u64 = 16 << 10;

/// The smallest swap space: a kernel wants ten pages.
const LEAST_SWAP: u64 = 40 << 10;

/// What a partition asks for, which has this GUID.
pub fn claim(
    config: &ImageConfig,
    (partition, uuid): (&PartitionConfig, Uuid),
    input: &PartitionInput,
    sources: &Sources,
) -> Result<Claim, Error> {
    let sector = config.sector_size();
    if let PartitionInput::Kept(existing) = input {
        return Ok(Claim {
            size: of_kept(config, partition, *existing),
            padding: padding(partition),
            priority: partition.priority.unwrap_or(0),
            existing: Some(*existing),
        });
    }
    let needed = match (input, partition.format) {
        (PartitionInput::Blocks(blocks), _) => blocks.length(),
        (PartitionInput::Made { extents, .. }, _) => extents.length(),
        (PartitionInput::Tree(tree), Some(format)) if mkfs::is_made(format) => {
            mkfs::least_size(format, tree, sources, uuid)?
        }
        (PartitionInput::Empty, Some(format)) if mkfs::is_made(format) => {
            mkfs::least_size(format, &FileTree::default(), sources, uuid)?
        }
        (PartitionInput::Tree(tree), Some(FileSystem::Vfat)) => {
            vfat_size(config, partition, tree, sources)?
        }
        (_, Some(FileSystem::Vfat)) => vfat_size(config, partition, &FileTree::default(), sources)?,
        (_, Some(FileSystem::Swap)) => LEAST_SWAP,
        _ => 0,
    };
    let size = match config.image.minimum_sizes {
        MinimumSizes::Content => of_content(partition, input, needed),
        MinimumSizes::Repart => of_repart(partition, needed, sector),
    };
    if size.least > size.most {
        return Err(Error::TooLarge {
            needed: ByteSize(size.least),
            most: ByteSize(size.most),
        });
    }
    let size = match partition.verity {
        Some(Verity::Signature) => Bounds {
            least: VERITY_SIGNATURE,
            most: VERITY_SIGNATURE,
            ..size
        },
        _ => size,
    };
    Ok(Claim {
        size,
        padding: padding(partition),
        priority: partition.priority.unwrap_or(0),
        existing: None,
    })
}

/// The free space behind a partition.
fn padding(partition: &PartitionConfig) -> Bounds {
    let bytes = |size: Option<ByteSize>| size.map(ByteSize::bytes);
    let least = round_up(bytes(partition.padding_min_bytes).unwrap_or(0), GRAIN);
    let most = bytes(partition.padding_max_bytes).map_or(u64::MAX, |most| most / GRAIN * GRAIN);
    Bounds {
        least,
        // Rounded apart, bounds within one grain would cross.
        most: most.max(least),
        weight: u64::from(partition.padding_weight.unwrap_or(0)),
    }
}

/// The size of a partition that is there: it never shrinks, and nobody else's grows.
fn of_kept(config: &ImageConfig, partition: &PartitionConfig, existing: Existing) -> Bounds {
    let size = existing.size;
    let weight = weight(partition);
    if existing.is_foreign {
        return Bounds {
            least: size,
            most: size,
            weight,
        };
    }
    let default = match config.image.minimum_sizes {
        MinimumSizes::Content => 0,
        MinimumSizes::Repart => DEFAULT_SIZE,
    };
    let given = partition.size_min_bytes.map_or(default, ByteSize::bytes);
    let least = round_up(given, GRAIN).max(size);
    let most = partition.size_max_bytes;
    let most = most.map_or(u64::MAX, |most| most.bytes() / GRAIN * GRAIN);
    Bounds {
        least,
        most: most.max(least),
        weight,
    }
}

/// How many bytes of data a set hashes, in a partition of `size`.
pub fn hashed(set: &VeritySet, data: &PartitionInput, size: u64) -> u64 {
    let content = match data {
        PartitionInput::Blocks(blocks) => Some(blocks.length()),
        PartitionInput::Made { extents, .. } => Some(extents.length()),
        _ => None,
    };
    let content = content.filter(|_| set.is_minimal);
    content.map_or(size, |content| round_up(content, GRAIN))
}

/// Makes the claim for hashes one of at least `demand` bytes; tells whether it was less.
///
/// With sizes that follow from content, hashes take what they need, and no share of what
/// is left.
pub fn raise_hashes(config: &ImageConfig, set: &VeritySet, claim: &mut Claim, demand: u64) -> bool {
    let hash = &config.partitions[set.hash];
    let given = hash.size_min_bytes.map(ByteSize::bytes);
    let greatest = config.partitions[set.data].size_max_bytes;
    let of_greatest = greatest.map(|size| {
        let size = size.bytes() / GRAIN * GRAIN;
        protect::parameters(config, set).size(size)
    });
    let least = match config.image.minimum_sizes {
        MinimumSizes::Repart if !set.is_minimal => given.or(of_greatest),
        _ => given,
    };
    let least = round_up(least.unwrap_or(0).max(demand), GRAIN);
    let grew = claim.size.least < demand;
    let is_fixed = config.image.minimum_sizes == MinimumSizes::Content && given.is_none();
    claim.size.least = least;
    if is_fixed {
        claim.size.most = least;
    }
    claim.size.most = claim.size.most.max(least);
    grew
}

/// A size that follows from the content.
fn of_content(partition: &PartitionConfig, input: &PartitionInput, needed: u64) -> Bounds {
    let given = partition.size_min_bytes.map(ByteSize::bytes);
    let most = partition.size_max_bytes.map(ByteSize::bytes);
    let is_empty =
        matches!(input, PartitionInput::Empty) && partition.format != Some(FileSystem::Vfat);
    let default = most.map_or(DEFAULT_SIZE, |most| most.min(DEFAULT_SIZE));
    let least = match given {
        Some(given) => given.max(needed),
        None if is_empty => needed.max(default),
        None => needed,
    };
    Bounds {
        least: round_up(least.max(1), GRAIN),
        most: most.map_or(u64::MAX, |most| most / GRAIN * GRAIN),
        weight: weight(partition),
    }
}

/// A size as systemd-repart determines it; the content must have room as well.
fn of_repart(partition: &PartitionConfig, needed: u64, sector: SectorSize) -> Bounds {
    let weight = weight(partition);
    let kind = partition.partition_type();
    if kind.is_ok_and(PartitionType::is_verity_signature) {
        let (least, most) = (VERITY_SIGNATURE, VERITY_SIGNATURE);
        return Bounds {
            least,
            most,
            weight,
        };
    }
    let is_read_only = partition.format.is_some_and(FileSystem::is_read_only);
    let is_protected = partition.verity.is_some_and(|verity| verity != Verity::Off);
    let default = if is_read_only || is_protected {
        1
    } else {
        DEFAULT_SIZE
    };
    let given = partition.size_min_bytes.map(ByteSize::bytes);
    let is_minimal = partition
        .minimize
        .is_some_and(|minimize| minimize != Minimize::Off);
    let default = if is_minimal { 1 } else { default };
    let reserved = if is_minimal {
        1
    } else {
        reserved(partition, sector)
    };
    let floor = round_up(given.unwrap_or(default).max(reserved), GRAIN);
    let most = partition
        .size_max_bytes
        .map(|most| most.bytes() / GRAIN * GRAIN);
    Bounds {
        least: floor.max(round_up(needed, GRAIN)),
        // The floor wins over what is asked for; the content does not.
        most: most.map_or(u64::MAX, |most| most.max(floor)),
        weight,
    }
}

fn weight(partition: &PartitionConfig) -> u64 {
    u64::from(partition.weight.unwrap_or(DEFAULT_WEIGHT))
}

/// The least size systemd-repart reserves for a file system, whatever is asked for.
fn reserved(partition: &PartitionConfig, sector: SectorSize) -> u64 {
    let is_boot = partition.partition_type().is_ok_and(PartitionType::is_boot);
    match partition.format {
        Some(FileSystem::Vfat) if is_boot && sector == SectorSize::S4096 => 260 << 20,
        Some(FileSystem::Vfat) if is_boot => 100 << 20,
        Some(FileSystem::Ext4) => 32 << 20,
        Some(FileSystem::Btrfs) => 256 << 20,
        Some(FileSystem::Xfs) => 300 << 20,
        _ => 0,
    }
}

/// The size of a FAT file system that holds a tree.
///
/// A boot partition for which no size is given is large enough for FAT32, which
/// UEFI asks for on fixed disks; holes cost nothing.
fn vfat_size(
    config: &ImageConfig,
    partition: &PartitionConfig,
    tree: &FileTree,
    sources: &Sources,
) -> Result<u64, Error> {
    tree.check_fat(sources)?;
    let sector = config.sector_size();
    let is_open = partition.size_min_bytes.is_none() && partition.size_max_bytes.is_none();
    let is_boot = partition.partition_type().is_ok_and(PartitionType::is_boot);
    let wants_fat32 =
        is_open && is_boot && partition.fat_type.is_none() && partition.cluster_size.is_none();
    let least = partition
        .size_min_bytes
        .map_or(0, |least| round_up(least.bytes(), GRAIN));
    let most = partition
        .size_max_bytes
        .map_or(u64::MAX, |most| most.bytes() / GRAIN * GRAIN);
    let (least, most) = match config.image.minimum_sizes {
        MinimumSizes::Content => (least, most),
        MinimumSizes::Repart => {
            let bounds = of_repart(partition, 0, sector);
            (bounds.least, bounds.most)
        }
    };
    let request = Request {
        fat_type: if wants_fat32 {
            Some(FatType::Fat32)
        } else {
            partition.fat_type
        },
        cluster: partition.cluster_size.map(ByteSize::bytes),
        ..Request::of_size(least, sector)
    };
    fat::minimum_size(tree, &request, most).map(ByteSize::bytes)
}
