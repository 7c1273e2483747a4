//! Signing what is installed, but not what has its signature already.

use std::path::Path;

use esp_builder::live::state::load_state;
use esp_builder::plan::TreePlan;
use esp_builder::signing::earlier::{Earlier, is_signed};
use esp_builder::signing::{Signer, tree};

use super::loaders::Settled;
use crate::failure::Failure;

/// Signs the images of a plan. A boot loader that its signer has not signed does not stay,
/// however new it is: firmware that knows no other certificate would not start it.
pub(super) fn sign(
    plan: &mut TreePlan,
    signer: &Signer,
    settled: &mut [Settled<'_>],
    store_dir: &Path,
) -> Result<(), Failure> {
    let mut states = Vec::new();
    for target in settled.iter_mut() {
        let (state, _) = load_state(target.mounts)?;
        let current = &mut target.standing.current;
        current.retain(|place| is_signed(place, target.mounts, &state, signer));
        states.push(state);
    }
    let targets = settled.iter().zip(&states);
    let targets = targets.map(|(target, state)| (target.mounts, state));
    let mut earlier = Earlier::of(targets, store_dir);
    let everywhere = settled.iter().map(Settled::places);
    earlier.settled = everywhere
        .reduce(|all, one| &all & &one)
        .unwrap_or_default();
    Ok(tree::sign(plan, signer, &earlier)?)
}
