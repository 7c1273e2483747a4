//! Flags of two places: the command line, and a settings file.

use std::path::{Path, PathBuf};

use super::Flags;

impl Flags {
    /// These flags, and those of a file where these are silent.
    pub(crate) fn or(self, file: Self) -> Self {
        let list = |own: Vec<PathBuf>, other| if own.is_empty() { other } else { own };
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
            profile: list(self.profile, input.profile),
            limit: self.limit.or(file.limit),
            kernel: self.kernel.or(input.kernel),
            initrd: list(self.initrd, input.initrd),
            cmdline: self.cmdline.or(input.cmdline),
            title: self.title.or(input.title),
            arch: self.arch.or(input.arch),
            root: self.root.or(file.root),
            store_dir: self.store_dir.or(file.store_dir),
            bootloader: self.bootloader.or(file.bootloader),
            layout: self.layout.or(file.layout),
            systemd_boot: list(self.systemd_boot, file.systemd_boot),
            timeout: self.timeout.or(file.timeout),
            set: if self.set.is_empty() {
                file.set
            } else {
                self.set
            },
            entry_names: self.entry_names.or(file.entry_names),
            tries: self.tries.or(file.tries),
            no_editor: self.no_editor || file.no_editor,
            console_mode: self.console_mode.or(file.console_mode),
            default: self.default.or(default),
            toplevel: self.toplevel.or(toplevel),
            machine_id: self.machine_id.or(file.machine_id),
            distro_name: self.distro_name.or(file.distro_name),
            date: self.date.or(file.date),
            xbootldr: self.xbootldr || file.xbootldr,
            by_reference: self.by_reference || file.by_reference,
        }
    }

    /// These flags with every relative path below a directory.
    pub(crate) fn relative_to(mut self, directory: &Path) -> Self {
        let lists = self.initrd.iter_mut().chain(&mut self.systemd_boot);
        let lists = lists.chain(&mut self.profile);
        let single = self.kernel.iter_mut().chain(&mut self.root);
        let single = single
            .chain(&mut self.generations)
            .chain(&mut self.toplevel);
        let documents = self.bootspec.iter_mut().map(|document| &mut document.path);
        for path in lists.chain(single).chain(documents) {
            *path = directory.join(&path);
        }
        self
    }
}
