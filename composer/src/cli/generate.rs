//! What the program prints of its own command line, and of the format it reads.

use std::collections::BTreeMap;

use clap::{CommandFactory, ValueEnum};
use command_manual::Shell;

use super::Cli;

/// The pages that manual pages refer to, besides each other.
const SEE_ALSO: [&str; 4] = [
    "esp-builder(1)",
    "systemd-repart(8)",
    "repart.d(5)",
    "sysupdate.d(5)",
];

/// What can be generated from the program's own definitions.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Generate {
    /// A manual page.
    Man,
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
    /// Every command and flag.
    Markdown,
    /// The JSON Schema of image.toml.
    Schema,
}

impl Generate {
    /// The text.
    #[must_use]
    pub fn text(self) -> String {
        let command = Cli::command();
        match self {
            Self::Man => command_manual::first_page(command, &SEE_ALSO),
            Self::Bash => command_manual::completion(command, Shell::Bash),
            Self::Zsh => command_manual::completion(command, Shell::Zsh),
            Self::Fish => command_manual::completion(command, Shell::Fish),
            Self::Markdown => command_manual::reference(command),
            Self::Schema => composer::config::schema(),
        }
    }
}

/// Manual pages by their file names.
#[must_use]
pub fn manual() -> BTreeMap<String, String> {
    command_manual::pages(Cli::command(), &SEE_ALSO)
}
