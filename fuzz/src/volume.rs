//! Volumes that were planned of bytes in memory alone.

use extents::{Content, ExtentMap};

/// The bytes of a volume.
///
/// # Panics
/// When a part of it comes from a file.
#[must_use]
pub fn bytes_of(map: &ExtentMap) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(map.length()).expect("a small volume")];
    for extent in map.extents() {
        let Content::Bytes(content) = &extent.content else {
            panic!("a slice of a file, and there is none");
        };
        let start = usize::try_from(extent.start).expect("a small volume");
        bytes[start..start + content.len()].copy_from_slice(content);
    }
    bytes
}
