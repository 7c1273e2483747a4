//! What a program says of its own command line, for readers other than `--help`:
//! manual pages, a reference in Markdown, completion scripts.
//!
//! All of it is made of one [`clap::Command`], so that nothing can be said in one place and
//! not in another. [`Page`] is what one command says; the texts behind its options,
//! as `Examples:` and `Exit status:`, become sections. A subcommand that does not say
//! what its program says, such as the exit status, has it from there.
//!
//! Rendering is pure; [`write()`] puts pages into a directory.
//!
//! ```
//! use clap::Command;
//!
//! let tool = Command::new("tool")
//!     .version("1.0")
//!     .about("Does one thing")
//!     .after_help("Exit status:\n  0  done")
//!     .subcommand(Command::new("look").about("Looks first"));
//! let pages = command_manual::pages(tool, &["other(1)"]);
//! let names: Vec<&String> = pages.keys().collect();
//! assert_eq!(names, ["tool-look.1", "tool.1"]);
//! assert!(pages["tool-look.1"].contains("EXIT STATUS"));
//! ```

mod folder;
mod markdown;
mod page;
mod roff;

use std::collections::BTreeMap;

use clap::Command;
pub use clap_complete::Shell;

pub use folder::{WriteError, write};
pub use page::{Argument, Note, Page};

/// Manual pages by their file names: one of the program and one of each subcommand,
/// which refer to each other and to `see_also`.
#[must_use]
pub fn pages(command: Command, see_also: &[&str]) -> BTreeMap<String, String> {
    let pages = Page::all(command);
    let names: Vec<String> = pages.iter().map(|page| page.title.clone()).collect();
    let rendered = pages.iter().map(|page| {
        let own = names.iter().filter(|name| **name != page.title);
        let related = own.map(|name| format!("{name}(1)"));
        let mut related: Vec<String> = related.collect();
        related.extend(see_also.iter().map(|&other| other.to_owned()));
        (format!("{}.1", page.title), roff::render(page, &related))
    });
    rendered.collect()
}

/// The manual page of the program alone.
#[must_use]
pub fn first_page(command: Command, see_also: &[&str]) -> String {
    let name = format!("{}.1", command.get_name());
    pages(command, see_also).remove(&name).unwrap_or_default()
}

/// Every command and every option as a page of Markdown.
#[must_use]
pub fn reference(command: Command) -> String {
    markdown::render(&Page::all(command))
}

/// The error for a command line that was refused, or did nothing, because its first word is a
/// subcommand with a slip in it. `None` when the word is like none, or is a flag.
#[must_use]
pub fn misspelt(mut command: Command, word: &str) -> Option<clap::Error> {
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    if names.contains(&word) || word.starts_with('-') {
        return None;
    }
    let name = tree_manifest::spelling::nearest(word, names)?;
    let word = word.escape_debug();
    let message = format!("there is no command `{word}`; did you mean `{name}`?");
    Some(command.error(clap::error::ErrorKind::InvalidSubcommand, message))
}

/// A completion script.
#[must_use]
pub fn completion(mut command: Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    // Into memory: the generator panics when a write fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests;
