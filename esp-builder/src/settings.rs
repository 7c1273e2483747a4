//! Resolved choices: what to read, what to call it, how the menu behaves.
//!
//! Plain values without a trace of the command line or of a settings file; both
//! end up here.

use std::fmt;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use bootloaders::extra::WellKnown;
use bootloaders::loader_conf::{LoaderConf, Timeout};
use bootloaders::{Arch, BootLoader, CommandLine, EntryName, EntryNaming, Line, MachineId, grub};
use tree_manifest::GenerationId;

/// Where NixOS keeps its store.
pub const STORE_DIR: &str = "/nix/store";

/// Everything a plan depends on, besides the files it reads.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to boot.
    pub input: Input,
    /// Absolute paths in documents are looked up below this directory.
    pub root: Option<PathBuf>,
    /// The store; files in it are named after their store path.
    pub store_dir: PathBuf,
    /// The boot loader.
    pub boot_loader: LoaderInput,
    /// systemd-boot binaries; when there are none they are searched for.
    pub systemd_boot: Vec<PathBuf>,
    /// Whether kernels, initrds and entries go to a tree of their own.
    pub xbootldr: bool,
    /// How entries are stored.
    pub layout: Layout,
    /// What Unified Kernel Images are made with.
    pub images: ImageInput,
    /// The menu's settings, but for what starts by itself.
    pub menu: LoaderConf,
    /// What the file names of entries are made of.
    pub entry_names: EntryNaming,
    /// How often a new entry is tried before it counts as bad; for ever without a
    /// number.
    pub tries: Option<NonZeroU16>,
    /// The entry that starts by itself. Without a choice it is that of the generation
    /// list, and without one there the newest generation of the system profile.
    pub default: Option<DefaultChoice>,
    /// The installation that the entries belong to.
    pub machine_id: Option<MachineId>,
    /// What titles call the system.
    pub distro_name: Line,
    /// The day of the build, for the entries' versions.
    pub date: Option<Date>,
    /// What becomes of secrets for initial RAM disks.
    pub initrd_secrets: InitrdSecrets,
    /// Entries and files beside those of the input.
    pub extras: ExtraInput,
}

impl Settings {
    /// The settings of somebody who chose nothing but the input.
    #[must_use]
    pub fn new(input: Input) -> Self {
        let distro_name = Line::new("NixOS")
            .unwrap_or_else(|error| unreachable!("a constant is a line: {error}"));
        Self {
            input,
            root: None,
            store_dir: STORE_DIR.into(),
            boot_loader: LoaderInput::default(),
            systemd_boot: Vec::new(),
            xbootldr: false,
            layout: Layout::default(),
            images: ImageInput::default(),
            // As NixOS: without a menu nobody reaches an older generation.
            menu: LoaderConf {
                timeout: Some(Timeout::Seconds(5)),
                ..LoaderConf::default()
            },
            entry_names: EntryNaming::default(),
            tries: None,
            default: None,
            machine_id: None,
            distro_name,
            date: None,
            initrd_secrets: InitrdSecrets::default(),
            extras: ExtraInput::default(),
        }
    }
}

/// How entries are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// As texts that name the kernel and the rest: Type #1 of the Boot Loader
    /// Specification.
    #[default]
    Type1,
    /// As Unified Kernel Images, Type #2.
    Uki,
    /// As texts that name Unified Kernel Images, which boot loaders do not list by
    /// themselves.
    Type1Uki,
}

/// What Unified Kernel Images are made with, besides what generations name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageInput {
    /// Stubs, one an architecture; when there is none for one, the generation's own is
    /// searched for.
    pub stubs: Vec<PathBuf>,
    /// A directory of addons, credentials and extensions, which every image gets.
    pub companions: Option<PathBuf>,
}

/// Which boot loader, and what it needs besides entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderInput {
    /// Which.
    pub name: BootLoader,
    /// Binaries of one other than systemd-boot, one an architecture; when there are none
    /// they are searched for.
    pub binaries: Vec<PathBuf>,
    /// The program that makes GRUB's binary, in place of one.
    pub grub_mkimage: Option<PathBuf>,
    /// Where GRUB finds the menu's files.
    pub partition: grub::Partition,
    /// A file whose text stands before the entries of a menu, in its own language.
    pub preamble: Option<PathBuf>,
    /// A directory of device trees, in which extlinux's boot loader finds that of its board.
    pub device_trees: Option<PathBuf>,
    /// Whether Limine accepts this menu alone.
    pub is_menu_fixed: bool,
    /// What firmware starts in place of the boot loader, and then starts that: shim, which
    /// is signed by Microsoft.
    pub shim: Option<ShimInput>,
}

/// Shim's binaries; paths of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimInput {
    /// Shim.
    pub shim: PathBuf,
    /// What enrols the keys of machine owners.
    pub mok_manager: Option<PathBuf>,
}

/// What becomes of secrets that generations make for their initial RAM disks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum InitrdSecrets {
    /// They are left out: this is not the machine that has them.
    #[default]
    Leave,
    /// Their programs are run.
    Append {
        /// The mount points of boot partitions where earlier runs left theirs.
        boot: Vec<PathBuf>,
    },
}

/// What to boot.
#[derive(Debug, Clone)]
pub enum Input {
    /// NixOS generations.
    Generations(GenerationInput),
    /// A kernel of any other system.
    Kernel(KernelInput),
}

/// Where generations are found; all of it together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenerationInput {
    /// Bootspec documents of the system profile; paths of the host.
    pub bootspecs: Vec<NumberedPath>,
    /// A generation list; a path of the host.
    pub list: Option<PathBuf>,
    /// Nix profiles: paths of the host, or paths inside the root. One that is named
    /// `system` brings the profiles of `system-profiles` beside it.
    pub profiles: Vec<PathBuf>,
    /// How many generations of each profile are taken, the newest; all of them
    /// without a limit.
    pub limit: Option<NonZeroUsize>,
    /// Whether the generations of profiles are dated by the day they came to this
    /// machine, which is another on every machine.
    pub dates: bool,
}

/// A bootspec document and the number of its generation.
///
/// Its text form is `[NUMBER=]PATH`; a path that looks like a number and `=` can
/// be written with `./` in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedPath {
    /// The number, when it was given.
    pub number: Option<u64>,
    /// The document.
    pub path: PathBuf,
}

impl FromStr for NumberedPath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text.split_once('=').and_then(|(number, path)| {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            Some((digits.then(|| number.parse().ok())??, path))
        });
        let (number, path) = split.map_or((None, text), |(number, path)| (Some(number), path));
        Ok(Self {
            number,
            path: path.into(),
        })
    }
}

/// A kernel without a bootspec document.
#[derive(Debug, Clone)]
pub struct KernelInput {
    /// The kernel, a path of the host.
    pub kernel: PathBuf,
    /// Initial RAM disks, paths of the host.
    pub initrds: Vec<PathBuf>,
    /// The kernel command line.
    pub cmdline: CommandLine,
    /// What the menu shows.
    pub title: Line,
    /// What the entry's file is called.
    pub name: EntryName,
    /// What the kernel must be built for; without it, whatever it is built for.
    pub arch: Option<Arch>,
}

/// Entries and files that a user wants; all paths of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraInput {
    /// Files, by their places on the boot partition.
    pub files: Vec<NamedPath>,
    /// Texts of entries, by the file names of these.
    pub entries: Vec<NamedPath>,
    /// Programs that get an entry of their own.
    pub programs: Vec<(WellKnown, PathBuf)>,
    /// Installations of Windows on other ESPs. The EFI shell starts them, so it must
    /// be among the programs.
    pub windows: Vec<WindowsInput>,
    /// Drivers that the boot loader loads.
    pub drivers: Vec<PathBuf>,
    /// A directory with updates of PK, KEK and db that the boot loader enrols, and what
    /// it calls them.
    pub enrolment: Option<NamedPath>,
}

/// A file and what it is called on the boot partition.
///
/// Its text form is `NAME=PATH`; the name ends at the first `=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    /// What it is called.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for NamedPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, path) = text.split_once('=').ok_or("expected NAME=PATH")?;
        Ok(Self {
            name: name.to_owned(),
            path: path.into(),
        })
    }
}

/// A Windows on another ESP.
///
/// Its text form is `NAME=HANDLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsInput {
    /// Tells it from others in the menu.
    pub name: String,
    /// What the EFI shell calls its ESP, such as `HD0b`.
    pub device_handle: String,
}

impl FromStr for WindowsInput {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, handle) = text.split_once('=').ok_or("expected NAME=HANDLE")?;
        Ok(Self {
            name: name.to_owned(),
            device_handle: handle.to_owned(),
        })
    }
}

/// What starts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultChoice {
    /// A generation, or a specialisation of one.
    ///
    /// Its text form is `[PROFILE/]NUMBER[:SPECIALISATION]`; without a profile it is
    /// the system profile. A text that starts with digits before its end or a `:`
    /// names no profile, so that a specialisation may hold `/`.
    Generation(GenerationId),
    /// The last generation or specialisation whose `init` is in this directory: a
    /// system that is being activated.
    Toplevel(PathBuf),
}

impl fmt::Display for DefaultChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match self {
            Self::Generation(id) => id,
            Self::Toplevel(path) => return write!(f, "`{}`", path.display()),
        };
        if let Some(profile) = &id.profile {
            write!(f, "{}/", profile.escape_debug())?;
        }
        write!(f, "{}", id.number)?;
        id.specialisation
            .iter()
            .try_for_each(|name| write!(f, ":{}", name.escape_debug()))
    }
}

impl FromStr for DefaultChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let after_digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let has_profile = after_digits.len() == text.len()
            || !(after_digits.is_empty() || after_digits.starts_with(':'));
        let (profile, rest) = match text.split_once('/') {
            Some((profile, rest)) if has_profile => (Some(profile.to_owned()), rest),
            _ => (None, text),
        };
        let (number, specialisation) = match rest.split_once(':') {
            Some((number, name)) => (number, Some(name.to_owned())),
            None => (rest, None),
        };
        let number = number
            .parse()
            .map_err(|_| "expected [PROFILE/]NUMBER[:SPECIALISATION]".to_owned())?;
        Ok(Self::Generation(GenerationId {
            profile,
            number,
            specialisation,
        }))
    }
}

/// A day, as `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Date(String);

impl Date {
    /// The day of a time in seconds since 1970, in UTC; `None` when its year has not
    /// four digits.
    #[must_use]
    pub fn of_unix(seconds: i64) -> Option<Self> {
        // Years begin in March, so that a leap day is the last of its year; 400 of them
        // have 146097 days.
        let days = seconds.div_euclid(86_400) + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + i64::from(month <= 2);
        let is_short = (0..=9999).contains(&year);
        is_short.then(|| Self(format!("{year:04}-{month:02}-{day:02}")))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = |(index, byte): (usize, u8)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 10 || !text.bytes().enumerate().all(form) {
            return Err("expected YYYY-MM-DD".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_may_carry_a_number() {
        for (text, number, path) in [
            ("boot.json", None, "boot.json"),
            ("3=boot.json", Some(3), "boot.json"),
            ("3=a=b", Some(3), "a=b"),
            ("./3=a", None, "./3=a"),
            ("a=b", None, "a=b"),
            ("=b", None, "=b"),
            ("+3=b", None, "+3=b"),
        ] {
            let parsed: NumberedPath = text.parse().unwrap();
            let expected = NumberedPath {
                number,
                path: path.into(),
            };
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn seconds_are_days_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
            (1_795_392_000, "2026-11-23"),
            (253_402_300_799, "9999-12-31"),
        ] {
            assert_eq!(Date::of_unix(seconds).unwrap().to_string(), day);
        }
        for seconds in [253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(Date::of_unix(seconds), None, "{seconds}");
        }
    }

    #[test]
    fn choices_and_dates_have_one_form() {
        for (text, profile, specialisation) in [
            ("3", None, None),
            ("3:gnome", None, Some("gnome")),
            ("3:a:b", None, Some("a:b")),
            ("3:a/4", None, Some("a/4")),
            ("work/3", Some("work"), None),
            ("work/3:gnome", Some("work"), Some("gnome")),
            ("7/3:a/b", Some("7"), Some("a/b")),
            ("7x:y/3", Some("7x:y"), None),
        ] {
            let choice: DefaultChoice = text.parse().unwrap();
            let id = GenerationId {
                profile: profile.map(str::to_owned),
                number: 3,
                specialisation: specialisation.map(str::to_owned),
            };
            assert_eq!(choice, DefaultChoice::Generation(id), "{text}");
            assert_eq!(choice.to_string(), text);
        }
        for text in ["gnome", "", "work/", "work/gnome", "/", "-3", "work:3"] {
            assert!(text.parse::<DefaultChoice>().is_err(), "{text}");
        }
        assert!("2026-11-23".parse::<Date>().is_ok());
        for text in ["2026-1-23", "20261123", "2026-11-23\n", "2026/11/23"] {
            assert!(text.parse::<Date>().is_err(), "{text:?}");
        }
    }
}
