//! What any Type #1 entry needs and shows, whatever it boots.

use tree_manifest::TreePath;

use crate::key_value::key_values;
use crate::line::Line;

/// The heads of an entry of any kind: of Linux, an EFI program or a UKI. Where
/// [`super::Type1Entry`] refuses, this passes over what it cannot read: it is for
/// looking after files, not for booting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// What the menu shows.
    pub title: Option<Line>,
    /// Its version.
    pub version: Option<Line>,
    /// The files it refers to, on its own partition.
    pub files: Vec<TreePath>,
}

impl Outline {
    /// Reads the text of an entry.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut outline = Self::default();
        for line in key_values(text) {
            match line.key {
                "title" => outline.title = Line::new(line.value).ok(),
                "version" => outline.version = Line::new(line.value).ok(),
                "linux" | "efi" | "uki" | "initrd" | "devicetree" => {
                    outline.files.extend(path(line.value));
                }
                "devicetree-overlay" => {
                    let overlays = line.value.split_ascii_whitespace();
                    outline.files.extend(overlays.filter_map(path));
                }
                _ => {}
            }
        }
        outline
    }
}

fn path(value: &str) -> Option<TreePath> {
    TreePath::new(value.trim_start_matches('/')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_has_its_files() {
        let text = "title Xen\nversion 4\nefi /EFI/nixos/xen.efi\nuki /EFI/Linux/a.efi\n\
                    linux //k\ninitrd /i\ninitrd ../x\noptions \u{7}\n\
                    devicetree /d\ndevicetree-overlay /o1 /o2\nuki-url http://x/y\n";
        let found = Outline::of(text);
        assert_eq!(found.title.unwrap().as_str(), "Xen");
        assert_eq!(found.version.unwrap().as_str(), "4");
        let files: Vec<_> = found.files.iter().map(TreePath::as_str).collect();
        let expected = [
            "EFI/nixos/xen.efi",
            "EFI/Linux/a.efi",
            "k",
            "i",
            "d",
            "o1",
            "o2",
        ];
        assert_eq!(files, expected);
    }
}
