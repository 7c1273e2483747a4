//! Boot loader binaries: given or searched for, and looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use bootloaders::pe::PeImage;
use bootloaders::{Arch, BootLoader, systemd_boot};
use tree_manifest::{SignatureState, TreePath};

use crate::error::{Error, LoaderError, read_error};
use crate::plan::Recipe;
use crate::settings::{LoaderInput, Settings};
use crate::source::{Sources, read_at_most};

mod others;

/// Where systemd keeps its binaries, below a prefix.
const BINARIES: &str = "lib/systemd/boot/efi";

/// The most that is read of a binary, in bytes. systemd-boot has some 100 KiB.
const LONGEST: u64 = 16 << 20;

/// A binary that starts before any entry: a boot loader, or what starts one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderBinary {
    /// Which boot loader it is or belongs to.
    pub name: BootLoader,
    /// What it runs on.
    pub arch: Arch,
    /// Where it lies on the ESP; the first is what firmware is told of.
    pub paths: Vec<TreePath>,
    /// How its bytes come to be.
    pub recipe: Recipe,
    /// Where it looks for its menu on the ESP, if it says so itself.
    pub config: Option<TreePath>,
    /// The file that it was found in; a path of the host.
    pub file: PathBuf,
    /// Whether it is signed.
    pub signature: SignatureState,
    /// What it says of itself, such as `systemd-boot 260`.
    pub info: Option<String>,
}

/// Finds the boot loader for every architecture of the entries, by architecture.
///
/// Binaries that were given are all taken, those for other architectures too.
/// Without any, systemd-boot is looked for in the default system's own systemd, then in
/// the host's, others on the host; of two files the signed one wins.
///
/// # Errors
/// When an architecture has none or two, or when a file is not that boot loader.
pub fn find(
    settings: &Settings,
    sources: &Sources,
    arches: &BTreeSet<Arch>,
    toplevel: Option<&Path>,
) -> Result<Vec<LoaderBinary>, Error> {
    let chosen = &settings.boot_loader;
    let loaders = match chosen.name {
        BootLoader::Extlinux | BootLoader::Uki | BootLoader::EfiStub | BootLoader::None => {
            Vec::new()
        }
        BootLoader::SystemdBoot => find_systemd_boot(settings, sources, arches, toplevel)?,
        BootLoader::Grub | BootLoader::Limine | BootLoader::Refind => others::find(chosen, arches)?,
    };
    match &chosen.shim {
        Some(shim) => others::behind_shim(loaders, shim),
        None => Ok(loaders),
    }
}

fn find_systemd_boot(
    settings: &Settings,
    sources: &Sources,
    arches: &BTreeSet<Arch>,
    toplevel: Option<&Path>,
) -> Result<Vec<LoaderBinary>, Error> {
    let given = &settings.systemd_boot;
    by_architecture(given, arches, &inspect, &|arch| {
        let mut places = Vec::new();
        if given.is_empty() {
            let name = systemd_boot::binary_name(arch);
            let names = [format!("{name}.signed"), name];
            places = search(&names, sources, toplevel);
        }
        match places.iter().find_map(|place| place.file.as_ref()) {
            Some(file) => inspect(file),
            None => Err(Error::Loader(LoaderError::NoLoader {
                name: BootLoader::SystemdBoot,
                arch,
                searched: places.into_iter().map(|place| place.path).collect(),
            })),
        }
    })
}

/// The binaries that are given, all of them, and one that is found for each architecture
/// without one.
fn by_architecture(
    given: &[PathBuf],
    arches: &BTreeSet<Arch>,
    inspect: &dyn Fn(&Path) -> Result<LoaderBinary, Error>,
    find: &dyn Fn(Arch) -> Result<LoaderBinary, Error>,
) -> Result<Vec<LoaderBinary>, Error> {
    let mut binaries: BTreeMap<Arch, LoaderBinary> = BTreeMap::new();
    for path in given {
        let binary = inspect(path)?;
        let (name, arch, second) = (binary.name, binary.arch, binary.file.clone());
        if let Some(first) = binaries.insert(arch, binary) {
            return Err(Error::Loader(LoaderError::TwoLoaders {
                name,
                arch,
                first: first.file,
                second,
            }));
        }
    }
    let missing = arches.iter().filter(|arch| !binaries.contains_key(arch));
    for arch in missing.copied().collect::<Vec<_>>() {
        binaries.insert(arch, find(arch)?);
    }
    Ok(binaries.into_values().collect())
}

/// The text before the entries of a menu, which ends its last line.
///
/// # Errors
/// When it cannot be read, or is no text.
pub fn preamble(chosen: &LoaderInput) -> Result<String, Error> {
    let Some(path) = &chosen.preamble else {
        return Ok(String::new());
    };
    let unreadable = read_error(path);
    let bytes = read_at_most(path, LONGEST).map_err(unreadable)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let is_whole = text.ends_with('\n') || text.is_empty();
    Ok(if is_whole { text } else { text + "\n" })
}

/// Where a binary may be.
pub(crate) struct Place {
    /// The place as a message names it.
    pub(crate) path: PathBuf,
    /// The binary, when it is there.
    pub(crate) file: Option<PathBuf>,
}

/// The places to search for files of these names, the best one first: systems, then the
/// host.
pub(crate) fn search<'a>(
    names: &[String],
    sources: &Sources,
    toplevels: impl IntoIterator<Item = &'a Path>,
) -> Vec<Place> {
    let of_systems = toplevels.into_iter();
    let of_systems = of_systems.map(|toplevel| toplevel.join("systemd").join(BINARIES));
    let mut places = Vec::new();
    for path in of_systems.flat_map(|directory| names.iter().map(move |name| directory.join(name)))
    {
        places.push(Place {
            // Links are followed inside the root: the host's store is another.
            file: sources.locate(&path).ok().map(|located| located.host),
            path: sources.on_host(&path),
        });
    }
    for path in of_host(names) {
        let file = path.is_file().then(|| path.clone());
        places.push(Place { path, file });
    }
    places
}

/// Where the host may have files of these names, the best place first.
pub(crate) fn of_host(names: &[String]) -> Vec<PathBuf> {
    let directories =
        ["/usr", "/run/current-system/sw"].map(|prefix| Path::new(prefix).join(BINARIES));
    let places = directories
        .iter()
        .flat_map(|directory| names.iter().map(|name| directory.join(name)));
    places.collect()
}

/// An EFI application, as its head has it.
struct Program {
    bytes: Vec<u8>,
    image: PeImage,
    arch: Arch,
    info: Option<String>,
}

/// Reads an EFI application.
fn read(what: &'static str, path: &Path) -> Result<Program, Error> {
    let bytes = read_at_most(path, LONGEST + 1).map_err(|source| {
        Error::Loader(LoaderError::LoaderRead {
            path: path.into(),
            source,
        })
    })?;
    let refuse = |reason: String| {
        Error::Loader(LoaderError::NotALoader {
            what,
            path: path.into(),
            reason,
        })
    };
    if bytes.len() as u64 > LONGEST {
        return Err(refuse("it is longer than 16 MiB".to_owned()));
    }
    let image = PeImage::parse(&bytes).map_err(|error| refuse(error.to_string()))?;
    let arch = image.arch().ok_or_else(|| {
        let machine = image.machine;
        refuse(format!("PE machine type {machine:#06x} is none of UEFI's"))
    })?;
    if !image.efi_application {
        return Err(refuse(
            "its PE subsystem is not that of EFI applications".to_owned(),
        ));
    }
    let info = image.loader_info(&bytes);
    Ok(Program {
        bytes,
        image,
        arch,
        info,
    })
}

/// Looks at a binary, of a package or on an ESP.
///
/// # Errors
/// When it cannot be read, or is not systemd-boot.
pub fn inspect(path: &Path) -> Result<LoaderBinary, Error> {
    let what = BootLoader::SystemdBoot.name();
    let Program {
        bytes,
        image,
        arch,
        info,
    } = read(what, path)?;
    let refuse = |reason: String| {
        Error::Loader(LoaderError::NotALoader {
            what,
            path: path.into(),
            reason,
        })
    };
    if let Some(info) = &info
        && !info.starts_with("systemd-boot ")
    {
        return Err(refuse(format!("it says that it is `{info}`")));
    }
    Ok(LoaderBinary {
        name: BootLoader::SystemdBoot,
        arch,
        paths: systemd_boot::binary_paths(arch).into(),
        recipe: Recipe::Copy {
            from: path.into(),
            size: bytes.len() as u64,
        },
        config: None,
        file: path.into(),
        signature: image.signature,
        info,
    })
}
