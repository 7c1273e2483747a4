//! From flags to the boot loader, and what does not go with it.

use bootloaders::{BootLoader, grub};
use esp_builder::settings::{LoaderInput, ShimInput};

use super::{EntryNames, Flags, Layout, LimineConfig};
use crate::failure::Failure;

impl From<super::BootLoader> for BootLoader {
    fn from(chosen: super::BootLoader) -> Self {
        match chosen {
            super::BootLoader::SystemdBoot => Self::SystemdBoot,
            super::BootLoader::Grub => Self::Grub,
            super::BootLoader::Limine => Self::Limine,
            super::BootLoader::Refind => Self::Refind,
            super::BootLoader::Extlinux => Self::Extlinux,
            super::BootLoader::Uki => Self::Uki,
            super::BootLoader::EfiStub => Self::EfiStub,
            super::BootLoader::None => Self::None,
        }
    }
}

impl Flags {
    /// The boot loader that the flags stand for.
    ///
    /// # Errors
    /// When a flag is another boot loader's.
    pub(super) fn boot_loader(&self) -> Result<LoaderInput, Failure> {
        let name = self.bootloader.map(Into::into).unwrap_or_default();
        self.check_owners(name)?;
        self.check_menu(name)?;
        let partition = match &self.boot_volume {
            None => grub::Partition::OfKernel,
            Some(id) if is_volume_id(id) => grub::Partition::Volume(id.to_ascii_uppercase()),
            Some(id) => {
                let reason = "is not the volume ID of a FAT file system, such as ABCD-1234";
                return Err(usage(&format!(
                    "--boot-volume `{}` {reason}",
                    id.escape_debug()
                )));
            }
        };
        Ok(LoaderInput {
            name,
            binaries: self.loader.clone(),
            grub_mkimage: self.grub_mkimage.clone(),
            partition,
            preamble: self.menu_preamble.clone(),
            device_trees: self.device_tree_dir.clone(),
            is_menu_fixed: self.limine_config == Some(LimineConfig::Enrolled),
            shim: self.shim.clone().map(|shim| ShimInput {
                shim,
                mok_manager: self.mok_manager.clone(),
            }),
        })
    }

    /// Refuses flags of other boot loaders.
    fn check_owners(&self, name: BootLoader) -> Result<(), Failure> {
        use BootLoader::{Grub, Limine, SystemdBoot};
        let of = [
            (SystemdBoot, "--systemd-boot", !self.systemd_boot.is_empty()),
            (SystemdBoot, "--set", !self.set.is_empty()),
            (SystemdBoot, "--console-mode", self.console_mode.is_some()),
            (SystemdBoot, "--enroll-keys", self.enroll_keys.is_some()),
            (Grub, "--grub-mkimage", self.grub_mkimage.is_some()),
            (Grub, "--boot-volume", self.boot_volume.is_some()),
            (Limine, "--limine-config", self.limine_config.is_some()),
            (
                BootLoader::Extlinux,
                "--device-tree-dir",
                self.device_tree_dir.is_some(),
            ),
        ];
        let mut others = of.iter().filter(|(loader, _, _)| *loader != name);
        if let Some((loader, flag, _)) = others.find(|(_, _, is_given)| *is_given) {
            return Err(usage(&format!("{flag} is for {loader}, not for {name}")));
        }
        let has_binary = matches!(name, Grub | Limine | BootLoader::Refind);
        if !self.loader.is_empty() && !has_binary {
            let message = format!("--loader is for GRUB, Limine and rEFInd, not for {name}");
            return Err(usage(&message));
        }
        if !self.efi_driver.is_empty() && !matches!(name, SystemdBoot | BootLoader::Refind) {
            let message = format!("--efi-driver is for systemd-boot and rEFInd, not for {name}");
            return Err(usage(&message));
        }
        if !self.loader.is_empty() && self.grub_mkimage.is_some() {
            return Err(usage("--loader and --grub-mkimage exclude each other"));
        }
        if self.shim.is_some() && !has_binary && name != SystemdBoot {
            let message = format!("--shim starts a boot loader, and {name} brings none");
            return Err(usage(&message));
        }
        if self.mok_manager.is_some() && self.shim.is_none() {
            return Err(usage("--mok-manager needs --shim"));
        }
        Ok(())
    }

    /// Refuses what cannot be in the menu of a boot loader.
    fn check_menu(&self, name: BootLoader) -> Result<(), Failure> {
        let by_content = matches!(self.entry_names, Some(EntryNames::Content));
        let flags = [
            ("--tries", self.tries.is_some()),
            ("--entry-names content", by_content),
            ("--layout uki", matches!(self.layout, Some(Layout::Uki))),
            (
                "--layout type1-uki",
                matches!(self.layout, Some(Layout::Type1Uki)),
            ),
            ("--xbootldr", self.xbootldr),
            ("--extra-entry", !self.extra_entry.is_empty()),
            ("--memtest86", self.memtest86.is_some()),
            ("--netbootxyz", self.netbootxyz.is_some()),
            ("--edk2-shell", self.edk2_shell.is_some()),
        ];
        let given = |wanted: &[&str]| {
            let mut given = flags.iter().filter(|(_, is_given)| *is_given);
            given.find(|(flag, _)| wanted.contains(flag))
        };
        let refusal = if name.has_menu_file() {
            given(&[
                "--tries",
                "--entry-names content",
                "--layout uki",
                "--layout type1-uki",
            ])
            .map(|(flag, _)| format!("{flag} needs files of entries; {name} has one menu"))
        } else if name.is_direct() {
            let is_image = name == BootLoader::Uki;
            given(&[
                "--tries",
                "--entry-names content",
                "--layout type1-uki",
                "--xbootldr",
                "--extra-entry",
                "--memtest86",
                "--netbootxyz",
                "--edk2-shell",
            ])
            .or(given(&["--layout uki"]).filter(|_| !is_image))
            .map(|(flag, _)| format!("{flag} needs a boot loader, and firmware starts {name}"))
        } else {
            None
        };
        if let Some(message) = refusal {
            return Err(usage(&message));
        }
        if name == BootLoader::Refind && self.xbootldr {
            return Err(usage("--xbootldr: rEFInd finds kernels on the ESP alone"));
        }
        if self.menu_preamble.is_some() && !name.has_menu_file() {
            let message = format!("--menu-preamble needs a menu in one file, not {name}");
            return Err(usage(&message));
        }
        Ok(())
    }
}

fn is_volume_id(id: &str) -> bool {
    let digits = |half: &str| half.len() == 4 && half.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.split_once('-')
        .is_some_and(|(first, second)| digits(first) && digits(second))
}

fn usage(message: &str) -> Failure {
    Failure::Usage(message.to_owned())
}
