//! The values that single settings take, and the words for them.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::line::Line;

/// The largest mode: UEFI counts them in a signed number of 32 bits.
const LAST_MODE: u32 = i32::MAX.unsigned_abs();

/// An enumeration that is written as words, and what to say of another word.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident: $refusal:literal {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(refuse(text, $refusal)),
                }
            }
        }
    };
}

words! {
    /// What systemd-boot does with Secure Boot keys in `loader/keys`.
    pub enum SecureBootEnroll: "is not `off`, `manual`, `if-safe` or `force`" {
        /// Nothing.
        Off = "off",
        /// It shows entries that enroll them.
        Manual = "manual",
        /// It enrolls the keys named `auto` in virtual machines, where no
        /// firmware can be locked out.
        IfSafe = "if-safe",
        /// It enrolls the keys named `auto` everywhere.
        Force = "force",
    }
}

words! {
    /// What follows when keys were enrolled.
    pub enum EnrollAction: "is not `reboot` or `shutdown`" {
        /// The machine starts again.
        Reboot = "reboot",
        /// The machine is switched off.
        Shutdown = "shutdown",
    }
}

words! {
    /// The least urgent messages that are shown.
    pub enum LogLevel: "is not `emerg`, `alert`, `crit`, `err`, `warning`, `notice`, `info` or \
                        `debug`" {
        /// The system is unusable.
        Emerg = "emerg",
        /// Somebody must act at once.
        Alert = "alert",
        /// Critical conditions.
        Crit = "crit",
        /// Errors.
        Err = "err",
        /// Warnings.
        Warning = "warning",
        /// Normal, but significant.
        Notice = "notice",
        /// Information.
        Info = "info",
        /// For who looks for a fault.
        Debug = "debug",
    }
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
    /// Not at all, whatever is held.
    MenuDisabled,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::MenuForce => f.write_str("menu-force"),
            Self::MenuHidden => f.write_str("menu-hidden"),
            Self::MenuDisabled => f.write_str("menu-disabled"),
        }
    }
}

impl FromStr for Timeout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        const REFUSAL: &str = "is not seconds, `menu-force`, `menu-hidden` or `menu-disabled`";
        match text {
            "menu-force" => Ok(Self::MenuForce),
            "menu-hidden" => Ok(Self::MenuHidden),
            "menu-disabled" => Ok(Self::MenuDisabled),
            _ => number(text)
                .map(Self::Seconds)
                .ok_or_else(|| refuse(text, REFUSAL)),
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
                .filter(|mode| *mode <= LAST_MODE)
                .map(Self::Number)
                .ok_or_else(|| refuse(text, "is not a mode's number, `auto`, `max` or `keep`")),
        }
    }
}

/// How long somebody can stop the enrolling of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrollTimeout {
    /// This many seconds.
    Seconds(u32),
    /// Not at all, and nothing is said about it.
    Hidden,
}

impl fmt::Display for EnrollTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::Hidden => f.write_str("hidden"),
        }
    }
}

impl FromStr for EnrollTimeout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "hidden" => Ok(Self::Hidden),
            _ => number(text)
                .map(Self::Seconds)
                .ok_or_else(|| refuse(text, "is not seconds or `hidden`")),
        }
    }
}

/// What happens when an entry cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebootOnError {
    /// The machine does not start again.
    No,
    /// The machine starts again.
    Yes,
    /// The machine starts again while the entry has tries left: when they are
    /// used up, another entry is taken.
    Auto,
}

impl fmt::Display for RebootOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Auto => "auto",
        })
    }
}

impl FromStr for RebootOnError {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match (text, switch(text)) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(true)) => Ok(Self::Yes),
            (_, Ok(false)) => Ok(Self::No),
            (_, Err(_)) => Err(refuse(text, "is not `yes`, `no` or `auto`")),
        }
    }
}

/// A pattern of entries' file names. systemd-boot passes over words with `@`,
/// except for the one that stands for the entry chosen last.
pub(super) fn pattern(text: &str) -> Result<Line, Error> {
    if text.starts_with('@') && !text.eq_ignore_ascii_case("@saved") {
        return Err(refuse(text, "is not a pattern of file names or `@saved`"));
    }
    Line::new(text)
}

/// A yes or no in any of systemd-boot's spellings.
pub(super) fn switch(text: &str) -> Result<bool, Error> {
    match text {
        "yes" | "y" | "true" | "t" | "on" | "1" => Ok(true),
        "no" | "n" | "false" | "f" | "off" | "0" => Ok(false),
        _ => Err(refuse(text, "is not `yes` or `no`")),
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
