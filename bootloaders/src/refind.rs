//! rEFInd: its files and its language.
//!
//! Manual: <https://www.rodsbooks.com/refind/configfile.html>

use std::fmt::Write as _;

use tree_manifest::TreePath;

use crate::arch::Arch;
use crate::menu::{Item, Menu, Starts, efi_path};
use crate::place::known;

/// Where rEFInd lies on the ESP, beside its settings.
pub const DIRECTORY: &str = "EFI/refind";

/// The settings, beside a binary.
pub const CONFIG: &str = "refind.conf";

/// The file name of the binary, in packages as on the ESP.
#[must_use]
pub fn binary_name(arch: Arch) -> String {
    format!("refind_{arch}.efi")
}

/// Where drivers lie on the ESP: beside each binary, which looks there alone.
#[must_use]
pub fn driver_directories(arch: Arch) -> [TreePath; 2] {
    [DIRECTORY, "EFI/BOOT"].map(|directory| known(format!("{directory}/drivers_{arch}")))
}

/// The text of refind.conf.
///
/// rEFInd finds its default by a part of its title, which another may have too, or by a
/// digit. So the default is the first line of the menu. A specialisation is one of the
/// lines that a generation shows when it is asked for more; as the default it has a line of
/// its own.
#[must_use]
pub fn config(menu: &Menu) -> String {
    let timeout = match menu.seconds() {
        None => 0,
        // At once; a key that is held shows the menu.
        Some(0) => -1,
        Some(seconds) => i64::from(seconds),
    };
    let mut text = format!("timeout {timeout}\nscanfor manual\nuse_nvram false\n");
    if !menu.editor {
        text.push_str("hideui editor\n");
    }
    text.push_str("default_selection 1\n");
    text.push_str(&menu.preamble);
    let default = menu.default_item();
    push_item(&mut text, default);
    for item in menu.items.iter().filter(|item| item.name != default.name) {
        push_item(&mut text, item);
    }
    text
}

fn push_item(text: &mut String, item: &Item) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "menuentry {} {{", quoted(item.title.as_str()));
    let (Starts::Linux { kernel: path, .. } | Starts::Program { path, .. }) = &item.starts;
    push_line(text, 1, "loader", &efi_path(path));
    if matches!(item.starts, Starts::Linux { .. }) {
        push_line(text, 1, "ostype", "Linux");
    }
    push_options(text, 1, item);
    for child in &item.children {
        let _ = writeln!(text, "    submenuentry {} {{", quoted(child.title.as_str()));
        let (Starts::Linux { kernel: path, .. } | Starts::Program { path, .. }) = &child.starts;
        push_line(text, 2, "loader", &efi_path(path));
        push_options(text, 2, child);
        text.push_str("    }\n");
    }
    text.push_str("}\n");
}

/// Initial RAM disks are options too: `initrd` takes one alone.
fn push_options(text: &mut String, depth: usize, item: &Item) {
    let options = item.load_options();
    if !options.is_empty() {
        push_line(text, depth, "options", &options);
    }
}

fn push_line(text: &mut String, depth: usize, key: &str, value: &str) {
    let indent = "    ".repeat(depth);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{indent}{key} {}", quoted(value));
}

/// A text as one word of rEFInd's language, whatever it holds: a quote is written twice.
/// In a quoted path a slash is no separator.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The places of a binary on the ESP, each with its settings beside it.
#[must_use]
pub fn binary_paths(arch: Arch) -> [TreePath; 2] {
    [
        known(format!("{DIRECTORY}/{}", binary_name(arch))),
        known(format!("EFI/BOOT/{}", arch.removable_name())),
    ]
}

/// The places of the settings on the ESP: rEFInd reads those beside it.
#[must_use]
pub fn config_paths() -> [TreePath; 2] {
    [
        known(format!("{DIRECTORY}/{CONFIG}")),
        known(format!("EFI/BOOT/{CONFIG}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader_conf::Timeout;
    use crate::menu::tests::hostile;

    #[test]
    fn no_text_leaves_its_word() {
        insta::assert_snapshot!(config(&hostile()));
    }

    #[test]
    fn waiting_and_not_waiting_have_numbers() {
        let mut menu = hostile();
        menu.editor = false;
        for (timeout, line) in [
            (Timeout::Seconds(0), "timeout -1\n"),
            (Timeout::MenuHidden, "timeout -1\n"),
            (Timeout::MenuForce, "timeout 0\n"),
            (Timeout::Seconds(7), "timeout 7\n"),
        ] {
            menu.timeout = timeout;
            assert!(config(&menu).starts_with(line));
        }
        assert!(config(&menu).contains("hideui editor\n"));
    }
}
