//! What a machine can boot: the menu of its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bootloaders::bls::Outline;
use bootloaders::boot_counting::{Counter, EntryFileName, State};
use bootloaders::loader_conf::LoaderConf;
use bootloaders::systemd_boot::is_entry_path;
use tree_manifest::{ByteSize, Entry, GenerationId, Kind, Manifest, Role, TreePath, fat};

use super::changes::recorded;
use super::execute::Mounts;
use super::inventory::{Found, Inventory, Space};
use super::shown::{Shown, shown};
use super::state::load_state;
use super::steps::is_removable;
use super::verify::exclusive_bytes;
use crate::error::Error;

mod menus;

/// What a machine can boot.
#[derive(Debug, Clone)]
pub struct Status {
    /// The entries, in the order of their file names.
    pub entries: Vec<MenuEntry>,
    /// The room of each partition.
    pub space: Vec<(Role, Space)>,
}

/// One entry of the menu.
#[derive(Debug, Clone)]
pub struct MenuEntry {
    /// The partition it is on.
    pub role: Role,
    /// Its file name; of a menu in one file, the path of that.
    pub name: String,
    /// The profile, when it is one of an image and not the image itself.
    pub profile: Option<String>,
    /// Its title, if it can be read.
    pub title: String,
    /// Its version.
    pub version: Option<String>,
    /// What it refers to takes so many bytes.
    pub size: ByteSize,
    /// So many bytes only its generation needs: they would be free without it. Unknown
    /// for an entry that was not written down.
    pub exclusive: Option<ByteSize>,
    /// How many tries it has left and had.
    pub counter: Option<Counter>,
    /// Whether it is known to boot, being tried, or known not to.
    pub state: State,
    /// Whether it is the one that is running.
    pub is_booted: bool,
    /// Whether loader.conf names it.
    pub is_default: bool,
    /// Files it refers to that are not there.
    pub missing: Vec<TreePath>,
}

/// Looks at the partitions of a target.
///
/// # Errors
/// When one of them cannot be read.
pub fn status(mounts: &Mounts, booted: &BTreeSet<String>) -> Result<Status, Error> {
    let mut entries = Vec::new();
    let mut space = Vec::new();
    let mut defaults = BTreeSet::new();
    let mut inventories = Vec::new();
    for (role, mount) in mounts {
        let inventory = Inventory::take(mount)?;
        if *role == Role::esp() {
            defaults = defaults_of(&inventory);
        }
        space.push((role.clone(), inventory.space));
        inventories.push((role, inventory));
    }
    let (state, _) = load_state(mounts)?;
    for (role, inventory) in &inventories {
        for found in inventory.files() {
            entries.extend(entries_of(role, found, inventory, &mounts[*role], &state)?);
        }
    }
    let exclusive = exclusive_bytes(&state);
    let generations = generations(&state);
    for entry in &mut entries {
        let called = called(entry);
        entry.is_booted = booted.contains(&called);
        entry.is_default |= defaults.contains(&called);
        let id = EntryFileName::parse(&entry.name).map(|name| fat::fold(name.id().as_str()));
        let generation = id.and_then(|id| generations.get(&id));
        let bytes = generation.map(|id| exclusive.get(id).copied().unwrap_or_default());
        entry.exclusive = bytes.map(ByteSize);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.extend(menus::lines(&state, &exclusive, mounts, &inventories)?);
    Ok(Status { entries, space })
}

/// The entries of a file: none, if it is no part of the menu.
fn entries_of(
    role: &Role,
    found: &Found,
    inventory: &Inventory,
    mount: &Path,
    state: &Manifest,
) -> Result<Vec<MenuEntry>, Error> {
    let recorded = recorded(state, &(role.clone(), found.path.clone()));
    let kind = recorded.and_then(|file| Some(file.provenance.as_ref()?.kind));
    // Firmware starts it, whatever a loader.conf says.
    let is_direct = is_removable(&found.path) && kind == Some(Kind::Uki);
    let name = EntryFileName::parse(found.path.name());
    let Some(name) = name.filter(|_| is_direct || is_entry_path(&found.path)) else {
        return Ok(Vec::new());
    };
    let menu = Menu { role, name, found };
    if !menu.name.is_image() {
        return Ok(vec![menu.of_text(inventory)]);
    }
    let of_line = |line| MenuEntry {
        is_default: is_direct,
        ..menu.of_image(line)
    };
    Ok(shown(&found.path.on(mount))?
        .into_iter()
        .map(of_line)
        .collect())
}

/// The generations of the entries that were written down, by their folded names without
/// counters.
fn generations(state: &Manifest) -> BTreeMap<String, GenerationId> {
    let files = state.trees.values().flatten();
    let of_entry = |(path, entry): (&TreePath, &Entry)| {
        let Entry::File(file) = entry else {
            return None;
        };
        let why = file.provenance.as_ref()?;
        let name = EntryFileName::parse(path.name())
            .filter(|_| matches!(why.kind, Kind::Entry | Kind::Uki))?;
        let id = GenerationId {
            specialisation: None,
            ..why.generations.first()?.clone()
        };
        Some((fat::fold(name.id().as_str()), id))
    };
    files.filter_map(of_entry).collect()
}

/// The names that loader.conf has for what boots, folded.
fn defaults_of(inventory: &Inventory) -> BTreeSet<String> {
    let path = bootloaders::systemd_boot::loader_conf_path();
    let text = inventory
        .file(&path)
        .and_then(|found| found.text.as_deref());
    let conf = LoaderConf::parse(text.unwrap_or_default()).conf;
    let named = conf.preferred.into_iter().chain(conf.default);
    named.map(|name| fat::fold(name.as_str())).collect()
}

/// What the boot loader calls an entry, folded.
fn called(entry: &MenuEntry) -> String {
    let id = EntryFileName::parse(&entry.name).map(|name| name.id().to_string());
    let profile = entry.profile.iter().map(|name| format!("@{name}"));
    fat::fold(&id.into_iter().chain(profile).collect::<String>())
}

/// A file that makes entries of the menu.
struct Menu<'a> {
    role: &'a Role,
    name: EntryFileName,
    found: &'a Found,
}

impl Menu<'_> {
    /// One of an image's entries.
    fn of_image(&self, shown: Shown) -> MenuEntry {
        MenuEntry {
            profile: shown.profile,
            title: shown.title,
            version: shown.version,
            size: ByteSize(self.found.size),
            ..self.entry()
        }
    }

    /// The entry of a text.
    fn of_text(&self, inventory: &Inventory) -> MenuEntry {
        let outline = self.found.text.as_deref().map(Outline::of);
        let outline = outline.unwrap_or_default();
        let needed = outline.files;
        let text = |line: bootloaders::Line| line.as_str().to_owned();
        let is_there = |path: &TreePath| inventory.file(path).map(|found| found.size);
        MenuEntry {
            title: outline.title.map(text).unwrap_or_default(),
            version: outline.version.map(text),
            size: ByteSize(needed.iter().filter_map(is_there).sum()),
            missing: needed
                .into_iter()
                .filter(|path| is_there(path).is_none())
                .collect(),
            ..self.entry()
        }
    }

    /// What the name of the file says.
    fn entry(&self) -> MenuEntry {
        MenuEntry {
            role: self.role.clone(),
            name: self.found.path.name().to_owned(),
            profile: None,
            title: String::new(),
            version: None,
            size: ByteSize::default(),
            exclusive: None,
            counter: self.name.counter(),
            state: self.name.state(),
            is_booted: false,
            is_default: false,
            missing: Vec::new(),
        }
    }
}
