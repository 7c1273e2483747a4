//! `extlinux.conf`, as U-Boot reads it on boards without UEFI.
//!
//! Specification: <https://docs.u-boot.org/en/latest/develop/distro.html>

use std::fmt::Write as _;

use tree_manifest::TreePath;

use crate::menu::{Item, Menu, Starts};

/// The menu on the boot partition.
pub const CONFIG: &str = "extlinux/extlinux.conf";

/// Where the device trees of many boards lie on the boot partition.
pub const DEVICE_TREES: &str = "dtbs";

/// Begins a comment where a value would begin. U-Boot then finds no value, and takes the next
/// line for the rest of the comment.
const COMMENT: char = '#';

/// The text of extlinux.conf. U-Boot starts kernels alone: other programs are left out.
///
/// `devicetrees` is a directory on the boot partition in which U-Boot finds the tree of its
/// board; a line's own tree comes first.
#[must_use]
pub fn config(menu: &Menu, devicetrees: Option<&TreePath>) -> String {
    // Tenths of a second; 0 waits, so at once is as short as can be.
    let timeout = match menu.seconds() {
        None => 0,
        Some(seconds) => seconds.saturating_mul(10).max(1),
    };
    let mut text = format!("TIMEOUT {timeout}\nDEFAULT {}\n", menu.default_item().name);
    text.push_str("MENU TITLE ------------------------------------------------------------\n");
    text.push_str(&menu.preamble);
    for item in menu
        .items
        .iter()
        .flat_map(|item| std::iter::once(item).chain(&item.children))
    {
        push_item(&mut text, item, devicetrees);
    }
    text
}

fn push_item(text: &mut String, item: &Item, devicetrees: Option<&TreePath>) {
    let Starts::Linux {
        kernel,
        initrds,
        cmdline,
        devicetree,
    } = &item.starts
    else {
        return;
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\nLABEL {}", value(&item.name));
    let _ = writeln!(text, "  MENU LABEL {}", value(item.title.as_str()));
    let _ = writeln!(text, "  LINUX /{kernel}");
    // U-Boot takes one file: what is more is the entry's first.
    if let Some(initrd) = initrds.first() {
        let _ = writeln!(text, "  INITRD /{initrd}");
    }
    match (devicetree, devicetrees) {
        (Some(path), _) => _ = writeln!(text, "  FDT /{path}"),
        (None, Some(directory)) => _ = writeln!(text, "  FDTDIR /{directory}"),
        (None, None) => {}
    }
    if !cmdline.is_empty() {
        let _ = writeln!(text, "  APPEND {}", literal(cmdline.as_str()));
    }
}

/// A text as a value, which nobody but the reader of the menu looks at.
fn value(text: &str) -> String {
    let mark = if text.starts_with(COMMENT) { "_" } else { "" };
    format!("{mark}{text}")
}

/// A command line as U-Boot hands it over unchanged. U-Boot takes single quotes away, and puts
/// its own variables in the place of `${name}` and `$(name)`, but not behind a backslash,
/// which it takes away too; nor behind one that it has just put out, which it takes for the
/// first. A `#` at the start of a value would begin a comment.
fn literal(cmdline: &str) -> String {
    let mut text = String::with_capacity(cmdline.len());
    if cmdline.starts_with(COMMENT) {
        text.push('\\');
    }
    let mut before = '\0';
    for letter in cmdline.chars() {
        if matches!(letter, '\\' | '\'' | '$') && before != '\\' {
            text.push('\\');
        }
        text.push(letter);
        before = letter;
    }
    text
}

/// How many initial RAM disks U-Boot hands to the kernel.
pub const INITRDS: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::menu::tests::hostile;

    #[test]
    fn every_kernel_has_a_label_of_its_own() {
        let directory = TreePath::new("EFI/nixos/dtbs").unwrap();
        insta::assert_snapshot!(config(&hostile(), Some(&directory)));
    }

    /// What U-Boot makes of what stands behind `APPEND`, as its `cli_simple_process_macros`
    /// does, with a value for every variable.
    fn handed_over(text: &str) -> String {
        assert!(!text.starts_with(COMMENT), "{text}");
        let mut out = String::new();
        let mut letters = text.chars();
        let (mut before, mut is_quoted) = ('\0', false);
        while let Some(mut letter) = letters.next() {
            if !is_quoted && letter == '\\' && before != '\\' {
                before = letter;
                let Some(next) = letters.next() else { break };
                letter = next;
            }
            match letter {
                '\'' if before != '\\' => is_quoted = !is_quoted,
                '$' if !is_quoted && before != '\\' => out.push_str("(a variable)"),
                letter => out.push(letter),
            }
            before = letter;
        }
        out
    }

    #[test]
    fn no_parameter_is_a_variable_or_loses_a_letter() {
        assert_eq!(literal("a='$b ${c}' d\\e"), r"a=\'\$b \${c}\' d\\e");
        for cmdline in [
            r#"dyndbg="file a.c +p" x='y z' $(reboot) ${loadaddr} $x"#,
            r"systemd.setenv=A=\x2d\\\$ \' \\' \\\' '\'' $\$",
            r"end\",
            r"end\\",
            "#no 'comment'",
        ] {
            assert_eq!(handed_over(&literal(cmdline)), cmdline);
        }
    }

    #[test]
    fn no_title_is_a_comment() {
        let mut menu = hostile();
        menu.items[0].title = crate::Line::new("#1").unwrap();
        "#x".clone_into(&mut menu.items[0].name);
        let text = config(&menu, None);
        assert!(text.contains("\nLABEL _#x\n  MENU LABEL _#1\n"), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn every_parameter_is_handed_over_as_it_is(cmdline in r"[a# '$\\{}()]{0,30}") {
            proptest::prop_assert_eq!(handed_over(&literal(&cmdline)), cmdline);
        }
    }
}
