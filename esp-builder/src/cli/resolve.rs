//! From flags to settings: what is chosen, by default or together.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bootloaders::extra::WellKnown;
use bootloaders::loader_conf::LoaderConf;
use bootloaders::{BootLoader, EntryNaming, Line, MachineId};
use esp_builder::apply::Content;
use esp_builder::settings::{
    self, DefaultChoice, ExtraInput, GenerationInput, ImageInput, Input, KernelInput, NamedPath,
    STORE_DIR, Settings,
};

use super::{EntryNames, Flags, Layout, When};
use crate::failure::Failure;

/// Where NixOS keeps the links of its generations.
const SYSTEM_PROFILE: &str = "/nix/var/nix/profiles/system";

impl Flags {
    /// These flags as `install` takes them: a toplevel is the default, the system
    /// profile is what there is to boot, and a partition given is one used.
    ///
    /// # Errors
    /// When a default is chosen twice, or a flag is for trees alone.
    pub(crate) fn for_install(
        mut self,
        toplevel: Option<&Path>,
        has_xbootldr: bool,
    ) -> Result<Self, Failure> {
        let of_trees = [
            ("--by-reference", self.by_reference),
            ("--digests", self.digests.is_some()),
        ];
        if let Some((flag, _)) = of_trees.iter().find(|(_, is_given)| *is_given) {
            return Err(usage(&format!(
                "{flag} is for trees: a partition holds its content itself"
            )));
        }
        if toplevel.is_some() && (self.default.is_some() || self.toplevel.is_some()) {
            return Err(usage(
                "TOPLEVEL is the default: --default and --toplevel name another",
            ));
        }
        self.toplevel = toplevel.map(Path::to_owned).or(self.toplevel);
        if !self.names_generations() && self.kernel.is_none() {
            self.profile = vec![SYSTEM_PROFILE.into()];
        }
        self.xbootldr |= has_xbootldr;
        Ok(self)
    }

    /// Where the system is that these flags install.
    pub(crate) fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(Path::new("/"))
    }

    /// The store of that system.
    pub(crate) fn store_on_host(&self) -> PathBuf {
        let store = self.store_dir.as_deref().unwrap_or(Path::new(STORE_DIR));
        match &self.root {
            Some(root) => root.join(store.strip_prefix("/").unwrap_or(store)),
            None => store.into(),
        }
    }

    /// Takes an ID of the installation where none is chosen.
    pub(crate) fn default_machine_id(&mut self, found: Option<MachineId>) {
        self.machine_id = self.machine_id.take().or(found);
    }

    /// What becomes of content in a tree.
    ///
    /// # Errors
    /// When its digests are left out of a tree that may travel.
    pub(crate) fn content(&self) -> Result<Content, Failure> {
        match (self.by_reference, self.digests) {
            (true, Some(When::Never)) => Ok(Content::Unread),
            (true, _) => Ok(Content::ByReference),
            (false, Some(When::Never)) => Err(usage(
                "--digests never needs --by-reference: only content that stays where it is can \
                 be seen not to change",
            )),
            (false, _) => Ok(Content::Copied),
        }
    }

    /// The settings that the flags stand for.
    ///
    /// # Errors
    /// When flags are missing or do not go together.
    pub(crate) fn resolve(self) -> Result<Settings, Failure> {
        let mut settings = Settings::new(self.input()?);
        settings.menu = self.menu(settings.menu)?;
        settings.extras = self.extras()?;
        settings.boot_loader = self.boot_loader()?;
        settings.images = self.images()?;
        settings.layout = match self.layout {
            _ if settings.boot_loader.name == BootLoader::Uki => settings::Layout::Uki,
            Some(Layout::Uki) => settings::Layout::Uki,
            Some(Layout::Type1Uki) => settings::Layout::Type1Uki,
            Some(Layout::Type1) | None => settings::Layout::Type1,
        };
        settings.store_dir = self.store_dir.unwrap_or_else(|| STORE_DIR.into());
        settings.systemd_boot = self.systemd_boot;
        settings.xbootldr = self.xbootldr;
        settings.entry_names = match self.entry_names {
            Some(EntryNames::Content) => EntryNaming::Content,
            Some(EntryNames::Generation) | None => EntryNaming::Generation,
        };
        settings.tries = self.tries;
        settings.root = self.root;
        if self.toplevel.is_some() && self.default.is_some() {
            // clap sees it on a command line, not in a file.
            return Err(usage("default and toplevel exclude each other"));
        }
        settings.default = self.toplevel.map(DefaultChoice::Toplevel).or(self.default);
        settings.machine_id = self.machine_id;
        settings.distro_name = self.distro_name.unwrap_or(settings.distro_name);
        settings.date = self.date;
        Ok(settings)
    }

    /// The menu's settings: the usual ones have flags, and any can be `--set`.
    fn menu(&self, usual: LoaderConf) -> Result<LoaderConf, Failure> {
        let mut menu = LoaderConf {
            timeout: self.timeout.or(usual.timeout),
            editor: self.no_editor.then_some(false),
            console_mode: self.console_mode,
            ..usual
        };
        for setting in &self.set {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            if matches!(key, "default" | "preferred") {
                return Err(usage(&format!(
                    "--set {key}: --default names what starts by itself"
                )));
            }
            menu.set(key.trim(), value.trim())
                .map_err(Failure::Setting)?;
        }
        Ok(menu)
    }

    fn images(&self) -> Result<ImageInput, Failure> {
        let has_images = matches!(self.layout, Some(Layout::Uki | Layout::Type1Uki));
        let is_direct = matches!(self.bootloader, Some(super::BootLoader::Uki));
        let is_given = !self.stub.is_empty() || self.uki_extra.is_some();
        if is_given && !has_images && !is_direct {
            return Err(usage(
                "--stub and --uki-extra need --layout uki or type1-uki, or --bootloader uki",
            ));
        }
        Ok(ImageInput {
            stubs: self.stub.clone(),
            companions: self.uki_extra.clone(),
        })
    }

    fn extras(&self) -> Result<ExtraInput, Failure> {
        if !self.windows.is_empty() && self.edk2_shell.is_none() {
            return Err(usage("--windows needs --edk2-shell, which starts it"));
        }
        if self.enroll_name.is_some() && self.enroll_keys.is_none() {
            return Err(usage("--enroll-name needs --enroll-keys, which it names"));
        }
        let programs = [
            (WellKnown::Memtest86, &self.memtest86),
            (WellKnown::NetbootXyz, &self.netbootxyz),
            (WellKnown::UefiShell, &self.edk2_shell),
        ];
        let given = programs
            .into_iter()
            .filter_map(|(program, file)| Some((program, file.clone()?)));
        Ok(ExtraInput {
            files: self.extra_file.clone(),
            entries: self.extra_entry.clone(),
            programs: given.collect(),
            windows: self.windows.clone(),
            drivers: self.efi_driver.clone(),
            enrolment: self.enroll_keys.clone().map(|path| NamedPath {
                name: self
                    .enroll_name
                    .clone()
                    .unwrap_or_else(|| "auto".to_owned()),
                path,
            }),
        })
    }

    pub(super) fn names_generations(&self) -> bool {
        !self.bootspec.is_empty() || !self.profile.is_empty() || self.generations.is_some()
    }

    fn input(&self) -> Result<Input, Failure> {
        let given = |flags: &[(bool, &'static str)]| {
            let given = flags.iter().find(|(given, _)| *given);
            given.map(|(_, flag)| *flag)
        };
        let of_kernel = given(&[
            (!self.initrd.is_empty(), "--initrd"),
            (self.cmdline.is_some(), "--cmdline"),
            (self.title.is_some(), "--title"),
            (self.entry_name.is_some(), "--entry-name"),
            (self.arch.is_some(), "--arch"),
        ]);
        let of_generations = given(&[
            (self.default.is_some(), "--default"),
            (self.toplevel.is_some(), "--toplevel"),
            (self.limit.is_some(), "--limit"),
        ]);
        let of_texts = given(&[
            (self.distro_name.is_some(), "--distro-name"),
            (self.date.is_some(), "--date"),
        ]);
        match (&self.kernel, self.names_generations()) {
            (Some(_), true) => Err(usage(
                "--kernel and --bootspec, --generations or --profile exclude each other",
            )),
            (None, false) => Err(usage(
                "nothing to boot: give --bootspec, --generations, --profile or --kernel",
            )),
            (None, true) => match of_kernel {
                Some(flag) => Err(usage(&format!("{flag} needs --kernel"))),
                None => Ok(Input::Generations(GenerationInput {
                    bootspecs: self.bootspec.clone(),
                    list: self.generations.clone(),
                    profiles: self.profile.clone(),
                    limit: self.limit.and_then(NonZeroUsize::new),
                    dates: false,
                })),
            },
            (Some(kernel), false) => match (of_generations, of_texts) {
                (Some(flag), _) => Err(usage(&format!(
                    "{flag} chooses among generations; --kernel has none"
                ))),
                (None, Some(flag)) => Err(usage(&format!(
                    "{flag} is for the titles of generations; that of --kernel is --title"
                ))),
                (None, None) => Ok(Input::Kernel(KernelInput {
                    kernel: kernel.clone(),
                    initrds: self.initrd.clone(),
                    cmdline: self.cmdline.clone().unwrap_or_default(),
                    title: match &self.title {
                        Some(title) => title.clone(),
                        None => Line::new("Linux").map_err(|error| usage(&error.to_string()))?,
                    },
                    name: self.entry_name.clone().unwrap_or_default(),
                    arch: self.arch,
                })),
            },
        }
    }
}

fn usage(message: &str) -> Failure {
    Failure::Usage(message.to_owned())
}
