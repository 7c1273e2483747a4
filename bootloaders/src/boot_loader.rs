//! The boot loaders by name: where packages have them, and where they lie on an ESP.

use std::fmt;

use tree_manifest::TreePath;

use crate::arch::Arch;
use crate::{grub, limine, refind, systemd_boot};

/// What shows the menu.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BootLoader {
    /// systemd's: one file an entry.
    #[default]
    SystemdBoot,
    /// GRUB for EFI.
    Grub,
    /// Limine.
    Limine,
    /// rEFInd.
    Refind,
    /// That of a board without UEFI, such as U-Boot, which reads `extlinux.conf`.
    Extlinux,
    /// None: firmware starts a Unified Kernel Image.
    Uki,
    /// None: firmware starts a kernel that needs nothing else.
    EfiStub,
    /// Somebody else's, which reads the entries of the Boot Loader Specification.
    None,
}

impl BootLoader {
    /// What users call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SystemdBoot => "systemd-boot",
            Self::Grub => "GRUB",
            Self::Limine => "Limine",
            Self::Refind => "rEFInd",
            Self::Extlinux => "extlinux",
            Self::Uki => "a Unified Kernel Image",
            Self::EfiStub => "the kernel's EFI stub",
            Self::None => "none",
        }
    }

    /// What firmware's menu calls it.
    #[must_use]
    pub fn boot_option(self) -> &'static str {
        match self {
            Self::SystemdBoot => "Linux Boot Manager",
            Self::Refind => "rEFInd Boot Manager",
            other => other.name(),
        }
    }

    /// Whether it reads one file with the whole menu in it.
    #[must_use]
    pub fn has_menu_file(self) -> bool {
        match self {
            Self::Grub | Self::Limine | Self::Refind | Self::Extlinux => true,
            Self::SystemdBoot | Self::Uki | Self::EfiStub | Self::None => false,
        }
    }

    /// Whether firmware starts what is booted itself: one system, without a menu.
    #[must_use]
    pub fn is_direct(self) -> bool {
        matches!(self, Self::Uki | Self::EfiStub)
    }

    /// Where its binary lies on the ESP: its own place, and the one that firmware starts
    /// without a boot variable. None when it brings no binary.
    #[must_use]
    pub fn binary_paths(self, arch: Arch) -> Vec<TreePath> {
        match self {
            Self::SystemdBoot => systemd_boot::binary_paths(arch).into(),
            Self::Grub => grub::binary_paths(arch).into(),
            Self::Limine => limine::binary_paths(arch).into(),
            Self::Refind => refind::binary_paths(arch).into(),
            Self::Extlinux | Self::Uki | Self::EfiStub | Self::None => Vec::new(),
        }
    }

    /// Where it looks for drivers on the ESP, whichever of its binaries was started. None when
    /// it loads no drivers.
    #[must_use]
    pub fn driver_directories(self, arch: Arch) -> Vec<TreePath> {
        match self {
            Self::SystemdBoot => vec![systemd_boot::driver_directory()],
            Self::Refind => refind::driver_directories(arch).into(),
            _ => Vec::new(),
        }
    }

    /// Where packages have its binary, below a prefix such as `/usr`, the best one first.
    #[must_use]
    pub fn packaged(self, arch: Arch) -> Vec<String> {
        match self {
            Self::SystemdBoot => {
                let path = format!("lib/systemd/boot/efi/{}", systemd_boot::binary_name(arch));
                vec![format!("{path}.signed"), path]
            }
            Self::Grub => {
                let (platform, name) = (grub::platform(arch), grub::binary_name(arch));
                vec![
                    format!("lib/grub/{platform}-signed/{name}.signed"),
                    format!("lib/grub/{platform}/monolithic/{name}"),
                ]
            }
            Self::Limine => vec![format!("share/limine/{}", arch.removable_name())],
            Self::Refind => {
                let name = refind::binary_name(arch);
                vec![
                    format!("share/refind/{name}"),
                    format!("share/refind/refind/{name}"),
                ]
            }
            Self::Extlinux | Self::Uki | Self::EfiStub | Self::None => Vec::new(),
        }
    }
}

impl fmt::Display for BootLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
