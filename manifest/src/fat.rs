//! What a FAT file system can hold: names, the way it compares them, file sizes.
//!
//! Specification: Microsoft, *FAT: General Overview of On-Disk Format* 1.03
//! (long names: up to 255 UTF-16 units; compared without case). The rules are
//! here, and not beside the FAT writer, because a tree that no FAT can hold must
//! be refused when it is planned, long before an image is made.

use crate::path::holds_control;

/// The largest file, in bytes: the directory entry counts it in 32 bits.
pub const MAX_FILE_SIZE: u64 = u32::MAX as u64;

/// The longest name of one path component, in UTF-16 units.
pub const MAX_NAME_UNITS: usize = 255;

/// Says why a FAT file system cannot hold a file or directory of this name.
///
/// # Errors
/// With the rule the name breaks.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a name cannot be empty");
    }
    // Without an early end, many bytes are looked at at once.
    let is_reserved = |byte| {
        matches!(
            byte,
            b'"' | b'*' | b'/' | b':' | b'<' | b'>' | b'?' | b'\\' | b'|'
        )
    };
    if name
        .bytes()
        .fold(false, |found, byte| found | is_reserved(byte))
    {
        return Err("a FAT name holds none of `\"*/:<>?\\|`");
    }
    if holds_control(name) {
        return Err("a FAT name holds no control character");
    }
    if name.ends_with(['.', ' ']) {
        return Err("a FAT name does not end in a dot or a space");
    }
    if name.starts_with(' ') {
        return Err("a FAT name that starts with a space is not found by every firmware");
    }
    // No text has more units than bytes.
    if name.len() > MAX_NAME_UNITS && name.encode_utf16().count() > MAX_NAME_UNITS {
        return Err("a FAT name has at most 255 UTF-16 units");
    }
    Ok(())
}

/// The form in which FAT compares names: two names with one fold are one file.
///
/// Each character stands in for its upper case where that is one character, as
/// in the tables of firmware and kernels; `ß` therefore stays `ß`.
#[must_use]
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_uppercase();
    }
    name.chars().map(fold_char).collect()
}

fn fold_char(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_no_fat_can_hold() {
        for name in [
            "",
            "a:b",
            "a?",
            "tab\t",
            "dot.",
            "space ",
            " lead",
            &"x".repeat(256),
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in [
            "BOOTX64.EFI",
            "a b",
            "ünïcode",
            ".hidden",
            &"x".repeat(255),
            "+3-0.conf",
        ] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
        // 128 characters outside the basic plane are 256 units.
        assert!(check_name(&"🦀".repeat(128)).is_err());
        assert!(check_name(&"🦀".repeat(127)).is_ok());
    }

    #[test]
    fn folds_case_beyond_ascii() {
        assert_eq!(fold("Übung.EFI"), fold("übung.efi"));
        assert_eq!(fold("straße"), "STRAßE");
        assert_ne!(fold("a-b"), fold("a_b"));
    }
}
