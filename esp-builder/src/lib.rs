//! Lays out EFI System Partition trees from bootspec documents (NixOS RFC 125).
//!
//! One straight line: documents are found ([`generation_list`], [`profile`]), read
//! and parsed ([`document`]), become a sorted set of generations ([`generation`]),
//! then boot entries whose files were found ([`source`], [`entries`], [`loader`]) and
//! what a user wants beside them ([`extras`]), then a plan ([`mod@plan`]), which is a
//! value made of recipes. Only [`apply`] writes, and it writes a directory that
//! appears in one step, with a manifest beside the trees.
//!
//! ```
//! use esp_builder::settings::{GenerationInput, Input, Settings};
//!
//! let input = GenerationInput {
//!     profiles: vec!["/nix/var/nix/profiles/of-nobody".into()],
//!     ..GenerationInput::default()
//! };
//! let settings = Settings::new(Input::Generations(input));
//! // Nothing is written, and what is missing is said, with the way out.
//! let Err(error) = esp_builder::plan(&settings) else {
//!     unreachable!("there is no such profile");
//! };
//! println!("{error}: {}", error.hint().unwrap_or_default());
//! ```
//!
//! The library prints nothing and reads no clock; what is worth telling without
//! being an error is a [`Warning`].

pub mod apply;
pub mod assembled;
mod content;
pub mod document;
pub mod entries;
mod error;
pub mod extras;
pub mod generation;
pub mod generation_list;
pub mod images;
mod limine;
pub mod live;
pub mod loader;
pub mod measurement;
mod parallel;
pub mod plan;
pub mod profile;
mod publish;
mod secrets;
pub mod settings;
pub mod signing;
pub mod source;
#[cfg(test)]
mod testkit;
pub mod uki;
mod warning;

pub use error::{Error, LoaderError, SigningError};
pub use settings::Settings;
pub use warning::Warning;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bootloaders::{BootEntry, BootLoader, EntryFileName, EntryNaming, Line, systemd_boot};
use tree_manifest::{GenerationId, Kind};

use crate::generation::GenerationSet;
use crate::images::{Images, Menu};
use crate::loader::LoaderBinary;
use crate::plan::{PlanInput, TreePlan};
use crate::settings::Input;
use crate::source::Sources;

/// A plan and what led to it, for a report.
#[derive(Debug)]
pub struct Planned {
    /// Every file of every tree.
    pub plan: TreePlan,
    /// The menu: by profile, the oldest generation first.
    pub entries: Vec<BootEntry>,
    /// Which of the entries starts by itself.
    pub default: usize,
    /// The Unified Kernel Images that stand for entries.
    pub images: Images,
    /// The boot loaders, one an architecture.
    pub loaders: Vec<LoaderBinary>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Reads all that the settings name and plans the trees. Nothing is written.
///
/// # Errors
/// When an input cannot be read or is refused; see [`Error`].
pub fn plan(settings: &Settings) -> Result<Planned, Error> {
    let mut sources = Sources::new(settings.root.as_deref(), &settings.store_dir)?;
    let mut warnings = Vec::new();
    let System {
        entries,
        default,
        toplevels,
    } = find_entries(settings, &mut sources, &mut warnings)?;
    let arches = entries.iter().map(|entry| entry.arch).collect();
    let toplevel = toplevels.get(default).map(PathBuf::as_path);
    let loaders = loader::find(settings, &sources, &arches, toplevel)?;
    let menu = Menu {
        entries: &entries,
        toplevels: &toplevels,
        default,
        loaders: &loaders,
    };
    let images = images::find(&menu, settings, &mut sources)?;
    warnings.extend(Warning::of_command_lines(&entries, &images));
    warnings.extend(entries.iter().filter_map(Warning::of_hypervisor));
    let of_initrds = |entry| Warning::of_initrds(entry, settings.boot_loader.name);
    warnings.extend(entries.iter().filter_map(of_initrds));
    for loader in &loaders {
        warnings.extend(Warning::of_loader(loader));
        warnings.extend(Warning::of_settings(&settings.menu, loader));
    }
    let extras = extras::find(settings, &mut sources)?;
    let preamble = loader::preamble(&settings.boot_loader)?;
    let mut plan = plan::plan(&PlanInput {
        entries: &entries,
        default,
        images: &images,
        loaders: &loaders,
        preamble: &preamble,
        extras: &extras,
        settings,
    })?;
    if settings.boot_loader.name == BootLoader::Limine {
        limine::secure(&mut plan, &loaders, settings.boot_loader.is_menu_fixed)?;
    }
    Ok(Planned {
        plan,
        entries,
        default,
        images,
        loaders,
        warnings,
    })
}

/// What there is to boot.
struct System {
    entries: Vec<BootEntry>,
    default: usize,
    /// Those of the entries' systems, in the same order; none for a kernel without one.
    toplevels: Vec<PathBuf>,
}

fn find_entries(
    settings: &Settings,
    sources: &mut Sources,
    warnings: &mut Vec<Warning>,
) -> Result<System, Error> {
    let mut system = match &settings.input {
        Input::Generations(input) => {
            let loaded = GenerationSet::load(input, settings.default.as_ref(), sources)?;
            warnings.extend(loaded.warnings);
            let (generations, default) = (loaded.generations, loaded.default);
            let systems = generations.as_slice().iter().map(|it| &it.system);
            let toplevels = systems.map(|system| system.toplevel.clone()).collect();
            let mut entries = entries::of_generations(&generations, settings, sources)?;
            let wanted = &settings.initrd_secrets;
            let added = secrets::add(&mut entries, &generations, default, wanted, sources)?;
            warnings.extend(added);
            System {
                entries,
                default,
                toplevels,
            }
        }
        Input::Kernel(kernel) => System {
            entries: vec![entries::of_kernel(kernel, sources)?],
            default: 0,
            toplevels: Vec::new(),
        },
    };
    if settings.boot_loader.name.is_direct() {
        let default = std::mem::take(&mut system.default);
        system.entries = vec![system.entries.swap_remove(default)];
        system.toplevels = system.toplevels.drain(..).skip(default).take(1).collect();
    }
    Ok(system)
}

impl Planned {
    /// What boot loaders call each entry of the menu: a file name without a boot counter,
    /// perhaps with a profile. `None` where entries have no files of their own.
    #[must_use]
    pub fn names(&self) -> Vec<Option<Line>> {
        let mut files: BTreeMap<&[GenerationId], Vec<EntryFileName>> = BTreeMap::new();
        for (path, file) in self.plan.trees.values().flatten() {
            if file.provenance.kind == Kind::Entry {
                let of_same = files.entry(&file.provenance.generations).or_default();
                of_same.extend(EntryFileName::parse(path.name()));
            }
        }
        let name = |entry: &BootEntry| {
            let generation = entry.generation();
            let of_entry = files.get(generation.map_or(&[][..], std::slice::from_ref))?;
            // A user's own are of no generation, as that of a kernel, and Xen is of the same.
            let own = systemd_boot::name_entry(EntryNaming::Generation, &entry.id, "");
            let mut named = of_entry.iter().filter(|name| match generation {
                Some(_) => name.stem().starts_with("nixos-"),
                None => name.stem() == own.stem(),
            });
            named.next().map(EntryFileName::id)
        };
        let mut names: Vec<_> = self.entries.iter().map(name).collect();
        for image in &self.images.images {
            for entry in &image.entries {
                if let Some(called) = image.called(*entry) {
                    names[*entry] = Some(called.clone());
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests;
