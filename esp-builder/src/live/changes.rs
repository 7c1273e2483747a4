//! What must become of a boot partition: the difference between what is there and
//! what should be.
//!
//! A pure comparison. What a file is worth was found out before: its plan says
//! what it should be, [`Known`] says what is the same already.

use std::collections::{BTreeMap, BTreeSet};

use tree_manifest::{Kind, Manifest, Role, Sha256, TreePath};

use super::inventory::{Found, Inventory};
use super::known::SourceDigests;
use super::state::state_place;
use super::steps::is_temporary;
use crate::plan::{PlannedFile, Recipe, TreePlan};

/// A place on one of the partitions.
pub type Place = (Role, TreePath);

/// One file and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// What becomes of it.
    pub action: Action,
    /// Its length in bytes afterwards; of one that goes, before.
    pub size: u64,
    /// What it is to the boot, if that is known.
    pub kind: Option<Kind>,
    /// What was written down of it before.
    pub was: Option<Kind>,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is new.
    Add,
    /// It is there with other content.
    Replace,
    /// It is there as it should be.
    Keep,
    /// It is no longer wanted, and stays because something that boots needs it.
    Protect,
    /// It was ours and is no longer wanted.
    Remove,
    /// As [`Action::Remove`], but not before the new menu is there: it is what
    /// boots until then.
    RemoveLast,
}

/// What is known of the partitions besides their inventories.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What the last run left there.
    pub state: Manifest,
    /// The digests of files that were compared and are as planned.
    pub same: BTreeMap<Place, Sha256>,
    /// Files of the plan that stay as they are if they are there at all: boot
    /// loaders that are not to be replaced.
    pub settled: BTreeSet<Place>,
    /// Files of the entry that is the default now.
    pub current: BTreeSet<Place>,
    /// Files that must not go: the entry that was booted, entries that are being
    /// counted, and all that they refer to.
    pub protected: BTreeSet<Place>,
    /// Files that an installer before us marked as its own.
    pub marked: BTreeSet<Place>,
    /// The digests of sources that were read.
    pub sources: SourceDigests,
}

/// Compares a plan with what is there. Sorted by place.
///
/// `is_ours` judges files that no state knows, by their names.
#[must_use]
pub fn changes(
    plan: &TreePlan,
    inventories: &BTreeMap<Role, Inventory>,
    known: &Known,
    is_ours: &dyn Fn(&TreePath) -> bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut wanted: BTreeSet<(&Role, &TreePath)> = BTreeSet::new();
    for (role, tree) in &plan.trees {
        for (path, file) in tree {
            let found = inventories
                .get(role)
                .and_then(|inventory| inventory.file(path));
            wanted.extend(found.map(|found| (role, &found.path)));
            let place = (role.clone(), path.clone());
            let was = recorded(&known.state, &place).and_then(kind_of);
            let action = found.map_or(Action::Add, |found| action(&place, file, found, known));
            let size = match found {
                // What stays need not be what was planned.
                Some(found) if action == Action::Keep => found.size,
                _ => file.recipe.size(),
            };
            let kind = Some(file.provenance.kind);
            changes.push(Change {
                place,
                action,
                size,
                kind,
                was,
            });
        }
    }
    for (role, inventory) in inventories {
        for found in inventory.files() {
            if wanted.contains(&(role, &found.path)) {
                continue;
            }
            let place = (role.clone(), found.path.clone());
            let recorded = recorded(&known.state, &place);
            // What an interrupted run left goes without being asked.
            let is_owned =
                recorded.is_some() || known.marked.contains(&place) || is_ours(&found.path);
            let is_candidate = is_owned && !is_temporary(&found.path) && place != state_place();
            if !is_candidate {
                continue;
            }
            let was = recorded.and_then(kind_of);
            let action = removal(&place, was, known);
            changes.push(Change {
                place,
                action,
                size: found.size,
                kind: was,
                was,
            });
        }
    }
    changes.sort_by(|a, b| a.place.cmp(&b.place));
    if needs_old_menu(plan, &changes) {
        let removed = changes.iter_mut();
        for change in removed.filter(|change| change.action == Action::Remove) {
            change.action = Action::RemoveLast;
        }
    }
    changes
}

fn kind_of(file: &tree_manifest::File) -> Option<Kind> {
    file.provenance.as_ref().map(|why| why.kind)
}

/// Whether another boot loader than before comes: one of the old one's binaries goes, or
/// ours takes the place of what firmware started without one.
#[must_use]
pub fn is_another_loader(changes: &[Change]) -> bool {
    changes.iter().any(|change| match change.action {
        Action::RemoveLast => change.was == Some(Kind::Loader),
        Action::Replace => {
            change.kind == Some(Kind::Loader) && change.was.is_some_and(|was| was != Kind::Loader)
        }
        _ => false,
    })
}

/// What becomes of a file of ours that is no longer wanted.
fn removal(place: &Place, kind: Option<Kind>, known: &Known) -> Action {
    // Another boot loader's, which is what boots until ours is there.
    let boots = |kind| matches!(kind, Kind::Loader | Kind::LoaderConfig | Kind::Menu);
    if known.protected.contains(place) {
        Action::Protect
    } else if known.current.contains(place) || kind.is_some_and(boots) {
        Action::RemoveLast
    } else {
        Action::Remove
    }
}

/// Whether a menu in one file, which names what goes, stays until the new one is there:
/// that of another boot loader, or one of which no line is left.
fn needs_old_menu(plan: &TreePlan, changes: &[Change]) -> bool {
    let mut menus = changes
        .iter()
        .filter(|change| change.kind == Some(Kind::Menu));
    if menus.any(|change| change.action == Action::RemoveLast) {
        return true;
    }
    let is_new = |place: &Place| {
        let found = changes.binary_search_by(|change| change.place.cmp(place));
        let change = found.ok().map(|index| &changes[index]);
        change.is_some_and(|change| matches!(change.action, Action::Add | Action::Replace))
    };
    let menu = plan.menu.as_ref();
    menu.is_some_and(|menu| menu.interim(&is_new).is_none())
}

/// The files of somebody else that are replaced. Boot loaders are not among them: whose
/// they are is not told by their places.
///
/// Settings are ours where entries of ours are, and where they set nothing.
#[must_use]
pub fn foreign(
    changes: &[Change],
    inventories: &BTreeMap<Role, Inventory>,
    known: &Known,
    is_ours: &dyn Fn(&TreePath) -> bool,
) -> Vec<Place> {
    let mut files = inventories.values().flat_map(Inventory::files);
    let has_ours = files.any(|found| is_ours(&found.path));
    let is_foreign = |change: &&Change| {
        let (role, path) = &change.place;
        let found = inventories.get(role).and_then(|there| there.file(path));
        let Some(found) = found.filter(|_| change.action == Action::Replace) else {
            return false;
        };
        let there = (role.clone(), found.path.clone());
        let is_known = recorded(&known.state, &change.place).is_some()
            || known.marked.contains(&there)
            || is_ours(path);
        let says_nothing = || {
            let text = found.text.as_deref();
            let sets_nothing =
                |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
            text.is_some_and(|text| text.lines().all(sets_nothing))
        };
        !is_known
            && match change.kind {
                Some(Kind::Loader) => false,
                Some(Kind::LoaderConfig | Kind::Menu) => !has_ours && !says_nothing(),
                _ => true,
            }
    };
    let foreign = changes.iter().filter(is_foreign);
    foreign.map(|change| change.place.clone()).collect()
}

/// What becomes of a file that is there.
fn action(place: &Place, file: &PlannedFile, found: &Found, known: &Known) -> Action {
    let is_same = match &file.recipe {
        Recipe::Text(text) => found.text.as_ref() == Some(text),
        Recipe::Copy { .. } | Recipe::Secret(_) | Recipe::Assembled(_) => {
            found.size == file.recipe.size() && known.same.contains_key(place)
        }
    };
    if is_same || known.settled.contains(place) {
        Action::Keep
    } else {
        Action::Replace
    }
}

/// What the state says of a place.
pub(crate) fn recorded<'a>(
    state: &'a Manifest,
    (role, path): &Place,
) -> Option<&'a tree_manifest::File> {
    match state.trees.get(role)?.get(path)? {
        tree_manifest::Entry::File(file) => Some(file),
        _ => None,
    }
}
