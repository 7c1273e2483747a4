//! Finds out what a comparison of names and sizes cannot tell: what the last run
//! left, which content is the same, what must not go.
#![expect(clippy::disallowed_methods, reason = "reads what is on the partitions")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bootloaders::bls::Outline;
use bootloaders::{EntryFileName, systemd_boot};
use tree_manifest::{Entry, Kind, Manifest, Provenance, Role, Sha256, Source, Tree, TreePath, fat};

use super::changes::{Action, Change, Known, Place, recorded};
use super::execute::Mounts;
use super::inventory::{Found, Inventory, is_below};
use super::steps::State;
use crate::assembled::Assembled;
use crate::content::{self, holds_secrets};
use crate::error::{Error, read_error};
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
        Err(error) => Err(read_error(&path)(error)),
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
        // Texts are compared by what the inventory read of them.
        let is_text = |file: &PlannedFile| matches!(file.recipe, Recipe::Text(_));
        for (path, file) in tree.iter().filter(|(_, file)| !is_text(file)) {
            let size = file.recipe.size();
            let Some(found) = inventory.file(path).filter(|found| found.size == size) else {
                continue;
            };
            let place = (role.clone(), path.clone());
            let there = found.path.on(mount);
            let vouched = match recorded(&known.state, &place) {
                Some(old) if old.size == found.size => {
                    vouched(&file.recipe, old, &there, store_dir)?
                }
                _ => None,
            };
            let same = if vouched.is_some() {
                vouched
            } else {
                let digest = known.sources.of(&file.recipe)?;
                let there = digest_of(&there)?;
                digest.filter(|digest| *digest == there)
            };
            if let Some(digest) = same {
                known.same.insert(place, digest);
            }
        }
    }
    Ok(())
}

/// What the state says of a file of the same content for ever: of the same sources, all
/// of them in the store. Secrets are compared with those that are there.
fn vouched(
    recipe: &Recipe,
    old: &tree_manifest::File,
    there: &Path,
    store_dir: &Path,
) -> Result<Option<Sha256>, Error> {
    let is_same = match recipe {
        Recipe::Copy { from, .. } => from.starts_with(store_dir) && is_source(recipe, &old.source)?,
        Recipe::Assembled(assembled) => {
            assembled.has_immutable_files(store_dir)
                && is_source(recipe, &old.source)?
                && holds_secrets(there, assembled)?
        }
        Recipe::Text(_) | Recipe::Secret(_) => false,
    };
    Ok(old.sha256.filter(|_| is_same))
}

/// Whether what is written down is where a recipe takes its bytes from.
fn is_source(recipe: &Recipe, source: &Source) -> Result<bool, Error> {
    Ok(match (recipe, source) {
        // The digest of a text is checked when it is read.
        (Recipe::Text(text), Source::Text(old)) => text == old,
        (Recipe::Copy { from, .. }, Source::Absolute(path)) => from.as_os_str() == path.as_str(),
        (Recipe::Assembled(assembled), Source::Pieces(old)) => assembled.pieces()? == *old,
        (Recipe::Secret(_), Source::Nowhere) => true,
        _ => false,
    })
}

/// The digests of sources, each read once in a run.
#[derive(Debug, Clone, Default)]
pub struct SourceDigests {
    files: BTreeMap<PathBuf, Sha256>,
    assembled: BTreeMap<Assembled, Sha256>,
}

impl SourceDigests {
    /// The digest of what a recipe makes, of its sources as they were when it was first
    /// asked for; `None` for a text, which is compared as it is.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn of(&mut self, recipe: &Recipe) -> Result<Option<Sha256>, Error> {
        let digest = match recipe {
            Recipe::Text(_) => return Ok(None),
            Recipe::Secret(secret) => Sha256::of(secret.bytes()),
            Recipe::Copy { from, .. } => {
                if let Some(digest) = self.files.get(from) {
                    return Ok(Some(*digest));
                }
                let digest = digest_of(from)?;
                self.files.insert(from.clone(), digest);
                digest
            }
            Recipe::Assembled(assembled) => {
                if let Some(digest) = self.assembled.get(assembled) {
                    return Ok(Some(*digest));
                }
                let digest = content::digest(assembled, &|_| {});
                let digest = digest.map_err(|failure| failure.into_error(Path::new("")))?;
                self.assembled.insert(assembled.clone(), digest);
                digest
            }
        };
        Ok(Some(digest))
    }
}

/// The digest of a file.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(path: &Path) -> Result<Sha256, Error> {
    let failed = read_error(path);
    let (digest, _) = File::open(path)
        .and_then(Sha256::of_reader)
        .map_err(failed)?;
    Ok(digest)
}

/// An entry file and all that it refers to, on one partition, as it is spelled there;
/// and what was written down for its generation, which may be settings that it names in
/// a language of their own. Of an image, what lies beside it.
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
    let image = EntryFileName::parse(found.path.name()).filter(EntryFileName::is_image);
    let companions = image.map(|_| systemd_boot::companion_directory(&found.path));
    let companions = companions.map(|directory| format!("{}/", fat::fold(directory.as_str())));
    let whose = |file: &tree_manifest::File| file.provenance.clone().map(|why| why.generations);
    let generations = recorded(state, &place).and_then(whose).unwrap_or_default();
    let is_needed = |path: &TreePath, why: &Provenance| match &companions {
        Some(directory) => is_below(path, directory),
        // What an image of the same generation needs, the entry does not.
        None => {
            why.kind != Kind::Entry
                && !is_below(path, "EFI/LINUX/")
                && why.generations.iter().any(|id| generations.contains(id))
        }
    };
    for (role, tree) in state.trees.iter().filter(|_| !generations.is_empty()) {
        let needed = tree.iter().filter(|(path, entry)| match entry {
            Entry::File(file) => file
                .provenance
                .as_ref()
                .is_some_and(|why| is_needed(path, why)),
            _ => false,
        });
        places.extend(needed.map(|(path, _)| (role.clone(), path.clone())));
    }
    places
}

/// The state of a run: of the plan as it will be, and of what was. Its texts are empty
/// when both are the same.
///
/// `digests` are those of everything planned from sources that is, or will be, as
/// planned.
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
    let mut is_same =
        plan.architectures == known.state.architectures && noted.len() == written_down;
    for (place, noted) in &noted {
        let old = recorded(&known.state, place);
        is_same = is_same && old.map_or(Ok(false), |old| noted.is(old))?;
    }
    if is_same {
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
    for change in changes {
        // Until it is replaced it is something else, perhaps of the same length: nothing
        // may vouch for it by its source.
        if change.action == Action::Replace
            && let (role, path) = &change.place
            && let Some(Entry::File(file)) = intent.tree_mut(role.clone()).get_mut(path)
            && !matches!(file.source, Source::Text(_))
        {
            file.source = Source::Nowhere;
        }
    }
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
    /// What is planned, with the digest of what comes from sources.
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
        (Some(file), Action::Keep)
            if !matches!(file.recipe, Recipe::Text(_)) && digest.is_none() =>
        {
            recorded(&known.state, place).map(Noted::Recorded)
        }
        (Some(file), _) => Some(Noted::Planned(file, digest)),
        (None, Action::Protect) => recorded(&known.state, place).map(Noted::Recorded),
        (None, _) => None,
    }
}

impl Noted<'_> {
    /// Whether this is what is written down already.
    fn is(&self, old: &tree_manifest::File) -> Result<bool, Error> {
        let (file, digest) = match self {
            Self::Recorded(file) => return Ok(*file == old),
            Self::Planned(file, digest) => (file, digest),
        };
        let is_same = file.recipe.size() == old.size
            && digest.is_none_or(|digest| Some(digest) == old.sha256)
            && old.mode.is_none()
            && old.provenance.as_ref() == Some(&file.provenance);
        Ok(is_same && is_source(&file.recipe, &old.source)?)
    }

    fn file(&self) -> Result<tree_manifest::File, Error> {
        let (file, digest) = match self {
            Self::Recorded(file) => return Ok((*file).clone()),
            Self::Planned(file, digest) => (file, digest),
        };
        let source = match &file.recipe {
            Recipe::Text(text) => {
                return Ok(tree_manifest::File {
                    provenance: Some(file.provenance.clone()),
                    ..tree_manifest::File::from_text(text.as_str())
                });
            }
            Recipe::Copy { from, .. } => {
                let path = from.to_str().ok_or_else(|| Error::NotUtf8(from.clone()))?;
                Source::Absolute(path.to_owned())
            }
            Recipe::Assembled(assembled) => Source::Pieces(assembled.pieces()?),
            Recipe::Secret(_) => Source::Nowhere,
        };
        Ok(tree_manifest::File {
            size: file.recipe.size(),
            sha256: *digest,
            source,
            mode: None,
            provenance: Some(file.provenance.clone()),
        })
    }
}
