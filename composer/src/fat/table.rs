//! The boot sector, the information sector and the allocation table.

use super::geometry::{FatType, Geometry};
use super::layout::{Run, VolumeId};

/// The first data cluster: two entries of the table mean something else.
pub const FIRST_CLUSTER: u64 = 2;

/// A fixed disk.
const MEDIA: u8 = 0xf8;

/// Where FAT32 keeps its information sector.
const INFO_SECTOR: u64 = 1;

/// Where FAT32 keeps the copy of its first sectors.
const BACKUP_SECTOR: u64 = 6;

/// What the volume says of its free clusters.
#[derive(Debug, Clone, Copy)]
pub struct Free {
    /// How many there are.
    pub count: u64,
    /// Where to look for the first, if there is one.
    pub next: Option<u64>,
}

/// The sectors in front of the tables, as far as they are not empty: one for
/// FAT12 and FAT16, eight for FAT32.
pub fn reserved(geometry: &Geometry, id: &VolumeId, free: Free) -> Vec<u8> {
    let sector = usize_of(geometry.sector.bytes());
    let boot = boot_sector(geometry, id);
    if geometry.fat_type != FatType::Fat32 {
        return boot;
    }
    let info = info_sector(geometry, free);
    let mut bytes = vec![0; sector * usize_of(BACKUP_SECTOR + INFO_SECTOR + 1)];
    for place in [0, BACKUP_SECTOR] {
        let at = sector * usize_of(place);
        bytes[at..at + sector].copy_from_slice(&boot);
        let at = at + sector * usize_of(INFO_SECTOR);
        bytes[at..at + sector].copy_from_slice(&info);
    }
    bytes
}

/// The BIOS parameter block (specification, p. 7–12).
fn boot_sector(geometry: &Geometry, id: &VolumeId) -> Vec<u8> {
    let mut sector = Fields(vec![0; usize_of(geometry.sector.bytes())]);
    let wide = geometry.fat_type == FatType::Fat32;
    // A jump over the block to two instructions that halt: nothing boots this way.
    sector.put(0, &[0xeb, if wide { 0x58 } else { 0x3c }, 0x90]);
    sector.put(if wide { 90 } else { 62 }, &[0xf4, 0xeb, 0xfd]);
    // The name the specification recommends for the sake of old drivers.
    sector.put(3, b"MSWIN4.1");
    sector.put_u16(11, geometry.sector.bytes());
    sector.put(13, &geometry.cluster_sectors.to_le_bytes()[..1]);
    sector.put_u16(14, geometry.reserved);
    sector.put(16, &[2]);
    sector.put_u16(17, geometry.root_entries);
    let short_count = !wide && geometry.sectors < 0x1_0000;
    sector.put_u16(19, if short_count { geometry.sectors } else { 0 });
    sector.put(21, &[MEDIA]);
    sector.put_u16(22, if wide { 0 } else { geometry.table_sectors });
    // The geometry every BIOS reports for disks of any size.
    sector.put_u16(24, 63);
    sector.put_u16(26, 255);
    // No hidden sectors: the bytes of a volume do not depend on its partition.
    sector.put_u32(32, if short_count { 0 } else { geometry.sectors });
    let tail = if wide {
        sector.put_u32(36, geometry.table_sectors);
        sector.put_u32(44, FIRST_CLUSTER);
        sector.put_u16(48, INFO_SECTOR);
        sector.put_u16(50, BACKUP_SECTOR);
        64
    } else {
        36
    };
    // Drive number, and the mark that serial, label and type follow.
    sector.put(tail, &[0x80, 0, 0x29]);
    sector.put_u32(tail + 3, u64::from(id.serial));
    sector.put(tail + 7, &id.label());
    sector.put(tail + 18, format!("{:<8}", geometry.fat_type).as_bytes());
    sector.put(510, &[0x55, 0xaa]);
    sector.0
}

/// The hints FAT32 keeps of its free clusters (specification, p. 21).
fn info_sector(geometry: &Geometry, free: Free) -> Vec<u8> {
    let mut sector = Fields(vec![0; usize_of(geometry.sector.bytes())]);
    sector.put_u32(0, 0x4161_5252);
    sector.put_u32(484, 0x6141_7272);
    sector.put_u32(488, free.count);
    sector.put_u32(492, free.next.unwrap_or(u64::from(u32::MAX)));
    sector.put_u32(508, 0xaa55_0000);
    sector.0
}

/// One copy of the allocation table, up to the last entry that is not zero.
pub fn table(geometry: &Geometry, runs: &[Run]) -> Vec<u8> {
    let end = runs.last().map_or(FIRST_CLUSTER, Run::end);
    let mut table = Table::new(geometry.fat_type, end);
    // The media byte, and the mark that the volume was cleanly unmounted.
    table.push(0x0fff_ff00 | u32::from(MEDIA));
    table.push(u32::MAX);
    for run in runs {
        table.skip_to(run.first);
        for next in run.first + 1..run.end() {
            table.push(u32::try_from(next).unwrap_or(u32::MAX));
        }
        table.push(u32::MAX);
    }
    table.bytes
}

/// A table as it grows, entry by entry.
struct Table {
    fat_type: FatType,
    bytes: Vec<u8>,
    entries: u64,
}

impl Table {
    fn new(fat_type: FatType, entries: u64) -> Self {
        let bytes = (entries * fat_type.bits()).div_ceil(8);
        Self {
            fat_type,
            bytes: Vec::with_capacity(usize_of(bytes)),
            entries: 0,
        }
    }

    /// Appends an entry; higher bits than the type has are cut off, so one mark
    /// for the end of a chain serves all types.
    fn push(&mut self, value: u32) {
        let bytes = value.to_le_bytes();
        match self.fat_type {
            FatType::Fat32 => self.bytes.extend((value & 0x0fff_ffff).to_le_bytes()),
            FatType::Fat16 => self.bytes.extend_from_slice(&bytes[..2]),
            // Two entries share three bytes.
            FatType::Fat12 if self.entries.is_multiple_of(2) => {
                self.bytes.extend_from_slice(&[bytes[0], bytes[1] & 0x0f]);
            }
            FatType::Fat12 => {
                if let Some(shared) = self.bytes.last_mut() {
                    *shared |= bytes[0] << 4;
                }
                self.bytes.push(bytes[0] >> 4 | bytes[1] << 4);
            }
        }
        self.entries += 1;
    }

    /// Leaves clusters free up to this one.
    fn skip_to(&mut self, cluster: u64) {
        while self.entries < cluster {
            self.push(0);
        }
    }
}

/// Fields at fixed places of a sector, little-endian.
struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_u16(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes()[..2]);
    }

    fn put_u32(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes()[..4]);
    }
}

fn usize_of(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(fat_type: FatType, runs: &[Run]) -> Vec<u8> {
        let geometry = Geometry {
            fat_type,
            sector: crate::size::SectorSize::S512,
            cluster_sectors: 1,
            sectors: 0,
            reserved: 1,
            table_sectors: 1,
            root_entries: 0,
            clusters: 100,
        };
        table(&geometry, runs)
    }

    #[test]
    fn chains_end_and_gaps_stay_free() {
        let runs = [
            Run {
                first: 2,
                clusters: 2,
            },
            Run {
                first: 6,
                clusters: 1,
            },
        ];
        assert_eq!(
            entries(FatType::Fat16, &runs),
            [
                0xf8, 0xff, 0xff, 0xff, 3, 0, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff
            ]
        );
        assert_eq!(
            entries(FatType::Fat12, &runs),
            [0xf8, 0xff, 0xff, 0x03, 0xf0, 0xff, 0, 0, 0, 0xff, 0x0f]
        );
        assert_eq!(
            entries(FatType::Fat32, &runs)[..8],
            [0xf8, 0xff, 0xff, 0x0f, 255, 255, 255, 15]
        );
    }
}
