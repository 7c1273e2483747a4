//! Which entry the machine is running, as systemd-boot says.
//!
//! Specification: <https://systemd.io/BOOT_LOADER_INTERFACE/>. Variables are files
//! of efivarfs: four bytes of attributes, then UTF-16.
#![expect(clippy::disallowed_methods, reason = "reads EFI variables")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tree_manifest::fat;

use super::install::without_counter;

/// Where Linux shows the variables.
pub const EFIVARS: &str = "/sys/firmware/efi/efivars";

/// The vendor of systemd-boot's variables.
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The entry that was booted, and the one whose tries are being counted: file names
/// without a counter, folded as FAT compares them. Nothing where there are no
/// variables: not booted by systemd-boot, or not by UEFI at all.
#[must_use]
pub fn booted(efivars: &Path) -> BTreeSet<String> {
    let variables = ["LoaderEntrySelected", "LoaderBootCountPath"];
    let values = variables.into_iter().filter_map(|name| {
        let bytes = fs::read(efivars.join(format!("{name}-{VENDOR}"))).ok()?;
        text_of(&bytes)
    });
    values
        .map(|value| {
            let name = value.rsplit('\\').next().unwrap_or(&value).to_owned();
            fat::fold(&without_counter(&name).0)
        })
        .collect()
}

/// The text of a variable.
fn text_of(bytes: &[u8]) -> Option<String> {
    let units = bytes.get(4..)?.chunks_exact(2);
    let units: Vec<u16> = units
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    String::from_utf16(&units)
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_the_entry_without_its_counter() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(booted(directory.path()), BTreeSet::new());
        for (name, text) in [
            ("LoaderEntrySelected", "nixos-generation-7.conf\0"),
            (
                "LoaderBootCountPath",
                "\\loader\\entries\\nixos-generation-8+2-1.conf\0",
            ),
        ] {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            let bytes: Vec<u8> = [7, 0, 0, 0].into_iter().chain(units).collect();
            fs::write(directory.path().join(format!("{name}-{VENDOR}")), bytes).unwrap();
        }
        let expected = ["NIXOS-GENERATION-7.CONF", "NIXOS-GENERATION-8.CONF"];
        assert_eq!(
            booted(directory.path()),
            expected.map(ToOwned::to_owned).into()
        );
    }
}
