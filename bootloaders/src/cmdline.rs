//! The kernel command line as a value.

use std::fmt;
use std::str::FromStr;

use crate::arch::Arch;
use crate::error::Error;
use crate::line::Line;

/// A kernel command line: one line of text, perhaps empty.
///
/// A kernel keeps `COMMAND_LINE_SIZE - 1` bytes of it and drops the rest without
/// a word; the number differs between architectures. This type refuses what no
/// kernel takes; [`Arch::longest_command_line`] answers for one architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandLine(Option<Line>);

impl CommandLine {
    /// Takes a command line, without the white space around it.
    ///
    /// # Errors
    /// When it holds a control character, is quoted as a whole, or is longer than
    /// any architecture's kernel takes.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.trim_matches(' ').is_empty() {
            return Ok(Self::default());
        }
        let line = Line::new(text)?;
        let (length, limit) = (line.as_str().len(), Arch::longest_command_line_of_all());
        if length > limit {
            return Err(Error::CommandLine { length, limit });
        }
        Ok(Self(Some(line)))
    }

    /// The command line of a NixOS system: its init, then its parameters.
    ///
    /// # Errors
    /// As [`CommandLine::new`].
    pub fn of_system(init: &str, parameters: &[String]) -> Result<Self, Error> {
        let mut text = format!("init={init}");
        for parameter in parameters {
            text.push(' ');
            text.push_str(parameter);
        }
        Self::new(&text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Line::as_str)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CommandLine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_comes_before_the_parameters() {
        let parameters = ["quiet".to_owned(), "a=\"b c\"".to_owned()];
        let line = CommandLine::of_system("/nix/store/x/init", &parameters).unwrap();
        assert_eq!(line.as_str(), "init=/nix/store/x/init quiet a=\"b c\"");
        assert!(CommandLine::new("  ").unwrap().is_empty());
    }

    #[test]
    fn refuses_injected_lines_and_what_no_kernel_takes() {
        let hostile = ["quiet\ninitrd /evil".to_owned()];
        assert!(CommandLine::of_system("/init", &hostile).is_err());
        assert!(CommandLine::new("\n").is_err());
        assert!(CommandLine::new(&"x".repeat(4096)).is_err());
    }
}
