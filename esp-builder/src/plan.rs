//! The plan: every file of every tree, and how its bytes come to be.
//!
//! Planning does no I/O. A plan can be printed, compared and tested without a
//! store, a disk or a right; nothing it names is read before [`crate::apply`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bootloaders::boot_counting::EntryFileName;
use bootloaders::loader_conf::LoaderConf;
use bootloaders::loader_version::{Feature, LoaderVersion};
use bootloaders::{BootEntry, BootFile, Line, Secret, systemd_boot};
use tree_manifest::{Kind, Provenance, Role, SignatureState, TreePath};

use crate::assembled::Assembled;
use crate::error::Error;
use crate::extras::{self, Extra};
use crate::generation::describe_entry;
use crate::images::{Home, Images};
use crate::live::state;
use crate::loader::LoaderBinary;
use crate::settings::Settings;

mod claims;
mod direct;
mod images;
mod menus;
mod xen;

use claims::Claim;
pub use menus::PlannedMenu;

/// Who a boot loader's own files are for, in messages.
const LOADER: &str = "systemd-boot";

/// Everything that will be in the trees, in path order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreePlan {
    /// The EFI architectures that the trees can boot, by suffix.
    pub architectures: BTreeSet<String>,
    /// The files of each tree.
    pub trees: BTreeMap<Role, BTreeMap<TreePath, PlannedFile>>,
    /// The menu, where the boot loader reads one file with all of it.
    pub menu: Option<PlannedMenu>,
    /// Each name as FAT compares it, and who took it first: files and the
    /// directories above them.
    names: BTreeMap<(Role, String), Claim>,
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// How its bytes come to be.
    pub recipe: Recipe,
    /// Why it is there.
    pub provenance: Provenance,
}

/// How the bytes of a file come to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// A copy of a file of the host.
    Copy {
        /// The file.
        from: PathBuf,
        /// Its length in bytes when the plan was made.
        size: u64,
    },
    /// This text.
    Text(String),
    /// These bytes, which are written down nowhere else.
    Secret(Secret),
    /// Put together from pieces of others.
    Assembled(Assembled),
}

impl Recipe {
    /// The length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Copy { size, .. } => *size,
            Self::Text(text) => text.len() as u64,
            Self::Secret(secret) => secret.bytes().len() as u64,
            Self::Assembled(assembled) => assembled.map.length(),
        }
    }
}

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The menu.
    pub entries: &'a [BootEntry],
    /// Which of the entries starts by itself.
    pub default: usize,
    /// The Unified Kernel Images that stand for entries; others are Type #1 entries.
    pub images: &'a Images,
    /// The boot loaders.
    pub loaders: &'a [LoaderBinary],
    /// What stands before the entries of a menu, in its own language.
    pub preamble: &'a str,
    /// What else is wanted.
    pub extras: &'a [Extra],
    /// The menu's settings and the layout.
    pub settings: &'a Settings,
}

/// Plans the trees of a boot loader.
///
/// # Errors
/// When two files want one place, or when a FAT file system cannot hold one.
pub fn plan(input: &PlanInput<'_>) -> Result<TreePlan, Error> {
    let mut plan = TreePlan::default();
    let boot = if input.settings.xbootldr {
        Role::xbootldr()
    } else {
        Role::esp()
    };
    for loader in input.loaders {
        plan.add_loader(loader)?;
    }
    let name = input.settings.boot_loader.name;
    let has_menu_file = name.has_menu_file();
    if has_menu_file {
        plan.add_menu(&boot, input)?;
    } else if name.is_direct() {
        plan.add_direct(input)?;
    } else {
        plan.add_entries(&boot, input)?;
    }
    plan.reserve()?;
    // Others have put them into their menu, or have none.
    let has_entries = !has_menu_file && !name.is_direct();
    let extras = input.extras.iter();
    for extra in extras.filter(|extra| has_entries || !extra.is_entry()) {
        plan.add_extra(&boot, extra)?;
    }
    let arches = input.entries.iter().map(|entry| entry.arch);
    plan.architectures = arches.map(|arch| arch.suffix().to_owned()).collect();
    Ok(plan)
}

/// What the boot loader changes at every boot, on the ESP. It is in no plan: each run
/// would bring an old seed back.
#[must_use]
pub fn random_seed_path() -> TreePath {
    TreePath::new("loader/random-seed")
        .unwrap_or_else(|error| unreachable!("a constant path: {error}"))
}

/// The menu's settings with what starts by itself.
///
/// With boot counting, a default that is known to be bad must not start: every
/// boot loader that can is told so, and the entry of any generation may stand in.
fn loader_conf(input: &PlanInput<'_>, default: Option<Line>) -> String {
    let prefers = |loader: &LoaderBinary| {
        let version = loader.info.as_deref().and_then(LoaderVersion::from_info);
        version.is_some_and(|version| version.has(Feature::Preferred))
    };
    let counts = input.settings.tries.is_some() && input.loaders.iter().all(prefers);
    let (preferred, default) = if counts {
        let mut entries = input.entries.iter();
        let others = entries.any(|entry| entry.generation().is_some());
        let others = others.then(|| Line::new("nixos-*").ok());
        (default, others.flatten())
    } else {
        (None, default)
    };
    let conf = LoaderConf {
        preferred,
        default,
        ..input.settings.menu.clone()
    };
    conf.render()
}

impl TreePlan {
    /// The number of files of a tree, and of their bytes.
    #[must_use]
    pub fn totals(&self, role: &Role) -> (usize, u64) {
        let tree = self.trees.get(role);
        let sizes = tree.into_iter().flat_map(BTreeMap::values);
        let bytes = sizes.map(|file| file.recipe.size()).sum();
        (tree.map_or(0, BTreeMap::len), bytes)
    }

    /// Adds the entries of the Boot Loader Specification, and systemd-boot's settings.
    fn add_entries(&mut self, boot: &Role, input: &PlanInput<'_>) -> Result<(), Error> {
        let srel = systemd_boot::ENTRIES_SREL.to_owned();
        self.add_text(boot, systemd_boot::entries_srel_path(), srel)?;
        let arches: BTreeSet<_> = input.entries.iter().map(|entry| entry.arch).collect();
        let mut default = None;
        let mut images = BTreeMap::new();
        for image in &input.images.images {
            self.add_image(boot, image, input)?;
            images.extend(image.entries.iter().map(|index| (*index, image)));
            default = image.called(input.default).cloned().or(default);
        }
        for (index, entry) in input.entries.iter().enumerate() {
            let machine_id = input.settings.machine_id.as_ref();
            let mut text = systemd_boot::type1(entry, machine_id, arches.len() > 1);
            match images.get(&index).map(|image| (&image.home, image)) {
                None => self.add_content(boot, entry)?,
                Some((Home::Named(path), image)) => text.starts = image.starts(path, index),
                // It is an entry itself.
                Some((Home::Listed { .. }, _)) => continue,
            }
            let text = text.render();
            let name = systemd_boot::name_entry(input.settings.entry_names, &entry.id, &text);
            if index == input.default {
                default = Some(name.id());
            }
            let tries = input.settings.tries;
            let name = tries.map_or_else(|| name.clone(), |tries| name.with_tries(tries));
            self.add_entry(boot, entry, &name, text)?;
            if let Some(hypervisor) = &entry.hypervisor {
                let name = self.add_xen(boot, entry, hypervisor, input.settings)?;
                if index == input.default {
                    default = Some(name.id());
                }
            }
        }
        self.add_text(
            &Role::esp(),
            systemd_boot::loader_conf_path(),
            loader_conf(input, default),
        )?;
        Ok(())
    }

    fn add_loader(&mut self, loader: &LoaderBinary) -> Result<(), Error> {
        for path in loader.paths.clone() {
            let file = PlannedFile {
                recipe: loader.recipe.clone(),
                provenance: Provenance {
                    kind: Kind::Loader,
                    generations: Vec::new(),
                    signature: Some(loader.signature),
                },
            };
            self.add(&Role::esp(), path, file, loader.name.name())?;
        }
        Ok(())
    }

    fn add_text(&mut self, role: &Role, path: TreePath, text: String) -> Result<(), Error> {
        let file = PlannedFile {
            recipe: Recipe::Text(text),
            provenance: Provenance {
                kind: Kind::LoaderConfig,
                generations: Vec::new(),
                signature: None,
            },
        };
        self.add(role, path, file, LOADER)
    }

    fn add_entry(
        &mut self,
        role: &Role,
        entry: &BootEntry,
        name: &EntryFileName,
        text: String,
    ) -> Result<(), Error> {
        let file = PlannedFile {
            recipe: Recipe::Text(text),
            provenance: Provenance {
                kind: Kind::Entry,
                generations: entry.generation().cloned().into_iter().collect(),
                signature: None,
            },
        };
        let origin = describe_entry(entry);
        self.add(role, systemd_boot::entry_file_path(name), file, &origin)
    }

    /// Adds the files that an entry needs.
    fn add_content(&mut self, role: &Role, entry: &BootEntry) -> Result<(), Error> {
        let origin = describe_entry(entry);
        let provenance = |kind, signature: Option<SignatureState>| Provenance {
            kind,
            generations: entry.generation().cloned().into_iter().collect(),
            signature,
        };
        let content = |file: &BootFile, kind| PlannedFile {
            recipe: Recipe::Copy {
                from: file.source.clone(),
                size: file.size,
            },
            provenance: provenance(kind, file.signature),
        };
        let initrds = entry.initrds.iter().map(|file| (file, Kind::Initrd));
        let devicetree = entry.devicetree.iter().map(|file| (file, Kind::Devicetree));
        let kernel = std::iter::once((&entry.kernel, Kind::Kernel));
        for (file, kind) in kernel.chain(initrds).chain(devicetree) {
            self.add(role, file.path.clone(), content(file, kind), &origin)?;
        }
        if let Some(secrets) = &entry.secrets {
            let file = PlannedFile {
                recipe: Recipe::Secret(secrets.content.clone()),
                provenance: provenance(Kind::Initrd, None),
            };
            self.add(role, secrets.path.clone(), file, &origin)?;
        }
        Ok(())
    }

    /// Keeps extra files from the places of what is written outside of plans.
    fn reserve(&mut self) -> Result<(), Error> {
        let (role, state) = state::state_place();
        self.claim(&role, state, "what `install` writes down", false)?;
        let seed = random_seed_path();
        self.claim(&Role::esp(), seed, "the boot loader's random seed", false)
    }

    fn add_extra(&mut self, boot: &Role, extra: &Extra) -> Result<(), Error> {
        let role = match extra.home {
            extras::Home::Boot => boot.clone(),
            extras::Home::Esp => Role::esp(),
        };
        let path = self.spelled(&role, &extra.path);
        self.add(&role, path, extra.file.clone(), &extra.origin)
    }
}
