//! Flags of two places: the command line, and a settings file.

use std::path::Path;

use super::Flags;

impl Flags {
    /// These flags, and those of a file where these are silent.
    pub(crate) fn or(self, file: Self) -> Self {
        // What to boot and what starts by itself: the command line replaces the
        // file's choice, however either is made.
        let own_input = self.names_generations() || self.kernel.is_some();
        let own_default = self.default.is_some() || self.toplevel.is_some();
        let input = if own_input {
            Self::default()
        } else {
            file.clone()
        };
        let (default, toplevel) = if own_default {
            (None, None)
        } else {
            (file.default, file.toplevel)
        };
        Self {
            bootspec: if own_input {
                self.bootspec
            } else {
                input.bootspec
            },
            generations: self.generations.or(input.generations),
            profile: if_any(self.profile, input.profile),
            limit: self.limit.or(file.limit),
            kernel: self.kernel.or(input.kernel),
            initrd: if_any(self.initrd, input.initrd),
            cmdline: self.cmdline.or(input.cmdline),
            title: self.title.or(input.title),
            arch: self.arch.or(input.arch),
            root: self.root.or(file.root),
            store_dir: self.store_dir.or(file.store_dir),
            bootloader: self.bootloader.or(file.bootloader),
            layout: self.layout.or(file.layout),
            stub: if_any(self.stub, file.stub),
            uki_extra: self.uki_extra.or(file.uki_extra),
            systemd_boot: if_any(self.systemd_boot, file.systemd_boot),
            timeout: self.timeout.or(file.timeout),
            set: if_any(self.set, file.set),
            entry_names: self.entry_names.or(file.entry_names),
            tries: self.tries.or(file.tries),
            no_editor: self.no_editor || file.no_editor,
            console_mode: self.console_mode.or(file.console_mode),
            default: self.default.or(default),
            toplevel: self.toplevel.or(toplevel),
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
            enroll_name: self.enroll_name.or_else(|| {
                let of_file = self.enroll_keys.is_none();
                file.enroll_name.filter(|_| of_file)
            }),
            enroll_keys: self.enroll_keys.or(file.enroll_keys),
            xbootldr: self.xbootldr || file.xbootldr,
            by_reference: self.by_reference || file.by_reference,
        }
    }

    /// These flags with every relative path below a directory.
    pub(crate) fn relative_to(mut self, directory: &Path) -> Self {
        let lists = self.initrd.iter_mut().chain(&mut self.systemd_boot);
        let lists = lists.chain(&mut self.stub);
        let lists = lists.chain(&mut self.profile).chain(&mut self.efi_driver);
        let single = self.kernel.iter_mut().chain(&mut self.root);
        let single = single
            .chain(&mut self.generations)
            .chain(&mut self.uki_extra)
            .chain(&mut self.toplevel);
        let programs = self.memtest86.iter_mut().chain(&mut self.netbootxyz);
        let programs = programs.chain(&mut self.edk2_shell);
        let programs = programs.chain(&mut self.enroll_keys);
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
