//! Why the program ended without doing what it was asked.

use std::io;
use std::path::PathBuf;

use esp_builder::Error;

/// Everything that can end the program early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library refused or failed.
    #[error(transparent)]
    Build(#[from] Error),
    /// The flags do not go together; the text says why.
    #[error("{0}")]
    Usage(String),
    /// A setting of the menu that there is not, or that takes no such value.
    #[error("`--set` was refused")]
    Setting(#[source] bootloaders::Error),
    /// The settings file could not be read.
    #[error("cannot read settings `{}`", path.display())]
    SettingsRead {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The settings file was refused.
    #[error("settings `{}`: {reason}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing is known of a partition.
    #[error(
        "nothing was written down of `{}`{}",
        esp.display(),
        damage.as_ref().map(|damage| format!(": {damage}")).unwrap_or_default()
    )]
    NoState {
        /// The ESP.
        esp: PathBuf,
        /// Why what is there cannot be read, if something is.
        damage: Option<String>,
    },
    /// A file that was not written down.
    #[error("`{}` is none of ours", .0.escape_debug())]
    NotOurs(String),
    /// A manual page could not be written.
    #[error("cannot write `{}`", path.display())]
    Manual {
        /// The page, or its directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write standard output")]
    Output(#[source] io::Error),
}

impl Failure {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Build(error) => error.hint(),
            Self::SettingsRead { .. } => Some("check that the file exists and is readable"),
            Self::Settings { .. } => Some("the keys are the flags of --help, without the dashes"),
            Self::NoState { .. } => Some("run `esp-builder install` first"),
            Self::NotOurs(_) => Some("name a path of the partition, such as /EFI/nixos/…"),
            Self::Setting(_) => Some("the settings are those of `man loader.conf`"),
            Self::Manual { .. } => Some("name a directory that you may write to"),
            Self::Usage(_) | Self::Output(_) => None,
        }
    }
}
