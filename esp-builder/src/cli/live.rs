//! The commands that work on boot partitions in use.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Choices, texts};

/// What can be done to, and learnt of, boot partitions in use.
#[derive(Debug, Subcommand)]
pub(crate) enum LiveCommand {
    /// Install or update the boot loader, its menu and all it needs
    #[command(after_help = texts::INSTALL)]
    Install(InstallArgs),
    /// Show what `install` would do, and whether it fits
    #[command(after_help = texts::PLAN)]
    Plan(InstallArgs),
    /// Show which files `install` would change, and which lines of texts
    #[command(after_help = texts::DIFF)]
    Diff(InstallArgs),
    /// Compare a partition with what was written down of it
    #[command(after_help = texts::VERIFY)]
    Verify(PartitionArgs),
    /// Restore damaged and missing files from their sources
    #[command(after_help = texts::REPAIR)]
    Repair(RepairArgs),
    /// Say which generations need a file
    #[command(after_help = texts::EXPLAIN)]
    Explain {
        /// The file, as in `/EFI/nixos/…`
        path: String,
        #[command(flatten)]
        partition: PartitionArgs,
    },
    /// List the menu with sizes and counters
    #[command(after_help = texts::STATUS)]
    Status(PartitionArgs),
}

/// The partitions, and how the result is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct PartitionArgs {
    /// Where the ESP is mounted; repeatable for mirrors
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) esp: Vec<PathBuf>,
    /// Where the XBOOTLDR partition is mounted, if there is one
    #[arg(long, value_name = "DIR")]
    pub(crate) boot: Option<PathBuf>,
    /// Do not ask whether they are mounted FAT file systems
    #[arg(long)]
    pub(crate) no_mount_check: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) partition: PartitionArgs,
    /// Show what would be written and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is a bool")]
pub(crate) struct InstallArgs {
    /// The system that becomes the default: a toplevel, as NixOS activates it
    #[arg(value_name = "TOPLEVEL")]
    pub(crate) activated: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) partition: PartitionArgs,
    #[command(flatten)]
    pub(crate) choices: Choices,
    /// Leave out the secrets that generations make for their initrds
    #[arg(long)]
    pub(crate) no_initrd_secrets: bool,
    /// Leave out the oldest generations where not all have room, but none that was
    /// booted, is being tried or is the default
    #[arg(long)]
    pub(crate) fit: bool,
    /// Replace the boot loader's own files even if they are as new
    #[arg(long)]
    pub(crate) reinstall: bool,
    /// Where the kernel shows EFI variables
    #[arg(long, value_name = "DIR", default_value = esp_builder::live::efivars::EFIVARS)]
    pub(crate) efivars: PathBuf,
    /// The boot loader's random seed: auto writes one where there is none, but not for
    /// the image of another system (--root)
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) random_seed: RandomSeed,
    /// Leave firmware's boot options alone. Else the boot loader gets one if it has
    /// none; with --reinstall it becomes the first. Never for the image of another
    /// system (--root)
    #[arg(long)]
    pub(crate) no_variables: bool,
    /// Only warn where boot options cannot be read or written
    #[arg(long)]
    pub(crate) graceful: bool,
}

/// When `install` writes a random seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RandomSeed {
    Auto,
    No,
}
