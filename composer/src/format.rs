//! Formats of disk images: the bytes of a disk, within the bytes of a file.
//!
//! A format turns the extents of a disk into those of a file: it puts tables before
//! them or behind, and moves them. Nothing is read, whatever writes an image writes any
//! format, and slices keep their place within 4096 bytes, on which the sharing of
//! blocks depends.

mod clusters;
mod qcow2;
mod vhd;
mod vmdk;

pub use qcow2::CLUSTER as QCOW2_CLUSTER;

use extents::ExtentMap;
use uuid::Uuid;

use crate::config::OutputFormat;
use crate::error::Error;
use crate::overlay::Overlay;
use qcow2::Backing;

/// The bytes of a file that holds a disk of this GUID in a format; `name` is the name of
/// the file.
///
/// # Errors
/// When the disk is larger than the format permits.
pub fn encode(
    format: OutputFormat,
    disk: ExtentMap,
    guid: Uuid,
    name: &str,
) -> Result<ExtentMap, Error> {
    match format {
        OutputFormat::Raw => Ok(disk),
        OutputFormat::Qcow2 => qcow2::encode(&disk, None),
        OutputFormat::Vhd => vhd::encode(disk, guid),
        OutputFormat::Vmdk => vmdk::encode(&disk, guid, name),
    }
}

/// The bytes of a qcow2 file that leaves all else of a disk to a raw image, whose name it
/// has.
///
/// # Errors
/// When the disk is larger than the format permits, or the name too long.
pub fn encode_overlay(overlay: Overlay, name: String) -> Result<ExtentMap, Error> {
    let backing = Backing {
        name,
        emptied: overlay.emptied,
    };
    qcow2::encode(&overlay.disk, Some(&backing))
}

#[cfg(test)]
mod tests;
