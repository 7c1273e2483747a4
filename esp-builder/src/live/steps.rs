//! The writes of a run, in the order in which they are made.
//!
//! The list is the proof: after any prefix of it, and after any write that was cut
//! short, every entry that is there refers to complete files, and the default is
//! one that boots. It holds because
//!
//! - content is written under temporary names, and gets its name when it is on
//!   the disk ([`Step::Sync`] comes between);
//! - entries come after what they refer to, loader.conf after the entries, and a
//!   boot loader before settings that only it knows; a Unified Kernel Image is an entry
//!   that refers to what lies beside it;
//! - what firmware starts by itself comes after the boot loader's other binaries: shim
//!   needs the one that it starts;
//! - another boot loader than before comes after all that it reads, and what the old one
//!   reads goes after that;
//! - what is removed is removed entry first, content last; where content goes before new
//!   content comes, so do the entries that name it, also those that only change.

use std::collections::{BTreeMap, BTreeSet};

use bootloaders::bls::Outline;
use bootloaders::systemd_boot::is_entry_path;
use tree_manifest::{Kind, Role, TreePath, fat};

use super::changes::{Action, Change, Place, is_another_loader};
use super::inventory::{Inventory, is_below};
use super::space::Order;
use crate::plan::{Recipe, TreePlan};

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a directory.
    MakeDirectory(Place),
    /// Writes a new file, under a temporary name.
    Write {
        /// The temporary name.
        to: Place,
        /// Its bytes.
        recipe: Recipe,
    },
    /// Gives a file its name, replacing what had it.
    Rename {
        /// The temporary name.
        from: Place,
        /// Its own.
        to: Place,
    },
    /// Removes a file.
    Remove(Place),
    /// Removes a directory if nothing is left in it.
    RemoveDirectory(Place),
    /// Waits until all of the above is on the disk.
    Sync(Role),
}

/// What is written down of a run, on the ESP, so that the next one knows what is
/// ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where.
    pub place: Place,
    /// What is written there now.
    pub present: String,
    /// For while the run lasts: what was there, and what will be.
    pub intent: String,
    /// For afterwards.
    pub outcome: String,
}

/// A temporary name beside a place. It is ours, no boot loader reads it, and the
/// next run removes what was left of it.
#[must_use]
pub fn temporary(path: &TreePath) -> TreePath {
    let name = format!(".{}{TEMPORARY}", path.name());
    let full = match path.parent() {
        Some(parent) => format!("{parent}/{name}"),
        None => name,
    };
    TreePath::new(full).unwrap_or_else(|error| unreachable!("a name beside another: {error}"))
}

/// Whether a path is such a temporary name.
#[must_use]
pub fn is_temporary(path: &TreePath) -> bool {
    path.name().starts_with('.') && path.name().ends_with(TEMPORARY)
}

/// How the paths begin that firmware starts without a boot variable, as FAT compares names.
const REMOVABLE: &str = "EFI/BOOT/BOOT";

/// Whether firmware starts a file without a boot variable.
pub(crate) fn is_removable(path: &TreePath) -> bool {
    is_below(path, REMOVABLE)
}

/// Where nixpkgs' installer marks extra files, as FAT compares names.
const MARKERS: &str = "EFI/NIXOS/.EXTRA-FILES/";

const TEMPORARY: &str = ".esp-builder-tmp";

/// The steps of a run; none when nothing changes.
#[must_use]
pub fn steps(
    plan: &TreePlan,
    changes: &[Change],
    inventories: &BTreeMap<Role, Inventory>,
    state: &State,
    order: Order,
) -> Vec<Step> {
    let run = Run {
        plan,
        changes,
        inventories,
    };
    let mut steps = run.leftovers();
    let is_change = |change: &Change| !matches!(change.action, Action::Keep | Action::Protect);
    if !changes.iter().any(is_change) && state.present == state.outcome {
        return steps;
    }
    run.make_directories(&state.place, &mut steps);
    run.note(state, &state.present, &state.intent, &mut steps);
    if order == Order::CollectFirst {
        run.write_interim(&mut steps);
        run.withdraw(&mut steps);
        run.collect(Action::Remove, &mut steps);
    }
    // Each wave is on the disk before the next begins.
    for wave in run.waves() {
        run.write(wave, &mut steps);
    }
    if order == Order::WriteFirst {
        run.collect(Action::Remove, &mut steps);
    }
    run.collect(Action::RemoveLast, &mut steps);
    run.remove_directories(&mut steps);
    run.note(state, &state.intent, &state.outcome, &mut steps);
    steps
}

/// What belongs together: nothing of a wave refers to another of the same wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wave {
    Content,
    Menu,
    Loader,
    First,
    Entries,
    Settings,
}

impl Wave {
    fn of(kind: Kind, path: &TreePath) -> Self {
        match kind {
            Kind::Loader if is_removable(path) => Self::First,
            Kind::Loader => Self::Loader,
            Kind::Entry => Self::Entries,
            // Boot loaders list an image as soon as it is there, where they look for some.
            Kind::Uki if is_entry_path(path) => Self::Entries,
            Kind::Menu => Self::Menu,
            Kind::LoaderConfig => Self::Settings,
            _ => Self::Content,
        }
    }
}

struct Run<'a> {
    plan: &'a TreePlan,
    changes: &'a [Change],
    inventories: &'a BTreeMap<Role, Inventory>,
}

impl Run<'_> {
    /// In which order to write. A boot loader comes before settings that only it knows,
    /// but another one than before comes last: until then the old one has its menu.
    fn waves(&self) -> [Wave; 6] {
        let [content, menu] = [Wave::Content, Wave::Menu];
        let [loader, first] = [Wave::Loader, Wave::First];
        let [entries, settings] = [Wave::Entries, Wave::Settings];
        if is_another_loader(self.changes) {
            [content, menu, entries, settings, loader, first]
        } else {
            [content, menu, loader, first, entries, settings]
        }
    }

    /// What an interrupted run left is removed first: it takes room.
    fn leftovers(&self) -> Vec<Step> {
        let of_role = |(role, inventory): (&Role, &Inventory)| {
            let left = inventory.files().filter(|found| is_temporary(&found.path));
            let steps = left.map(|found| Step::Remove((role.clone(), found.path.clone())));
            steps.collect::<Vec<_>>()
        };
        self.inventories.iter().flat_map(of_role).collect()
    }

    /// Replaces what is written down of the run, if it says something else.
    fn note(&self, state: &State, present: &str, text: &str, steps: &mut Vec<Step>) {
        if present == text {
            return;
        }
        let (role, path) = &state.place;
        let from = (role.clone(), temporary(path));
        let recipe = Recipe::Text(text.to_owned());
        steps.push(Step::Write {
            to: from.clone(),
            recipe,
        });
        steps.push(Step::Sync(role.clone()));
        steps.push(Step::Rename {
            from,
            to: self.spelling(&state.place),
        });
        steps.push(Step::Sync(role.clone()));
    }

    fn make_directories(&self, state: &Place, steps: &mut Vec<Step>) {
        let new = self
            .changes
            .iter()
            .filter(|change| change.action == Action::Add);
        let places = new.map(|change| &change.place).chain([state]);
        let directories: BTreeSet<Place> = places
            .flat_map(|(role, path)| path.ancestors().map(|directory| (role.clone(), directory)))
            .collect();
        let missing = directories.into_iter().filter(|(role, path)| {
            let inventory = self.inventories.get(role);
            !inventory.is_some_and(|inventory| inventory.has_directory(path))
        });
        steps.extend(missing.map(Step::MakeDirectory));
    }

    /// Writes a wave.
    fn write(&self, wave: Wave, steps: &mut Vec<Step>) {
        let is_of_wave = |change: &&Change| {
            let is_written = matches!(change.action, Action::Add | Action::Replace);
            let (_, path) = &change.place;
            is_written && change.kind.is_some_and(|kind| Wave::of(kind, path) == wave)
        };
        let places: Vec<&Place> = self
            .changes
            .iter()
            .filter(is_of_wave)
            .map(|change| &change.place)
            .collect();
        let recipe_of = |(role, path): &Place| {
            let planned = self.plan.trees.get(role).and_then(|tree| tree.get(path));
            let Some(file) = planned else {
                unreachable!("what is written is planned");
            };
            file.recipe.clone()
        };
        self.write_all(&places, &recipe_of, steps);
    }

    /// All files under temporary names, the disk, then the names.
    fn write_all(
        &self,
        places: &[&Place],
        recipe_of: &dyn Fn(&Place) -> Recipe,
        steps: &mut Vec<Step>,
    ) {
        let temporary_of = |(role, path): &Place| (role.clone(), temporary(path));
        for place in places {
            steps.push(Step::Write {
                to: temporary_of(place),
                recipe: recipe_of(place),
            });
        }
        sync(places, steps);
        for place in places {
            steps.push(Step::Rename {
                from: temporary_of(place),
                to: self.spelling(place),
            });
        }
        sync(places, steps);
    }

    /// Replaces a menu in one file by one that names nothing that is about to go.
    fn write_interim(&self, steps: &mut Vec<Step>) {
        let mut changes = self.changes.iter();
        let has_removal = changes.any(|change| change.action == Action::Remove);
        let Some(planned) = self.plan.menu.as_ref().filter(|_| has_removal) else {
            return;
        };
        let written = |action| {
            let of_action = move |change: &&Change| change.action == action;
            let places = self.changes.iter().filter(of_action);
            places.map(|change| &change.place).collect::<BTreeSet<_>>()
        };
        let (added, replaced) = (written(Action::Add), written(Action::Replace));
        let is_new = |place: &Place| added.contains(place) || replaced.contains(place);
        let Some(menu) = planned.interim(&is_new) else {
            return;
        };
        let text = planned.language.write(&menu);
        let places = planned.places.iter();
        let places: Vec<&Place> = places.filter(|place| replaced.contains(place)).collect();
        self.write_all(&places, &|_| Recipe::Text(text.clone()), steps);
    }

    /// Removes entries that will say something else, and that name what is about to go: they
    /// come back with their new text.
    fn withdraw(&self, steps: &mut Vec<Step>) {
        let of_action = |action| self.changes.iter().filter(move |it| it.action == action);
        let removed: BTreeSet<(&Role, String)> = of_action(Action::Remove)
            .map(|change| (&change.place.0, fat::fold(change.place.1.as_str())))
            .collect();
        let is_outdated = |place: &&Place| {
            let (role, path) = place;
            let found = self
                .inventories
                .get(role)
                .and_then(|there| there.file(path));
            let text = found
                .filter(|_| is_entry_path(path))
                .and_then(|it| it.text.as_deref());
            let named = text.map(Outline::of).unwrap_or_default().files;
            let mut named = named.iter().map(|path| (role, fat::fold(path.as_str())));
            named.any(|file| removed.contains(&file))
        };
        let replaced = of_action(Action::Replace).map(|change| &change.place);
        let outdated: Vec<&Place> = replaced.filter(is_outdated).collect();
        steps.extend(
            outdated
                .iter()
                .map(|place| Step::Remove(self.spelling(place))),
        );
        sync(&outdated, steps);
    }

    /// Removes what is no longer wanted: entries, the disk, then what only they
    /// referred to.
    fn collect(&self, action: Action, steps: &mut Vec<Step>) {
        let removed = self.changes.iter().filter(|change| change.action == action);
        let (entries, content): (Vec<&Place>, Vec<&Place>) = removed
            .map(|change| &change.place)
            .partition(|(_, path)| is_below(path, "LOADER/") || is_entry_path(path));
        for places in [entries, content] {
            steps.extend(places.iter().map(|place| Step::Remove((*place).clone())));
            sync(&places, steps);
        }
    }

    /// Removes the directories of markers that are empty now, those in others first. No
    /// other directory is anybody's alone.
    fn remove_directories(&self, steps: &mut Vec<Step>) {
        for (role, inventory) in self.inventories {
            let is_removed = |path: &TreePath| {
                let mut changes = self.changes.iter();
                changes.any(|change| {
                    change.place == (role.clone(), path.clone())
                        && matches!(change.action, Action::Remove | Action::RemoveLast)
                })
            };
            let left: BTreeSet<String> = inventory
                .files()
                .filter(|found| is_below(&found.path, MARKERS) && !is_removed(&found.path))
                .flat_map(|found| found.path.ancestors())
                .map(|directory| fat::fold(directory.as_str()))
                .collect();
            let of_markers = |path: &&TreePath| {
                let fold = fat::fold(path.as_str());
                (fold.clone() + "/").starts_with(MARKERS) && !left.contains(&fold)
            };
            let empty = inventory.directories().rev().filter(of_markers);
            steps.extend(empty.map(|path| Step::RemoveDirectory((role.clone(), path.clone()))));
        }
    }

    /// A place as the file system spells what is there.
    fn spelling(&self, (role, path): &Place) -> Place {
        let found = self
            .inventories
            .get(role)
            .and_then(|inventory| inventory.file(path));
        (
            role.clone(),
            found.map_or_else(|| path.clone(), |found| found.path.clone()),
        )
    }
}

/// One barrier for each partition that was written to.
fn sync(places: &[&Place], steps: &mut Vec<Step>) {
    let roles: BTreeSet<&Role> = places.iter().map(|(role, _)| role).collect();
    steps.extend(roles.into_iter().map(|role| Step::Sync(role.clone())));
}
