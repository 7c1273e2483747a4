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
    let _ = write!(text, "\nLABEL {}\n  MENU LABEL {}\n", item.name, item.title);
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
        let _ = writeln!(text, "  APPEND {cmdline}");
    }
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
}
