//! The header of a swap space, as `mkswap` writes it.
//!
//! Specification: `union swap_header` in the kernel's `include/linux/swap.h`. The
//! kernel reads nothing else, so there is nothing else.

use uuid::Uuid;

use crate::label::cut;

/// The page for which the header is made; kernels with larger pages want a space of
/// their own.
const PAGE: usize = 4096;

/// Where the version is, behind the room for a boot loader.
const VERSION_AT: usize = 1024;

/// The header of a swap space of `size` bytes, at least ten pages. A label is cut to
/// fifteen bytes.
#[must_use]
pub fn header(size: u64, uuid: Uuid, label: &str) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let last_page = size / PAGE as u64 - 1;
    let last_page = u32::try_from(last_page).unwrap_or(u32::MAX);
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    put(VERSION_AT, &1_u32.to_le_bytes());
    put(VERSION_AT + 4, &last_page.to_le_bytes());
    put(VERSION_AT + 12, uuid.as_bytes());
    put(VERSION_AT + 28, cut(label, 15).as_bytes());
    put(PAGE - 10, b"SWAPSPACE2");
    page
}
