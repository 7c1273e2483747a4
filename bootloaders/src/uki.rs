//! Unified Kernel Images: a kernel and all it needs as sections of one EFI
//! executable, and addons, which hold some of the sections.
//!
//! Specification: <https://uapi-group.org/specifications/specs/unified_kernel_image/>.
//! Order, names and content of the sections are those of ukify; `docs/uki.md` tells
//! where the files differ.
//!
//! [`Contents`] says what goes into which section and in which order, [`Stub`] is the
//! executable that gets the sections, and [`assemble`] makes a list of extents of
//! them. No file is read but the stub: content is named by its source and length.

mod contents;
pub mod efifw;
pub mod hwids;
mod layout;
pub mod os_release;
pub mod profile;
pub mod sbat;
mod section;
mod stub;
pub mod uname;

pub use contents::{Contents, Uki};
pub use layout::{ALIGNED_FROM, Assembly, BLOCK, assemble};
pub use profile::{FirstProfile, Profile};
pub use section::{Content, Section, SectionName};
pub use stub::Stub;

#[cfg(test)]
mod tests;
