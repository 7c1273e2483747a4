//! The command line: what can be said.
//!
//! clap's types end here; [`resolve`] makes settings of them, which the library is
//! handed.

use std::num::NonZeroU16;
use std::path::PathBuf;

use bootloaders::loader_conf::{ConsoleMode, Timeout};
use bootloaders::{Arch, CommandLine, EntryName, Line, MachineId};
use clap::{Args, Parser, Subcommand, ValueEnum};
use esp_builder::settings::{Date, DefaultChoice, NamedPath, NumberedPath, WindowsInput};
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings_file::{self, value, values};

mod boot_loader;
pub(crate) mod generate;
pub(crate) mod live;
pub(crate) mod measure;
mod merge;
mod resolve;
pub(crate) mod signing;
mod texts;
pub(crate) mod uki;

/// Lays out EFI System Partition trees from bootspec documents
#[derive(Debug, Parser)]
#[command(name = "esp-builder", version, after_help = texts::MAIN, max_term_width = 80)]
#[command(
    override_usage = "esp-builder [OPTIONS] --bootspec [NUMBER=]PATH... OUT
       esp-builder [OPTIONS] --profile PATH... OUT
       esp-builder [OPTIONS] --generations FILE OUT
       esp-builder [OPTIONS] --kernel FILE OUT"
)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) choices: Choices,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Predict what starting each image measures: OUT/measurements.json
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) measure: bool,
    /// Print the man page, a completion script, every flag in Markdown, or the schema
    /// of the manifest or of generation lists
    #[arg(long, value_name = "WHAT", exclusive = true)]
    pub(crate) generate: Option<generate::Generate>,
    /// Write man pages, one for each command too, to a directory
    #[arg(long, value_name = "DIR", exclusive = true)]
    pub(crate) manual: Option<PathBuf>,
    /// The directory to make; an earlier result there is replaced
    #[arg(required_unless_present_any = ["generate", "manual", "dry_run"])]
    pub(crate) out: Option<PathBuf>,
}

/// What there is besides making a tree.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and clap makes it")]
pub(crate) enum Command {
    #[command(flatten)]
    Live(live::LiveCommand),
    #[command(flatten)]
    Signing(signing::SigningCommand),
    /// Make one Unified Kernel Image or addon
    Uki(uki::UkiArgs),
    /// Predict what a TPM holds when an EFI image has been started
    Measure(measure::MeasureArgs),
}

/// What is wanted, and how it goes about it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Choices {
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// Read flags from a TOML file; those on the command line win
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Show what would be written and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl Choices {
    /// The flags of the command line, and those of the settings file where it is
    /// silent.
    ///
    /// # Errors
    /// When there is such a file and it cannot be read or is refused.
    pub(crate) fn flags(&self) -> Result<Flags, Failure> {
        let flags = self.flags.clone();
        Ok(match &self.settings {
            Some(path) => flags.or(settings_file::load(path)?),
            None => flags,
        })
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
    /// Boot the generations of a list
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    generations: Option<PathBuf>,
    /// Boot the generations of a Nix profile; repeatable. One named `system` brings
    /// those of system-profiles beside it
    #[arg(long, value_name = "PATH", help_heading = "Input")]
    profile: Vec<PathBuf>,
    /// Boot only the newest generations of each profile; 0 is all [default: 0]
    #[arg(long, value_name = "COUNT", help_heading = "Input")]
    limit: Option<usize>,
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
    /// What the file of the entry of --kernel is called, as in `appliance_7`
    /// [default: linux]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    #[serde(deserialize_with = "value")]
    entry_name: Option<EntryName>,
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
    /// A stub for images, one an architecture [default: that of each system, of the
    /// default system, of the host]
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    stub: Vec<PathBuf>,
    /// Addons, credentials and extensions to lie beside each image
    #[arg(long, value_name = "DIR", help_heading = "Boot loader")]
    uki_extra: Option<PathBuf>,
    /// A systemd-boot binary, one an architecture [default: that of the default
    /// system, then of the host]
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    systemd_boot: Vec<PathBuf>,
    /// A binary of GRUB, Limine or rEFInd, one an architecture; grub.cfg goes where
    /// GRUB's looks [default: that of the host]
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    loader: Vec<PathBuf>,
    /// Have GRUB's binary made by this program instead
    #[arg(long, value_name = "PROGRAM", help_heading = "Boot loader")]
    grub_mkimage: Option<PathBuf>,
    /// The volume ID of the partition with the kernels, for GRUB [default: GRUB looks
    /// for the default kernel]
    #[arg(long, value_name = "ABCD-1234", help_heading = "Boot loader")]
    boot_volume: Option<String>,
    /// Which menu Limine accepts: any, or this one alone [default: any]
    #[arg(long, value_name = "WHICH", help_heading = "Boot loader")]
    limine_config: Option<LimineConfig>,
    /// A directory of device trees, in which extlinux's boot loader finds that of its
    /// board
    #[arg(long, value_name = "DIR", help_heading = "Boot loader")]
    device_tree_dir: Option<PathBuf>,
    /// Text before the entries of a menu, in the language of GRUB, Limine, rEFInd or
    /// extlinux
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    menu_preamble: Option<PathBuf>,
    /// Shim, which firmware starts and which starts the boot loader
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    shim: Option<PathBuf>,
    /// Shim's manager of keys
    #[arg(long, value_name = "FILE", help_heading = "Boot loader")]
    mok_manager: Option<PathBuf>,
    /// Seconds, menu-force or menu-hidden [default: 5]
    #[arg(long, value_name = "TIME", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    timeout: Option<Timeout>,
    /// Any other setting of loader.conf; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Boot loader")]
    set: Vec<String>,
    /// What the file names of entries are made of [default: generation]
    #[arg(long, value_name = "WHAT", help_heading = "Boot loader")]
    entry_names: Option<EntryNames>,
    /// Try a new entry so often before it counts as bad [default: for ever]
    #[arg(long, value_name = "COUNT", help_heading = "Boot loader")]
    tries: Option<NonZeroU16>,
    /// Forbid editing of command lines in the menu
    #[arg(long, help_heading = "Boot loader")]
    no_editor: bool,
    /// A number, auto, max or keep
    #[arg(long, value_name = "MODE", help_heading = "Boot loader")]
    #[serde(deserialize_with = "value")]
    console_mode: Option<ConsoleMode>,
    /// What starts by itself [default: what the list says, else the newest
    /// generation of the system profile]
    #[arg(
        long,
        value_name = "[PROFILE/]NUMBER[:SPECIALISATION]",
        help_heading = "Boot loader"
    )]
    #[serde(deserialize_with = "value")]
    default: Option<DefaultChoice>,
    /// Start the generation or specialisation whose init is in this directory
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Boot loader",
        conflicts_with = "default"
    )]
    toplevel: Option<PathBuf>,
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

    /// A file or a whole directory for the boot partition, at a path there; repeatable
    #[arg(long, value_name = "TARGET=PATH", help_heading = "Extras")]
    #[serde(deserialize_with = "values")]
    extra_file: Vec<NamedPath>,
    /// An entry for the menu, from a file with its text; repeatable
    #[arg(long, value_name = "NAME.conf=FILE", help_heading = "Extras")]
    #[serde(deserialize_with = "values")]
    extra_entry: Vec<NamedPath>,
    /// The memory tester Memtest86+, with an entry
    #[arg(long, value_name = "FILE", help_heading = "Extras")]
    memtest86: Option<PathBuf>,
    /// netboot.xyz, with an entry
    #[arg(long, value_name = "FILE", help_heading = "Extras")]
    netbootxyz: Option<PathBuf>,
    /// The EDK2 UEFI shell, with an entry
    #[arg(long, value_name = "FILE", help_heading = "Extras")]
    edk2_shell: Option<PathBuf>,
    /// A Windows on another ESP, which the shell of --edk2-shell finds by its device
    /// handle, as in 11=HD0b; repeatable
    #[arg(long, value_name = "NAME=HANDLE", help_heading = "Extras")]
    #[serde(deserialize_with = "values")]
    windows: Vec<WindowsInput>,
    /// A driver that systemd-boot or rEFInd loads; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Extras")]
    efi_driver: Vec<PathBuf>,
    /// PK.auth, KEK.auth and db.auth for the boot loader to enrol; see
    /// secure-boot-enroll
    #[arg(long, value_name = "DIR", help_heading = "Extras")]
    enroll_keys: Option<PathBuf>,
    /// What the boot loader calls the keys; it enrols those of `auto` by itself
    /// [default: auto]
    #[arg(long, value_name = "NAME", help_heading = "Extras")]
    enroll_name: Option<String>,

    /// Sign every EFI program with this private RSA key, which nobody else may read
    #[arg(long, value_name = "FILE", help_heading = "Secure Boot")]
    pub(crate) secure_boot_key: Option<PathBuf>,
    /// The key's certificate, and after it those that lead to one that firmware knows;
    /// repeatable
    #[arg(long, value_name = "FILE", help_heading = "Secure Boot")]
    pub(crate) secure_boot_certificate: Vec<PathBuf>,
    /// A shell command that reads bytes and prints their RSA signature, in place of a
    /// key
    #[arg(
        long,
        value_name = "COMMAND",
        help_heading = "Secure Boot",
        conflicts_with = "secure_boot_key"
    )]
    pub(crate) sign_command: Option<String>,

    /// Put kernels, initrds and entries into a tree of their own
    #[arg(long, help_heading = "Output")]
    xbootldr: bool,
    /// Let the manifest refer to content where it is, instead of copying it
    #[arg(long, help_heading = "Output")]
    by_reference: bool,
    /// Whether the manifest of a tree by reference has digests of its content, which is
    /// read for them [default: always]
    #[arg(long, value_name = "WHEN", help_heading = "Output")]
    digests: Option<When>,
}

/// The boot loaders that can be asked for.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BootLoader {
    /// systemd's
    SystemdBoot,
    /// GRUB for EFI
    Grub,
    /// Limine
    Limine,
    /// rEFInd
    Refind,
    /// U-Boot's and others' that read extlinux.conf
    Extlinux,
    /// None: firmware starts an image of the default system
    Uki,
    /// None: firmware starts the kernel alone
    EfiStub,
    /// None: entries for one that is there
    None,
}

/// Which menus Limine can accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LimineConfig {
    /// Any
    Any,
    /// The one whose digest is in its binary
    Enrolled,
}

/// What file names of entries can be made of.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EntryNames {
    /// Profile, number and specialisation
    Generation,
    /// The entry's text: another text is another entry, which is tried anew
    Content,
}

/// When the digests of content are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum When {
    /// Of all content
    Always,
    /// Of texts alone: the manifest says how long other content is
    Never,
}

/// The ways to store entries that can be asked for.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Layout {
    /// Texts that name kernels and initrds
    Type1,
    /// Unified Kernel Images
    Uki,
    /// Texts that name Unified Kernel Images
    Type1Uki,
}

#[cfg(test)]
mod tests;
