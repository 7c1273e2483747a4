//! Which generations to leave out where not all of them have room.
//!
//! The oldest go first. What was booted, what is being tried and what starts by itself
//! stays, whatever its age.

use std::collections::{BTreeMap, BTreeSet};

use tree_manifest::{GenerationId, Kind, TreePath, fat};

use super::changes::Place;
use super::execute::Mounts;
use super::install::{Installation, Policy, prepare, without_counter};
use super::known::SourceDigests;
use crate::error::Error;
use crate::generation::whole;
use crate::plan::TreePlan;

/// The partitions of one installation, and what it depends on.
#[derive(Debug)]
pub struct Target<'a> {
    /// Where they are mounted.
    pub mounts: &'a Mounts,
    /// What it depends on.
    pub policy: Policy<'a>,
}

/// A choice of generations for which there is room everywhere.
#[derive(Debug)]
pub struct Fit {
    /// What is left out, in the order in which it was chosen.
    pub left_out: Vec<GenerationId>,
    /// The rest, one installation a target.
    pub installations: Vec<Installation>,
}

/// Compares a plan with every target it is for. Nothing is written, and no source is
/// read twice.
///
/// # Errors
/// When a partition or a source cannot be read.
pub fn prepare_all(
    plan: &TreePlan,
    targets: &[Target<'_>],
    sources: &mut SourceDigests,
) -> Result<Vec<Installation>, Error> {
    let each = targets
        .iter()
        .map(|target| prepare(plan, target.mounts, &target.policy, sources));
    each.collect()
}

/// Leaves out as few generations as it takes for the rest to have room on every target;
/// `all` are the installations of the whole plan. `None` when there is none to leave
/// out, or when leaving all out is not enough.
///
/// # Errors
/// When a partition or a source cannot be read.
pub fn fit(
    plan: &TreePlan,
    default: Option<&GenerationId>,
    targets: &[Target<'_>],
    all: &[Installation],
    sources: &mut SourceDigests,
) -> Result<Option<Fit>, Error> {
    let protected = all.iter().flat_map(|one| &one.protected);
    let mut entries = entry_ids(protected);
    // A new mirror may not have the entry yet.
    entries.extend(targets.iter().flat_map(|one| one.policy.booted.clone()));
    let mut kept = generations_of(plan, &entries);
    kept.extend(default.map(whole));
    let order = oldest_first(plan, &kept);
    let mut best = None;
    // The fewest that are enough lie in `low..=high`.
    let (mut low, mut high) = (1, order.len());
    while low <= high {
        let count = if best.is_none() {
            high
        } else {
            low.midpoint(high)
        };
        let rest = without(plan, &order[..count].iter().collect());
        let installations = prepare_all(&rest, targets, sources)?;
        if installations.iter().all(|one| one.check_space().is_ok()) {
            let left_out = order[..count].to_vec();
            best = Some(Fit {
                left_out,
                installations,
            });
            high = count - 1;
        } else if best.is_none() {
            return Ok(None);
        } else {
            low = count + 1;
        }
    }
    Ok(best)
}

/// A plan without some generations: without what only they need.
#[must_use]
pub fn without(plan: &TreePlan, left_out: &BTreeSet<&GenerationId>) -> TreePlan {
    let mut rest = plan.clone();
    for tree in rest.trees.values_mut() {
        tree.retain(|_, file| {
            let generations = &mut file.provenance.generations;
            let is_for_all = generations.is_empty();
            generations.retain(|id| !left_out.contains(&whole(id)));
            is_for_all || !generations.is_empty()
        });
    }
    rest.leave_out(&|id| left_out.contains(&whole(id)));
    rest
}

/// What identifies the entries among some places: their names without counters, as FAT
/// compares them.
fn entry_ids<'a>(places: impl Iterator<Item = &'a Place>) -> BTreeSet<String> {
    places.map(|(_, path)| entry_id(path)).collect()
}

fn entry_id(path: &TreePath) -> String {
    fat::fold(&without_counter(path.name()).0)
}

/// The generations that some entries start.
fn generations_of(plan: &TreePlan, entries: &BTreeSet<String>) -> BTreeSet<GenerationId> {
    let files = plan.trees.values().flatten();
    files
        .filter(|(path, file)| {
            let is_entry = matches!(file.provenance.kind, Kind::Entry | Kind::Uki);
            is_entry && entries.contains(&entry_id(path))
        })
        .flat_map(|(_, file)| file.provenance.generations.iter().map(whole))
        .collect()
}

/// What can be left out, the first to go first: the oldest of the profile that has most
/// left, and of two that have as many, not that of the system.
fn oldest_first(plan: &TreePlan, kept: &BTreeSet<GenerationId>) -> Vec<GenerationId> {
    let files = plan.trees.values().flat_map(BTreeMap::values);
    let all: BTreeSet<GenerationId> = files
        .flat_map(|file| file.provenance.generations.iter().map(whole))
        .collect();
    let mut profiles: BTreeMap<Option<String>, (usize, Vec<GenerationId>)> = BTreeMap::new();
    for id in all.into_iter().rev() {
        let (count, newest_first) = profiles.entry(id.profile.clone()).or_default();
        *count += 1;
        if !kept.contains(&id) {
            newest_first.push(id);
        }
    }
    let mut order = Vec::new();
    loop {
        let with_some = profiles.values_mut().filter(|(_, left)| !left.is_empty());
        let Some((count, left)) = with_some.max_by_key(|(count, _)| *count) else {
            return order;
        };
        *count -= 1;
        order.extend(left.pop());
    }
}

#[cfg(test)]
mod tests;
