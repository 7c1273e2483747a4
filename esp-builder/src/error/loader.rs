//! Why there is no boot loader for a tree.

use std::io;
use std::path::PathBuf;

use bootloaders::{Arch, BootLoader};

use super::wording::{absence, age, searched_places};

/// Why there is no boot loader, or not the right one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// A boot loader binary could not be read.
    #[error("boot loader `{}` {}", path.display(), absence(source))]
    LoaderRead {
        /// The binary.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file that is not the boot loader it was given as.
    #[error("`{}` is not a {what} binary: {reason}", path.display())]
    NotALoader {
        /// What it was to be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// Two boot loader binaries for one architecture.
    #[error("`{}` and `{}` are both {name} for {arch}", first.display(), second.display())]
    TwoLoaders {
        /// Which boot loader.
        name: BootLoader,
        /// The architecture.
        arch: Arch,
        /// One binary.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// GRUB's binary could not be made.
    #[error("`{}` made no GRUB for {arch}: {reason}", program.display())]
    GrubImage {
        /// What makes it.
        program: PathBuf,
        /// The architecture.
        arch: Arch,
        /// Why.
        reason: String,
    },
    /// No boot loader for an architecture.
    #[error("there is no {name} for {arch}{}", searched_places(searched))]
    NoLoader {
        /// Which.
        name: BootLoader,
        /// The architecture.
        arch: Arch,
        /// Where it was searched; empty when binaries were given.
        searched: Vec<PathBuf>,
    },
    /// A boot loader that passes over the entries it would be installed with.
    #[error("boot loader `{}` {} and passes over entries with `uki`", path.display(), age(info.as_deref()))]
    OldLoader {
        /// The binary.
        path: PathBuf,
        /// What it says of itself.
        info: Option<String>,
    },
}

impl LoaderError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotALoader { .. } | Self::LoaderRead { .. } => {
                "name the boot loader's own binary, such as systemd-boot<arch>.efi; for GRUB one \
                 that looks for grub.cfg on the ESP, or --grub-mkimage"
            }
            Self::GrubImage { .. } => {
                "install the modules of that platform, such as grub-efi-amd64-bin, or name a \
                 binary with --loader"
            }
            Self::OldLoader { .. } => {
                "systemd-boot 258 starts them: name one with --systemd-boot FILE, or take \
                 --layout uki"
            }
            Self::TwoLoaders { .. } => "give one binary an architecture",
            Self::NoLoader { .. } => {
                "name the binary: --systemd-boot FILE, or --loader FILE for others"
            }
        }
    }
}
