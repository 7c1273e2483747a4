//! Boot options of UEFI firmware: which program of which partition it starts.
//!
//! Specification: UEFI 2.10, sections 3.1.3 (load options), 10.3.1 (device paths)
//! and 10.3.5 (media). A path begins with the partition, as `bootctl` and
//! `efibootmgr` write it: firmware finds it by its GUID, whatever it is plugged into.

use tree_manifest::{TreePath, fat};

use crate::line::Line;

/// `LOAD_OPTION_ACTIVE`: without it, firmware passes the option over.
const ACTIVE: u32 = 1;

/// Types and subtypes of device path nodes.
const HARD_DRIVE: [u8; 2] = [4, 1];
const FILE_PATH: [u8; 2] = [4, 4];
const END: [u8; 2] = [0x7f, 0xff];

/// The length of a hard drive node, in bytes.
const HARD_DRIVE_LENGTH: usize = 42;

/// In a hard drive node: the table is a GPT, and the signature a GUID.
const GPT_WITH_GUID: [u8; 2] = [2, 2];

/// A partition, as a GPT has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GptPartition {
    /// Its place in the table, from 1.
    pub number: u32,
    /// Its first block, in the disk's own logical blocks.
    pub start: u64,
    /// Its length in those.
    pub blocks: u64,
    /// Its unique GUID, in the order of bytes on the disk.
    pub guid: [u8; 16],
}

/// An option that starts a program of an ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    /// What firmware's menu shows.
    pub description: Line,
    /// The ESP.
    pub partition: GptPartition,
    /// The program on it.
    pub program: TreePath,
}

impl LoadOption {
    /// The value of its variable.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut path = Vec::new();
        let GptPartition {
            number,
            start,
            blocks,
            guid,
        } = self.partition;
        let mut drive = number.to_le_bytes().to_vec();
        drive.extend(start.to_le_bytes());
        drive.extend(blocks.to_le_bytes());
        drive.extend(guid);
        drive.extend(GPT_WITH_GUID);
        let program = format!("\\{}", self.program.as_str().replace('/', "\\"));
        for (kind, data) in [
            (HARD_DRIVE, drive),
            (FILE_PATH, utf16(&program)),
            (END, Vec::new()),
        ] {
            path.extend(kind);
            path.extend(length(data.len() + 4));
            path.extend(data);
        }
        let mut value = ACTIVE.to_le_bytes().to_vec();
        value.extend(length(path.len()));
        value.extend(utf16(self.description.as_str()));
        value.extend(path);
        value
    }

    /// Whether an option, as firmware has it, starts the same program of the same
    /// partition. Firmware may have put the way to the disk before the partition, and
    /// some writes paths in upper case.
    #[must_use]
    pub fn is_the_target_of(&self, value: &[u8]) -> bool {
        Started::by(value).is_some_and(|started| {
            let own = fat::fold(self.program.as_str());
            started.guid == self.partition.guid && started.program == own
        })
    }
}

/// What an option of firmware starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// What firmware's menu shows.
    pub description: String,
    /// The unique GUID of the partition, in the order of bytes on the disk.
    pub guid: [u8; 16],
    /// The program there, as FAT compares names.
    pub program: String,
}

impl Started {
    /// Reads an option; `None` of one that starts something else than a file of a GPT
    /// partition, or is none.
    #[must_use]
    pub fn by(value: &[u8]) -> Option<Self> {
        let (guid, program) = target(value)?;
        let program = program.replace('\\', "/");
        Some(Self {
            description: text_of(&value[6..]),
            guid,
            program: fat::fold(program.trim_start_matches('/')),
        })
    }
}

/// The partition and the path that an option starts.
fn target(value: &[u8]) -> Option<([u8; 16], String)> {
    let path_length = usize::from(u16::from_le_bytes(*value.get(4..)?.first_chunk()?));
    let description = value.get(6..)?.chunks_exact(2);
    let units = description.take_while(|unit| *unit != [0, 0]).count();
    let begin = 6 + (units + 1) * 2;
    let mut nodes = value.get(begin..begin + path_length)?;
    let (mut guid, mut program) = (None, String::new());
    while let Some(([first, second, low, high], _)) = nodes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let data = nodes.get(4..length)?;
        match [*first, *second] {
            END => break,
            HARD_DRIVE if length == HARD_DRIVE_LENGTH && data.ends_with(&GPT_WITH_GUID) => {
                guid = Some(*data.get(20..)?.first_chunk()?);
            }
            FILE_PATH => program = text_of(data),
            _ => {}
        }
        nodes = &nodes[length..];
    }
    Some((guid?, program))
}

/// A text that ends in a NUL.
fn text_of(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

/// A length in bytes. Texts are lines and tree paths, which are far below the limit.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    use proptest::prelude::*;

    fn option(program: &str) -> LoadOption {
        LoadOption {
            description: Line::new("Linux Boot Manager").unwrap(),
            partition: GptPartition {
                number: 1,
                start: 2048,
                blocks: 102_400,
                guid: *b"0123456789abcdef",
            },
            program: TreePath::new(program).unwrap(),
        }
    }

    #[test]
    fn an_option_has_the_bytes_of_the_specification() {
        let mut hex = String::new();
        for (index, byte) in option("EFI/a.efi").encode().iter().enumerate() {
            let separator = if index % 16 == 15 { "\n" } else { "" };
            let _ = write!(hex, "{byte:02x}{separator}");
        }
        insta::assert_snapshot!(hex, @r"
        0100000048004c0069006e0075007800
        200042006f006f00740020004d006100
        6e006100670065007200000004012a00
        01000000000800000000000000900100
        00000000303132333435363738396162
        63646566020204041a005c0045004600
        49005c0061002e006500660069000000
        7fff0400
        ");
    }

    #[test]
    fn the_target_is_found_behind_the_way_to_the_disk_and_in_any_case() {
        let own = option("EFI/systemd/systemd-bootx64.efi");
        let mut value = option("EFI/SYSTEMD/SYSTEMD-BOOTX64.EFI").encode();
        assert!(own.is_the_target_of(&value));
        // PciRoot(0x0), which firmware adds.
        let root = [2, 1, 12, 0, 0xd0, 0x41, 3, 0x0a, 0, 0, 0, 0];
        let begin = 6 + ("Linux Boot Manager".len() + 1) * 2;
        value.splice(begin..begin, root);
        value[4] += 12;
        assert!(own.is_the_target_of(&value));
        value.extend(*b"optional data");
        assert!(own.is_the_target_of(&value));
    }

    #[test]
    fn another_program_or_partition_is_another_target() {
        let own = option("EFI/systemd/systemd-bootx64.efi");
        assert!(!own.is_the_target_of(&option("EFI/BOOT/BOOTX64.EFI").encode()));
        let mut other = own.clone();
        other.partition.guid[3] ^= 1;
        assert!(!own.is_the_target_of(&other.encode()));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_its_own_target(
            program in "[a-zA-Z0-9._-]{1,30}(/[a-zA-Z0-9_-]{1,30}){0,4}",
            description in "[a-zA-Z0-9 ]{1,60}",
            guid in any::<[u8; 16]>(),
        ) {
            prop_assume!(TreePath::new(&program).is_ok() && Line::new(&description).is_ok());
            let mut own = option(&program);
            own.description = Line::new(&description).unwrap();
            own.partition.guid = guid;
            let value = own.encode();
            prop_assert!(own.is_the_target_of(&value));
            for cut in 0..value.len() - 4 {
                prop_assert!(!own.is_the_target_of(&value[..cut]));
            }
        }

        #[test]
        fn no_variable_makes_the_reader_panic(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = option("a").is_the_target_of(&value);
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in 0_usize..140, byte in any::<u8>()) {
            let mut value = option("EFI/a.efi").encode();
            let at = at % value.len();
            value[at] = byte;
            let _ = option("EFI/a.efi").is_the_target_of(&value);
        }
    }
}
