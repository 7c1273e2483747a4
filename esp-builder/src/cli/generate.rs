//! What the program prints of its own command line, and of the formats it knows.

use std::collections::BTreeMap;

use clap::{CommandFactory, ValueEnum};
use command_manual::Shell;

use super::Cli;

/// The pages that manual pages refer to, besides each other.
const SEE_ALSO: [&str; 4] = [
    "compose(1)",
    "bootctl(1)",
    "loader.conf(5)",
    "systemd-boot(7)",
];

/// What `--generate` prints.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Generate {
    Man,
    Bash,
    Zsh,
    Fish,
    Markdown,
    Schema,
    GenerationsSchema,
}

impl Generate {
    /// The text.
    pub(crate) fn text(self) -> String {
        let command = Cli::command();
        match self {
            Self::Man => command_manual::first_page(command, &SEE_ALSO),
            Self::Bash => command_manual::completion(command, Shell::Bash),
            Self::Zsh => command_manual::completion(command, Shell::Zsh),
            Self::Fish => command_manual::completion(command, Shell::Fish),
            Self::Markdown => command_manual::reference(command),
            Self::Schema => tree_manifest::schema(),
            Self::GenerationsSchema => esp_builder::generation_list::schema(),
        }
    }
}

/// Manual pages by their file names.
pub(crate) fn manual() -> BTreeMap<String, String> {
    command_manual::pages(Cli::command(), &SEE_ALSO)
}
