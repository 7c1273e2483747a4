//! Boot loader binaries: given or searched for, and looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bootloaders::pe::PeImage;
use bootloaders::{Arch, systemd_boot};
use tree_manifest::SignatureState;

use crate::error::Error;
use crate::settings::Settings;
use crate::source::{Sources, read_at_most};

/// Where systemd keeps its binaries, below a prefix.
const BINARIES: &str = "lib/systemd/boot/efi";

/// The most that is read of a binary, in bytes. systemd-boot has some 100 KiB.
const LONGEST: u64 = 16 << 20;

/// A boot loader binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderBinary {
    /// What it runs on.
    pub arch: Arch,
    /// The file; a path of the host.
    pub file: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is signed.
    pub signature: SignatureState,
    /// What it says of itself, such as `systemd-boot 260`.
    pub info: Option<String>,
}

/// Finds systemd-boot for every architecture of the entries, by architecture.
///
/// Binaries that were given are all taken, those for other architectures too.
/// Without any, the default system's own systemd is looked into, then the host's;
/// of two files the signed one wins.
///
/// # Errors
/// When an architecture has none or two, or when a file is not systemd-boot.
pub fn find(
    settings: &Settings,
    sources: &Sources,
    arches: &BTreeSet<Arch>,
    toplevel: Option<&Path>,
) -> Result<Vec<LoaderBinary>, Error> {
    let mut found: BTreeMap<Arch, LoaderBinary> = BTreeMap::new();
    for path in &settings.systemd_boot {
        let binary = inspect(path)?;
        let (arch, second) = (binary.arch, binary.file.clone());
        if let Some(first) = found.insert(arch, binary) {
            return Err(Error::TwoLoaders {
                arch,
                first: first.file,
                second,
            });
        }
    }
    for &arch in arches {
        if found.contains_key(&arch) {
            continue;
        }
        let mut places = Vec::new();
        if settings.systemd_boot.is_empty() {
            let name = systemd_boot::binary_name(arch);
            let names = [format!("{name}.signed"), name];
            places = search(&names, sources, toplevel);
        }
        let Some(file) = places.iter().find_map(|place| place.file.as_ref()) else {
            let searched = places.into_iter().map(|place| place.path).collect();
            return Err(Error::NoLoader { arch, searched });
        };
        found.insert(arch, inspect(file)?);
    }
    Ok(found.into_values().collect())
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

/// Looks at a binary, of a package or on an ESP.
///
/// # Errors
/// When it cannot be read, or is not systemd-boot.
pub fn inspect(path: &Path) -> Result<LoaderBinary, Error> {
    let bytes = read_at_most(path, LONGEST + 1).map_err(|source| Error::LoaderRead {
        path: path.into(),
        source,
    })?;
    let refuse = |reason: String| Error::NotALoader {
        path: path.into(),
        reason,
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
    if let Some(info) = &info
        && !info.starts_with("systemd-boot ")
    {
        return Err(refuse(format!("it says that it is `{info}`")));
    }
    Ok(LoaderBinary {
        arch,
        file: path.into(),
        size: bytes.len() as u64,
        signature: image.signature,
        info,
    })
}
