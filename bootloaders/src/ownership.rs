//! Which files of a boot partition in use are ours to replace and remove.
//!
//! Ours are the files of this project and those of nixpkgs' installer for
//! systemd-boot, whose place it takes. A name is ours only when it is ours from
//! its first character to its last; all else belongs to somebody: other systems,
//! firmware updaters, users. Directories are compared as FAT compares them,
//! names exactly: what is in doubt is left alone.

use tree_manifest::{TreePath, fat};

use crate::boot_counting::EntryFileName;

/// The letters of Nix' base 32, which are all digits and letters but `e o u t`.
const NIX_BASE32: &str = "0123456789abcdfghijklmnpqrsvwxyz";

/// The digits of digests in names.
const HEX: &str = "0123456789abcdef";

/// The letters of RFC 4648's base 32, in lower case.
const BASE32: &str = "abcdefghijklmnopqrstuvwxyz234567";

/// What a file of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ours {
    /// The entry of a generation.
    Entry,
    /// The Unified Kernel Image of a generation.
    Image,
    /// A kernel, an initial RAM disk or a device tree.
    BootFile,
    /// The marker of an extra file: [`crate::extra::marked`] names the file,
    /// which is ours as long as the marker is there.
    ExtraMarker,
}

/// Says what a file is when it is ours, by its place and name on the ESP or the
/// XBOOTLDR partition.
#[must_use]
pub fn ours(path: &TreePath) -> Option<Ours> {
    let folded: Vec<String> = path.components().map(fat::fold).collect();
    let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
    match folded[..] {
        ["LOADER", "ENTRIES", _] => is_entry_name(path.name()).then_some(Ours::Entry),
        ["EFI", "LINUX", _] => is_image_name(path.name()).then_some(Ours::Image),
        ["EFI", "NIXOS", _] => is_boot_file_name(path.name()).then_some(Ours::BootFile),
        ["EFI", "NIXOS", ".EXTRA-FILES", _, ..] => Some(Ours::ExtraMarker),
        _ => None,
    }
}

/// Whether an entry of this name is a generation's, with or without a counter:
/// `nixos-SHA256.conf`, or
/// `nixos[-PROFILE]-generation-N[-specialisation-S].conf`; with `xen` for `nixos`, the
/// same with a hypervisor beneath.
#[must_use]
pub fn is_entry_name(name: &str) -> bool {
    let Some(name) = EntryFileName::parse(name).filter(|name| name.suffix() == ".conf") else {
        return false;
    };
    let stem = name.stem();
    let named = ["nixos-", "xen-"].map(|system| stem.strip_prefix(system));
    let mut rest = named.into_iter().flatten();
    rest.any(|rest| is_of(rest, 64, HEX) || is_generation(rest))
}

/// Whether a Unified Kernel Image of this name is a generation's, with or without a
/// counter: as [`is_entry_name`], with `.efi`.
///
/// Lanzaboote's images of specialisations have names that end in a digest. They are
/// another installer's, although a specialisation could be called so.
#[must_use]
pub fn is_image_name(name: &str) -> bool {
    let Some(name) = EntryFileName::parse(name).filter(|name| name.suffix() == ".efi") else {
        return false;
    };
    let Some(rest) = name.stem().strip_prefix("nixos-") else {
        return false;
    };
    let last = rest.rsplit('-').next().unwrap_or_default();
    is_of(rest, 64, HEX) || is_generation(rest) && !is_of(last, 52, BASE32)
}

/// Whether a file of this name in `EFI/nixos` is one that an entry needs: named
/// after a store path, after 128 bits of its content, or an initial RAM disk with
/// secrets: nixpkgs' whole one, or ours of nothing else. Xen has settings named after
/// their content, and with nixpkgs a program for each generation.
#[must_use]
pub fn is_boot_file_name(name: &str) -> bool {
    if let Some(digest) = name.strip_suffix("-xen.cfg") {
        return is_of(digest, 32, HEX);
    }
    let Some((digest, rest)) = name
        .strip_suffix(".efi")
        .and_then(|stem| stem.split_once('-'))
    else {
        return false;
    };
    if digest == "xen" {
        return is_generation(rest);
    }
    let named = is_of(digest, 32, NIX_BASE32) || is_of(digest, 32, HEX);
    named && !rest.is_empty() || is_of(digest, 64, HEX) && matches!(rest, "initrd" | "secrets")
}

/// `[PROFILE-]generation-N[-specialisation-S]`. A profile may hold `generation-`
/// itself, so each place where the number could be is looked at.
fn is_generation(text: &str) -> bool {
    let mut places = text.match_indices("generation-");
    places.any(|(start, word)| {
        let profile = &text[..start];
        let after = &text[start + word.len()..];
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let specialisation = rest.strip_prefix("-specialisation-");
        (profile.is_empty() || profile.len() > 1 && profile.ends_with('-'))
            && rest.len() < after.len()
            && (rest.is_empty() || specialisation.is_some_and(|name| !name.is_empty()))
    })
}

/// Whether a text is this many of these letters.
fn is_of(text: &str, length: usize, letters: &str) -> bool {
    text.len() == length && text.chars().all(|letter| letters.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tree_manifest::GenerationId;

    use crate::entry::EntryId;
    use crate::entry_name::EntryNaming;
    use crate::systemd_boot;

    /// A store path's digest, 32 and 64 hexadecimal digits.
    const STORE: &str = "0c5g8x3v9m2k7w4q1z6n8b5d3f7h9j2l";
    const HALF: &str = "e3b0c44298fc1c149afbf4c8996fb924";
    const WHOLE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn of(path: &str) -> Option<Ours> {
        let path = path
            .replace("STORE", STORE)
            .replace("HALF", HALF)
            .replace("WHOLE", WHOLE)
            .replace("BASE32", &"a2".repeat(26));
        ours(&TreePath::new(path).unwrap())
    }

    #[test]
    fn ours_are_files_of_nixos() {
        for (path, what) in [
            ("loader/entries/nixos-WHOLE.conf", Ours::Entry),
            ("loader/entries/nixos-WHOLE+3.conf", Ours::Entry),
            ("loader/entries/xen-WHOLE.conf", Ours::Entry),
            ("loader/entries/xen-generation-3.conf", Ours::Entry),
            ("EFI/nixos/HALF-xen.cfg", Ours::BootFile),
            ("efi/nixos/xen-generation-3.efi", Ours::BootFile),
            ("loader/entries/nixos-WHOLE+02-01.conf", Ours::Entry),
            ("LOADER/Entries/nixos-WHOLE.conf", Ours::Entry),
            ("loader/entries/nixos-generation-1.conf", Ours::Entry),
            ("loader/entries/nixos-generation-1+0-3.conf", Ours::Entry),
            (
                "loader/entries/nixos-generation-12-specialisation-gnome.conf",
                Ours::Entry,
            ),
            ("loader/entries/nixos-work-generation-3.conf", Ours::Entry),
            (
                "loader/entries/nixos-generation-x-generation-3.conf",
                Ours::Entry,
            ),
            ("EFI/Linux/nixos-generation-1.efi", Ours::Image),
            ("efi/LINUX/nixos-work-generation-1+2-1.efi", Ours::Image),
            (
                "EFI/Linux/nixos-generation-1-specialisation-gnome.efi",
                Ours::Image,
            ),
            ("EFI/Linux/nixos-WHOLE.efi", Ours::Image),
            ("EFI/nixos/STORE-linux-6.12-bzImage.efi", Ours::BootFile),
            (
                "efi/NixOS/STORE-initrd-linux-6.12-initrd.efi",
                Ours::BootFile,
            ),
            ("EFI/nixos/STORE-dtbs-qcom-board.dtb.efi", Ours::BootFile),
            ("EFI/nixos/STORE-initrd.efi", Ours::BootFile),
            ("EFI/nixos/HALF-bzImage.efi", Ours::BootFile),
            ("EFI/nixos/WHOLE-initrd.efi", Ours::BootFile),
            (
                "EFI/nixos/.extra-files/efi/memtest86/memtest.efi",
                Ours::ExtraMarker,
            ),
        ] {
            assert_eq!(of(path), Some(what), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_ours_is_foreign() {
        for path in [
            "loader/entries/nixos.conf",
            "loader/entries/nixos-.conf",
            "loader/entries/nixos-rescue.conf",
            "loader/entries/nixos-generation.conf",
            "loader/entries/nixos-generation-.conf",
            "loader/entries/nixos-generation-x.conf",
            "loader/entries/nixos-generation-1x.conf",
            "loader/entries/nixos-generation-1-copy.conf",
            "loader/entries/nixos-generation-1-specialisation-.conf",
            "loader/entries/nixos--generation-1.conf",
            "loader/entries/nixos-regeneration-1.conf",
            "loader/entries/nixos-generation-1.conf.bak",
            "loader/entries/nixos-generation-1+x.conf",
            "loader/entries/nixos-generation-1.efi",
            "loader/entries/my-nixos-generation-1.conf",
            "loader/entries/NIXOS-generation-1.conf",
            "loader/entries/old/nixos-generation-1.conf",
            "entries/nixos-generation-1.conf",
            "loader/nixos-generation-1.conf",
            "loader/entries/nixos-WHOLE0.conf",
            "loader/entries/nixos-HALF.conf",
            "loader/entries/memtest86.conf",
            "loader/loader.conf",
            "EFI/nixos/xen-4.19.efi",
            "EFI/nixos/fwupdx64.efi",
            "EFI/nixos/kernel-6.12-STORE.efi",
            "EFI/nixos/STORE.efi",
            "EFI/nixos/STORE-.efi",
            "EFI/nixos/STORE-linux",
            "EFI/nixos/STORE-linux.efi.tmp",
            "EFI/nixos/STORE0-linux.efi",
            "EFI/nixos/STOREtlinux.efi",
            "EFI/nixos/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeg-linux.efi",
            "EFI/nixos/WHOLE-bzImage.efi",
            "EFI/nixos/WHOLE-initrd2.efi",
            "EFI/nixos/xen-4.17.efi",
            "EFI/nixos/xen.cfg",
            "EFI/nixos/WHOLE-xen.cfg",
            "loader/entries/xen-4.17.conf",
            "EFI/nixos/sub/STORE-linux.efi",
            "EFI/nixos/.extra-files",
            "EFI/Linux/STORE-linux.efi",
            "EFI/Linux/nixos-6.12.efi",
            "EFI/Linux/nixos-HALF.efi",
            "EFI/Linux/nixos-generation-1.conf",
            "EFI/Linux/xen-generation-1.efi",
            "EFI/Linux/nixos-generation-1.efi.extra.d/a.cred",
            "EFI/Linux/nixos-generation-1-BASE32.efi",
            "EFI/Linux/nixos-generation-1-specialisation-gnome-BASE32.efi",
            "EFI/systemd/systemd-bootx64.efi",
            "STORE-linux.efi",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_entry_we_name_is_ours(
            profile in prop::option::of(".{1,8}"),
            number in any::<u64>(),
            specialisation in prop::option::of(".{1,8}"),
            content in any::<bool>(),
        ) {
            let naming = if content { EntryNaming::Content } else { EntryNaming::Generation };
            let id = EntryId::Generation(GenerationId { profile, number, specialisation });
            let name = systemd_boot::name_entry(naming, &id, "linux /a\n");
            prop_assert_eq!(ours(&systemd_boot::entry_file_path(&name)), Some(Ours::Entry));
            let image = systemd_boot::entry_file_path(&name.of_image());
            prop_assert_eq!(ours(&image), Some(Ours::Image));
        }
    }
}
