//! Unified Kernel Images in a plan, with what lies beside them.

use bootloaders::systemd_boot;
use tree_manifest::{GenerationId, Kind, Provenance, Role, SignatureState, TreePath};

use super::{PlanInput, PlannedFile, Recipe, TreePlan};
use crate::error::Error;
use crate::generation::describe_entry;
use crate::images::{Home, Image};

/// Who needs what lies beside an image.
pub(super) struct Owners<'a> {
    /// For messages.
    pub(super) origin: &'a str,
    /// Those that the image stands for.
    pub(super) generations: &'a [GenerationId],
}

impl TreePlan {
    /// Adds an image and its companions.
    pub(super) fn add_image(
        &mut self,
        role: &Role,
        image: &Image,
        input: &PlanInput<'_>,
    ) -> Result<(), Error> {
        let entries = || image.entries.iter().map(|index| &input.entries[*index]);
        let first = entries().next();
        let origin = first.map(describe_entry).unwrap_or_default();
        let generations = entries().filter_map(|entry| entry.generation().cloned());
        let generations: Vec<_> = generations.collect();
        let place = match &image.home {
            Home::Named(path) => path.clone(),
            Home::Listed { name, .. } => {
                let tries = input.settings.tries;
                let name = tries.map_or_else(|| name.clone(), |tries| name.with_tries(tries));
                systemd_boot::entry_file_path(&name)
            }
        };
        let owners = Owners {
            origin: &origin,
            generations: &generations,
        };
        self.add_companions(role, &place, &owners, input)?;
        let file = PlannedFile {
            recipe: Recipe::Assembled(image.content.clone()),
            provenance: Provenance {
                kind: Kind::Uki,
                generations,
                signature: Some(SignatureState::Unsigned),
            },
        };
        self.add(role, place, file, &origin)
    }

    /// Adds what lies beside an image at a place.
    pub(super) fn add_companions(
        &mut self,
        role: &Role,
        place: &TreePath,
        owners: &Owners<'_>,
        input: &PlanInput<'_>,
    ) -> Result<(), Error> {
        for companion in &input.images.companions {
            let path = systemd_boot::companion_path(place, &companion.name);
            let path = path.map_err(|error| Error::Unfit {
                whose: owners.origin.to_owned(),
                what: "companion",
                path: companion.file.source.clone(),
                reason: error.reason.to_owned(),
            })?;
            let file = PlannedFile {
                recipe: Recipe::Copy {
                    from: companion.file.source.clone(),
                    size: companion.file.size,
                },
                provenance: Provenance {
                    kind: companion.kind,
                    generations: owners.generations.to_vec(),
                    signature: companion.file.signature,
                },
            };
            self.add(role, path, file, owners.origin)?;
        }
        Ok(())
    }
}
