//! The bytes of each partition.

use std::sync::Arc;

use extents::ExtentMap;

use super::PlannedContent;
use crate::config::{FileSystem, PartitionConfig, Verity};
use crate::error::Error;
use crate::fat::{self, Request, VolumeId};
use crate::mkfs;
use crate::scan::PartitionInput;
use crate::seed;
use crate::size::{ByteSize, SectorSize};
use crate::swap;
use crate::table::TableEntry;
use crate::tree::FileTree;

/// The bytes of a partition.
pub fn fill(
    config: &PartitionConfig,
    input: &PartitionInput,
    entry: &TableEntry,
    sector: SectorSize,
) -> Result<(PlannedContent, ExtentMap), Error> {
    let label = config.volume_label.as_deref().unwrap_or(&entry.label);
    let file_system = seed::file_system(entry.uuid);
    let empty_tree = FileTree::default();
    let tree = match (input, config.format) {
        (PartitionInput::Kept(_), _) => {
            return Ok((PlannedContent::Kept, ExtentMap::hole(entry.size)));
        }
        (PartitionInput::Blocks(blocks), _) => {
            let size = blocks.length();
            let mut extents = ExtentMap::hole(entry.size);
            extents.append(0, blocks.clone());
            return Ok((PlannedContent::Blocks { size }, extents));
        }
        (PartitionInput::Computed(bytes), _) => {
            return computed(config, bytes, entry.size);
        }
        (_, Some(FileSystem::Swap)) => {
            let bytes = swap::header(entry.size, file_system, label);
            let mut extents = ExtentMap::hole(entry.size);
            extents.push_bytes(0, bytes);
            return Ok((PlannedContent::Swap, extents));
        }
        (
            PartitionInput::Made {
                extents: made,
                tree,
            },
            Some(format),
        ) => {
            let mut extents = ExtentMap::hole(entry.size);
            extents.append(0, made.clone());
            return Ok((self::made(format, tree), extents));
        }
        (input, Some(format)) if mkfs::is_made(format) => {
            let tree = match input {
                PartitionInput::Tree(tree) => tree,
                _ => &empty_tree,
            };
            return Ok((made(format, tree), ExtentMap::hole(entry.size)));
        }
        (PartitionInput::Made { tree, .. } | PartitionInput::Tree(tree), _) => tree,
        (PartitionInput::Empty, Some(FileSystem::Vfat)) => &empty_tree,
        (PartitionInput::Empty, _) => {
            return computed(config, &[].into(), entry.size);
        }
    };
    vfat(config, tree, entry, sector)
}

/// A FAT file system.
fn vfat(
    config: &PartitionConfig,
    tree: &FileTree,
    entry: &TableEntry,
    sector: SectorSize,
) -> Result<(PlannedContent, ExtentMap), Error> {
    let label = config.volume_label.as_deref().unwrap_or(&entry.label);
    let request = Request {
        fat_type: config.fat_type,
        cluster: config.cluster_size.map(ByteSize::bytes),
        ..Request::of_size(entry.size, sector)
    };
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

/// What is told of a file system that was made, or would be.
fn made(format: FileSystem, tree: &FileTree) -> PlannedContent {
    let (files, bytes) = tree.totals();
    PlannedContent::FileSystem {
        format,
        files,
        bytes,
    }
}

/// Hashes or a signature; nothing yet where they could not be computed.
fn computed(
    config: &PartitionConfig,
    bytes: &Arc<[u8]>,
    room: u64,
) -> Result<(PlannedContent, ExtentMap), Error> {
    let needed = bytes.len() as u64;
    if needed > room {
        return Err(Error::TooLarge {
            needed: ByteSize(needed),
            most: ByteSize(room),
        });
    }
    let mut extents = ExtentMap::hole(room);
    extents.push_bytes(0, bytes.clone());
    let content = match config.verity {
        Some(Verity::Hash) => PlannedContent::Hashes,
        Some(Verity::Signature) => PlannedContent::Signature,
        _ => PlannedContent::Empty,
    };
    Ok((content, extents))
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
