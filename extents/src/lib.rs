//! Files and images as sorted lists of extents.
//!
//! Everything that contributes to an image (the partition table, a file system,
//! the output of another program) is a list of extents, and so are the image and a
//! file that is put together, such as a Unified Kernel Image. An extent is bytes in
//! memory or a slice of a file; what no extent covers is a hole and reads as zeros.
//! A list holds metadata only, so it stays small however large the content is; a
//! sink decides what to do with it. [`copy`] is the ladder by which sinks take the
//! slices: shared blocks, a copy by the kernel, a buffer.
//!
//! This crate knows no format of files, images or partitions.

pub mod copy;
mod map;

pub use map::{Content, Extent, ExtentMap, SourceId};
