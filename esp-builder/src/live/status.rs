//! What a machine can boot: the menu of its partitions.

use std::collections::{BTreeMap, BTreeSet};

use bootloaders::bls::Outline;
use bootloaders::boot_counting::{Counter, EntryFileName, State};
use bootloaders::loader_conf::LoaderConf;
use tree_manifest::{ByteSize, Entry, GenerationId, Kind, Manifest, Role, TreePath, fat};

use super::execute::Mounts;
use super::inventory::{Found, Inventory, Space, has_extension, is_below};
use super::known::load_state;
use super::verify::exclusive_bytes;
use crate::error::Error;

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
    /// Its file name.
    pub name: String,
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
    for (role, inventory) in &inventories {
        for found in inventory.files() {
            if is_below(&found.path, "LOADER/ENTRIES/") && has_extension(&found.path, "conf") {
                entries.extend(entry(role, found, inventory, booted, &defaults));
            }
        }
    }
    let (state, _) = load_state(mounts)?;
    let exclusive = exclusive_bytes(&state);
    let generations = generations(&state);
    for entry in &mut entries {
        let id = EntryFileName::parse(&entry.name).map(|name| fat::fold(name.id().as_str()));
        let generation = id.and_then(|id| generations.get(&id));
        let bytes = generation.map(|id| exclusive.get(id).copied().unwrap_or_default());
        entry.exclusive = bytes.map(ByteSize);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Status { entries, space })
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
        let name = EntryFileName::parse(path.name()).filter(|_| why.kind == Kind::Entry)?;
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

fn entry(
    role: &Role,
    found: &Found,
    inventory: &Inventory,
    booted: &BTreeSet<String>,
    defaults: &BTreeSet<String>,
) -> Option<MenuEntry> {
    let file_name = EntryFileName::parse(found.path.name())?;
    let id = fat::fold(file_name.id().as_str());
    let outline = found.text.as_deref().map(Outline::of).unwrap_or_default();
    let needed = outline.files;
    let text = |line: bootloaders::Line| line.as_str().to_owned();
    let is_there = |path: &TreePath| inventory.file(path).map(|found| found.size);
    Some(MenuEntry {
        role: role.clone(),
        name: found.path.name().to_owned(),
        title: outline.title.map(text).unwrap_or_default(),
        version: outline.version.map(text),
        size: ByteSize(needed.iter().filter_map(is_there).sum()),
        exclusive: None,
        counter: file_name.counter(),
        state: file_name.state(),
        is_booted: booted.contains(&id),
        is_default: defaults.contains(&id),
        missing: needed
            .into_iter()
            .filter(|path| is_there(path).is_none())
            .collect(),
    })
}
