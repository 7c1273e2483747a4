//! What looks after boot partitions between installations: `verify`, `repair`,
//! `explain` and `status`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use esp_builder::live::changes::Place;
use esp_builder::live::execute::Mounts;
use esp_builder::live::install::{Installation, Policy, prepare};
use esp_builder::live::known::SourceDigests;
use esp_builder::live::state;
use esp_builder::live::{self, booted, efivars};
use esp_builder::plan::TreePlan;
use tree_manifest::{Manifest, Role};

use super::{DIFFERENT, locks, make, print, targets};
use crate::cli::live::{PartitionArgs, RepairArgs};
use crate::failure::Failure;
use crate::live_report as say;
use crate::report;

pub(super) fn verify(args: &PartitionArgs) -> Result<ExitCode, Failure> {
    let mut all_sound = true;
    for mounts in targets(args)? {
        let findings = live::verify::verify(&state_of(&mounts)?, &mounts)?;
        all_sound &= findings.iter().all(live::verify::Finding::is_foreign);
        print(&say::findings(&mounts, &findings, args.json))?;
    }
    Ok(if all_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

pub(super) fn repair(args: &RepairArgs) -> Result<ExitCode, Failure> {
    for mounts in targets(&args.partition)? {
        let _locks = locks(std::slice::from_ref(&mounts), args.dry_run)?;
        let state = state_of(&mounts)?;
        let (plan, without_source) = live::verify::as_plan(&state);
        for (role, path) in live::verify::damaged(&state, &mounts, &without_source) {
            report::warning(&format!(
                "{role}: `{path}` has no source to be restored from: `install` makes it anew"
            ));
        }
        let kept = without_source.into_iter().collect();
        let installation = prepare_repair(&plan, &mounts, kept)?;
        print(&say::installations(
            std::slice::from_ref(&mounts),
            std::slice::from_ref(&installation),
            &[],
            args.partition.json,
        ))?;
        installation.check_space()?;
        if !args.dry_run {
            make(&mounts, &installation, args.partition.json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An installation for which nothing vouches: every file is read.
fn prepare_repair(
    plan: &TreePlan,
    mounts: &Mounts,
    kept: BTreeSet<Place>,
) -> Result<Installation, Failure> {
    let policy = Policy {
        store_dir: &PathBuf::from("/nonexistent"),
        booted: BTreeSet::new(),
        settled: BTreeSet::new(),
        kept,
        order: None,
        is_ours: &|_| false,
    };
    Ok(prepare(
        plan,
        mounts,
        &policy,
        &mut SourceDigests::default(),
    )?)
}

pub(super) fn explain(path: &str, args: &PartitionArgs) -> Result<ExitCode, Failure> {
    for mounts in targets(args)? {
        let found = live::verify::explain(&state_of(&mounts)?, path);
        if found.is_empty() {
            return Err(Failure::NotOurs(path.to_owned()));
        }
        print(&say::explanations(&found, args.json))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn status(args: &PartitionArgs) -> Result<ExitCode, Failure> {
    let booted = booted::selected(Path::new(efivars::EFIVARS));
    for mounts in targets(args)? {
        let status = live::status::status(&mounts, &booted)?;
        print(&say::status(&mounts, &status, args.json))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was written down of a target; it must be there.
fn state_of(mounts: &Mounts) -> Result<Manifest, Failure> {
    let (state, damage) = state::load_state(mounts)?;
    if damage.is_some() || state.trees.is_empty() {
        let esp = mounts.get(&Role::esp()).cloned().unwrap_or_default();
        return Err(Failure::NoState { esp, damage });
    }
    Ok(state)
}
