//! Which boot loaders stay as they are.

use std::collections::BTreeSet;

use esp_builder::live::boot_loaders::{self, Standing};
use esp_builder::live::changes::Place;
use esp_builder::live::execute::Mounts;
use esp_builder::loader::LoaderBinary;

use crate::failure::Failure;
use crate::report;

/// The boot loaders of a target that stay as they are: those that are as new as ours, and
/// those of others.
pub(super) struct Settled<'a> {
    /// Where its partitions are mounted.
    pub(super) mounts: &'a Mounts,
    /// Which boot loaders stay.
    pub(super) standing: Standing,
}

impl Settled<'_> {
    /// Their places.
    pub(super) fn places(&self) -> BTreeSet<Place> {
        &self.standing.current | &self.standing.foreign
    }
}

/// Finds what stays on each target, and warns of what is somebody else's.
pub(super) fn settled<'a>(
    loaders: &[LoaderBinary],
    targets: &'a [Mounts],
    reinstall: bool,
) -> Result<Vec<Settled<'a>>, Failure> {
    let of_target = |mounts| {
        let mut standing = boot_loaders::standing(loaders, mounts)?;
        for place in &standing.foreign {
            let what = "is another boot loader's, or none's";
            let outcome = if reinstall {
                "it is replaced"
            } else {
                "it stays; --reinstall replaces it"
            };
            report::warning(&format!("`{}` {what}: {outcome}", on(mounts, place)));
        }
        if reinstall {
            standing = Standing::default();
        }
        Ok(Settled { mounts, standing })
    };
    targets.iter().map(of_target).collect()
}

/// A place as a message names it.
pub(super) fn on(mounts: &Mounts, (role, path): &Place) -> String {
    let mount = mounts.get(role).map(|mount| path.on(mount));
    mount.unwrap_or_default().display().to_string()
}
