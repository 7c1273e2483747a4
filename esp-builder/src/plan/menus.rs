//! Boot loaders that read one file with the whole menu in it.

use bootloaders::bls::Starts;
use bootloaders::loader_conf::Timeout;
use bootloaders::menu::{Item, Language, Menu};
use bootloaders::{BootEntry, BootLoader, EntryNaming, extlinux, limine, refind, systemd_boot};
use extents::ExtentMap;
use tree_manifest::{GenerationId, Kind, Provenance, Role, Sha256, TreePath};

use super::{PlanInput, PlannedFile, Recipe, TreePlan};
use crate::assembled::{Assembled, Piece, Pieces};
use crate::error::Error;
use crate::extras::Extra;
use crate::generation::describe_entry;
use crate::live::changes::Place;
use crate::source::DIRECTORY;

/// Initial RAM disks that are joined begin at multiples of this, in bytes: the kernel
/// skips zeros between them.
const JOINT: u64 = 4;

/// A menu, and the files that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMenu {
    /// What stands in it.
    pub menu: Menu,
    /// How it is written.
    pub language: Language,
    /// Where; the same text each time.
    pub places: Vec<Place>,
}

impl PlannedMenu {
    /// The menu of what is there without what is new: for the time until the rest has room.
    /// `None` when everything is new.
    #[must_use]
    pub fn interim(&self, is_new: &dyn Fn(&Place) -> bool) -> Option<Menu> {
        let (role, _) = self.places.first()?;
        let is_there = |item: &Item| {
            let mut files = item.files();
            !files.any(|path| is_new(&(role.clone(), path.clone())))
        };
        self.menu.of(&is_there)
    }
}

impl TreePlan {
    /// Adds what the entries start, and the menu that names it.
    pub(super) fn add_menu(&mut self, boot: &Role, input: &PlanInput<'_>) -> Result<(), Error> {
        let settings = input.settings;
        let name = settings.boot_loader.name;
        let mut items = Vec::new();
        let mut default = 0;
        for (index, entry) in input.entries.iter().enumerate() {
            self.add_content(boot, entry)?;
            if index == input.default {
                default = items.len();
            }
            if let Some(hypervisor) = entry.hypervisor.as_ref().filter(|_| starts_programs(name)) {
                let files = self.add_hypervisor(boot, entry, hypervisor, settings)?;
                let stem = systemd_boot::name_xen_entry(EntryNaming::Generation, &entry.id, "");
                let item = Item::of_text(stem.stem(), &files.entry);
                items.extend(item.map(|item| Item {
                    generation: entry.generation().cloned(),
                    ..item
                }));
            }
            let mut kernel = systemd_boot::type1(entry, None, false);
            if let Starts::Linux { initrds, .. } = &mut kernel.starts
                && name == BootLoader::Extlinux
                && initrds.len() > extlinux::INITRDS
            {
                *initrds = vec![self.join_initrds(boot, entry)?];
            }
            let stem = systemd_boot::name_entry(EntryNaming::Generation, &entry.id, "");
            items.push(Item::of_entry(stem.stem(), entry.generation(), &kernel));
        }
        items.extend(input.extras.iter().filter_map(item_of));
        let timeout = settings.menu.timeout.unwrap_or(Timeout::Seconds(5));
        let editor = settings.menu.editor.unwrap_or(true);
        let menu = Menu {
            preamble: input.preamble.to_owned(),
            ..Menu::arrange(items, default, timeout, editor)
        };
        let (language, places) = language(boot, input);
        let text = language.write(&menu);
        for (role, path) in &places {
            let file = menu_file(text.clone());
            self.add(role, path.clone(), file, name.name())?;
        }
        self.menu = Some(PlannedMenu {
            menu,
            language,
            places,
        });
        Ok(())
    }

    /// Writes the menu again, in another language or of fewer lines.
    pub(crate) fn rewrite_menu(&mut self, change: impl FnOnce(&mut PlannedMenu)) {
        let Some(planned) = &mut self.menu else {
            return;
        };
        change(planned);
        let text = planned.language.write(&planned.menu);
        for (role, path) in &planned.places {
            let file = self.trees.get_mut(role).and_then(|tree| tree.get_mut(path));
            if let Some(file) = file {
                file.recipe = Recipe::Text(text.clone());
            }
        }
    }

    /// Leaves generations out of the menu, if there is one.
    pub(crate) fn leave_out(&mut self, is_left_out: &dyn Fn(&GenerationId) -> bool) {
        let stays = |item: &Item| !item.generation.as_ref().is_some_and(is_left_out);
        self.rewrite_menu(|planned| {
            let rest = planned.menu.of(&stays);
            planned.menu = rest.unwrap_or_else(|| planned.menu.clone());
        });
    }

    /// Makes one initial RAM disk of an entry's several.
    fn join_initrds(&mut self, role: &Role, entry: &BootEntry) -> Result<TreePath, Error> {
        let mut sources = Pieces::default();
        let mut parts = Vec::new();
        for initrd in &entry.initrds {
            let piece = Piece::file(&initrd.source, Some(initrd.size));
            parts.push((sources.add(piece), initrd.size));
        }
        if let Some(secrets) = &entry.secrets {
            let length = secrets.content.bytes().len() as u64;
            let piece = Piece::Secret(secrets.content.clone());
            parts.push((sources.add(piece), length));
        }
        let mut end = 0;
        let mut slices = Vec::new();
        for (source, length) in parts {
            let start = u64::next_multiple_of(end, JOINT);
            slices.push((start, length, source));
            end = start + length;
        }
        let mut map = ExtentMap::hole(end);
        for (start, length, source) in slices {
            map.push_slice(start, length, source, 0);
        }
        let names: Vec<&str> = entry.initrd_paths().map(TreePath::as_str).collect();
        let digest = Sha256::of(names.join("\n").as_bytes());
        let path = TreePath::new(format!("{DIRECTORY}/{digest}-initrd.efi"))
            .unwrap_or_else(|error| unreachable!("a path of digits: {error}"));
        let file = PlannedFile {
            recipe: Recipe::Assembled(Assembled { map, sources }),
            provenance: Provenance {
                kind: Kind::Initrd,
                generations: entry.generation().cloned().into_iter().collect(),
                signature: None,
            },
        };
        self.add(role, path.clone(), file, &describe_entry(entry))?;
        Ok(path)
    }
}

/// Whether a boot loader starts EFI programs, and not kernels alone.
fn starts_programs(name: BootLoader) -> bool {
    name != BootLoader::Extlinux
}

/// The language of a boot loader's menu, and where it looks for it.
fn language(boot: &Role, input: &PlanInput<'_>) -> (Language, Vec<Place>) {
    let chosen = &input.settings.boot_loader;
    let on_esp = |path: TreePath| (Role::esp(), path);
    let on_boot = |path: &str| {
        let path = TreePath::new(path);
        (
            boot.clone(),
            path.unwrap_or_else(|error| unreachable!("a constant path: {error}")),
        )
    };
    match chosen.name {
        BootLoader::Limine => (
            Language::Limine(limine::Digests::new()),
            vec![on_boot(limine::CONFIG)],
        ),
        BootLoader::Refind => (Language::Refind, refind::config_paths().map(on_esp).into()),
        BootLoader::Extlinux => {
            let directory = chosen.device_trees.as_ref();
            let directory = directory.map(|_| on_boot(extlinux::DEVICE_TREES).1);
            let language = Language::Extlinux(directory);
            (language, vec![on_boot(extlinux::CONFIG)])
        }
        _ => {
            let configs = input
                .loaders
                .iter()
                .filter_map(|loader| loader.config.clone());
            let mut places: Vec<Place> = configs.map(on_esp).collect();
            places.sort();
            places.dedup();
            (Language::Grub(chosen.partition.clone()), places)
        }
    }
}

/// The line of a user's entry.
fn item_of(extra: &Extra) -> Option<Item> {
    let Recipe::Text(text) = &extra.file.recipe else {
        return None;
    };
    if !extra.is_entry() {
        return None;
    }
    let name = extra.path.name();
    Item::of_text(name.strip_suffix(".conf").unwrap_or(name), text)
}

fn menu_file(text: String) -> PlannedFile {
    PlannedFile {
        recipe: Recipe::Text(text),
        provenance: Provenance {
            kind: Kind::Menu,
            generations: Vec::new(),
            signature: None,
        },
    }
}
