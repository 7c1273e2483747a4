//! What the superblock of a file system says of it: what it is, its label and UUID.
//!
//! Specification: the kernel's `include/uapi/linux/magic.h`, and the structure of each file
//! system: `ext4_super_block`, `xfs_dsb`, `btrfs_super_block`, `erofs_super_block`,
//! `squashfs_super_block`, `swap_header`; of LUKS the *On-Disk Format*, and of dm-verity
//! *Verity superblock format* of cryptsetup. FAT is known to [`volume`](crate::volume).
//!
//! A superblock is foreign bytes: nothing but names is taken from it.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::window::Window;

/// What a partition holds, by its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Superblock {
    /// The name of its format, as `blkid` writes it.
    pub format: &'static str,
    /// The label, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The UUID, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
}

/// Where a format has what.
struct Format {
    name: &'static str,
    /// What its bytes are at some place.
    magic: (u64, &'static [u8]),
    /// Where the UUID is.
    uuid: Option<u64>,
    /// Where the label is, and how many bytes it has at most.
    label: Option<(u64, usize)>,
}

const FORMATS: [Format; 8] = [
    Format {
        name: "erofs",
        magic: (1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
        uuid: Some(1024 + 48),
        label: Some((1024 + 64, 16)),
    },
    Format {
        name: "ext4",
        magic: (1024 + 56, &[0x53, 0xef]),
        uuid: Some(1024 + 104),
        label: Some((1024 + 120, 16)),
    },
    Format {
        name: "xfs",
        magic: (0, b"XFSB"),
        uuid: Some(32),
        label: Some((108, 12)),
    },
    Format {
        name: "btrfs",
        magic: (BTRFS + 64, b"_BHRfS_M"),
        uuid: Some(BTRFS + 32),
        label: Some((BTRFS + 299, 256)),
    },
    Format {
        name: "squashfs",
        magic: (0, b"hsqs"),
        uuid: None,
        label: None,
    },
    Format {
        name: "swap",
        magic: (4086, b"SWAPSPACE2"),
        uuid: Some(1024 + 12),
        label: Some((1024 + 28, 16)),
    },
    Format {
        name: "DM_verity_hash",
        magic: (0, b"verity\0\0"),
        uuid: Some(16),
        label: None,
    },
    Format {
        name: LUKS,
        magic: (0, b"LUKS\xba\xbe"),
        // As text, which is read apart.
        uuid: None,
        label: Some((24, 48)),
    },
];

/// Where btrfs has its superblock.
const BTRFS: u64 = 64 << 10;

const LUKS: &str = "crypto_LUKS";

/// Where LUKS has its UUID, as text.
const LUKS_UUID: (u64, usize) = (168, 40);

/// Where ext has the features that tell its ages apart: what must be known to write, and
/// to read.
const EXT_FEATURES: (u64, u64) = (1024 + 92, 1024 + 96);

impl Superblock {
    /// What is in a partition, if it is of a format that is known.
    #[must_use]
    pub fn read(partition: &Window) -> Option<Self> {
        let has_magic = |format: &&Format| {
            let (at, magic) = format.magic;
            bytes(partition, at, magic.len()).as_deref() == Some(magic)
        };
        let format = FORMATS.iter().find(has_magic)?;
        let mut uuid = format.uuid.and_then(|at| {
            let bytes = bytes(partition, at, 16)?;
            Uuid::from_slice(&bytes).ok()
        });
        let mut label = format.label.and_then(|place| text(partition, place));
        if format.name == LUKS {
            uuid = text(partition, LUKS_UUID).and_then(|text| text.parse().ok());
            // The first version has the name of its cipher there.
            label = label.filter(|_| bytes(partition, 6, 2) == Some(vec![0, 2]));
        }
        Some(Self {
            format: match format.name {
                "ext4" => age_of_ext(partition),
                name => name,
            },
            label,
            uuid: uuid.filter(|uuid| !uuid.is_nil()),
        })
    }
}

/// Longer labels are cut where people read them.
const SHOWN: usize = 16;

impl fmt::Display for Superblock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format)?;
        if let Some(label) = &self.label {
            let shown: String = label.chars().take(SHOWN).collect();
            let more = if shown.len() < label.len() { "…" } else { "" };
            write!(f, " `{}{more}`", shown.escape_debug())?;
        }
        match self.uuid {
            Some(uuid) => write!(f, ", UUID {uuid}"),
            None => Ok(()),
        }
    }
}

/// ext2 and ext3 have the magic of ext4.
fn age_of_ext(partition: &Window) -> &'static str {
    let has = |at, bit| bytes(partition, at, 1).is_some_and(|found| found[0] & bit != 0);
    let (compatible, incompatible) = EXT_FEATURES;
    if has(incompatible, EXTENTS) {
        "ext4"
    } else if has(compatible, JOURNAL) {
        "ext3"
    } else {
        "ext2"
    }
}

const JOURNAL: u8 = 0x4;
const EXTENTS: u8 = 0x40;

/// Bytes of a partition; none where it is shorter, or cannot be read.
fn bytes(partition: &Window, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    partition.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

/// A text that ends with its place or a zero; none when it is empty.
fn text(partition: &Window, (at, most): (u64, usize)) -> Option<String> {
    let bytes = bytes(partition, at, most)?;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::swap;

    fn read(content: &[(u64, &[u8])], size: u64) -> Option<Superblock> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for (at, bytes) in content {
            file.write_all_at(bytes, *at).unwrap();
        }
        Superblock::read(&Window::new(&file, 0, size).unwrap())
    }

    #[test]
    fn what_ends_early_or_says_nothing_is_not_known() {
        assert_eq!(read(&[], 0), None);
        assert_eq!(read(&[(0, b"XF")], 2), None);
        assert_eq!(read(&[], 1 << 20), None);
        // Its names are beyond the end.
        let bare = read(&[(0, b"XFSB")], 4).unwrap();
        assert_eq!((bare.label, bare.uuid), (None, None));
    }

    #[test]
    fn labels_are_shown_in_part_and_do_nothing_to_a_terminal() {
        let uuid = Uuid::from_u128(7);
        let header = swap::header(40960, uuid, "a\u{1b}[31mb");
        let swap = read(&[(0, &header)], 40960).unwrap();
        assert_eq!(
            swap.to_string(),
            "swap `a\\u{1b}[31mb`, UUID 00000000-0000-0000-0000-000000000007"
        );
        let label = [b'x'; 256];
        let btrfs = read(&[(BTRFS + 64, b"_BHRfS_M"), (BTRFS + 299, &label)], 1 << 20).unwrap();
        assert_eq!(btrfs.label.as_deref().map(str::len), Some(256));
        assert_eq!(btrfs.to_string(), "btrfs `xxxxxxxxxxxxxxxx…`");
    }

    #[test]
    fn the_first_version_of_luks_has_no_label() {
        let uuid = b"0867da16-5cd9-4c7a-9d2c-7a6b5ea8220b";
        for (version, label) in [([0, 1], None), ([0, 2], Some("name".to_owned()))] {
            let found = read(
                &[
                    (0, b"LUKS\xba\xbe"),
                    (6, &version),
                    (24, b"name"),
                    (168, uuid),
                ],
                4096,
            );
            let found = found.unwrap();
            assert_eq!(found.label, label);
            assert_eq!(found.uuid.unwrap().to_string().as_bytes(), uuid);
        }
    }
}
