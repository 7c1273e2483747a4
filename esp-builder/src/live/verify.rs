//! Is a partition still what was written down of it, and how to make it so.

use std::collections::BTreeMap;

use tree_manifest::check::{self, Difference};
use tree_manifest::{Entry, GenerationId, Manifest, Provenance, Role, Source, TreePath, fat};

use super::changes::{Place, recorded};
use super::execute::Mounts;
use super::known::digest_of;
use super::steps::is_temporary;
use crate::assembled::Assembled;
use crate::error::Error;
use crate::plan::{PlannedFile, Recipe, TreePlan};

/// Directories whose files are all ours, so that another is worth a word.
const OURS: [&str; 2] = ["EFI/NIXOS/", "LOADER/ENTRIES/"];

/// One way in which a partition is not what was written down of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The partition.
    pub role: Role,
    /// What is wrong.
    pub difference: Difference,
}

impl Finding {
    /// Whether it is a file that should not be there, rather than one that is
    /// damaged.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self.difference, Difference::Foreign(_))
    }
}

/// Reads every file that was written down and lists what differs. Foreign files
/// are listed where only ours are expected.
///
/// # Errors
/// When something that is there cannot be read.
pub fn verify(state: &Manifest, mounts: &Mounts) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for (role, tree) in &state.trees {
        let mount = mounts
            .get(role)
            .ok_or_else(|| Error::NoMount(role.clone()))?;
        let found = check::differences(tree, mount).map_err(Error::Manifest)?;
        let listed = found.into_iter().filter(|difference| match difference {
            Difference::Foreign(path) => {
                let fold = fat::fold(path);
                let is_left = TreePath::new(path.as_str()).is_ok_and(|path| is_temporary(&path));
                OURS.iter().any(|ours| fold.starts_with(ours)) && !is_left
            }
            _ => true,
        });
        findings.extend(listed.map(|difference| Finding {
            role: role.clone(),
            difference,
        }));
    }
    Ok(findings)
}

/// The plan that makes a partition what was written down of it: every file from
/// its source.
///
/// Files without a source elsewhere are left out; they are returned.
#[must_use]
pub fn as_plan(state: &Manifest) -> (TreePlan, Vec<Place>) {
    let mut plan = TreePlan::default();
    plan.architectures.clone_from(&state.architectures);
    let mut without_source = Vec::new();
    for (role, tree) in &state.trees {
        for (path, entry) in tree {
            let Entry::File(tree_manifest::File {
                source,
                size,
                provenance: Some(why),
                ..
            }) = entry
            else {
                continue;
            };
            let recipe = match source {
                Source::Text(text) => Some(Recipe::Text(text.clone())),
                Source::Absolute(from) => Some(Recipe::Copy {
                    from: from.into(),
                    size: *size,
                }),
                Source::Pieces(pieces) => Assembled::of_manifest(pieces).map(Recipe::Assembled),
                Source::Beside(_) | Source::Nowhere => None,
            };
            let Some(recipe) = recipe else {
                without_source.push((role.clone(), path.clone()));
                continue;
            };
            let file = PlannedFile {
                recipe,
                provenance: why.clone(),
            };
            plan.trees
                .entry(role.clone())
                .or_default()
                .insert(path.clone(), file);
        }
    }
    (plan, without_source)
}

/// Which of some places hold no longer what was written down of them.
#[must_use]
pub fn damaged<'a>(state: &Manifest, mounts: &Mounts, places: &'a [Place]) -> Vec<&'a Place> {
    let is_sound = |place: &&Place| {
        let found = mounts.get(&place.0).map(|mount| place.1.on(mount));
        let digest = found.and_then(|path| digest_of(&path).ok());
        digest.is_some() && digest == recorded(state, place).and_then(|file| file.sha256)
    };
    places.iter().filter(|place| !is_sound(place)).collect()
}

/// Why a file is on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Where it is, in the spelling that was written down.
    pub place: Place,
    /// What it is, and who needs it.
    pub provenance: Provenance,
}

/// Finds a file of this path, whatever its case, in a manifest.
#[must_use]
pub fn explain(manifest: &Manifest, path: &str) -> Vec<Explanation> {
    let wanted = fat::fold(path.trim_start_matches('/'));
    let of_tree = |(role, tree): (&Role, &tree_manifest::Tree)| {
        let found = tree
            .iter()
            .filter(|(path, _)| fat::fold(path.as_str()) == wanted);
        let explained = found.filter_map(|(path, entry)| match entry {
            Entry::File(file) => Some(Explanation {
                place: (role.clone(), path.clone()),
                provenance: file.provenance.clone()?,
            }),
            _ => None,
        });
        explained.collect::<Vec<_>>()
    };
    manifest.trees.iter().flat_map(of_tree).collect()
}

/// How many bytes would be free without each generation: what only it needs.
#[must_use]
pub fn exclusive_bytes(manifest: &Manifest) -> BTreeMap<GenerationId, u64> {
    let mut bytes = BTreeMap::new();
    for entry in manifest.trees.values().flat_map(BTreeMap::values) {
        let Entry::File(file) = entry else { continue };
        let Some(why) = &file.provenance else {
            continue;
        };
        let mut owners: Vec<GenerationId> = why
            .generations
            .iter()
            .map(|id| GenerationId {
                specialisation: None,
                ..id.clone()
            })
            .collect();
        owners.dedup();
        if let [owner] = owners.as_slice() {
            *bytes.entry(owner.clone()).or_default() += file.size;
        }
    }
    bytes
}
