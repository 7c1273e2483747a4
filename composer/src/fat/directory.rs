//! Directories as bytes.

use super::name::{self, DirectoryName};

/// Bytes of one directory entry.
pub const ENTRY: u64 = 32;

/// The most entries a directory has: firmware counts them in 16 bits.
pub const MAX_ENTRIES: u64 = 65536;

const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;

/// 1 January 1980, the first day FAT knows. Time of day 0 needs no constant.
const EPOCH_DATE: [u8; 2] = [0x21, 0];

/// One file or directory in a directory.
#[derive(Debug, Clone)]
pub struct Child<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its first cluster; 0 for an empty file.
    pub cluster: u64,
    /// Its length in bytes; 0 for a directory.
    pub size: u64,
}

/// The directory a directory is rendered for.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// The root, with the volume's label if it has one.
    Root(Option<[u8; 11]>),
    /// Any other: its own first cluster and that of its parent, which is 0 for
    /// the root.
    Below {
        /// Its own first cluster.
        own: u64,
        /// Its parent's.
        parent: u64,
    },
}

/// How many entries a directory with these names has, dots and label included.
pub fn entry_count<'a>(names: impl Iterator<Item = &'a str>, is_root: bool) -> u64 {
    // A root has a label and no dots; room for one that has none is no loss.
    let own = if is_root { 1 } else { 2 };
    own + names.map(name::entry_count).sum::<u64>()
}

/// The bytes of a directory, without padding.
pub fn render(children: &[Child<'_>], place: Place) -> Vec<u8> {
    let mut bytes = Vec::new();
    match place {
        Place::Root(None) => {}
        Place::Root(Some(label)) => bytes.extend(entry(&label, VOLUME_LABEL, 0, 0)),
        Place::Below { own, parent } => {
            bytes.extend(entry(b".          ", DIRECTORY, own, 0));
            bytes.extend(entry(b"..         ", DIRECTORY, parent, 0));
        }
    }
    let names: Vec<&str> = children.iter().map(|child| child.name).collect();
    for (child, DirectoryName { short, slots }) in children.iter().zip(name::assign(&names)) {
        bytes.extend(slots.iter().flatten());
        let attributes = if child.is_directory {
            DIRECTORY
        } else {
            ARCHIVE
        };
        bytes.extend(entry(&short, attributes, child.cluster, child.size));
    }
    bytes
}

/// The entry of a short name (specification, p. 22).
fn entry(short: &[u8; 11], attributes: u8, cluster: u64, size: u64) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..11].copy_from_slice(short);
    entry[11] = attributes;
    for date in [16, 18, 24] {
        entry[date..date + 2].copy_from_slice(&EPOCH_DATE);
    }
    let cluster = cluster.to_le_bytes();
    entry[20..22].copy_from_slice(&cluster[2..4]);
    entry[26..28].copy_from_slice(&cluster[..2]);
    entry[28..32].copy_from_slice(&size.to_le_bytes()[..4]);
    entry
}
