//! Entries and files that a user wants beside those of generations: found on the
//! host and made ready for a plan.
//!
//! What may have which name and text is judged by [`bootloaders::extra`]; here are
//! the bytes. An extra is planned like any other file, so it is written down as
//! ours, and goes when it is wanted no more.

use std::path::Path;

use bootloaders::extra::{self, ExtraEntry, ExtraFile, WellKnown, Windows};
use bootloaders::pe::PeImage;
use bootloaders::{BootFile, BootLoader, extlinux, systemd_boot};
use secure_boot::variable::Variable;
use tree_manifest::{Kind, Provenance, TreePath};

use crate::error::Error;
use crate::live::steps::is_temporary;
use crate::plan::{PlannedFile, Recipe};
use crate::settings::{NamedPath, Settings, WindowsInput};
use crate::source::{Need, Sources, read_at_most};

mod directory;

/// The longest text of an entry, in bytes; an inventory reads no longer ones either.
const LONGEST_TEXT: u64 = 64 << 10;

const FILE: &str = "name a relative path that FAT can hold, such as EFI/tools/x.efi";
const DEVICE_TREES: &str = "name a directory of device trees, such as dtbs of a kernel";
const ENTRY: &str = "name NAME.conf and a file with the text of a Type #1 entry";
const DRIVER: &str = "name an EFI driver, such as ext4x64.efi";
const KEYS: &str =
    "name a directory as `esp-builder keys generate` makes it, and a name of one word";
const WINDOWS: &str = "as in 11=HD0b; `map -c` in the EFI shell lists the handles";

/// A file that a user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// Which partition it is for.
    pub home: Home,
    /// Its place there.
    pub path: TreePath,
    /// Its bytes.
    pub file: PlannedFile,
    /// Who wants it, for messages.
    pub origin: String,
}

impl Extra {
    /// Whether it is a line of the menu, and no file that one needs.
    #[must_use]
    pub fn is_entry(&self) -> bool {
        self.file.provenance.kind == Kind::Entry
    }
}

/// Which partition an extra file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// That of the entries: XBOOTLDR if it is used, else the ESP.
    Boot,
    /// The one the boot loader is on.
    Esp,
}

/// Finds all that a user wants. Only heads and the texts of entries are read.
///
/// # Errors
/// When a file cannot be read, or when a name or a text is refused.
pub fn find(settings: &Settings, sources: &mut Sources) -> Result<Vec<Extra>, Error> {
    let input = &settings.extras;
    let store_dir = sources.on_host(&settings.store_dir);
    let mut extras = Vec::new();
    for wanted in &input.files {
        let origin = format!("extra file `{}`", wanted.path.display());
        if wanted.path.is_dir() {
            extras.extend(directory(wanted, FILE, &store_dir, sources)?);
            continue;
        }
        let file = ExtraFile::new(&wanted.name, &wanted.path).map_err(hinting(FILE))?;
        extras.push(found_file(Home::Boot, &file, origin, sources)?);
    }
    if let Some(path) = &settings.boot_loader.device_trees {
        let wanted = NamedPath {
            name: extlinux::DEVICE_TREES.to_owned(),
            path: path.clone(),
        };
        for mut extra in directory(&wanted, DEVICE_TREES, &store_dir, sources)? {
            extra.file.provenance.kind = Kind::Devicetree;
            extras.push(extra);
        }
    }
    for wanted in &input.entries {
        let origin = format!("extra entry `{}`", wanted.path.display());
        extras.push(entry(&read_entry(wanted)?, origin));
    }
    for (program, source) in &input.programs {
        let origin = describe(*program);
        let file = program.file(source);
        extras.push(found_file(Home::Boot, &file, origin.to_owned(), sources)?);
        extras.push(entry(&program.entry(None), origin.to_owned()));
    }
    for wanted in &input.windows {
        let origin = format!("Windows `{}`", wanted.name);
        extras.push(entry(&windows_entry(wanted)?, origin));
    }
    for source in &input.drivers {
        extras.extend(driver(settings.boot_loader.name, source, sources)?);
    }
    if let Some(wanted) = &input.enrolment {
        extras.extend(keys(wanted, sources)?);
    }
    Ok(extras)
}

fn found_file(
    home: Home,
    file: &ExtraFile,
    origin: String,
    sources: &mut Sources,
) -> Result<Extra, Error> {
    if is_temporary(file.path()) {
        let reason = "the name is that of an unfinished file, which `install` removes";
        return Err(refuse("file", file.path().as_str(), reason, FILE));
    }
    let need = Need {
        whose: &format!("`{}`", file.path()),
        what: "source",
    };
    let found = sources.host_file(file.source(), need)?;
    Ok(content(home, file.path(), origin, &found))
}

/// All files of a directory, below one place.
fn directory(
    wanted: &NamedPath,
    hint: &'static str,
    store_dir: &Path,
    sources: &mut Sources,
) -> Result<Vec<Extra>, Error> {
    let mut extras = Vec::new();
    for (inside, path) in directory::files(&wanted.path, store_dir)? {
        let place = format!("{}/{inside}", wanted.name.trim_end_matches('/'));
        let origin = format!("extra file `{}`", path.display());
        let file = ExtraFile::new(&place, path).map_err(hinting(hint))?;
        extras.push(found_file(Home::Boot, &file, origin, sources)?);
    }
    Ok(extras)
}

/// A driver is named after its source, and after the architecture in its head: the
/// boot loader passes over those of others.
fn driver(name: BootLoader, source: &Path, sources: &mut Sources) -> Result<Vec<Extra>, Error> {
    let need = Need {
        whose: "EFI drivers",
        what: "driver",
    };
    let found = sources.host_file(source, need)?;
    let refused = |reason| refuse("driver", &source.display().to_string(), reason, DRIVER);
    let arch = sources.image(&found).and_then(PeImage::arch);
    let arch = arch.ok_or_else(|| refused("it is not a PE image for a known architecture"))?;
    let called = source.file_name().and_then(|name| name.to_str());
    let called = called.ok_or_else(|| refused("its name is not UTF-8"))?;
    let mut extras = Vec::new();
    for directory in name.driver_directories(arch) {
        let file = extra::driver(&directory, called, arch, source).map_err(hinting(DRIVER))?;
        let origin = format!("EFI driver `{}`", source.display());
        extras.push(content(Home::Esp, file.path(), origin, &found));
    }
    Ok(extras)
}

/// The boot loader enrols what is in a directory of `loader/keys` on its own partition.
fn keys(wanted: &NamedPath, sources: &mut Sources) -> Result<Vec<Extra>, Error> {
    let mut extras = Vec::new();
    for variable in Variable::ALL {
        let name = format!("{}.auth", variable.name());
        let place = format!("loader/keys/{}/{name}", wanted.name);
        let file = ExtraFile::new(&place, wanted.path.join(&name)).map_err(hinting(KEYS))?;
        let mut extra = found_file(Home::Esp, &file, "keys to enrol".to_owned(), sources)?;
        extra.file.provenance.kind = Kind::Keys;
        extras.push(extra);
    }
    Ok(extras)
}

fn read_entry(wanted: &NamedPath) -> Result<ExtraEntry, Error> {
    let need = Need {
        whose: &format!("extra entry `{}`", wanted.name.escape_debug()),
        what: "text",
    };
    let bytes = read_at_most(&wanted.path, LONGEST_TEXT + 1)
        .map_err(|source| need.missing(&wanted.path, source))?;
    let refused = |reason| refuse("entry", &wanted.name, reason, ENTRY);
    if bytes.len() as u64 > LONGEST_TEXT {
        return Err(refused("its text is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("its text is not UTF-8"))?;
    ExtraEntry::new(&wanted.name, &text).map_err(hinting(ENTRY))
}

fn windows_entry(wanted: &WindowsInput) -> Result<ExtraEntry, Error> {
    let windows = Windows {
        name: wanted.name.clone(),
        device_handle: wanted.device_handle.clone(),
        title: None,
        sort_key: None,
    };
    windows.entry().map_err(hinting(WINDOWS))
}

fn content(home: Home, path: &TreePath, origin: String, found: &BootFile) -> Extra {
    let file = PlannedFile {
        recipe: Recipe::Copy {
            from: found.source.clone(),
            size: found.size,
        },
        provenance: Provenance {
            kind: Kind::Extra,
            generations: Vec::new(),
            signature: found.signature,
        },
    };
    Extra {
        home,
        path: path.clone(),
        file,
        origin,
    }
}

fn entry(entry: &ExtraEntry, origin: String) -> Extra {
    let file = PlannedFile {
        recipe: Recipe::Text(entry.text().to_owned()),
        provenance: Provenance {
            kind: Kind::Entry,
            generations: Vec::new(),
            signature: None,
        },
    };
    Extra {
        home: Home::Boot,
        path: systemd_boot::entry_file_path(entry.name()),
        file,
        origin,
    }
}

/// A refusal of [`bootloaders::extra`] with what would do instead.
fn hinting(hint: &'static str) -> impl Fn(bootloaders::Error) -> Error {
    move |refusal| Error::Extra { refusal, hint }
}

fn refuse(what: &'static str, name: &str, reason: &str, hint: &'static str) -> Error {
    let (name, reason) = (name.to_owned(), reason.to_owned());
    hinting(hint)(bootloaders::Error::Extra { what, name, reason })
}

fn describe(program: WellKnown) -> &'static str {
    match program {
        WellKnown::Memtest86 => "Memtest86+",
        WellKnown::NetbootXyz => "netboot.xyz",
        WellKnown::UefiShell => "EDK2 UEFI Shell",
    }
}

#[cfg(test)]
mod tests;
