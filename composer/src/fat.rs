//! FAT12, FAT16 and FAT32 volumes, laid out as extents.
//!
//! Specification: Microsoft, *FAT: General Overview of On-Disk Format* 1.03.
//!
//! A volume is planned in one pass over its tree: the geometry follows from the
//! size, every directory and file gets a run of clusters (nothing is ever
//! fragmented), and what remains is to render tables and directories. File data
//! is named, not read. Files of a block or more start on a multiple of
//! [`BLOCK`], so that a sink can share their blocks with the source instead of
//! copying them.
//!
//! The same tree, size and identifiers give the same bytes: time stamps are the
//! FAT epoch, names are assigned in path order.

mod directory;
mod geometry;
mod layout;
mod name;
mod table;

pub use geometry::{FatType, Geometry, Request};
pub use layout::{Volume, VolumeId, minimum_size, plan};

/// Files are aligned to this many bytes, the block size of file systems that can
/// share blocks. Changing it moves files, and so changes every image.
pub const BLOCK: u64 = 4096;

/// The largest volume: its sectors are counted in 32 bits.
pub const MAX_SECTORS: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests;
