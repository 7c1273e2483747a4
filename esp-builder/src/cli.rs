//! The command line: flags to settings.
//!
//! clap's types end here; the library is handed a [`Settings`].

use std::path::{Path, PathBuf};

use bootloaders::loader_conf::{ConsoleMode, Timeout};
use bootloaders::{Arch, CommandLine, Line, MachineId};
use clap::{Args, Parser, ValueEnum};
use clap_complete::Shell;
use esp_builder::settings::{
    Date, DefaultChoice, Input, KernelInput, NumberedPath, STORE_DIR, Settings,
};
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings_file::{value, values};

const EXAMPLES: &str = "\
Examples:
  esp-builder --bootspec /run/current-system/boot.json out/
  esp-builder --bootspec 41=old.json --bootspec 42=new.json --default 41 out/
  esp-builder --root /mnt --bootspec /mnt/etc/boot.json --by-reference out/
  esp-builder --kernel bzImage --initrd initrd --cmdline root=/dev/vda2 out/

The result is OUT/esp (and OUT/xbootldr when asked for) with OUT/manifest.json
beside it, which compose turns into a disk image.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// Lays out EFI System Partition trees from bootspec documents
#[derive(Debug, Parser)]
#[command(name = "esp-builder", version, after_help = EXAMPLES, max_term_width = 80)]
#[command(
    override_usage = "esp-builder [OPTIONS] --bootspec [NUMBER=]PATH... OUT
       esp-builder [OPTIONS] --kernel FILE OUT"
)]
// Commands such as `install` will stand beside this form, not below its flags.
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// Read flags from a TOML file; those on the command line win
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Print the plan and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the man page, a completion script or the manifest's schema
    #[arg(long, value_name = "WHAT", exclusive = true)]
    pub(crate) generate: Option<Generate>,
    /// The directory to make; an earlier result there is replaced
    #[arg(required_unless_present_any = ["generate", "dry_run"])]
    pub(crate) out: Option<PathBuf>,
}

/// What `--generate` prints.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Generate {
    Man,
    Bash,
    Zsh,
    Fish,
    Schema,
}

impl Generate {
    pub(crate) fn shell(self) -> Shell {
        match self {
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
            Self::Bash | Self::Man | Self::Schema => Shell::Bash,
        }
    }
}

/// The flags that a settings file may hold too.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Flags {
    /// Boot the system of a bootspec document; repeatable. A document without a
    /// number gets the one after the last, from 1
    #[arg(long, value_name = "[NUMBER=]PATH", help_heading = "Input")]
    #[serde(deserialize_with = "values")]
    bootspec: Vec<NumberedPath>,
    /// Boot a kernel without a bootspec document
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    kernel: Option<PathBuf>,
    /// An initial RAM disk for --kernel; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    initrd: Vec<PathBuf>,
    /// The command line for --kernel
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Input",
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "value")]
    cmdline: Option<CommandLine>,
    /// The menu's title for --kernel [default: Linux]
    #[arg(long, value_name = "TEXT", help_heading = "Input")]
    #[serde(deserialize_with = "value")]
    title: Option<Line>,
    /// Refuse a --kernel for another architecture
    #[arg(long, value_name = "ARCH", help_heading = "Input")]
    #[serde(deserialize_with = "value")]
    arch: Option<Arch>,
    /// Look up the documents' absolute paths below a directory
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    root: Option<PathBuf>,
    /// Name files of this store after their store path [default: /nix/store]
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    store_dir: Option<PathBuf>,

    /// The boot loader [default: systemd-boot]
    #[arg(long, value_name = "NAME", help_heading = "Boot loader")]
    bootloader: Option<BootLoader>,
    /// How entries are stored [default: type1]
    #[arg(long, value_name = "NAME", help_heading = "Boot loader")]
    layout: Option<Layout>,
    /// A systemd-boot binary, one an architecture [default: that of the default
    /// system, then of the host]
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    systemd_boot: Vec<PathBuf>,
    /// Seconds, menu-force or menu-hidden [default: 5]
    #[arg(long, value_name = "TIME", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    timeout: Option<Timeout>,
    /// Forbid editing of command lines in the menu
    #[arg(long, help_heading = "Boot loader")]
    no_editor: bool,
    /// A number, auto, max or keep
    #[arg(long, value_name = "MODE", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    console_mode: Option<ConsoleMode>,
    /// What starts by itself [default: the newest generation]
    #[arg(
        long,
        value_name = "NUMBER[:SPECIALISATION]",
        help_heading = "Boot loader"
    )]
    #[serde(deserialize_with = "value")]
    default: Option<DefaultChoice>,
    /// The installation's ID, for the entries
    #[arg(long, value_name = "ID", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    machine_id: Option<MachineId>,
    /// What titles call the system [default: NixOS]
    #[arg(long, value_name = "TEXT", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    distro_name: Option<Line>,
    /// The day of the build, for the entries [default: none]
    #[arg(long, value_name = "YYYY-MM-DD", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    date: Option<Date>,

    /// Put kernels, initrds and entries into a tree of their own
    #[arg(long, help_heading = "Output")]
    xbootldr: bool,
    /// Let the manifest refer to content where it is, instead of copying it
    #[arg(long, help_heading = "Output")]
    pub(crate) by_reference: bool,
}

/// The boot loaders that can be asked for.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BootLoader {
    SystemdBoot,
}

/// The ways to store entries that can be asked for.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Layout {
    Type1,
}

impl Flags {
    /// These flags, and those of a file where these are silent.
    pub(crate) fn or(self, file: Self) -> Self {
        let list = |own: Vec<PathBuf>, other| if own.is_empty() { other } else { own };
        // Documents or a kernel on the command line replace the file's input.
        let own_input = !self.bootspec.is_empty() || self.kernel.is_some();
        let input = if own_input {
            Self::default()
        } else {
            file.clone()
        };
        Self {
            bootspec: if own_input {
                self.bootspec
            } else {
                input.bootspec
            },
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
            no_editor: self.no_editor || file.no_editor,
            console_mode: self.console_mode.or(file.console_mode),
            default: self.default.or(file.default),
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
        let single = self.kernel.iter_mut().chain(&mut self.root);
        let documents = self.bootspec.iter_mut().map(|document| &mut document.path);
        for path in lists.chain(single).chain(documents) {
            *path = directory.join(&path);
        }
        self
    }

    /// The settings that the flags stand for.
    ///
    /// # Errors
    /// When flags are missing or do not go together.
    pub(crate) fn resolve(self) -> Result<Settings, Failure> {
        // One of each, so far; whatever else is asked for did not get here.
        let (None | Some(BootLoader::SystemdBoot), None | Some(Layout::Type1)) =
            (self.bootloader, self.layout);
        let default = self.default.clone();
        let mut settings = Settings::new(self.input()?);
        if default.is_some() && matches!(settings.input, Input::Kernel(_)) {
            return Err(usage(
                "--default chooses among generations; --kernel has none",
            ));
        }
        settings.root = self.root;
        settings.store_dir = self.store_dir.unwrap_or_else(|| STORE_DIR.into());
        settings.systemd_boot = self.systemd_boot;
        settings.xbootldr = self.xbootldr;
        settings.timeout = self.timeout.unwrap_or(settings.timeout);
        settings.editor = !self.no_editor;
        settings.console_mode = self.console_mode;
        settings.default = default;
        settings.machine_id = self.machine_id;
        settings.distro_name = self.distro_name.unwrap_or(settings.distro_name);
        settings.date = self.date;
        Ok(settings)
    }

    fn input(&self) -> Result<Input, Failure> {
        let of_kernel = [
            (!self.initrd.is_empty(), "--initrd"),
            (self.cmdline.is_some(), "--cmdline"),
            (self.title.is_some(), "--title"),
            (self.arch.is_some(), "--arch"),
        ];
        match (&self.kernel, self.bootspec.is_empty()) {
            (Some(_), false) => Err(usage("--kernel and --bootspec exclude each other")),
            (None, true) => Err(usage("nothing to boot: give --bootspec or --kernel")),
            (None, false) => match of_kernel.iter().find(|(given, _)| *given) {
                Some((_, flag)) => Err(usage(&format!("{flag} needs --kernel"))),
                None => Ok(Input::Bootspecs(self.bootspec.clone())),
            },
            (Some(kernel), true) => Ok(Input::Kernel(KernelInput {
                kernel: kernel.clone(),
                initrds: self.initrd.clone(),
                cmdline: self.cmdline.clone().unwrap_or_default(),
                title: match &self.title {
                    Some(title) => title.clone(),
                    None => Line::new("Linux").map_err(|error| usage(&error.to_string()))?,
                },
                arch: self.arch,
            })),
        }
    }
}

fn usage(message: &str) -> Failure {
    Failure::Usage(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn resolve(arguments: &str) -> Result<Settings, String> {
        let arguments = std::iter::once("esp-builder").chain(arguments.split_whitespace());
        let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
        cli.flags.resolve().map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal() {
        let help = Cli::command().render_help().to_string();
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
        insta::assert_snapshot!(help);
    }

    #[test]
    fn flags_that_do_not_go_together_are_usage_errors() {
        for (arguments, why) in [
            ("out", "nothing to boot"),
            ("--bootspec b", "<OUT>"),
            ("--bootspec b --kernel k out", "exclude each other"),
            ("--bootspec b --cmdline x out", "--cmdline needs --kernel"),
            ("--initrd i out", "nothing to boot"),
            ("--kernel k --default 1 out", "--kernel has none"),
            (
                "--bootspec b --bootloader grub out",
                "[possible values: systemd-boot]",
            ),
            ("--bootspec b --layout uki out", "[possible values: type1]"),
            ("--bootspec b --timeout never out", "`never` is not seconds"),
            ("--bootspec b --machine-id 1 out", "is not a machine ID"),
            ("--bootspec b --default gnome out", "expected NUMBER"),
            ("--bootspec b --date today out", "expected YYYY-MM-DD"),
            ("--kernel k --arch vax out", "is not a known architecture"),
            ("--generate man out", "cannot be used"),
        ] {
            let error = resolve(arguments).unwrap_err();
            assert!(error.contains(why), "{arguments}: {error}");
        }
        assert!(resolve("--bootspec b --dry-run").is_ok());
    }

    #[test]
    fn flags_become_settings() {
        let settings = resolve("--bootspec 3=a --bootspec b --timeout menu-force --no-editor out");
        let settings = settings.unwrap();
        assert_eq!(settings.timeout, Timeout::MenuForce);
        assert!(!settings.editor);
        let Input::Bootspecs(documents) = settings.input else {
            panic!("not documents");
        };
        assert_eq!(documents[0].number, Some(3));
        assert_eq!(documents[1].path, Path::new("b"));
        let settings = resolve("--kernel k --cmdline -x out").unwrap();
        assert!(matches!(settings.input, Input::Kernel(kernel) if kernel.cmdline.as_str() == "-x"));
    }
}
