//! What a run writes down, on the ESP: what is ours, where it came from, and whose it is.
//!
//! It is a tree manifest like any other; the next run begins with it.
#![expect(clippy::disallowed_methods, reason = "reads what was written down")]

use std::collections::BTreeMap;
use std::io;

use tree_manifest::{Entry, Manifest, Role, Sha256, Source, Tree, TreePath};

use super::changes::{Action, Change, Known, Place, recorded};
use super::execute::Mounts;
use super::steps::State;
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
    digests: &BTreeMap<Place, Sha256>,
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

/// Whether what is written down is where a recipe takes its bytes from.
pub(super) fn is_source(recipe: &Recipe, source: &Source) -> Result<bool, Error> {
    Ok(match (recipe, source) {
        // The digest of a text is checked when it is read.
        (Recipe::Text(text), Source::Text(old)) => text == old,
        (Recipe::Copy { from, .. }, Source::Absolute(path)) => from.as_os_str() == path.as_str(),
        (Recipe::Assembled(assembled), Source::Pieces(old)) => assembled.pieces()? == *old,
        (Recipe::Secret(_), Source::Nowhere) => true,
        _ => false,
    })
}
