//! Flags of two places: the command line, and a settings file.

use std::path::Path;

use super::Flags;

impl Flags {
    /// These flags, and those of a file where these are silent.
    pub(crate) fn or(self, mut file: Self) -> Self {
        file.give_way_to(&self);
        Self {
            bootspec: if_any(self.bootspec, file.bootspec),
            generations: self.generations.or(file.generations),
            profile: if_any(self.profile, file.profile),
            limit: self.limit.or(file.limit),
            kernel: self.kernel.or(file.kernel),
            initrd: if_any(self.initrd, file.initrd),
            cmdline: self.cmdline.or(file.cmdline),
            title: self.title.or(file.title),
            entry_name: self.entry_name.or(file.entry_name),
            arch: self.arch.or(file.arch),
            root: self.root.or(file.root),
            store_dir: self.store_dir.or(file.store_dir),
            bootloader: self.bootloader.or(file.bootloader),
            layout: self.layout.or(file.layout),
            stub: if_any(self.stub, file.stub),
            uki_extra: self.uki_extra.or(file.uki_extra),
            systemd_boot: if_any(self.systemd_boot, file.systemd_boot),
            loader: if_any(self.loader, file.loader),
            grub_mkimage: self.grub_mkimage.or(file.grub_mkimage),
            boot_volume: self.boot_volume.or(file.boot_volume),
            limine_config: self.limine_config.or(file.limine_config),
            device_tree_dir: self.device_tree_dir.or(file.device_tree_dir),
            menu_preamble: self.menu_preamble.or(file.menu_preamble),
            shim: self.shim.or(file.shim),
            mok_manager: self.mok_manager.or(file.mok_manager),
            timeout: self.timeout.or(file.timeout),
            set: if_any(self.set, file.set),
            entry_names: self.entry_names.or(file.entry_names),
            tries: self.tries.or(file.tries),
            no_editor: self.no_editor || file.no_editor,
            console_mode: self.console_mode.or(file.console_mode),
            default: self.default.or(file.default),
            toplevel: self.toplevel.or(file.toplevel),
            machine_id: self.machine_id.or(file.machine_id),
            distro_name: self.distro_name.or(file.distro_name),
            date: self.date.or(file.date),
            extra_file: if_any(self.extra_file, file.extra_file),
            extra_entry: if_any(self.extra_entry, file.extra_entry),
            memtest86: self.memtest86.or(file.memtest86),
            netbootxyz: self.netbootxyz.or(file.netbootxyz),
            edk2_shell: self.edk2_shell.or(file.edk2_shell),
            windows: if_any(self.windows, file.windows),
            efi_driver: if_any(self.efi_driver, file.efi_driver),
            enroll_name: self.enroll_name.or(file.enroll_name),
            enroll_keys: self.enroll_keys.or(file.enroll_keys),
            secure_boot_key: self.secure_boot_key.or(file.secure_boot_key),
            secure_boot_certificate: if_any(
                self.secure_boot_certificate,
                file.secure_boot_certificate,
            ),
            sign_command: self.sign_command.or(file.sign_command),
            xbootldr: self.xbootldr || file.xbootldr,
            by_reference: self.by_reference || file.by_reference,
            digests: self.digests.or(file.digests),
        }
    }

    /// Takes back what the command line chooses in another way.
    fn give_way_to(&mut self, own: &Self) {
        let none = Self::default();
        if own.names_generations() || own.kernel.is_some() {
            *self = Self {
                bootspec: none.bootspec,
                generations: None,
                profile: none.profile,
                kernel: None,
                initrd: none.initrd,
                cmdline: None,
                title: None,
                entry_name: None,
                arch: None,
                ..std::mem::take(self)
            };
        }
        if own.kernel.is_some() {
            (self.distro_name, self.date) = (None, None);
        }
        if own.default.is_some() || own.toplevel.is_some() {
            (self.default, self.toplevel) = (None, None);
        }
        if own.secure_boot_key.is_some() || own.sign_command.is_some() {
            (self.secure_boot_key, self.sign_command) = (None, None);
        }
        if own.enroll_keys.is_some() {
            self.enroll_name = None;
        }
    }

    /// These flags with every relative path below a directory.
    pub(crate) fn relative_to(mut self, directory: &Path) -> Self {
        let lists = self.initrd.iter_mut().chain(&mut self.systemd_boot);
        let lists = lists.chain(&mut self.stub);
        let lists = lists.chain(&mut self.profile).chain(&mut self.efi_driver);
        let lists = lists.chain(&mut self.secure_boot_certificate);
        let lists = lists.chain(&mut self.loader);
        let single = self.kernel.iter_mut().chain(&mut self.root);
        let single = single
            .chain(&mut self.generations)
            .chain(&mut self.uki_extra)
            .chain(&mut self.device_tree_dir)
            .chain(&mut self.toplevel);
        let programs = self.memtest86.iter_mut().chain(&mut self.netbootxyz);
        let programs = programs.chain(&mut self.edk2_shell);
        let programs = programs.chain(&mut self.enroll_keys);
        let programs = programs.chain(&mut self.secure_boot_key);
        let programs = programs.chain(&mut self.menu_preamble);
        let programs = programs.chain(&mut self.shim).chain(&mut self.mok_manager);
        let named = self.extra_file.iter_mut().chain(&mut self.extra_entry);
        let named = named.map(|wanted| &mut wanted.path);
        let documents = self.bootspec.iter_mut().map(|document| &mut document.path);
        let files = lists.chain(single).chain(programs);
        for path in files.chain(documents).chain(named) {
            *path = directory.join(&path);
        }
        self
    }
}

/// A list of the command line replaces that of the file.
fn if_any<T>(own: Vec<T>, other: Vec<T>) -> Vec<T> {
    if own.is_empty() { other } else { own }
}
