//! VHD, the format of Hyper-V and Azure, of the fixed kind: the disk, and a footer.
//!
//! Specification: "Virtual Hard Disk Image Format Specification", version 1.0. The
//! length of the disk is in bytes in the footer; programs that believe the geometry
//! instead see a little less.

use extents::ExtentMap;
use uuid::Uuid;

use crate::error::Error;
use crate::size::ByteSize;

/// Beyond this, Hyper-V refuses the file.
const MOST: u64 = 2040 << 30;

/// Bytes of a sector and of the footer.
const SECTOR: u64 = 512;

/// The disk with a footer behind it.
pub fn encode(disk: ExtentMap, guid: Uuid) -> Result<ExtentMap, Error> {
    let size = disk.length();
    if size > MOST {
        return Err(Error::DiskTooLarge {
            format: "vhd",
            size: ByteSize(disk.length()),
            most: ByteSize(MOST),
        });
    }
    let mut file = ExtentMap::hole(size + SECTOR);
    file.append(0, disk);
    file.push_bytes(size, footer(size, guid));
    Ok(file)
}

fn footer(size: u64, guid: Uuid) -> Vec<u8> {
    let mut footer = b"conectix".to_vec();
    // Features: none, but a bit that is always set; version 1.0.
    footer.extend(2_u32.to_be_bytes());
    footer.extend(0x0001_0000_u32.to_be_bytes());
    // No further structures; made at the beginning of the year 2000.
    footer.extend(u64::MAX.to_be_bytes());
    footer.extend(0_u32.to_be_bytes());
    // The creator by which QEMU knows that the size counts, not the geometry.
    footer.extend(b"win \x00\x0a\x00\x00Wi2k");
    footer.extend(size.to_be_bytes());
    footer.extend(size.to_be_bytes());
    footer.extend(geometry(size));
    // The fixed kind.
    footer.extend(2_u32.to_be_bytes());
    let checksum_at = footer.len();
    footer.extend(0_u32.to_be_bytes());
    footer.extend(guid.as_bytes());
    footer.resize(usize::try_from(SECTOR).unwrap_or_default(), 0);
    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
    footer[checksum_at..checksum_at + 4].copy_from_slice(&(!sum).to_be_bytes());
    footer
}

/// Cylinders, heads and sectors, as the appendix of the specification computes them.
fn geometry(size: u64) -> [u8; 4] {
    let sectors = (size / SECTOR).min(65535 * 16 * 255);
    let heads = (sectors / 17).div_ceil(1024).max(4);
    let (per_track, heads) = if sectors >= 65535 * 16 * 63 {
        (255, 16)
    } else if heads <= 16 && sectors / 17 < heads * 1024 {
        (17, heads)
    } else if sectors / 31 < 16 * 1024 {
        (31, 16)
    } else {
        (63, 16)
    };
    let cylinders = u16::try_from(sectors / per_track / heads).unwrap_or(u16::MAX);
    let [high, low] = cylinders.to_be_bytes();
    let byte = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
    [high, low, byte(heads), byte(per_track)]
}
