//! Which entry the machine is running, as systemd-boot says.
//!
//! Specification: <https://systemd.io/BOOT_LOADER_INTERFACE/>. Variables are UTF-16.

use std::collections::BTreeSet;
use std::path::Path;

use bootloaders::systemd_boot;
use tree_manifest::fat;

use super::efivars::{LOADER, value};
use super::install::without_counter;

/// The entry that was booted, and the one whose tries are being counted: file names
/// without a counter, perhaps with a profile, folded as FAT compares them. Nothing where
/// there are no variables: not booted by systemd-boot, or not by UEFI at all.
#[must_use]
pub fn selected(efivars: &Path) -> BTreeSet<String> {
    let variables = ["LoaderEntrySelected", "LoaderBootCountPath"];
    let values = variables
        .into_iter()
        .filter_map(|name| text_of(&value(efivars, name, LOADER)?));
    values
        .map(|value| {
            let name = value.rsplit('\\').next().unwrap_or(&value).to_owned();
            fat::fold(&without_counter(&name).0)
        })
        .collect()
}

/// The same without profiles: the files that must stay.
#[must_use]
pub fn booted(efivars: &Path) -> BTreeSet<String> {
    let names = selected(efivars).into_iter();
    names
        .map(|name| systemd_boot::without_profile(&name).to_owned())
        .collect()
}

/// The text of a variable.
fn text_of(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2);
    let units: Vec<u16> = units
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    String::from_utf16(&units)
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write variables")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn variables_name_the_entry_without_its_counter_and_profile() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(booted(directory.path()), BTreeSet::new());
        for (name, text) in [
            ("LoaderEntrySelected", "nixos-generation-7.efi@gnome\0"),
            (
                "LoaderBootCountPath",
                "\\loader\\entries\\nixos-generation-8+2-1.conf\0",
            ),
        ] {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            let bytes: Vec<u8> = [7, 0, 0, 0].into_iter().chain(units).collect();
            fs::write(directory.path().join(format!("{name}-{LOADER}")), bytes).unwrap();
        }
        assert!(selected(directory.path()).contains("NIXOS-GENERATION-7.EFI@GNOME"));
        let expected = ["NIXOS-GENERATION-7.EFI", "NIXOS-GENERATION-8.CONF"];
        assert_eq!(
            booted(directory.path()),
            expected.map(ToOwned::to_owned).into()
        );
    }
}
