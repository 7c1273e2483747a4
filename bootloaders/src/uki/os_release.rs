//! The `.osrel` section: what menus say of an image.
//!
//! Specification: <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>.
//! Which of its fields become title, version and sort key is that of systemd 262, in
//! systemd-boot as in bootctl.

use std::fmt::Write as _;

use crate::entry::{BootEntry, EntryId};
use crate::line::Line;

/// What sorts among entries of NixOS, and says what the system is.
const NIXOS: &str = "nixos";

/// What a kernel says that is no generation's.
const LINUX: &str = "linux";

/// What a shell takes for something else inside double quotes.
const SPECIAL: [char; 4] = ['"', '\\', '$', '`'];

/// The fields that a menu shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// The title.
    pub title: Option<String>,
    /// The version.
    pub version: Option<String>,
}

impl OsRelease {
    /// Reads a text as a menu does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let first = |keys: &[&str]| keys.iter().find_map(|key| field(text, key));
        Self {
            title: first(&["PRETTY_NAME", "IMAGE_ID", "NAME", "ID"]),
            version: first(&["IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"]),
        }
    }
}

/// The text for an image that is shown and sorted as the Type #1 entry of the same
/// thing would be. `title` is that of the entry without its specialisation, which a
/// profile may add.
///
/// Entries are sorted by `IMAGE_ID`, so it is there where the sort key is not the `ID`.
#[must_use]
pub fn render(entry: &BootEntry, title: &Line) -> String {
    let id = match entry.id {
        EntryId::Generation(_) => NIXOS,
        EntryId::Kernel(_) => LINUX,
    };
    let sort_key = entry.sort_key.as_ref().map(Line::as_str);
    let fields = [
        ("ID", Some(id)),
        ("IMAGE_ID", sort_key.filter(|key| *key != id)),
        ("PRETTY_NAME", Some(title.as_str())),
        ("VERSION", entry.version.as_ref().map(Line::as_str)),
    ];
    let mut text = String::new();
    for (key, value) in fields {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={}", quoted(value));
        }
    }
    text
}

/// A value as it stands in a file of shell assignments: bare, in the quotes that need
/// no escapes, or escaped. systemd-boot takes quotes off and undoes no escapes.
pub(super) fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    if !value.contains(SPECIAL) {
        return format!("\"{value}\"");
    }
    if !needs_escapes(value) {
        return format!("'{value}'");
    }
    let mut escaped = String::with_capacity(value.len() + 4);
    for character in value.chars() {
        if SPECIAL.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    format!("\"{escaped}\"")
}

/// Whether a value cannot stand in quotes as it is: with `'`, and with what double quotes
/// do not hold.
pub(super) fn needs_escapes(value: &str) -> bool {
    value.contains('\'') && value.contains(SPECIAL)
}

/// The value of the last line of a key, without one pair of quotes.
pub(super) fn field(text: &str, key: &str) -> Option<String> {
    let value = |line: &str| {
        let (found, value) = line.trim_matches([' ', '\t', '\r']).split_once('=')?;
        (found == key).then(|| unquoted(value))
    };
    text.lines().rev().find_map(value)
}

fn unquoted(value: &str) -> String {
    let inner = ['"', '\''].into_iter().find_map(|quote| {
        value
            .strip_prefix(quote)?
            .strip_suffix(quote)
            .zip(Some(quote))
    });
    match inner {
        // bootctl undoes escapes, as a shell does.
        Some((inner, '"')) => unescaped(inner),
        Some((inner, _)) => inner.to_owned(),
        None => value.to_owned(),
    }
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some(next) if SPECIAL.contains(&next) => text.push(next),
            Some(next) => text.extend([character, next]),
            None => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_quoted_as_a_menu_unquotes_them() {
        for (value, text) in [
            ("nixos", "nixos"),
            ("NixOS 26.05", "\"NixOS 26.05\""),
            ("", "\"\""),
            ("it's", "\"it's\""),
            ("a $HOME", "'a $HOME'"),
            ("it's \"quoted\"", "\"it's \\\"quoted\\\"\""),
        ] {
            assert_eq!(quoted(value), text);
        }
    }

    #[test]
    fn a_menu_shows_the_best_fields_there_are() {
        for (text, title, version) in [
            (
                "ID=a\nPRETTY_NAME=\"A 1\"\nVERSION=2\n",
                Some("A 1"),
                Some("2"),
            ),
            ("NAME=B\nID=b\nBUILD_ID='3 4'\n", Some("B"), Some("3 4")),
            (
                "# ID=c\n\nID=d\nIMAGE_ID=e\nVERSION_ID=1\nIMAGE_VERSION=2",
                Some("e"),
                Some("2"),
            ),
            ("PRETTY_NAME=x\r\nPRETTY_NAME=y\r\n", Some("y"), None),
            ("ID", None, None),
        ] {
            let found = OsRelease::parse(text);
            let found = (found.title.as_deref(), found.version.as_deref());
            assert_eq!(found, (title, version), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(value in r#"[a-z "'\\$`=]{0,12}"#) {
            let text = format!("ID=x\nKEY={}\n", quoted(&value));
            prop_assert_eq!(field(&text, "KEY"), Some(value));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).{0,100}") {
            let _ = OsRelease::parse(&text);
        }
    }
}
