//! What can be wrong with the values of this crate.

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that cannot stand in one line of a boot loader's file.
    #[error("`{}` {reason}", shorten(text))]
    Line {
        /// The text as given.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A kernel command line no kernel takes.
    #[error("the kernel command line has {length} bytes; no kernel takes more than {limit}")]
    CommandLine {
        /// Its length in bytes.
        length: usize,
        /// The most an architecture's kernel reads, in bytes.
        limit: usize,
    },
    /// A Boot Loader Specification entry that is not one.
    #[error("line {number}: {reason}")]
    EntryText {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that systemd-boot does not know.
    #[error("`{}` is not a setting of loader.conf{}", shorten(key), suggestion(*nearest))]
    UnknownSetting {
        /// The name as given.
        key: String,
        /// The setting that was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// A setting with a value that it does not take.
    #[error("`{key}`: {source}")]
    Setting {
        /// The setting.
        key: String,
        /// What is wrong with the value.
        source: Box<Error>,
    },
    /// An entry or file of a user's that cannot be.
    #[error("extra {what} `{}`: {reason}", shorten(name))]
    Extra {
        /// What it was to be.
        what: &'static str,
        /// Its name or path as given.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// Bytes that are not a PE image.
    #[error("{field} at offset {offset:#x} {reason}")]
    Pe {
        /// The field, by its name in the PE specification.
        field: &'static str,
        /// Where the field is, in bytes from the start of the file.
        offset: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A section that a Unified Kernel Image cannot have.
    #[error("section `{}` {reason}", shorten(name))]
    Section {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that is no architecture's.
    #[error("`{}` is not a known architecture", shorten(.0))]
    Arch(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// A text for a message: escaped, and cut when it is long.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}
