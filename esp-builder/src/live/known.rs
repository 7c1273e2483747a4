//! Finds out what a comparison of names and sizes cannot tell: which content is the
//! same, what must not go.
#![expect(clippy::disallowed_methods, reason = "reads what is on the partitions")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use bootloaders::bls::Outline;
use bootloaders::{EntryFileName, systemd_boot};
use tree_manifest::{Entry, Kind, Manifest, Provenance, Role, Sha256, TreePath, fat};

use super::changes::{Known, Place, recorded};
use super::execute::Mounts;
use super::inventory::{Found, Inventory, is_below};
use super::state::is_source;
use crate::assembled::Assembled;
use crate::content::{self, holds_secrets};
use crate::error::{Error, read_error};
use crate::plan::{PlannedFile, Recipe, TreePlan};

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
