//! Boot loaders other than systemd-boot: given, searched for or made.
#![expect(
    clippy::disallowed_methods,
    reason = "looks for binaries and runs what makes one"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bootloaders::{Arch, BootLoader, grub};
use extents::ExtentMap;
use tree_manifest::TreePath;

use super::{LoaderBinary, Program, by_architecture, read};
use crate::assembled::{Assembled, Pieces};
use crate::error::{Error, LoaderError};
use crate::plan::Recipe;
use crate::settings::{LoaderInput, ShimInput};

/// Where packages are installed, below which each has its own place.
const PREFIXES: [&str; 2] = ["/usr", "/run/current-system/sw"];

/// The section of GRUB's images that says where they look for a menu.
const MODULES: &str = "mods";

/// What shim is called in messages.
const SHIM: &str = "shim";

/// What shim starts, by its name beside shim.
const SECOND_STAGE: &str = "grub";

/// Finds the binaries of the boot loader and of what comes before it, by architecture.
pub(super) fn find(
    chosen: &LoaderInput,
    arches: &BTreeSet<Arch>,
) -> Result<Vec<LoaderBinary>, Error> {
    let inspect = |path: &Path| inspect(chosen.name, path);
    by_architecture(
        &chosen.binaries,
        arches,
        &inspect,
        &|arch| match &chosen.grub_mkimage {
            Some(program) => make_grub(program, arch),
            None => inspect(&search(chosen, arch)?),
        },
    )
}

fn search(chosen: &LoaderInput, arch: Arch) -> Result<PathBuf, Error> {
    let mut searched = Vec::new();
    if chosen.binaries.is_empty() {
        let names = chosen.name.packaged(arch);
        let places =
            PREFIXES.map(|prefix| names.iter().map(move |name| Path::new(prefix).join(name)));
        searched.extend(places.into_iter().flatten());
    }
    let there = searched.iter().find(|path| path.is_file());
    there.cloned().ok_or(Error::Loader(LoaderError::NoLoader {
        name: chosen.name,
        arch,
        searched,
    }))
}

/// Looks at a boot loader's binary.
fn inspect(name: BootLoader, path: &Path) -> Result<LoaderBinary, Error> {
    let program = read(name.name(), path)?;
    let config = match name {
        BootLoader::Grub => Some(grub_config(path, &program)?),
        _ => None,
    };
    Ok(LoaderBinary {
        config,
        ..binary(name, path, &program)?
    })
}

/// A program that is no systemd-boot, without what tells GRUB's from others.
fn binary(name: BootLoader, path: &Path, program: &Program) -> Result<LoaderBinary, Error> {
    if let Some(info) = &program.info {
        return Err(Error::Loader(LoaderError::NotALoader {
            what: name.name(),
            path: path.into(),
            reason: format!("it says that it is `{info}`"),
        }));
    }
    Ok(LoaderBinary {
        name,
        arch: program.arch,
        paths: name.binary_paths(program.arch),
        recipe: Recipe::Copy {
            from: path.into(),
            size: program.bytes.len() as u64,
        },
        config: None,
        file: path.into(),
        signature: program.image.signature,
        info: None,
    })
}

/// Where one of GRUB's images looks for its menu.
fn grub_config(path: &Path, program: &Program) -> Result<TreePath, Error> {
    let refuse = |reason: String| {
        Error::Loader(LoaderError::NotALoader {
            what: BootLoader::Grub.name(),
            path: path.into(),
            reason,
        })
    };
    let mods = section(program)
        .ok_or_else(|| refuse(format!("it has no section `{MODULES}`, as GRUB's have")))?;
    grub::config_path(mods).map_err(|error| refuse(error.to_string()))
}

fn section(program: &Program) -> Option<&[u8]> {
    let mut sections = program.image.sections.iter();
    let mods = sections.find(|section| section.name == MODULES)?;
    let start = usize::try_from(mods.offset).ok()?;
    let end = start.checked_add(usize::try_from(mods.size).ok()?)?;
    program.bytes.get(start..end)
}

/// Has an image made that looks for its menu in a directory of ours.
fn make_grub(program: &Path, arch: Arch) -> Result<LoaderBinary, Error> {
    let failed = |reason: String| {
        Error::Loader(LoaderError::GrubImage {
            program: program.into(),
            arch,
            reason,
        })
    };
    let out = tempfile::NamedTempFile::new().map_err(|error| failed(error.to_string()))?;
    let run = Command::new(program)
        .arg(format!("--format={}", grub::platform(arch)))
        .arg(format!("--prefix=/{}", grub::DIRECTORY))
        .arg("--output")
        .arg(out.path())
        .args(grub::MODULES)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(failed(format!("{}: {}", run.status, said.trim())));
    }
    let made = read(BootLoader::Grub.name(), out.path())?;
    let config = grub_config(program, &made)?;
    let binary = binary(BootLoader::Grub, program, &made)?;
    let mut map = ExtentMap::hole(made.bytes.len() as u64);
    map.push_bytes(0, made.bytes);
    let sources = Pieces::default();
    Ok(LoaderBinary {
        recipe: Recipe::Assembled(Assembled { map, sources }),
        config: Some(config),
        ..binary
    })
}

/// Puts shim where boot loaders were, and each of them under the name that shim starts.
pub(super) fn behind_shim(
    loaders: Vec<LoaderBinary>,
    input: &ShimInput,
) -> Result<Vec<LoaderBinary>, Error> {
    let mut binaries = Vec::new();
    let program = read(SHIM, &input.shim)?;
    for loader in loaders {
        let mut shim = binary(BootLoader::None, &input.shim, &program)?;
        if shim.arch != loader.arch {
            return Err(Error::Loader(LoaderError::NotALoader {
                what: SHIM,
                path: input.shim.clone(),
                reason: format!(
                    "it is for {}, and the boot loader for {}",
                    shim.arch, loader.arch
                ),
            }));
        }
        shim.paths = beside(&loader, "shim");
        // What firmware starts by itself has one name.
        if let (Some(path), Some(removable)) = (shim.paths.last_mut(), loader.paths.last()) {
            *path = removable.clone();
        }
        binaries.push(shim);
        if let Some(path) = &input.mok_manager {
            let mut manager = binary(BootLoader::None, path, &read(SHIM, path)?)?;
            manager.paths = beside(&loader, "mm");
            binaries.push(manager);
        }
        binaries.push(LoaderBinary {
            paths: beside(&loader, SECOND_STAGE),
            ..loader
        });
    }
    Ok(binaries)
}

/// Another name for each place of a boot loader.
fn beside(loader: &LoaderBinary, name: &str) -> Vec<TreePath> {
    let of_path = |path: &TreePath| {
        let directory = path.parent().map(|parent| format!("{parent}/"));
        let full = format!("{}{name}{}.efi", directory.unwrap_or_default(), loader.arch);
        TreePath::new(full).unwrap_or_else(|error| unreachable!("a name beside another: {error}"))
    };
    loader.paths.iter().map(of_path).collect()
}
