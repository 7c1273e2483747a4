//! Files and images as sorted lists of extents.
//!
//! Everything that contributes to an image (the partition table, a file system,
//! the output of another program) is a list of extents, and so are the image and a
//! file that is put together, such as a Unified Kernel Image. An extent is bytes in
//! memory or a slice of a file; what no extent covers is a hole and reads as zeros.
//! A list holds metadata only, so it stays small however large the content is; a
//! sink decides what to do with it. [`copy`] is the ladder by which sinks take the
//! slices: shared blocks, a copy by the kernel, a buffer. [`staging`] knows where they
//! write before the result gets its name.
//!
//! This crate knows no format of files, images or partitions.
//!
//! ```
//! use extents::{ExtentMap, SourceId};
//!
//! // A head from memory, a slice of the first file at 4096, and a hole between them.
//! let mut map = ExtentMap::hole(4096 + (1 << 30));
//! map.push_bytes(0, *b"head");
//! map.push_slice(4096, 1 << 30, SourceId::new(0), 0);
//! assert_eq!(map.data(), 4 + (1 << 30));
//! assert_eq!(map.extents().len(), 2);
//! ```

pub mod copy;
mod map;
pub mod staging;

pub use map::{Content, Extent, ExtentMap, SourceId};
