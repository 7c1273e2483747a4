//! Limine: its files and its language.
//!
//! Manual: <https://github.com/limine-bootloader/limine/blob/trunk/CONFIG.md>. Texts are in
//! the words that versions from 8 on know.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tree_manifest::TreePath;

use crate::arch::Arch;
use crate::menu::{Item, Menu, Starts};
use crate::place::known;

/// The settings on the partition of the menu's files, where every version looks.
pub const CONFIG: &str = "limine/limine.conf";

/// Stands in a binary before the digest of the settings that it accepts: 128 hexadecimal
/// digits, all `0` when it accepts any.
pub const CONFIG_DIGEST_MARKER: &[u8] = b"++CONFIG_B2SUM_SIGNATURE++";

/// The `BLAKE2b` digests of files, in hexadecimal digits.
pub type Digests = BTreeMap<TreePath, String>;

/// The places of a binary on the ESP.
#[must_use]
pub fn binary_paths(arch: Arch) -> [TreePath; 2] {
    let name = arch.removable_name();
    [
        known(format!("EFI/limine/{name}")),
        known(format!("EFI/BOOT/{name}")),
    ]
}

/// The text of limine.conf.
///
/// Limine refuses a file that has not the digest given; one without a digest is not
/// checked.
#[must_use]
pub fn config(menu: &Menu, digests: &Digests) -> String {
    let timeout = match menu.seconds() {
        Some(seconds) => seconds.to_string(),
        None => "no".to_owned(),
    };
    let before = menu.items.iter().take(menu.default.item);
    let of_item = usize::from(!menu.items[menu.default.item].children.is_empty());
    let below = menu.default.child.map_or(0, |child| child + 1);
    let number = 1 + before.map(lines).sum::<usize>() + of_item + below;
    // A `$` of a text is no macro.
    let mut text = format!("${{D}}=$\ntimeout: {timeout}\ndefault_entry: {number}\n");
    if !menu.editor {
        text.push_str("editor_enabled: no\n");
    }
    text.push_str(&menu.preamble);
    for item in &menu.items {
        push_item(&mut text, item, digests);
    }
    text
}

/// How many lines of the menu stand for an item. Limine counts those of directories, and
/// those in open ones.
fn lines(item: &Item) -> usize {
    match item.children.len() {
        0 => 1,
        children => 2 + children,
    }
}

/// A line with others below it is a directory, which starts nothing itself.
fn push_item(text: &mut String, item: &Item, digests: &Digests) {
    if item.children.is_empty() {
        return push_entry(text, 1, item, digests);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n/+ {}", literal(item.title.as_str()));
    for item in std::iter::once(item).chain(&item.children) {
        push_entry(text, 2, item, digests);
    }
}

fn push_entry(text: &mut String, depth: usize, item: &Item, digests: &Digests) {
    let slashes = "/".repeat(depth);
    // Writing to a String cannot fail. What comes after the blank is the title, with
    // whatever it begins.
    let _ = writeln!(text, "\n{slashes} {}", literal(item.title.as_str()));
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "    {key}: {value}");
    };
    let file = |path: &TreePath| {
        let place = literal(path.as_str());
        match digests.get(path) {
            Some(digest) => format!("boot():/{place}#{digest}"),
            None => format!("boot():/{place}"),
        }
    };
    match &item.starts {
        Starts::Linux {
            kernel,
            initrds,
            devicetree,
            ..
        } => {
            line("protocol", "linux");
            line("kernel_path", &file(kernel));
            for initrd in initrds {
                line("module_path", &file(initrd));
            }
            if let Some(path) = devicetree {
                line("dtb_path", &file(path));
            }
        }
        Starts::Program { path, .. } => {
            line("protocol", "efi_chainload");
            line("image_path", &file(path));
        }
    }
    let (Starts::Linux { cmdline, .. }
    | Starts::Program {
        options: cmdline, ..
    }) = &item.starts;
    if !cmdline.is_empty() {
        line("cmdline", &literal(cmdline.as_str()));
    }
}

/// A text in which nothing is a macro.
fn literal(text: &str) -> String {
    text.replace("${", "${D}{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::menu::tests::hostile;

    #[test]
    fn no_text_leaves_its_line() {
        let kernel = TreePath::new("EFI/nixos/k-bzImage.efi").unwrap();
        let digests = Digests::from([(kernel, "ab".repeat(64))]);
        insta::assert_snapshot!(config(&hostile(), &digests));
    }

    #[test]
    fn no_path_is_a_macro() {
        let text = "title A\nlinux /k${x}.efi\ninitrd /$i${y}\n";
        let item = Item::of_text("a", text).unwrap();
        let mut menu = hostile();
        menu.items = vec![item];
        menu.default = crate::menu::Position {
            item: 0,
            child: None,
        };
        let text = config(&menu, &Digests::new());
        assert!(
            text.contains("kernel_path: boot():/k${D}{x}.efi\n"),
            "{text}"
        );
        assert!(text.contains("module_path: boot():/$i${D}{y}\n"), "{text}");
    }
}
