//! Names on a FAT volume: the short alias and the long name's slots.
//!
//! Every file has a name of eight and three characters. Whatever that cannot
//! say is kept in up to twenty slots in front of it, and the short name becomes
//! an alias such as `KERNEL~1.EFI`. Aliases are assigned in the order of the
//! names, so a directory always gets the same ones.

use std::collections::{BTreeMap, BTreeSet};

use tree_manifest::fat::fold;

/// Eight characters of base and three of extension, padded with spaces.
pub type ShortName = [u8; 11];

/// UTF-16 units in one slot of a long name.
const SLOT_UNITS: usize = 13;

/// The mark of a slot's attribute byte.
const SLOT_ATTRIBUTES: u8 = 0x0f;

/// The mark of the last slot, which comes first.
const LAST_SLOT: u8 = 0x40;

/// How a name is written in its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryName {
    /// The short name.
    pub short: ShortName,
    /// The long name's slots in the order of the disk; none when the short name
    /// says it all.
    pub slots: Vec<[u8; 32]>,
}

/// Assigns the names of one directory.
///
/// The result is in the order of `names`, which must be distinct to FAT.
pub fn assign(names: &[&str]) -> Vec<DirectoryName> {
    // No alias may be what another file is called.
    let mut taken: BTreeSet<ShortName> = names
        .iter()
        .filter_map(|name| exact_short(&fold(name)))
        .collect();
    let mut next: BTreeMap<ShortName, u32> = BTreeMap::new();
    names
        .iter()
        .map(|name| {
            if let Some(short) = exact_short(name) {
                return DirectoryName {
                    short,
                    slots: Vec::new(),
                };
            }
            let of_case = exact_short(&fold(name));
            let short = of_case.unwrap_or_else(|| alias(name, &mut next, &mut taken));
            DirectoryName {
                short,
                slots: slots(name, checksum(&short)),
            }
        })
        .collect()
}

/// How many directory entries of 32 bytes a name takes.
pub fn entry_count(name: &str) -> u64 {
    match exact_short(name) {
        Some(_) => 1,
        None => 1 + name.encode_utf16().count().div_ceil(SLOT_UNITS) as u64,
    }
}

/// The short name that says exactly this name, if there is one: upper case,
/// ASCII, at most eight and three characters.
fn exact_short(name: &str) -> Option<ShortName> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let dot_without_extension = extension.is_empty() && name.contains('.');
    if base.is_empty() || base.len() > 8 || extension.len() > 3 || dot_without_extension {
        return None;
    }
    let allowed = |byte: u8| byte.is_ascii_uppercase() || is_allowed_mark(byte);
    if !base.bytes().chain(extension.bytes()).all(allowed) {
        return None;
    }
    Some(padded(base.as_bytes(), extension.as_bytes()))
}

/// Digits and the marks a short name may hold (specification, p. 24).
fn is_allowed_mark(byte: u8) -> bool {
    byte.is_ascii_digit() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

fn padded(base: &[u8], extension: &[u8]) -> ShortName {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base);
    short[8..8 + extension.len()].copy_from_slice(extension);
    short
}

/// The first free `BASE~N.EXT` for a long name.
fn alias(
    name: &str,
    next: &mut BTreeMap<ShortName, u32>,
    taken: &mut BTreeSet<ShortName>,
) -> ShortName {
    let stem = name.trim_start_matches('.');
    let (base, extension) = match stem.rsplit_once('.') {
        Some((base, extension)) if !base.is_empty() => (base, extension),
        _ => (stem, ""),
    };
    let base = squeezed(base, 6);
    let extension = squeezed(extension, 3);
    // Numbering continues where it stopped for the last name of this stem, so a
    // directory of thousands of alike names takes no quadratic time.
    let number = next.entry(padded(&base, &extension)).or_insert(0);
    loop {
        *number += 1;
        let tail = format!("~{number}");
        let keep = base.len().min(8 - tail.len());
        let short = padded(&[&base[..keep], tail.as_bytes()].concat(), &extension);
        if taken.insert(short) {
            return short;
        }
    }
}

/// At most `limit` characters of a part of a long name, fit for a short one.
fn squeezed(part: &str, limit: usize) -> Vec<u8> {
    let fit = |character: char| match u8::try_from(character.to_ascii_uppercase()) {
        Ok(byte) if byte.is_ascii_uppercase() || is_allowed_mark(byte) => byte,
        _ => b'_',
    };
    part.chars()
        .filter(|c| !matches!(c, ' ' | '.'))
        .take(limit)
        .map(fit)
        .collect()
}

/// Binds the slots to their short name (specification, p. 28).
fn checksum(short: &ShortName) -> u8 {
    short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The slots of a long name, last part first as on the disk.
fn slots(name: &str, checksum: u8) -> Vec<[u8; 32]> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let parts: Vec<_> = units.chunks(SLOT_UNITS).enumerate().collect();
    let last = parts.len() - 1;
    parts
        .into_iter()
        .rev()
        .map(|(index, part)| {
            let mark = if index == last { LAST_SLOT } else { 0 };
            let number = u8::try_from(index + 1)
                .unwrap_or_else(|_| unreachable!("a name has at most 255 units"));
            slot(part, mark | number, checksum)
        })
        .collect()
}

fn slot(part: &[u16], order: u8, checksum: u8) -> [u8; 32] {
    /// Where the units of a slot are.
    const PLACES: [usize; SLOT_UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    let mut slot = [0; 32];
    slot[0] = order;
    slot[11] = SLOT_ATTRIBUTES;
    slot[13] = checksum;
    // A name that does not fill its slot ends in NUL; the rest is padding.
    let end = std::iter::once(0).chain(std::iter::repeat(0xffff));
    for (place, unit) in PLACES.into_iter().zip(part.iter().copied().chain(end)) {
        slot[place..place + 2].copy_from_slice(&unit.to_le_bytes());
    }
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(names: &[&str]) -> Vec<String> {
        let text = |name: &DirectoryName| String::from_utf8(name.short.to_vec()).unwrap();
        assign(names).iter().map(text).collect()
    }

    #[test]
    fn short_names_need_no_slots() {
        for name in ["BOOTX64.EFI", "A", "EFI", "README~1", "X.Y"] {
            assert_eq!(entry_count(name), 1, "{name}");
            assert_eq!(assign(&[name])[0].slots.len(), 0);
        }
        for name in [
            "bootx64.efi",
            "A.B.C",
            "NINECHARS",
            "A B",
            ".A",
            "Ä",
            "A+B",
            "A.LONG",
        ] {
            assert!(entry_count(name) > 1, "{name}");
            assert_eq!(assign(&[name])[0].slots.len() as u64 + 1, entry_count(name));
        }
    }

    #[test]
    fn aliases_are_distinct_and_stable() {
        let names = [
            "ABCDEF~1.TXT",
            "abcdefgh one.txt",
            "abcdefgh two.txt",
            "loader.conf",
            "LOADER.CON",
            ".hidden",
            "läöder.efi",
            "boot.efi",
            "...x",
        ];
        assert_eq!(
            aliases(&names),
            [
                "ABCDEF~1TXT",
                "ABCDEF~2TXT",
                "ABCDEF~3TXT",
                "LOADER~1CON",
                "LOADER  CON",
                "HIDDEN~1   ",
                "L__DER~1EFI",
                "BOOT    EFI",
                "X~1        ",
            ]
        );
    }

    #[test]
    fn thousands_of_alike_names_have_distinct_aliases() {
        let names: Vec<String> = (0..20_000)
            .map(|n| format!("generation-{n}.conf"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let aliases: BTreeSet<String> = aliases(&names).into_iter().collect();
        assert_eq!(aliases.len(), names.len());
        assert!(
            aliases.contains("GENE~999CON"),
            "the base gives way to the number"
        );
    }

    #[test]
    fn a_name_of_255_units_takes_twenty_slots() {
        let name = "x".repeat(255);
        let slots = &assign(&[&name])[0].slots;
        assert_eq!(slots.len(), 20);
        assert_eq!(slots[0][0], LAST_SLOT | 0x14);
        assert_eq!(slots[19][0], 1);
    }
}
