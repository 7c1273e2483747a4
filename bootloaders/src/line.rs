//! Texts that fit in one line of a boot loader's file.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A text that can be the value of a `key value` line, and nothing more.
///
/// It is not empty, has no space at its ends and holds no control character: a
/// label with a newline would otherwise add lines of its own to an entry, an
/// `initrd` or `options` among them. Every text that comes from outside goes
/// through here before it reaches a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(String);

impl Line {
    /// Takes a text, without the white space around it.
    ///
    /// # Errors
    /// When nothing is left, when the text holds a control character, or when it
    /// is quoted: systemd-boot strips one pair of quotes from a value.
    pub fn new(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Line {
            text: text.to_owned(),
            reason,
        };
        let trimmed = text.trim();
        if tree_manifest::holds_control(text) {
            return Err(refuse("holds a control character"));
        }
        if trimmed.is_empty() {
            return Err(refuse("is empty"));
        }
        if trimmed.len() > 1 && trimmed.starts_with('"') && trimmed.ends_with('"') {
            return Err(refuse(
                "starts and ends with a quote, which systemd-boot would strip",
            ));
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Line {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

/// The identifier of an installation, as in `/etc/machine-id`: 32 lower-case
/// hexadecimal digits, not all of them zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineId(String);

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MachineId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(digit) || text.bytes().all(|byte| byte == b'0') {
            return Err(Error::Line {
                text: text.to_owned(),
                reason: "is not a machine ID of 32 lower-case hexadecimal digits",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_bring_a_second_line() {
        for (text, why) in [
            ("", "is empty"),
            (" \u{a0} ", "is empty"),
            ("a\nlinux /evil", "control character"),
            ("a\rlinux /evil", "control character"),
            ("a\u{85}b", "control character"),
            ("a\0b", "control character"),
            ("trailing\n", "control character"),
            ("\"quoted\"", "quote"),
            ("\"", "never"),
        ] {
            match Line::new(text) {
                Ok(line) => assert_eq!(line.as_str(), "\"", "{text:?}"),
                Err(error) => assert!(error.to_string().contains(why), "{text:?}: {error}"),
            }
        }
        assert_eq!(Line::new(" NixOS 26.05 ").unwrap().as_str(), "NixOS 26.05");
        assert_eq!(
            Line::new("a\nb").unwrap_err().to_string(),
            "`a\\nb` holds a control character"
        );
    }

    #[test]
    fn machine_ids_have_one_form() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(id.parse::<MachineId>().unwrap().to_string(), id);
        for text in ["", &id[1..], &id.to_uppercase(), &"0".repeat(32)] {
            assert!(text.parse::<MachineId>().is_err(), "{text}");
        }
    }
}
