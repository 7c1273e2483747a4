//! A tree as a tar stream, in which everything belongs to root.
//!
//! Specification: `ustar` and `pax` interchange formats of POSIX.1-2024, chapter *pax*;
//! extended attributes are records `SCHILY.xattr.NAME`, as star and GNU tar have them.

use crate::tree::Attribute;

/// The size of a block of an archive.
pub const BLOCK: u64 = 512;

/// What a member is.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A file of so many bytes, which follow, filled up to a [`BLOCK`].
    File(u64),
    /// The file of an earlier member.
    Link(&'a str),
    /// A symbolic link, and where it leads.
    Symlink(&'a str),
}

/// The greatest size the twelve octal digits of a header can say.
const MAX_SIZE: u64 = 0o777_7777_7777;

/// The header of a member.
#[must_use]
pub fn header(
    path: &str,
    mode: u32,
    kind: Kind<'_>,
    time: u64,
    attributes: &[Attribute],
) -> Vec<u8> {
    let (letter, size, link) = match kind {
        Kind::Directory => (b'5', 0, ""),
        Kind::File(size) => (b'0', size, ""),
        Kind::Link(first) => (b'1', 0, first),
        Kind::Symlink(target) => (b'2', 0, target),
    };
    let mut records = Vec::new();
    for (key, text) in [("path", path), ("linkpath", link)] {
        if text.len() > 100 || !text.is_ascii() {
            record(&mut records, key, text.as_bytes());
        }
    }
    if size > MAX_SIZE {
        record(&mut records, "size", size.to_string().as_bytes());
    }
    for (name, value) in attributes {
        record(&mut records, &format!("SCHILY.xattr.{name}"), value);
    }
    let mut header = Vec::new();
    if !records.is_empty() {
        let length = records.len() as u64;
        block(&mut header, "pax", 0o644, (b'x', length, ""), time);
        header.extend_from_slice(&records);
        header.resize(header.len().next_multiple_of(512), 0);
    }
    block(&mut header, path, mode, (letter, size, link), time);
    header
}

/// What ends an archive.
pub const END: [u8; 1024] = [0; 1024];

/// Appends a record of a pax header: its own length, key, value.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    // The length counts its own digits.
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn block(out: &mut Vec<u8>, path: &str, mode: u32, what: (u8, u64, &str), time: u64) {
    let (letter, size, link) = what;
    let mut block = [0; 512];
    let mut put = |at: usize, most: usize, bytes: &[u8]| {
        let length = bytes.len().min(most);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, 100, path.as_bytes());
    put(100, 8, format!("{mode:07o}").as_bytes());
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, format!("{:011o}", size.min(MAX_SIZE)).as_bytes());
    put(136, 12, format!("{time:011o}").as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[letter]);
    put(157, 100, link.as_bytes());
    put(257, 8, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&block);
}
