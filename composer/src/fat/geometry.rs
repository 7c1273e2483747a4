//! Where the parts of a volume are: reserved sectors, tables, root directory, data.
//!
//! The type of a FAT volume is a consequence of its number of clusters and of
//! nothing else (specification, p. 14), so both are chosen together.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BLOCK, MAX_SECTORS};
use crate::size::{SectorSize, round_up};

/// Some drivers count clusters wrong by a few. The specification (p. 15) asks
/// formatters to stay this far from the borders between the types.
const BORDER: u64 = 16;

/// Root directory entries of FAT12 and FAT16, unless the tree needs more.
const ROOT_ENTRIES: u64 = 512;

/// How wide the entries of the table are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum FatType {
    /// 12 bits.
    #[serde(rename = "fat12")]
    Fat12,
    /// 16 bits.
    #[serde(rename = "fat16")]
    Fat16,
    /// 32 bits, of which 28 count.
    #[serde(rename = "fat32")]
    Fat32,
}

impl FatType {
    /// Bits of an entry of the table.
    #[must_use]
    pub fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// The numbers of clusters a volume of this type has: at least, at most.
    fn clusters(self) -> (u64, u64) {
        match self {
            Self::Fat12 => (1, 4084 - BORDER),
            Self::Fat16 => (4085 + BORDER, 65524 - BORDER),
            Self::Fat32 => (65525 + BORDER, 0x0fff_fff4),
        }
    }

    /// Sectors in front of the first table, at least.
    fn reserved(self) -> u64 {
        match self {
            Self::Fat12 | Self::Fat16 => 1,
            Self::Fat32 => 32,
        }
    }
}

impl fmt::Display for FatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        })
    }
}

/// What a volume should be.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The length of the volume in bytes; the part of a sector at its end is unused.
    pub size: u64,
    /// The sector size, which is that of the disk: firmware and kernels refuse others.
    pub sector: SectorSize,
    /// The type, where the size should not decide.
    pub fat_type: Option<FatType>,
    /// The cluster size in bytes, where the size should not decide.
    pub cluster: Option<u64>,
    /// Entries (of 32 bytes) the root directory must hold.
    pub root_entries: u64,
}

/// The parts of a volume. All places and lengths count sectors, but for the
/// clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Geometry {
    /// How wide the entries of the table are.
    pub fat_type: FatType,
    /// Bytes of a sector.
    pub sector: SectorSize,
    /// Sectors of a cluster.
    pub cluster_sectors: u64,
    /// Sectors of the volume.
    pub sectors: u64,
    /// Sectors in front of the first table.
    pub reserved: u64,
    /// Sectors of each of the two tables.
    pub table_sectors: u64,
    /// Entries of the root directory; 0 for FAT32, whose root is a file.
    pub root_entries: u64,
    /// Clusters for data.
    pub clusters: u64,
}

impl Geometry {
    /// Chooses the best geometry for a volume; `None` when there is none.
    ///
    /// FAT32 wherever it is possible, because UEFI asks for it (2.10, 13.3.1.1);
    /// else FAT16, else FAT12. The largest cluster up to the customary one wins.
    #[must_use]
    pub fn choose(request: &Request) -> Option<Self> {
        let types = [FatType::Fat32, FatType::Fat16, FatType::Fat12];
        let wanted = |fat_type: &FatType| request.fat_type.is_none_or(|wanted| wanted == *fat_type);
        types.into_iter().filter(wanted).find_map(|fat_type| {
            let sizes = cluster_sizes(request);
            sizes
                .into_iter()
                .find_map(|cluster| Self::of(request, fat_type, cluster))
        })
    }

    /// The geometry with this type and cluster size, if the number of clusters
    /// permits it.
    fn of(request: &Request, fat_type: FatType, cluster: u64) -> Option<Self> {
        let sector = request.sector.bytes();
        let sectors = (request.size / sector).min(MAX_SECTORS);
        let cluster_sectors = cluster / sector;
        let root_entries = match fat_type {
            FatType::Fat32 => 0,
            FatType::Fat12 | FatType::Fat16 => {
                round_up(request.root_entries.max(ROOT_ENTRIES), BLOCK / 32)
            }
        };
        u16::try_from(root_entries).ok()?;
        let mut geometry = Self {
            fat_type,
            sector: request.sector,
            cluster_sectors,
            sectors,
            reserved: fat_type.reserved(),
            table_sectors: 1,
            root_entries,
            clusters: 0,
        };
        // A larger table leaves fewer clusters, so this grows until it fits.
        loop {
            geometry.align_data();
            let free = sectors.checked_sub(geometry.data_start())?;
            geometry.clusters = free / cluster_sectors;
            let entries = geometry.clusters + 2;
            let needed = (entries * fat_type.bits()).div_ceil(8).div_ceil(sector);
            if needed <= geometry.table_sectors {
                break;
            }
            geometry.table_sectors = needed;
        }
        let (least, most) = fat_type.clusters();
        (least..=most)
            .contains(&geometry.clusters)
            .then_some(geometry)
    }

    /// Pads the reserved sectors so that the data starts on a multiple of [`BLOCK`].
    fn align_data(&mut self) {
        self.reserved = self.fat_type.reserved();
        let per_block = BLOCK / self.sector.bytes();
        let start = self.data_start();
        self.reserved += round_up(start, per_block) - start;
    }

    /// The first sector of the first cluster.
    #[must_use]
    pub fn data_start(&self) -> u64 {
        self.root_start() + self.root_entries * 32 / self.sector.bytes()
    }

    /// The first sector of the root directory of FAT12 and FAT16.
    #[must_use]
    pub fn root_start(&self) -> u64 {
        self.reserved + 2 * self.table_sectors
    }

    /// Bytes of a cluster.
    #[must_use]
    pub fn cluster(&self) -> u64 {
        self.cluster_sectors * self.sector.bytes()
    }

    /// Clusters that so many bytes take.
    #[must_use]
    pub fn clusters_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster())
    }

    /// Where a cluster starts, in bytes from the start of the volume. The first
    /// cluster is number 2.
    #[must_use]
    pub fn cluster_start(&self, cluster: u64) -> u64 {
        self.data_start() * self.sector.bytes() + (cluster - 2) * self.cluster()
    }
}

/// The cluster sizes to try, best first: from the customary one for the size of
/// the volume (Microsoft's table) down to a sector, then up, for types that
/// count few clusters.
fn cluster_sizes(request: &Request) -> Vec<u64> {
    let sector = request.sector.bytes();
    if let Some(cluster) = request.cluster {
        return if cluster >= sector {
            vec![cluster]
        } else {
            Vec::new()
        };
    }
    let customary = match request.size >> 30 {
        0..8 => 4096,
        8..16 => 8192,
        16..32 => 16384,
        _ => 32768,
    };
    let down = std::iter::successors(Some(customary), |size| Some(size / 2));
    let up = std::iter::successors(Some(customary * 2), |size| Some(size * 2));
    let up = up.take_while(|size| *size <= 32768);
    down.take_while(|size| *size >= sector).chain(up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(size: u64) -> Request {
        Request {
            size,
            sector: SectorSize::S512,
            fat_type: None,
            cluster: None,
            root_entries: 1,
        }
    }

    #[test]
    fn the_type_follows_from_the_size() {
        let table: Vec<_> = [8, 16, 33, 34, 64, 100, 256, 260, 1024, 9 << 10, 40 << 10]
            .into_iter()
            .map(|mib| {
                let chosen = Geometry::choose(&request(mib << 20)).unwrap();
                format!(
                    "{mib:>6} MiB: {} with {:>8} clusters of {}",
                    chosen.fat_type,
                    chosen.clusters,
                    chosen.cluster()
                )
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn sectors_of_4096_bytes_need_larger_volumes() {
        let types: Vec<_> = [8, 20, 260]
            .into_iter()
            .map(|mib| {
                let request = Request {
                    sector: SectorSize::S4096,
                    ..request(mib << 20)
                };
                Geometry::choose(&request).unwrap().fat_type
            })
            .collect();
        assert_eq!(types, [FatType::Fat12, FatType::Fat16, FatType::Fat32]);
    }

    #[test]
    fn every_size_has_a_sound_geometry() {
        for sector in [SectorSize::S512, SectorSize::S4096] {
            for kib in (64..70_000).step_by(17) {
                let request = Request {
                    sector,
                    ..request(kib << 10)
                };
                let chosen = Geometry::choose(&request).unwrap_or_else(|| panic!("{kib} KiB"));
                let entries = chosen.table_sectors * sector.bytes() * 8 / chosen.fat_type.bits();
                assert!(entries >= chosen.clusters + 2, "{chosen:?}");
                assert_eq!(
                    chosen.data_start() * sector.bytes() % BLOCK,
                    0,
                    "{chosen:?}"
                );
                let end = chosen.data_start() + chosen.clusters * chosen.cluster_sectors;
                assert!(end <= chosen.sectors, "{chosen:?}");
            }
        }
    }

    #[test]
    fn stays_off_the_borders_between_the_types() {
        for cluster in [512, 1024, 2048, 4096] {
            for clusters in [4084 - BORDER, 4085 + BORDER, 65524 - BORDER, 65525 + BORDER] {
                for off in [-3_i64, -1, 0, 1, 3] {
                    let size = (clusters.saturating_add_signed(off)) * cluster + (300 << 10);
                    let chosen = Geometry::choose(&request(size)).unwrap();
                    let (least, most) = chosen.fat_type.clusters();
                    assert!((least..=most).contains(&chosen.clusters), "{chosen:?}");
                }
            }
        }
    }

    #[test]
    fn a_wish_that_cannot_be_is_refused() {
        let impossible = Request {
            fat_type: Some(FatType::Fat32),
            ..request(8 << 20)
        };
        assert_eq!(Geometry::choose(&impossible), None);
        let impossible = Request {
            fat_type: Some(FatType::Fat12),
            ..request(1 << 30)
        };
        assert_eq!(Geometry::choose(&impossible), None);
        let tiny = Request {
            cluster: Some(512),
            sector: SectorSize::S4096,
            ..request(8 << 20)
        };
        assert_eq!(Geometry::choose(&tiny), None);
    }
}
