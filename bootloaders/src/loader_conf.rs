//! systemd-boot's settings: `loader/loader.conf`.
//!
//! Specification: <https://www.freedesktop.org/software/systemd/man/latest/loader.conf.html>

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::error::Error;
use crate::line::Line;

/// The settings; what is `None` is left to systemd-boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderConf {
    /// How long the menu is shown.
    pub timeout: Option<Timeout>,
    /// The file name of the default entry, with `.conf`. systemd-boot takes it as
    /// a pattern; names of [`crate::entry_name`] match themselves alone.
    pub default: Option<Line>,
    /// Whether the kernel command line may be edited in the menu.
    pub editor: Option<bool>,
    /// The resolution of the menu.
    pub console_mode: Option<ConsoleMode>,
    /// Whether entries for other boot loaders on the disk are added.
    pub auto_entries: Option<bool>,
    /// Whether an entry for the firmware's setup is added.
    pub auto_firmware: Option<bool>,
}

impl LoaderConf {
    /// The text of the file.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key} {value}");
            }
        };
        line("timeout", self.timeout.map(|value| value.to_string()));
        line("default", self.default.as_ref().map(Line::to_string));
        line("editor", self.editor.map(yes_or_no));
        line("auto-entries", self.auto_entries.map(yes_or_no));
        line("auto-firmware", self.auto_firmware.map(yes_or_no));
        line(
            "console-mode",
            self.console_mode.map(|value| value.to_string()),
        );
        text
    }
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// How long the menu is shown before the default entry starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// This many seconds; 0 hides the menu unless a key is held.
    Seconds(u32),
    /// Until somebody chooses.
    MenuForce,
    /// Not at all, unless a key is held.
    MenuHidden,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::MenuForce => f.write_str("menu-force"),
            Self::MenuHidden => f.write_str("menu-hidden"),
        }
    }
}

impl FromStr for Timeout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "menu-force" => Ok(Self::MenuForce),
            "menu-hidden" => Ok(Self::MenuHidden),
            _ => number(text)
                .map(Self::Seconds)
                .ok_or_else(|| refuse(text, "is not seconds, `menu-force` or `menu-hidden`")),
        }
    }
}

/// The resolution of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleMode {
    /// One of the firmware's modes, by number.
    Number(u32),
    /// What systemd-boot finds suitable.
    Auto,
    /// The highest there is.
    Max,
    /// What the firmware chose.
    Keep,
}

impl fmt::Display for ConsoleMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(mode) => write!(f, "{mode}"),
            Self::Auto => f.write_str("auto"),
            Self::Max => f.write_str("max"),
            Self::Keep => f.write_str("keep"),
        }
    }
}

impl FromStr for ConsoleMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "max" => Ok(Self::Max),
            "keep" => Ok(Self::Keep),
            _ => number(text)
                .map(Self::Number)
                .ok_or_else(|| refuse(text, "is not a mode's number, `auto`, `max` or `keep`")),
        }
    }
}

/// A number of digits alone; Rust would also take `+3`.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn refuse(text: &str, reason: &'static str) -> Error {
    Error::Line {
        text: text.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_written() {
        assert_eq!(LoaderConf::default().render(), "");
        let conf = LoaderConf {
            timeout: Some(Timeout::Seconds(5)),
            default: Some(Line::new("nixos-generation-3.conf").unwrap()),
            editor: Some(false),
            console_mode: Some(ConsoleMode::Keep),
            auto_entries: Some(true),
            auto_firmware: Some(false),
        };
        insta::assert_snapshot!(conf.render(), @r"
        timeout 5
        default nixos-generation-3.conf
        editor no
        auto-entries yes
        auto-firmware no
        console-mode keep
        ");
    }

    #[test]
    fn words_and_numbers_read_back() {
        for text in ["0", "5", "menu-force", "menu-hidden"] {
            assert_eq!(text.parse::<Timeout>().unwrap().to_string(), text);
        }
        for text in ["0", "2", "auto", "max", "keep"] {
            assert_eq!(text.parse::<ConsoleMode>().unwrap().to_string(), text);
        }
        for text in ["", "-1", "+3", "5s", "99999999999", "5\ndefault evil"] {
            assert!(text.parse::<Timeout>().is_err(), "{text:?}");
            assert!(text.parse::<ConsoleMode>().is_err(), "{text:?}");
        }
    }
}
