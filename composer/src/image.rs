//! Opens an image: its partition table, its partitions.
//!
//! An image is foreign bytes. Whatever the table says is checked against the
//! size of the file before it is used.
#![expect(clippy::disallowed_methods, reason = "reads images")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{self, Error};
use crate::size::SectorSize;
use crate::table::{self, TableEntry};
use crate::window::Window;

/// The most entries a table may have. Programs make 128; the size of the table
/// must not decide how much memory is taken.
const MAX_ENTRIES: u32 = 1024;

/// The checksum of partition tables (UEFI 2.10, 5.3.2).
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// An open image.
#[derive(Debug)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// The sector size its table was made for.
    pub sector: SectorSize,
    /// The GUID of the disk.
    pub disk: Uuid,
    /// The bytes that the table gives to partitions.
    pub usable: Range<u64>,
    /// The partitions by number.
    pub partitions: BTreeMap<u32, TableEntry>,
    /// What is wrong with the table, as far as it does not matter for reading.
    pub damage: Vec<String>,
    has_lost_primary: bool,
    file: File,
}

impl Image {
    /// Opens an image and reads its table; from the backup when the primary one
    /// is damaged.
    ///
    /// # Errors
    /// When the file cannot be read or has no usable table.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(error::read(path))?;
        let size = file.metadata().map_err(error::read(path))?.len();
        let whole = Window::new(&file, 0, size).map_err(error::read(path))?;
        let (sector, damage) = find_headers(&whole).map_err(|reason| Error::image(path, reason))?;
        let config = gpt::GptConfig::new().logical_block_size(table::block_size(sector));
        let device = HiddenPrimary {
            whole,
            sector: sector.bytes(),
            hidden: damage.iter().any(is_primary),
        };
        let table = config
            .open_from_device(device)
            .map_err(|error| Error::image(path, format!("partition table: {error}")))?;
        let partitions = table::entries_of(table.partitions(), sector, size)
            .map_err(|reason| Error::image(path, reason))?;
        let header = table
            .primary_header()
            .or_else(|_| table.backup_header())
            .map_err(|error| Error::image(path, format!("partition table: {error}")))?;
        let in_bytes = |lba: u64| lba.saturating_mul(sector.bytes()).min(size);
        let usable = in_bytes(header.first_usable)..in_bytes(header.last_usable.saturating_add(1));
        let has_lost_primary = damage.iter().any(is_primary);
        let damage = damage.iter().map(ToString::to_string).collect();
        let disk = *table.guid();
        Ok(Self {
            path: path.to_owned(),
            size,
            sector,
            disk,
            usable,
            partitions,
            damage,
            has_lost_primary,
            file,
        })
    }

    /// Whether the table was read from its backup.
    #[must_use]
    pub fn has_lost_primary(&self) -> bool {
        self.has_lost_primary
    }

    /// The bytes of a partition.
    ///
    /// # Errors
    /// When the image has no partition of this number, or no file is to be had
    /// for it.
    pub fn partition(&self, number: u32) -> Result<Window, Error> {
        let entry = self.entry(number)?;
        Window::new(&self.file, entry.start, entry.size).map_err(error::read(&self.path))
    }

    /// The table entry of a partition.
    ///
    /// # Errors
    /// When the image has no partition of this number.
    pub fn entry(&self, number: u32) -> Result<&TableEntry, Error> {
        self.partitions
            .get(&number)
            .ok_or_else(|| Error::NotInImage {
                path: self.path.clone(),
                what: format!("partition {number}"),
            })
    }
}

/// A table that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Primary(&'static str),
    Backup(&'static str),
}

fn is_primary(damage: &Damage) -> bool {
    matches!(damage, Damage::Primary(_))
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary(what) => write!(f, "primary partition table: {what}"),
            Self::Backup(what) => write!(f, "backup partition table: {what}"),
        }
    }
}

/// Finds the sector size for which there is a sound table, and what is wrong
/// with the other one.
fn find_headers(whole: &Window) -> Result<(SectorSize, Vec<Damage>), String> {
    for sector in [SectorSize::S512, SectorSize::S4096] {
        let primary = check_header(whole, sector, sector.bytes());
        let last = (whole.size() / sector.bytes()).saturating_sub(1) * sector.bytes();
        let backup = check_header(whole, sector, last);
        match (primary, backup) {
            (Ok(()), Ok(())) => return Ok((sector, Vec::new())),
            (Err(what), Ok(())) => return Ok((sector, vec![Damage::Primary(what)])),
            (Ok(()), Err(what)) => return Ok((sector, vec![Damage::Backup(what)])),
            (Err(_), Err(_)) => {}
        }
    }
    Err("there is no GUID partition table in it".to_owned())
}

/// Checks a header, and the entries it refers to, before any library trusts it.
fn check_header(whole: &Window, sector: SectorSize, at: u64) -> Result<(), &'static str> {
    let mut header = [0; 92];
    whole
        .read_exact_at(&mut header, at)
        .map_err(|_| "it is cut off")?;
    let u32_at = |place: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&header[place..place + 4]);
        u32::from_le_bytes(bytes)
    };
    if &header[..8] != b"EFI PART" {
        return Err("there is none");
    }
    let mut sealed = header;
    sealed[16..20].fill(0);
    if u32_at(12) != 92 || CRC.checksum(&sealed) != u32_at(16) {
        return Err("the checksum of its header is wrong");
    }
    let (count, length) = (u32_at(80), u32_at(84));
    if length != 128 || count > MAX_ENTRIES {
        return Err("its entries are of an unusual number or length");
    }
    let start = u64::from(u32_at(72)) | u64::from(u32_at(76)) << 32;
    let start = start
        .checked_mul(sector.bytes())
        .ok_or("its entries are out of reach")?;
    let mut entries = vec![0; count as usize * 128];
    whole
        .read_exact_at(&mut entries, start)
        .map_err(|_| "its entries are out of reach")?;
    if CRC.checksum(&entries) != u32_at(88) {
        return Err("the checksum of its entries is wrong");
    }
    Ok(())
}

/// An image whose primary header can be hidden, so that the library reads the
/// backup: it would take a header whose entries are damaged.
#[derive(Debug)]
struct HiddenPrimary {
    whole: Window,
    sector: u64,
    hidden: bool,
}

impl Read for HiddenPrimary {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.whole.position();
        let count = self.whole.read(buffer)?;
        if self.hidden && (self.sector..2 * self.sector).contains(&at) {
            buffer[..count].fill(0);
        }
        Ok(count)
    }
}

impl Write for HiddenPrimary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.whole.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for HiddenPrimary {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.whole.seek(to)
    }
}
