//! The Xen hypervisor as an EFI application, with a Linux kernel for its first domain.
//!
//! Specification: <https://xenbits.xenproject.org/docs/unstable/misc/efi.html>
//!
//! Xen reads a settings file that its command line names, and the files that this
//! names, from the directory that it was started from. systemd-boot starts it by an
//! entry with `efi`.

use std::fmt::Write as _;

use tree_manifest::{Sha256, TreePath};

use crate::bls::{Starts, Type1Entry};
use crate::cmdline::CommandLine;
use crate::entry::{BootEntry, Hypervisor};
use crate::line::{Line, MachineId};

/// The files of an entry that starts Xen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XenFiles {
    /// Where the settings lie, named after their content: no entry ever finds those
    /// of another.
    pub config_path: TreePath,
    /// The settings.
    pub config: String,
    /// The text of the Type #1 entry.
    pub entry: String,
}

/// Why Xen cannot start an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Xen looks for all of them where it lies itself.
    #[error("`{0}` is not in the directory of the hypervisor")]
    Elsewhere(TreePath),
    /// What follows a blank is the kernel's command line.
    #[error("`{0}` holds a blank, which ends the name for Xen")]
    Blank(TreePath),
}

/// The settings and the entry of a kernel under Xen.
///
/// # Errors
/// When Xen cannot find the kernel or the initial RAM disk.
pub fn files(
    entry: &BootEntry,
    hypervisor: &Hypervisor,
    machine_id: Option<&MachineId>,
) -> Result<XenFiles, Refusal> {
    let config = config(entry, hypervisor)?;
    let digest = Sha256::of(config.as_bytes()).to_string();
    let name = format!("{}-xen.cfg", &digest[..32]);
    let place = match hypervisor.file.path.parent() {
        Some(directory) => format!("{directory}/{name}"),
        None => name.clone(),
    };
    let line = |text: String| {
        Line::new(&text).unwrap_or_else(|error| unreachable!("a line and words: {error}"))
    };
    // The first word is what Xen takes for its own name.
    let options = CommandLine::new(&format!("xen.efi -cfg={name}"));
    let starter = Type1Entry {
        title: Some(line(format!("{} (with Xen Hypervisor)", entry.title))),
        version: entry.version.clone(),
        machine_id: machine_id.cloned(),
        sort_key: entry.sort_key.clone(),
        starts: Starts::Efi {
            program: hypervisor.file.path.clone(),
            options: options.unwrap_or_else(|error| unreachable!("words without a line: {error}")),
        },
        architecture: None,
    };
    Ok(XenFiles {
        config_path: TreePath::new(place)
            .unwrap_or_else(|error| unreachable!("a name beside another: {error}")),
        config,
        entry: starter.render(),
    })
}

fn config(entry: &BootEntry, hypervisor: &Hypervisor) -> Result<String, Refusal> {
    let directory = hypervisor.file.path.parent();
    let name = |path: &TreePath| {
        if path.parent() != directory {
            return Err(Refusal::Elsewhere(path.clone()));
        }
        if path.name().contains(' ') {
            return Err(Refusal::Blank(path.clone()));
        }
        Ok(path.name().to_owned())
    };
    let mut text = "[global]\ndefault=xen\n\n[xen]\n".to_owned();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}={}", value.trim_end());
    };
    if !hypervisor.cmdline.is_empty() {
        line("options", &hypervisor.cmdline.to_string());
    }
    let kernel = name(&entry.kernel.path)?;
    line("kernel", &format!("{kernel} {}", entry.cmdline));
    if let Some(initrd) = entry.initrds.first() {
        line("ramdisk", &name(&initrd.path)?);
    }
    Ok(text)
}

/// How many initial RAM disks Xen hands to the kernel.
pub const INITRDS: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use tree_manifest::GenerationId;

    use crate::Arch;
    use crate::entry::{BootFile, EntryId};

    fn file(path: &str) -> BootFile {
        BootFile {
            source: PathBuf::from("/nix/store/x"),
            path: TreePath::new(path).unwrap(),
            size: 1,
            signature: None,
        }
    }

    fn entry(kernel: &str) -> BootEntry {
        BootEntry {
            id: EntryId::Generation(GenerationId {
                profile: None,
                number: 3,
                specialisation: None,
            }),
            title: Line::new("NixOS").unwrap(),
            version: Some(Line::new("Generation 3 26.05").unwrap()),
            sort_key: Some(Line::new("nixos").unwrap()),
            arch: Arch::X64,
            kernel: file(kernel),
            initrds: vec![file("EFI/nixos/i-initrd.efi"), file("EFI/nixos/second.efi")],
            secrets: None,
            extra_initrds: Vec::new(),
            cmdline: CommandLine::new("init=/nix/store/s/init quiet").unwrap(),
            devicetree: None,
            hypervisor: None,
        }
    }

    fn xen() -> Hypervisor {
        Hypervisor {
            file: file("EFI/nixos/x-xen-boot-xen.efi.efi"),
            cmdline: CommandLine::new("loglvl=all").unwrap(),
        }
    }

    #[test]
    fn an_entry_starts_xen_and_its_settings_name_the_kernel() {
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let files = files(&entry("EFI/nixos/k-bzImage.efi"), &xen(), Some(&id)).unwrap();
        let text = format!("{}\n{}\n{}", files.config_path, files.config, files.entry);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn names_that_xen_cannot_find_are_refused() {
        let refusal = |kernel| files(&entry(kernel), &xen(), None).unwrap_err().to_string();
        assert_eq!(
            refusal("EFI/nixos/my kernel.efi"),
            "`EFI/nixos/my kernel.efi` holds a blank, which ends the name for Xen"
        );
        assert_eq!(
            refusal("EFI/Linux/k.efi"),
            "`EFI/Linux/k.efi` is not in the directory of the hypervisor"
        );
    }
}
