//! Finds out what a comparison of names and sizes cannot tell: what the last run
//! left, which content is the same, what must not go.
#![expect(clippy::disallowed_methods, reason = "reads what is on the partitions")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bootloaders::bls::Outline;
use tree_manifest::{Entry, Kind, Manifest, Provenance, Role, Sha256, Source, Tree, TreePath};

use super::changes::{Action, Change, Known, Place, recorded};
use super::execute::Mounts;
use super::inventory::{Found, Inventory};
use super::steps::State;
use crate::error::Error;
use crate::plan::{PlannedFile, Recipe, TreePlan};

/// Where a run writes down what is ours, on the ESP.
const STATE: &str = "loader/esp-builder.json";

/// The place of the state.
#[must_use]
pub fn state_place() -> Place {
    let path = TreePath::new(STATE).unwrap_or_else(|error| unreachable!("a constant: {error}"));
    (Role::esp(), path)
}

/// What the last run wrote down; nothing when there was none. A text that cannot be
/// read is an error message beside an empty state: then ownership is judged by
/// names alone.
///
/// # Errors
/// When it is there and cannot be read.
pub fn load_state(mounts: &Mounts) -> Result<(Manifest, Option<String>), Error> {
    let (role, path) = state_place();
    let Some(mount) = mounts.get(&role) else {
        return Err(Error::NoMount(role));
    };
    let path = path.on(mount);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Manifest::default(), None)),
        Err(source) => Err(Error::Read { path, source }),
        Ok(text) => Ok(match Manifest::parse(&text) {
            Ok(manifest) => (manifest, None),
            Err(error) => (
                Manifest::default(),
                Some(format!("`{}`: {error}", path.display())),
            ),
        }),
    }
}

/// Compares the content of planned files with what is there, where names and
/// sizes agree and the state does not vouch for it. Fills [`Known::same`].
///
/// The state vouches for a file from an immutable source: a path below `store_dir`
/// has one content for ever.
///
/// # Errors
/// When a source or a file that is there cannot be read.
pub fn compare(
    plan: &TreePlan,
    inventories: &BTreeMap<Role, Inventory>,
    mounts: &Mounts,
    store_dir: &Path,
    known: &mut Known,
) -> Result<(), Error> {
    for (role, tree) in &plan.trees {
        let (Some(inventory), Some(mount)) = (inventories.get(role), mounts.get(role)) else {
            continue;
        };
        for (path, file) in tree {
            let size = file.recipe.size();
            let Some(found) = inventory.file(path).filter(|found| found.size == size) else {
                continue;
            };
            let place = (role.clone(), path.clone());
            if let Recipe::Secret(secret) = &file.recipe {
                let digest = digest_of(&found.path.on(mount))?;
                if digest == Sha256::of(secret.bytes()) {
                    known.same.insert(place, digest);
                }
                continue;
            }
            let Some(source) = copied(file) else {
                continue;
            };
            let vouched = recorded(&known.state, &place)
                .filter(|old| old.size == found.size && names(&old.source, source))
                .filter(|_| source.starts_with(store_dir));
            let same = if let Some(old) = vouched {
                Some(old.sha256)
            } else {
                let digest = known.sources.of(source)?;
                (digest == digest_of(&found.path.on(mount))?).then_some(digest)
            };
            if let Some(digest) = same {
                known.same.insert(place, digest);
            }
        }
    }
    Ok(())
}

/// The source of a planned copy.
fn copied(file: &PlannedFile) -> Option<&Path> {
    match &file.recipe {
        Recipe::Copy { from, .. } => Some(from),
        Recipe::Text(_) | Recipe::Secret(_) => None,
    }
}

fn names(source: &Source, path: &Path) -> bool {
    matches!(source, Source::Absolute(recorded) if Path::new(recorded) == path)
}

/// The digests of sources, each read once in a run.
#[derive(Debug, Clone, Default)]
pub struct SourceDigests(BTreeMap<PathBuf, Sha256>);

impl SourceDigests {
    /// The digest of a source, as it was when it was first asked for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(&mut self, path: &Path) -> Result<Sha256, Error> {
        if let Some(digest) = self.0.get(path) {
            return Ok(*digest);
        }
        let digest = digest_of(path)?;
        self.0.insert(path.to_owned(), digest);
        Ok(digest)
    }
}

/// The digest of a file.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(path: &Path) -> Result<Sha256, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let (digest, _) = File::open(path)
        .and_then(Sha256::of_reader)
        .map_err(failed)?;
    Ok(digest)
}

/// An entry file and all that it refers to, on one partition, as it is spelled there;
/// and what was written down for its generation, which may be settings that it names in
/// a language of their own.
#[must_use]
pub fn entry_and_content(
    role: &Role,
    found: &Found,
    inventory: &Inventory,
    state: &Manifest,
) -> BTreeSet<Place> {
    let outline = found.text.as_deref().map(Outline::of).unwrap_or_default();
    let needed = outline.files.iter().filter_map(|path| inventory.file(path));
    let places = needed.chain([found]);
    let mut places: BTreeSet<Place> = places
        .map(|found| (role.clone(), found.path.clone()))
        .collect();
    let place = (role.clone(), found.path.clone());
    let whose = |file: &tree_manifest::File| file.provenance.clone().map(|why| why.generations);
    let generations = recorded(state, &place).and_then(whose).unwrap_or_default();
    let is_for_one = |why: &Provenance| {
        why.kind != Kind::Entry && why.generations.iter().any(|id| generations.contains(id))
    };
    for (role, tree) in state.trees.iter().filter(|_| !generations.is_empty()) {
        let needed = tree.iter().filter(|(_, entry)| match entry {
            Entry::File(file) => file.provenance.as_ref().is_some_and(is_for_one),
            _ => false,
        });
        places.extend(needed.map(|(path, _)| (role.clone(), path.clone())));
    }
    places
}

/// The state of a run: of the plan as it will be, and of what was. Its texts are empty
/// when both are the same.
///
/// `digests` are those of every planned copy that is, or will be, as planned.
///
/// # Errors
/// When a source has a path that no JSON can hold.
pub fn state(
    plan: &TreePlan,
    changes: &[Change],
    known: &Known,
    digests: &BTreeMap<Place, Sha256>,
) -> Result<State, Error> {
    let noted: Vec<_> = changes
        .iter()
        .filter_map(|change| Some((&change.place, noted(change, plan, known, digests)?)))
        .collect();
    let place = state_place();
    let written_down: usize = known.state.trees.values().map(Tree::len).sum();
    let is_new = |(place, noted): &(&Place, Noted<'_>)| {
        recorded(&known.state, place).is_none_or(|old| !noted.is(old))
    };
    if plan.architectures == known.state.architectures
        && noted.len() == written_down
        && !noted.iter().any(is_new)
    {
        // Nothing is to be written down, so no text is made.
        return Ok(State {
            place,
            present: String::new(),
            intent: String::new(),
            outcome: String::new(),
        });
    }
    let mut outcome = Manifest {
        architectures: plan.architectures.clone(),
        ..Manifest::default()
    };
    for ((role, path), noted) in noted {
        let tree = outcome.tree_mut(role.clone());
        tree.insert(path.clone(), Entry::File(noted.file()?));
    }
    let mut intent = outcome.clone();
    for (role, tree) in &known.state.trees {
        for (path, entry) in tree {
            let there = intent.tree_mut(role.clone()).entry(path.clone());
            there.or_insert_with(|| entry.clone());
        }
    }
    Ok(State {
        place,
        present: known.state.to_json(),
        intent: intent.to_json(),
        outcome: outcome.to_json(),
    })
}

/// What is to be written down of a file.
enum Noted<'a> {
    /// What was before.
    Recorded(&'a tree_manifest::File),
    /// What is planned, with the digest of a copy.
    Planned(&'a PlannedFile, Option<Sha256>),
}

/// What is to be written down of a file, if anything.
fn noted<'a>(
    change: &Change,
    plan: &'a TreePlan,
    known: &'a Known,
    digests: &std::collections::BTreeMap<Place, Sha256>,
) -> Option<Noted<'a>> {
    let place = &change.place;
    let planned = plan.trees.get(&place.0).and_then(|tree| tree.get(&place.1));
    let digest = digests.get(place).copied();
    match (planned, change.action) {
        // What stays as somebody left it is as it was written down, if it was.
        (Some(file), Action::Keep) if copied(file).is_some() && digest.is_none() => {
            recorded(&known.state, place).map(Noted::Recorded)
        }
        (Some(file), _) => Some(Noted::Planned(file, digest)),
        (None, Action::Protect) => recorded(&known.state, place).map(Noted::Recorded),
        (None, _) => None,
    }
}

impl Noted<'_> {
    /// Whether this is what is written down already.
    fn is(&self, old: &tree_manifest::File) -> bool {
        let (file, digest) = match self {
            Self::Recorded(file) => return *file == old,
            Self::Planned(file, digest) => (file, digest),
        };
        let is_same = match (&file.recipe, &old.source) {
            // The digest of a text is checked when it is read.
            (Recipe::Text(text), Source::Text(old)) => text == old,
            (Recipe::Copy { from, size }, Source::Absolute(path)) => {
                from.as_os_str() == path.as_str()
                    && *size == old.size
                    && *digest == Some(old.sha256)
            }
            (Recipe::Secret(secret), Source::Nowhere) => {
                file.recipe.size() == old.size && Sha256::of(secret.bytes()) == old.sha256
            }
            _ => false,
        };
        is_same && old.mode.is_none() && old.provenance.as_ref() == Some(&file.provenance)
    }

    fn file(&self) -> Result<tree_manifest::File, Error> {
        let (file, digest) = match self {
            Self::Recorded(file) => return Ok((*file).clone()),
            Self::Planned(file, digest) => (file, digest),
        };
        let provenance: Option<Provenance> = Some(file.provenance.clone());
        Ok(match (&file.recipe, digest) {
            (Recipe::Text(text), _) => tree_manifest::File {
                provenance,
                ..tree_manifest::File::from_text(text.as_str())
            },
            (Recipe::Copy { from, size }, Some(sha256)) => {
                let path = from.to_str().ok_or_else(|| Error::NotUtf8(from.clone()))?;
                tree_manifest::File {
                    size: *size,
                    sha256: *sha256,
                    source: Source::Absolute(path.to_owned()),
                    mode: None,
                    provenance,
                }
            }
            (Recipe::Secret(secret), _) => tree_manifest::File {
                size: file.recipe.size(),
                sha256: Sha256::of(secret.bytes()),
                source: Source::Nowhere,
                mode: None,
                provenance,
            },
            (Recipe::Copy { from, .. }, None) => {
                unreachable!("the digest of `{}` was taken", from.display())
            }
        })
    }
}
