//! Versions of systemd-boot: their order, what each can do, and which of two to
//! keep.
//!
//! Specification: <https://uapi-group.org/specifications/specs/version_format_specification/>

use std::cmp::Ordering;
use std::fmt;

/// The version of a systemd-boot binary, such as `262.1-1`.
///
/// Two versions are equal when neither is newer: `262` and `0262` are.
#[derive(Debug, Clone)]
pub struct LoaderVersion(String);

impl LoaderVersion {
    /// Reads what a binary says of itself, such as `systemd-boot 262.1-1`: the
    /// text of [`crate::pe::PeImage::loader_info`]. `None` when it is another
    /// program.
    #[must_use]
    pub fn from_info(info: &str) -> Option<Self> {
        Self::of(info, "systemd-boot ")
    }

    /// As [`LoaderVersion::from_info`], of a stub: `systemd-stub 262.1-1`.
    #[must_use]
    pub fn from_stub_info(info: &str) -> Option<Self> {
        Self::of(info, "systemd-stub ")
    }

    fn of(info: &str, program: &str) -> Option<Self> {
        let version = info.strip_prefix(program)?.trim();
        (!version.is_empty()).then(|| Self(version.to_owned()))
    }

    /// Whether it is of this release or a later one. Release candidates count as
    /// the release; a snapshot from before them may be too early.
    #[must_use]
    pub fn is_at_least(&self, release: u32) -> bool {
        compare(&self.0, &format!("{release}~rc")) != Ordering::Less
    }

    /// Whether it can do something.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.is_at_least(match feature {
            Feature::BootCounting => 240,
            Feature::Xbootldr => 242,
            Feature::Drivers => 250,
            Feature::SortKey => 251,
            Feature::Profiles => 257,
            Feature::UkiEntries => 258,
            Feature::ProfileEntries => 259,
            Feature::Preferred => 260,
        })
    }
}

impl fmt::Display for LoaderVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for LoaderVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for LoaderVersion {}

impl PartialOrd for LoaderVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LoaderVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// What some versions of systemd-boot can do and older ones cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Counts the tries of entries: [`crate::boot_counting`].
    BootCounting,
    /// Reads entries from an XBOOTLDR partition.
    Xbootldr,
    /// Loads drivers from `EFI/systemd/drivers`.
    Drivers,
    /// Sorts entries by `sort-key`.
    SortKey,
    /// Lists the profiles of a Unified Kernel Image, and as a stub starts them.
    Profiles,
    /// Starts the Unified Kernel Image that a Type #1 entry names with `uki`.
    UkiEntries,
    /// Starts the `profile` of that image.
    ProfileEntries,
    /// Knows `preferred` in `loader.conf`; older ones start the newest entry when
    /// nothing else is said.
    Preferred,
}

/// What to do about an installed binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoaderUpdate {
    /// There is none: install.
    Install,
    /// It is older: replace it.
    Update {
        /// What is there.
        from: LoaderVersion,
        /// What comes.
        to: LoaderVersion,
    },
    /// It is the same version.
    Current,
    /// It is newer: keep it, and say so.
    Newer {
        /// What is there.
        installed: LoaderVersion,
    },
}

/// Decides between an installed binary and the one at hand; never for an older
/// one. Equal versions are taken for equal binaries, as bootctl does.
#[must_use]
pub fn update(installed: Option<&LoaderVersion>, available: &LoaderVersion) -> LoaderUpdate {
    let Some(installed) = installed else {
        return LoaderUpdate::Install;
    };
    match installed.cmp(available) {
        Ordering::Less => LoaderUpdate::Update {
            from: installed.clone(),
            to: available.clone(),
        },
        Ordering::Equal => LoaderUpdate::Current,
        Ordering::Greater => LoaderUpdate::Newer {
            installed: installed.clone(),
        },
    }
}

/// Compares two versions as systemd does (`systemd-analyze compare-versions`):
/// part by part, where a part is one of the marks `~-^.`, a number or a word.
/// All else separates parts.
#[must_use]
pub fn compare(first: &str, second: &str) -> Ordering {
    let (mut first, mut second) = (first, second);
    loop {
        first = first.trim_start_matches(is_separator);
        second = second.trim_start_matches(is_separator);
        // A pre-release is older than even the end of the text.
        let order = skip_mark('~', &mut first, &mut second);
        if order != Ordering::Equal {
            return order;
        }
        if first.is_empty() || second.is_empty() {
            return first.len().cmp(&second.len());
        }
        for mark in ['-', '^', '.'] {
            let order = skip_mark(mark, &mut first, &mut second);
            if order != Ordering::Equal {
                return order;
            }
        }
        let has_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if has_digit(first) || has_digit(second) {
            let (one, other) = (
                take(&mut first, |c| c.is_ascii_digit()),
                take(&mut second, |c| c.is_ascii_digit()),
            );
            compare_numbers(one, other)
        } else {
            let (one, other) = (
                take(&mut first, |c| c.is_ascii_alphabetic()),
                take(&mut second, |c| c.is_ascii_alphabetic()),
            );
            one.cmp(other)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_separator(character: char) -> bool {
    !character.is_ascii_alphanumeric() && !"~-^.".contains(character)
}

/// Takes a mark off both texts. The one that has it alone is the older one.
fn skip_mark(mark: char, first: &mut &str, second: &mut &str) -> Ordering {
    match (first.strip_prefix(mark), second.strip_prefix(mark)) {
        (Some(one), Some(other)) => {
            (*first, *second) = (one, other);
            Ordering::Equal
        }
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Takes the part off a text that is made of such characters.
fn take<'a>(text: &mut &'a str, of: impl Fn(char) -> bool) -> &'a str {
    let (part, rest) = text.split_at(text.find(|c| !of(c)).unwrap_or(text.len()));
    *text = rest;
    part
}

/// Compares numbers of any length. No digit at all is less than 0: systemd has a
/// number newer than a word, where the specification has them equal.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    let has_digits = one.is_empty().cmp(&other.is_empty()).reverse();
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    has_digits
        .then_with(|| one.len().cmp(&other.len()))
        .then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests;
