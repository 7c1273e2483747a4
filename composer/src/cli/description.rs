//! The options that say what an image is to be.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use composer::config::{Compression, Empty, Engine, ImageSize, MinimumSizes, OutputFormat};
use composer::size::SectorSize;

/// What an image is to be, from all the places where it is said.
#[derive(Debug, Clone, Args)]
pub struct Description {
    /// The description of the image, in TOML, or in JSON if its name says so.
    #[arg(value_name = "IMAGE.TOML", required_unless_present_any = ["definitions"])]
    pub config: Option<PathBuf>,
    /// A directory of definitions of systemd-repart, whose partitions follow those of
    /// the description; more than once, earlier ones hide files of later ones.
    #[arg(long, value_name = "DIRECTORY")]
    pub definitions: Vec<PathBuf>,
    /// Who writes the image.
    #[arg(long, value_enum)]
    engine: Option<EngineName>,
    /// What decides the least size of a partition that names none; `repart` where
    /// there is no description but definitions.
    #[arg(long, value_enum, value_name = "WHAT")]
    minimum_sizes: Option<MinimumSizesName>,
    /// The format of the output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Compress the output: `zstd`, `xz`, or either with a level, such as `zstd:19`.
    #[arg(long, value_name = "HOW")]
    pub compress: Option<Compression>,
    /// The architecture that the types `root` and `usr` mean.
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,
    /// The size of the image: bytes, a number with K, M, G or T, or `auto`.
    #[arg(long)]
    pub size: Option<ImageSize>,
    /// What becomes of an image that is there already, as in systemd-repart; replaced
    /// when it is not said.
    #[arg(long, value_enum, value_name = "WHAT")]
    empty: Option<EmptyName>,
    /// The UUID of which all identifiers are derived.
    #[arg(long, value_name = "UUID")]
    pub seed: Option<Uuid>,
    /// The logical sector size of the disk.
    #[arg(long, value_name = "BYTES", value_parser = ["512", "4096"])]
    sector_size: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EngineName {
    Embedded,
    Repart,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    /// The bytes of the disk, with holes.
    Raw,
    /// QEMU's, version 3.
    Qcow2,
    /// That of Hyper-V and Azure, of the fixed kind.
    Vhd,
    /// That of VMware and VirtualBox, in one file.
    Vmdk,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EmptyName {
    /// There must be none.
    Create,
    /// A new image of at least its size takes its place.
    Force,
    /// As `force`, but it must have no partition table.
    Require,
    /// Partitions are added to it; it must have a partition table.
    Refuse,
    /// Partitions are added to it; without a partition table, as `force`.
    Allow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MinimumSizesName {
    Content,
    Repart,
}

impl Description {
    /// The same, of an image that systemd-repart makes.
    #[must_use]
    pub fn for_repart(self) -> Self {
        Self {
            engine: Some(EngineName::Repart),
            ..self
        }
    }

    /// The engine, if not that of the description.
    #[must_use]
    pub fn engine(&self) -> Option<Engine> {
        self.engine.map(|engine| match engine {
            EngineName::Embedded => Engine::Embedded,
            EngineName::Repart => Engine::Repart,
        })
    }

    /// The format, if not that of the description.
    #[must_use]
    pub fn format(&self) -> Option<OutputFormat> {
        self.format.map(|format| match format {
            FormatName::Raw => OutputFormat::Raw,
            FormatName::Qcow2 => OutputFormat::Qcow2,
            FormatName::Vhd => OutputFormat::Vhd,
            FormatName::Vmdk => OutputFormat::Vmdk,
        })
    }

    /// What becomes of an image that is there, if not what the description says.
    #[must_use]
    pub fn empty(&self) -> Option<Empty> {
        self.empty.map(|empty| match empty {
            EmptyName::Create => Empty::Create,
            EmptyName::Force => Empty::Force,
            EmptyName::Require => Empty::Require,
            EmptyName::Refuse => Empty::Refuse,
            EmptyName::Allow => Empty::Allow,
        })
    }

    /// What decides least sizes, if not what the description says.
    #[must_use]
    pub fn minimum_sizes(&self) -> Option<MinimumSizes> {
        self.minimum_sizes.map(|sizes| match sizes {
            MinimumSizesName::Content => MinimumSizes::Content,
            MinimumSizesName::Repart => MinimumSizes::Repart,
        })
    }

    /// The sector size, if not that of the description.
    #[must_use]
    pub fn sector(&self) -> Option<SectorSize> {
        self.sector_size.as_deref().map(|size| match size {
            "4096" => SectorSize::S4096,
            _ => SectorSize::S512,
        })
    }
}
