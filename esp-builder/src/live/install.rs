//! From a plan to the steps that install it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bootloaders::boot_counting::{Counter, EntryFileName};
use bootloaders::loader_conf::LoaderConf;
use bootloaders::{extra, systemd_boot};
use tree_manifest::{ByteSize, Kind, Manifest, Role, Sha256, TreePath, fat};

use super::changes::{self, Action, Change, Known, Place, changes};
use super::execute::Mounts;
use super::inventory::Inventory;
use super::known::{self, SourceDigests, entry_and_content};
use super::space::{self, Order, Use};
use super::state::{self, load_state};
use super::steps::{Step, steps, temporary};
use crate::error::Error;
use crate::plan::{PlannedFile, TreePlan, random_seed_path};

/// What an installation depends on, besides the plan and what is there.
pub struct Policy<'a> {
    /// The store: what is below it has one content for ever.
    pub store_dir: &'a Path,
    /// File names of entries that must not go, without a counter, folded as FAT
    /// compares them.
    pub booted: BTreeSet<String>,
    /// Boot loaders that stay as they are if they are there at all.
    pub settled: BTreeSet<Place>,
    /// Files that stay whatever the plan says.
    pub kept: BTreeSet<Place>,
    /// The order to take; without one, that for which there is room.
    pub order: Option<Order>,
    /// Judges by its name whether a file is one of ours.
    pub is_ours: &'a dyn Fn(&TreePath) -> bool,
}

impl std::fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("booted", &self.booted)
            .finish_non_exhaustive()
    }
}

/// An installation, ready to be shown or made.
#[derive(Debug)]
pub struct Installation {
    /// Where the partitions are mounted.
    pub mounts: Mounts,
    /// What becomes of every file that is ours or planned.
    pub changes: Vec<Change>,
    /// Files of somebody else that are replaced.
    pub foreign: Vec<Place>,
    /// What is on each partition now.
    pub inventories: BTreeMap<Role, Inventory>,
    /// In which order.
    pub order: Order,
    /// What it needs of each partition.
    pub uses: BTreeMap<Role, Use>,
    /// The writes; none when everything is as it should be.
    pub steps: Vec<Step>,
    /// The digests of what is written, by temporary name.
    pub digests: BTreeMap<Place, Sha256>,
    /// What must not go: entries that were booted or are being tried, with all that
    /// they refer to.
    pub protected: BTreeSet<Place>,
    /// What the last run wrote down.
    pub state: Manifest,
    /// Why that could not be read, if so.
    pub damaged_state: Option<String>,
}

impl Installation {
    /// Refuses an installation for which there is no room.
    ///
    /// # Errors
    /// With the numbers of the first partition that is too small.
    pub fn check_space(&self) -> Result<(), Error> {
        for (role, room) in &self.uses {
            if let Some(missing) = room.missing() {
                return Err(Error::NoSpace {
                    role: role.clone(),
                    mount: self.mounts.get(role).cloned().unwrap_or_default(),
                    room: *room,
                    missing,
                    instead: None,
                });
            }
        }
        Ok(())
    }
}

/// Compares a plan with the partitions it is for, and finds the steps between.
/// Nothing is written.
///
/// `sources` are the digests that were taken already, and will be of those that are
/// taken here.
///
/// # Errors
/// When a partition or a source cannot be read.
pub fn prepare(
    plan: &TreePlan,
    mounts: &Mounts,
    policy: &Policy<'_>,
    sources: &mut SourceDigests,
) -> Result<Installation, Error> {
    let mut inventories = BTreeMap::new();
    for (role, mount) in mounts {
        inventories.insert(role.clone(), Inventory::take(mount)?);
    }
    if let Some(role) = plan.trees.keys().find(|role| !mounts.contains_key(*role)) {
        return Err(Error::NoMount(role.clone()));
    }
    let plan = &keep_counters(plan, &inventories);
    let (state, damaged_state) = load_state(mounts)?;
    let mut known = Known {
        state,
        settled: policy.settled.clone(),
        protected: policy.kept.clone(),
        sources: std::mem::take(sources),
        ..Known::default()
    };
    mark_entries(&inventories, policy, &mut known);
    known.marked = marked(&inventories);
    known::compare(plan, &inventories, mounts, policy.store_dir, &mut known)?;
    let changes = changes(plan, &inventories, &known, policy.is_ours);
    let by_place = digests(plan, &changes, &mut known)?;
    let state = state::state(plan, &changes, &known, &by_place)?;
    let overhead = state.intent.len() as u64;
    let (order, uses) = space::budget(&changes, &inventories, overhead, policy.order);
    let steps = steps(plan, &changes, &inventories, &state, order);
    let foreign = changes::foreign(&changes, &inventories, &known, policy.is_ours);
    *sources = known.sources;
    Ok(Installation {
        mounts: mounts.clone(),
        changes,
        foreign,
        inventories,
        order,
        uses,
        steps,
        digests: by_temporary_name(by_place),
        protected: known.protected,
        state: known.state,
        damaged_state,
    })
}

/// The plan with the names of entries that are there already: an entry keeps its
/// counter, and so what is known of it.
fn keep_counters<'a>(
    plan: &'a TreePlan,
    inventories: &BTreeMap<Role, Inventory>,
) -> Cow<'a, TreePlan> {
    let mut kept = Cow::Borrowed(plan);
    for (role, tree) in &plan.trees {
        let Some(inventory) = inventories.get(role) else {
            continue;
        };
        let is_entry = |file: &PlannedFile| matches!(file.provenance.kind, Kind::Entry | Kind::Uki);
        // A name without a counter that is there is the best there can be.
        let is_settled = |path: &TreePath| {
            let found = inventory.file(path);
            !path.name().contains('+') && found.is_some_and(|found| found.path == *path)
        };
        let mut planned = tree
            .iter()
            .filter(|(path, file)| is_entry(file) && !is_settled(path))
            .peekable();
        if planned.peek().is_none() {
            continue;
        }
        let existing = existing_entries(inventory);
        for (path, file) in planned {
            let Some(name) = EntryFileName::parse(path.name()) else {
                continue;
            };
            let Some(same) = existing.get(&fat::fold(name.id().as_str())) else {
                continue;
            };
            let known = systemd_boot::entry_file_path(&name.among(same, None));
            if known == *path {
                continue;
            }
            if let Some(tree) = kept.to_mut().trees.get_mut(role) {
                tree.remove(path);
                tree.insert(known, file.clone());
            }
        }
    }
    kept
}

/// The names of the entries that are there, by what they are without a counter.
fn existing_entries(inventory: &Inventory) -> BTreeMap<String, Vec<EntryFileName>> {
    let entries = inventory
        .files()
        .filter(|found| systemd_boot::is_entry_path(&found.path));
    let mut existing: BTreeMap<String, Vec<EntryFileName>> = BTreeMap::new();
    for name in entries.filter_map(|found| EntryFileName::parse(found.path.name())) {
        let id = fat::fold(name.id().as_str());
        existing.entry(id).or_default().push(name);
    }
    existing
}

/// Finds the entries that must not go, and the one that is the default now.
fn mark_entries(inventories: &BTreeMap<Role, Inventory>, policy: &Policy<'_>, known: &mut Known) {
    let esp = inventories.get(&Role::esp());
    let conf = TreePath::new("loader/loader.conf").ok();
    let conf = conf
        .and_then(|path| esp?.file(&path))
        .and_then(|found| found.text.as_deref());
    let current: BTreeSet<String> = conf.into_iter().flat_map(defaults).collect();
    let state = &known.state;
    for (role, inventory) in inventories {
        let entries = inventory
            .files()
            .filter(|found| systemd_boot::is_entry_path(&found.path));
        for found in entries {
            let (id, counter) = without_counter(found.path.name());
            // An entry that is being tried is protected; one that failed is not.
            let is_tried = counter.is_some_and(|left| left > 0);
            if policy.booted.contains(&fat::fold(&id)) || is_tried {
                let needed = entry_and_content(role, found, inventory, state);
                known.protected.extend(needed);
            } else if current.contains(&id) {
                let needed = entry_and_content(role, found, inventory, state);
                known.current.extend(needed);
            }
        }
    }
}

/// The files that an installer marked as its own: nixpkgs' has a marker for every extra
/// file and entry.
fn marked(inventories: &BTreeMap<Role, Inventory>) -> BTreeSet<Place> {
    let of_partition = |(role, inventory): (&Role, &Inventory)| {
        let files = inventory
            .files()
            .filter_map(|found| inventory.file(&extra::marked(&found.path)?));
        // A seed is no installer's, whatever a marker says.
        let seed = fat::fold(random_seed_path().as_str());
        let files = files.filter(|found| fat::fold(found.path.as_str()) != seed);
        files
            .map(|found| (role.clone(), found.path.clone()))
            .collect::<Vec<_>>()
    };
    inventories.iter().flat_map(of_partition).collect()
}

/// The entries that a loader.conf names as what boots, whichever of their profiles.
fn defaults(conf: &str) -> impl Iterator<Item = String> {
    let conf = LoaderConf::parse(conf).conf;
    let named = conf.preferred.into_iter().chain(conf.default);
    named.map(|name| systemd_boot::without_profile(name.as_str()).to_owned())
}

/// The name of an entry file without its counter, and how many tries are left.
pub(crate) fn without_counter(name: &str) -> (String, Option<u32>) {
    match EntryFileName::parse(name) {
        Some(parsed) => (
            parsed.id().as_str().to_owned(),
            parsed.counter().map(Counter::left),
        ),
        None => (name.to_owned(), None),
    }
}

/// The digest of everything planned from sources that is, or will be, as planned: known already,
/// or read now.
fn digests(
    plan: &TreePlan,
    changes: &[Change],
    known: &mut Known,
) -> Result<BTreeMap<Place, Sha256>, Error> {
    let mut digests = known.same.clone();
    // What stays and is not the same has no digest: it is not of this plan.
    let written = changes
        .iter()
        .filter(|change| change.action != Action::Keep);
    for place in written.map(|change| &change.place) {
        let planned = plan.trees.get(&place.0).and_then(|tree| tree.get(&place.1));
        if let Some(file) = planned
            && let Some(digest) = known.sources.of(&file.recipe)?
        {
            digests.insert(place.clone(), digest);
        }
    }
    Ok(digests)
}

/// The digests by the names under which files are written.
fn by_temporary_name(digests: BTreeMap<Place, Sha256>) -> BTreeMap<Place, Sha256> {
    let renamed = digests
        .into_iter()
        .map(|((role, path), digest)| ((role, temporary(&path)), digest));
    renamed.collect()
}

/// What a partition must have and has, for a message.
pub(crate) fn describe_room(room: &Use, missing: ByteSize) -> String {
    format!(
        "needs {} ({} bytes) at its fullest and has {} ({} bytes); {missing} are missing",
        room.peak,
        room.peak.bytes(),
        room.total,
        room.total.bytes(),
    )
}
