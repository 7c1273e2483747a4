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

use extents::ExtentMap;
use uuid::Uuid;

use crate::config::OutputFormat;
use crate::error::Error;

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
        OutputFormat::Qcow2 => qcow2::encode(&disk),
        OutputFormat::Vhd => vhd::encode(disk, guid),
        OutputFormat::Vmdk => vmdk::encode(&disk, guid, name),
    }
}

#[cfg(test)]
mod tests;
