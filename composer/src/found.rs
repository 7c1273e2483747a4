//! A disk that is there already, and what of it stays when partitions are added.
//!
//! As in systemd-repart (`man repart.d`), a partition of a description takes the first one
//! of its type that none before it took. That one keeps content, place, UUID, label and
//! attributes, and may grow; partitions that nobody takes stay as they are.
#![expect(clippy::disallowed_methods, reason = "looks at the image")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use uuid::Uuid;

use crate::config::{Empty, ImageConfig, PartitionConfig, verity_sets};
use crate::error::{self, Error};
use crate::image::Image;
use crate::placement::Existing;
use crate::scan::{Inputs, PartitionInput};
use crate::size::SectorSize;
use crate::table::{self, Disk, TableBytes, TableEntry};

/// A disk that is there already.
#[derive(Debug, Clone)]
pub struct FoundDisk {
    /// Its length in bytes, which it keeps at least.
    pub size: u64,
    /// Its partition table, if it stays.
    pub table: Option<FoundTable>,
}

/// A partition table to which partitions are added.
#[derive(Debug, Clone)]
pub struct FoundTable {
    /// The GUID of the disk.
    pub disk: Uuid,
    /// The bytes that it gives to partitions.
    pub usable: Range<u64>,
    /// Whether its first copy is damaged.
    pub has_lost_primary: bool,
    /// What is wrong with it.
    pub damage: Vec<String>,
    sector: SectorSize,
    partitions: BTreeMap<u32, TableEntry>,
    /// The first sector, which has code of others.
    boot_sector: Vec<u8>,
    /// Those that partitions of the description are.
    kept: Vec<Option<Existing>>,
}

/// The type of the partition by which an MBR says that there is a GPT.
const TYPE_PROTECTIVE: u8 = 0xee;

impl FoundDisk {
    /// Looks at what is to become the image; nothing where it is to be made.
    ///
    /// # Errors
    /// When it is not as `empty` demands, or cannot be read.
    pub fn find(empty: Empty, path: &Path) -> Result<Option<Self>, Error> {
        let refuse = |what| {
            Err(Error::Occupied {
                path: path.to_owned(),
                what,
                empty: empty.name(),
            })
        };
        let file = match File::open(path) {
            Err(error) if empty == Empty::Create && error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            Ok(_) if empty == Empty::Create => return refuse("is there already"),
            file => file.map_err(error::read(path))?,
        };
        crate::raw::check_output(path)?;
        let size = file.metadata().map_err(error::read(path))?.len();
        let disk = |table| Ok(Some(Self { size, table }));
        if empty == Empty::Force {
            return disk(None);
        }
        match (Image::open(path), empty) {
            (Ok(_), Empty::Require) => refuse("has a partition table already"),
            (Ok(image), _) => disk(Some(FoundTable::of(&image, &file)?)),
            (Err(_), _) if has_signature(&file) => {
                refuse("has a partition table that is damaged, or not of GPT")
            }
            (Err(_), Empty::Refuse) => refuse("has no partition table"),
            (Err(_), _) => disk(None),
        }
    }

    /// The description of the disk with the partitions that are there. It is settled.
    ///
    /// # Errors
    /// When the sectors are others, or only some of the partitions of dm-verity are there.
    pub fn describe(&mut self, config: ImageConfig) -> Result<ImageConfig, Error> {
        match &mut self.table {
            Some(table) => table.describe(config),
            None => Ok(config),
        }
    }

    /// Takes note, among what partitions hold, of those that stay.
    pub fn note(self, inputs: &mut Inputs) {
        let kept = self.table.iter().flat_map(|table| &table.kept);
        for (input, existing) in inputs.partitions.iter_mut().zip(kept) {
            if let Some(existing) = existing {
                *input = PartitionInput::Kept(*existing);
            }
        }
        inputs.found = Some(self);
    }
}

impl FoundTable {
    fn of(image: &Image, file: &File) -> Result<Self, Error> {
        let mut boot_sector = vec![0; image.sector.get() as usize];
        let read = file.read_exact_at(&mut boot_sector, 0);
        read.map_err(error::read(&image.path))?;
        let disk = Disk::whole(image.size, image.sector, image.disk);
        for (number, entry) in &image.partitions {
            let end = entry.start + entry.size;
            if *number > table::MAX_NUMBER || entry.start < disk.head() || end > disk.tail() {
                let reason = format!("partition {number} is where the partition table goes");
                return Err(Error::Unlike { reason });
            }
        }
        // What is added would get a place behind one of them, and in the other.
        if let Some((first, second)) = table::overlaps(&image.partitions).first() {
            let reason = format!("partitions {first} and {second} overlap");
            return Err(Error::Unlike { reason });
        }
        Ok(Self {
            disk: image.disk,
            usable: image.usable.clone(),
            has_lost_primary: image.has_lost_primary(),
            damage: image.damage.clone(),
            sector: image.sector,
            partitions: image.partitions.clone(),
            boot_sector,
            kept: Vec::new(),
        })
    }

    fn describe(&mut self, mut config: ImageConfig) -> Result<ImageConfig, Error> {
        let sector = self.sector;
        if config.image.sector_size.is_some() && config.sector_size() != sector {
            let reason = format!("it has sectors of {} bytes", sector.get());
            return Err(Error::Unlike { reason });
        }
        config.image.sector_size = Some(sector.bytes());
        self.kept = vec![None; config.partitions.len()];
        for (number, entry) in &self.partitions {
            let is_its = |(partition, kept): (&PartitionConfig, &Option<Existing>)| {
                kept.is_none() && partition.partition_type() == Ok(entry.partition_type)
            };
            let mut described = config.partitions.iter().zip(&self.kept);
            let index = described.position(is_its);
            let existing = Existing {
                number: *number,
                start: entry.start,
                size: entry.size,
                is_foreign: index.is_none(),
            };
            if let Some(index) = index {
                let partition = &mut config.partitions[index];
                *partition = as_found(partition, entry);
                self.kept[index] = Some(existing);
            } else {
                let foreign = PartitionConfig {
                    partition_type: entry.partition_type.to_string(),
                    label: Some(String::new()),
                    ..PartitionConfig::default()
                };
                config.partitions.push(as_found(&foreign, entry));
                self.kept.push(Some(existing));
            }
        }
        verity_sets(&config.partitions).map_err(|message| {
            let reason = format!("some of the partitions of dm-verity are there: {message}");
            Error::Unlike { reason }
        })?;
        Ok(config)
    }

    /// Whether an image still has this table.
    pub(crate) fn is_that_of(&self, image: &Image) -> bool {
        let found = (image.disk, &image.usable, &image.partitions);
        found == (self.disk, &self.usable, &self.partitions) && image.damage == self.damage
    }

    /// The table as it is, on a disk of `size` bytes.
    ///
    /// # Errors
    /// When it cannot be rendered.
    pub(crate) fn as_it_is(&self, size: u64) -> Result<TableBytes, Error> {
        let mut disk = Disk::whole(size, self.sector, self.disk);
        disk.usable = self.usable.clone();
        let table = table::render(&disk, &self.partitions);
        let mut table = table.map_err(|reason| Error::Table { reason })?;
        self.keep_boot_sector(&mut table, size);
        Ok(table)
    }

    /// Puts back what others have in the first sector; the protective partition has the
    /// size of the disk.
    pub(crate) fn keep_boot_sector(&self, table: &mut TableBytes, size: u64) {
        if self.boot_sector[510..512] != [0x55, 0xaa] {
            return;
        }
        let head = &mut table.head[..self.boot_sector.len()];
        head.copy_from_slice(&self.boot_sector);
        let sectors = u32::try_from(size / self.sector.bytes() - 1).unwrap_or(u32::MAX);
        for entry in head[446..510].chunks_exact_mut(16) {
            if entry[4] == TYPE_PROTECTIVE {
                entry[12..16].copy_from_slice(&sectors.to_le_bytes());
            }
        }
    }
}

/// What a description says of a partition that is there.
fn as_found(partition: &PartitionConfig, entry: &TableEntry) -> PartitionConfig {
    let bit = |bit: u32| Some(entry.attributes & 1 << bit != 0);
    let label = (!entry.label.is_empty()).then(|| entry.label.clone());
    PartitionConfig {
        partition_type: partition.partition_type.clone(),
        label: label.or_else(|| partition.label.clone()),
        uuid: (!entry.uuid.is_nil()).then_some(entry.uuid),
        flags: Some(entry.attributes),
        no_auto: bit(63),
        read_only: bit(60),
        grow_file_system: bit(59),
        priority: partition.priority,
        weight: partition.weight,
        size_min_bytes: partition.size_min_bytes,
        size_max_bytes: partition.size_max_bytes,
        padding_weight: partition.padding_weight,
        padding_min_bytes: partition.padding_min_bytes,
        padding_max_bytes: partition.padding_max_bytes,
        ..PartitionConfig::default()
    }
}

/// Whether there is a partition table of another kind, or what is left of a GPT.
fn has_signature(file: &File) -> bool {
    let mut boot_sector = [0; 512];
    let is_read = file.read_exact_at(&mut boot_sector, 0).is_ok();
    // A FAT file system ends its first sector in the same way, without partitions.
    let has_partitions = boot_sector[446..510]
        .chunks_exact(16)
        .all(|entry| entry[0] == 0 || entry[0] == 0x80)
        && boot_sector[446..510].iter().any(|byte| *byte != 0);
    let is_table = boot_sector[510..] == [0x55, 0xaa] && has_partitions;
    let has_header = |sector: SectorSize| {
        let mut found = [0; 8];
        file.read_exact_at(&mut found, sector.bytes()).is_ok() && &found == b"EFI PART"
    };
    is_read && (is_table || has_header(SectorSize::S512) || has_header(SectorSize::S4096))
}
