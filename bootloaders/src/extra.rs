//! Entries and files beside those of generations: memory testers, network boot,
//! the EFI shell, Windows, drivers, and whatever else a user wants.
//!
//! Names and texts are those of nixpkgs' options, with `EFI` spelled as the other
//! files have it. An installer marks each extra file that it wrote, so that the
//! file goes when it is wanted no more; the markers are nixpkgs' too.

use std::path::PathBuf;

use tree_manifest::{TreePath, fat};

use crate::arch::Arch;
use crate::boot_counting::EntryFileName;
use crate::error::Error;
use crate::key_value::key_values;
use crate::line::Line;
use crate::ownership;
use crate::place::known;

/// Where the markers of extra files are.
const MARKERS: &str = "EFI/nixos/.extra-files";

/// The shell, which [`windows`] starts too.
const SHELL: &str = "EFI/edk2-uefi-shell/shell.efi";

/// A file that a user wants on the boot partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtraFile {
    path: TreePath,
    source: PathBuf,
}

impl ExtraFile {
    /// Takes the place of a file on the boot partition, and where its bytes are
    /// read on the host.
    ///
    /// # Errors
    /// When FAT cannot hold the path, or when it is one that an installer keeps
    /// for generations.
    pub fn new(path: &str, source: impl Into<PathBuf>) -> Result<Self, Error> {
        let refuse = |reason: &str| refuse("file", path, reason);
        let place = TreePath::new(path).map_err(|error| refuse(error.reason))?;
        for name in place.components() {
            fat::check_name(name).map_err(refuse)?;
        }
        let markers = fat::fold(MARKERS);
        let folded = fat::fold(path);
        if folded == markers || ownership::ours(&place).is_some() {
            return Err(refuse(
                "that is the place of a generation's file or of a marker",
            ));
        }
        Ok(Self {
            path: place,
            source: source.into(),
        })
    }

    /// Where it lies on the boot partition.
    #[must_use]
    pub fn path(&self) -> &TreePath {
        &self.path
    }

    /// Where its bytes are read; a path of the host.
    #[must_use]
    pub fn source(&self) -> &PathBuf {
        &self.source
    }
}

/// An entry that a user wants in the menu.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtraEntry {
    name: EntryFileName,
    text: String,
}

impl ExtraEntry {
    /// Takes the file name of an entry, with `.conf`, and its text, which gets a
    /// final newline when it has none.
    ///
    /// # Errors
    /// When the name is no entry's, begins as those of generations do or holds a
    /// boot counter, or when no line of the text names something to boot.
    pub fn new(name: &str, text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| refuse("entry", name, reason);
        let parsed = EntryFileName::parse(name)
            .filter(|name| name.suffix() == ".conf")
            .ok_or_else(|| refuse("that is not the name of one file that ends in `.conf`"))?;
        if fat::fold(name).starts_with("NIXOS-") {
            return Err(refuse(
                "the name begins with `nixos-`, as generations' entries do",
            ));
        }
        if parsed.counter().is_some() {
            return Err(refuse(
                "the name holds a boot counter, which every installation would reset",
            ));
        }
        let boots = |key| matches!(key, "linux" | "efi" | "uki" | "uki-url");
        if !key_values(text).any(|line| boots(line.key) && !line.value.is_empty()) {
            return Err(refuse(
                "the text has no line `linux`, `efi`, `uki` or `uki-url`",
            ));
        }
        let mut text = text.to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(Self { name: parsed, text })
    }

    /// Its file name.
    #[must_use]
    pub fn name(&self) -> &EntryFileName {
        &self.name
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A program that NixOS has options for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WellKnown {
    /// The memory tester Memtest86+.
    Memtest86,
    /// Boots installers from the network.
    NetbootXyz,
    /// The shell of the EFI Development Kit.
    UefiShell,
}

impl WellKnown {
    /// The program's file, from where the host has it.
    #[must_use]
    pub fn file(self, source: impl Into<PathBuf>) -> ExtraFile {
        let (_, _, path) = self.facts();
        ExtraFile {
            path: known(path),
            source: source.into(),
        }
    }

    /// The entry that starts it. Without a sort key it comes after NixOS.
    #[must_use]
    pub fn entry(self, sort_key: Option<&Line>) -> ExtraEntry {
        let (name, title, path) = self.facts();
        let sort_key = sort_key.map_or_else(|| format!("o_{name}"), Line::to_string);
        ExtraEntry {
            name: EntryFileName::uncounted(name),
            text: format!("title {title}\nefi /{path}\nsort-key {sort_key}\n"),
        }
    }

    /// The name of the entry, the title and the path.
    fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Memtest86 => ("memtest86", "Memtest86+", "EFI/memtest86/memtest.efi"),
            Self::NetbootXyz => (
                "netbootxyz",
                "netboot.xyz",
                "EFI/netbootxyz/netboot.xyz.efi",
            ),
            Self::UefiShell => ("edk2-uefi-shell", "EDK2 UEFI Shell", SHELL),
        }
    }
}

/// A Windows on another ESP, which systemd-boot does not find by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Told apart by this: letters, digits, `-` and `_`.
    pub name: String,
    /// What the EFI shell calls its ESP, such as `HD0c3`: see `map -c` there.
    pub device_handle: String,
    /// What the menu shows; `Windows NAME` without one.
    pub title: Option<Line>,
    /// Sorts the entry; after NixOS without one.
    pub sort_key: Option<Line>,
}

impl Windows {
    /// The entry that starts it through the shell, which must be installed: the
    /// file of [`WellKnown::UefiShell`].
    ///
    /// # Errors
    /// When the name or the handle holds other characters than it may: the shell
    /// would take them for something else.
    pub fn entry(&self) -> Result<ExtraEntry, Error> {
        let name = &self.name;
        let word = |text: &str, also: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
            !text.is_empty() && text.chars().all(allowed)
        };
        if !word(name, "-_") {
            let reason = "the name holds something else than letters, digits, `-` and `_`";
            return Err(refuse("Windows", name, reason));
        }
        if !word(&self.device_handle, "") {
            let reason = "the device handle is not letters and digits alone";
            return Err(refuse("Windows", name, reason));
        }
        let or = |line: &Option<Line>, start| match line {
            Some(line) => line.to_string(),
            None => format!("{start}{name}"),
        };
        let title = or(&self.title, "Windows ");
        let sort_key = or(&self.sort_key, "o_windows_");
        let loader = format!(r"{}:EFI\Microsoft\Boot\Bootmgfw.efi", self.device_handle);
        Ok(ExtraEntry {
            name: EntryFileName::uncounted(&format!("windows_{name}")),
            text: format!(
                "title {title}\nefi /{SHELL}\n\
                 options -nointerrupt -nomap -noversion {loader}\nsort-key {sort_key}\n"
            ),
        })
    }
}

/// A driver that a boot loader loads before it looks for entries, such as that of
/// a file system. systemd-boot takes what ends in its architecture and `.efi`; a name
/// gets what is missing of that.
///
/// # Errors
/// As [`ExtraFile::new`]; also when the name is empty or begins with a dot, which
/// systemd-boot passes over.
pub fn driver(
    directory: &TreePath,
    name: &str,
    arch: Arch,
    source: impl Into<PathBuf>,
) -> Result<ExtraFile, Error> {
    let stem = name.strip_suffix(".efi").unwrap_or(name);
    let stem = stem.strip_suffix(arch.suffix()).unwrap_or(stem);
    if stem.is_empty() || stem.starts_with('.') || stem.contains('/') {
        return Err(refuse(
            "driver",
            name,
            "that is not the name of a file to load",
        ));
    }
    ExtraFile::new(&format!("{directory}/{stem}{arch}.efi"), source)
}

/// The empty file that says that a file was put there by an installer.
///
/// # Errors
/// When the path is too long to be marked.
pub fn marker(file: &TreePath) -> Result<TreePath, Error> {
    TreePath::new(format!("{MARKERS}/{file}"))
        .map_err(|error| refuse("file", file.as_str(), error.reason))
}

/// The file that a marker stands for; `None` when the path is no marker.
#[must_use]
pub fn marked(marker: &TreePath) -> Option<TreePath> {
    let (directory, file) = marker.as_str().split_at_checked(MARKERS.len())?;
    let file = file.strip_prefix('/')?;
    let is_marker = fat::fold(directory) == fat::fold(MARKERS);
    is_marker.then(|| TreePath::new(file).ok())?
}

fn refuse(what: &'static str, name: &str, reason: &str) -> Error {
    Error::Extra {
        what,
        name: name.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
