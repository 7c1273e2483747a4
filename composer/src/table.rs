//! The partition table: a GPT with its protective MBR and its backup.
//!
//! Specification: UEFI 2.10, chapter 5. The `gpt` crate writes it, over memory
//! that holds both ends of the disk and nothing between.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use extents::ExtentMap;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{OperatingSystem, Type};
use uuid::Uuid;

use crate::partition_type::PartitionType;
use crate::size::SectorSize;
use crate::window::sought;

/// Where the first partition starts, in bytes. systemd-repart and fdisk start
/// there too; tables that say otherwise compare unequal to theirs.
pub const FIRST_BYTE: u64 = 1 << 20;

/// Partitions start at, and are as long as, multiples of this many bytes.
///
/// It is systemd-repart's grain. A smaller one would end the sharing of blocks
/// with the sources.
pub const GRAIN: u64 = 4096;

/// What the backup table takes at the end of a disk, in bytes, rounded up to the
/// grain of partitions.
pub const BACKUP_BYTES: u64 = 20 << 10;

/// A partition as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// The type.
    pub partition_type: PartitionType,
    /// The GUID.
    pub uuid: Uuid,
    /// The label.
    pub label: String,
    /// Attribute bits.
    pub attributes: u64,
    /// Where it starts, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub size: u64,
}

/// The greatest number of a partition.
pub const MAX_NUMBER: u32 = 128;

/// A disk, as its table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its length in bytes, a multiple of the sector size.
    pub size: u64,
    /// The size of its sectors.
    pub sector: SectorSize,
    /// Its GUID.
    pub guid: Uuid,
    /// The bytes that it gives to partitions.
    pub usable: Range<u64>,
}

impl Disk {
    /// A disk that gives all there is from [`FIRST_BYTE`] on to partitions, as fdisk does.
    #[must_use]
    pub fn whole(size: u64, sector: SectorSize, guid: Uuid) -> Self {
        Self {
            size,
            sector,
            guid,
            usable: FIRST_BYTE..tail(size, sector),
        }
    }

    /// A disk that systemd-repart made as large as its partitions need: what it gives to
    /// them ends on the boundary of partitions.
    #[must_use]
    pub fn fitted(size: u64, sector: SectorSize, guid: Uuid) -> Self {
        let mut disk = Self::whole(size, sector, guid);
        disk.usable.end = disk.usable.end / GRAIN * GRAIN;
        disk
    }

    /// Where its first table ends, in bytes.
    #[must_use]
    pub fn head(&self) -> u64 {
        2 * self.sector.bytes() + ENTRIES as u64
    }

    /// Where its second table starts, in bytes.
    #[must_use]
    pub fn tail(&self) -> u64 {
        tail(self.size, self.sector)
    }
}

fn tail(size: u64, sector: SectorSize) -> u64 {
    size.saturating_sub(sector.bytes() + ENTRIES as u64)
}

/// Both ends of a disk with its partition table.
#[derive(Debug)]
pub struct TableBytes {
    /// The first sectors: protective MBR, header, entries.
    pub head: Vec<u8>,
    /// The last sectors: entries, header.
    pub tail: Vec<u8>,
}

/// Renders the table of a disk; the key of a partition is its number.
///
/// # Errors
/// With the message of the `gpt` crate, when the disk is too small.
pub fn render(disk: &Disk, entries: &BTreeMap<u32, TableEntry>) -> Result<TableBytes, String> {
    let (size, sector) = (disk.size, disk.sector);
    let block = block_size(sector);
    let mut device = Ends::new(size, sector);
    let sectors = size / sector.bytes();
    let covered = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    let mbr = ProtectiveMBR::with_lb_size(covered);
    mbr.overwrite_lba0(&mut device)
        .map_err(|error| error.to_string())?;

    let config = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(block);
    let mut table = config
        .create_from_device(device, Some(disk.guid))
        .map_err(|error| error.to_string())?;
    let partitions = entries
        .iter()
        .map(|(number, entry)| (*number, partition(entry, sector)));
    table
        .update_partitions(partitions.collect())
        .map_err(|error| error.to_string())?;
    table.write_inplace().map_err(|error| error.to_string())?;

    // The crate leaves as much room between the tables as there is; others begin
    // and end it on the boundaries of partitions.
    let failed = |error: gpt::header::HeaderError| error.to_string();
    let mut primary = table.primary_header().map_err(failed)?.clone();
    let mut backup = table.backup_header().map_err(failed)?.clone();
    let mut device = table.take_device();
    for header in [&mut primary, &mut backup] {
        header.first_usable = disk.usable.start / sector.bytes();
        header.last_usable = disk.usable.end / sector.bytes() - 1;
    }
    primary.write_primary(&mut device, block).map_err(failed)?;
    backup.write_backup(&mut device, block).map_err(failed)?;
    Ok(TableBytes {
        head: device.head,
        tail: device.tail,
    })
}

impl TableBytes {
    /// Puts the head into a map; what follows must be put behind it.
    pub fn push_head(&self, extents: &mut ExtentMap) {
        extents.push_bytes(0, self.head.as_slice());
    }

    /// Puts the tail into a map, behind everything else.
    pub fn push_tail(&self, extents: &mut ExtentMap) {
        extents.push_bytes(
            extents.length() - self.tail.len() as u64,
            self.tail.as_slice(),
        );
    }
}

pub(crate) fn block_size(sector: SectorSize) -> LogicalBlockSize {
    match sector {
        SectorSize::S4096 => LogicalBlockSize::Lb4096,
        _ => LogicalBlockSize::Lb512,
    }
}

fn partition(entry: &TableEntry, sector: SectorSize) -> Partition {
    let first_lba = entry.start / sector.bytes();
    Partition {
        part_type_guid: Type {
            guid: entry.partition_type.0,
            os: OperatingSystem::None,
        },
        part_guid: entry.uuid,
        first_lba,
        last_lba: first_lba + entry.size / sector.bytes() - 1,
        flags: entry.attributes,
        name: entry.label.clone(),
    }
}

/// A disk of which only both ends are there; the middle reads as zeros and
/// cannot be written.
#[derive(Debug)]
struct Ends {
    size: u64,
    position: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// Bytes of the 128 entries of a table.
const ENTRIES: usize = 128 * 128;

impl Ends {
    fn new(size: u64, sector: SectorSize) -> Self {
        let sector = sector.get() as usize;
        let head = vec![0; 2 * sector + ENTRIES];
        Self {
            size,
            position: 0,
            head,
            tail: vec![0; sector + ENTRIES],
        }
    }

    /// The bytes from the position on, if they are there.
    fn rest(&mut self) -> Option<&mut [u8]> {
        let tail_start = self.size - self.tail.len() as u64;
        if let Some(at) = self.position.checked_sub(tail_start) {
            return self.tail.get_mut(usize::try_from(at).ok()?..);
        }
        self.head
            .get_mut(usize::try_from(self.position).ok()?..)
            .filter(|rest| !rest.is_empty())
    }
}

impl Read for Ends {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(rest) = self.rest() else {
            return Ok(0);
        };
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Ends {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(rest) = self.rest() else {
            return Ok(0);
        };
        let count = rest.len().min(bytes.len());
        rest[..count].copy_from_slice(&bytes[..count]);
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Ends {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(self.position, self.size, to)?;
        Ok(self.position)
    }
}

/// Reads the table of a device; the key is the number of the partition.
///
/// # Errors
/// With a sentence about what is wrong.
pub(crate) fn entries_of(
    partitions: &BTreeMap<u32, Partition>,
    sector: SectorSize,
    size: u64,
) -> Result<BTreeMap<u32, TableEntry>, String> {
    let mut entries = BTreeMap::new();
    for (number, partition) in partitions {
        let range = || {
            let start = partition.first_lba.checked_mul(sector.bytes())?;
            let end = partition
                .last_lba
                .checked_add(1)?
                .checked_mul(sector.bytes())?;
            Some((start, end.checked_sub(start).filter(|_| end <= size)?))
        };
        let Some((start, length)) = range() else {
            return Err(format!("partition {number} reaches beyond the image"));
        };
        let entry = TableEntry {
            partition_type: PartitionType(partition.part_type_guid.guid),
            uuid: partition.part_guid,
            label: partition.name.clone(),
            attributes: partition.flags,
            start,
            size: length,
        };
        entries.insert(*number, entry);
    }
    Ok(entries)
}

/// The numbers of partitions that lie over each other, in pairs: one, and another that
/// begins in it.
pub(crate) fn overlaps(entries: &BTreeMap<u32, TableEntry>) -> Vec<(u32, u32)> {
    let mut ordered: Vec<_> = entries.iter().collect();
    ordered.sort_by_key(|(_, entry)| entry.start);
    let mut overlaps = Vec::new();
    let mut furthest = (0, 0);
    for (number, entry) in ordered {
        let (before, reached) = furthest;
        if entry.start < reached {
            overlaps.push((before, *number));
        }
        let end = entry.start + entry.size;
        if end > reached {
            furthest = (*number, end);
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_lie_over_each_other_are_found() {
        let entry = |start, end| TableEntry {
            partition_type: PartitionType::SWAP,
            uuid: Uuid::nil(),
            label: String::new(),
            attributes: 0,
            start,
            size: end - start,
        };
        let found = |places: &[(u64, u64)]| {
            let entries = places.iter().map(|(start, end)| entry(*start, *end));
            overlaps(&(1..).zip(entries).collect())
        };
        assert_eq!(found(&[(20, 30), (10, 20)]), []);
        // The third lies in the first too, though the second is between them.
        assert_eq!(found(&[(0, 100), (10, 20), (50, 60)]), [(1, 2), (1, 3)]);
        assert_eq!(found(&[(10, 30), (0, 11)]), [(2, 1)]);
    }
}
