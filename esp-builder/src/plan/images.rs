//! Unified Kernel Images in a plan, with what lies beside them.

use bootloaders::systemd_boot;
use tree_manifest::{Kind, Provenance, Role, SignatureState};

use super::{PlanInput, PlannedFile, Recipe, TreePlan};
use crate::error::Error;
use crate::generation::describe_entry;
use crate::images::{Home, Image};

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
        let generations = || entries().filter_map(|entry| entry.generation().cloned());
        let provenance = |kind, signature| Provenance {
            kind,
            generations: generations().collect(),
            signature,
        };
        let place = match &image.home {
            Home::Named(path) => path.clone(),
            Home::Listed { name, .. } => {
                let tries = input.settings.tries;
                let name = tries.map_or_else(|| name.clone(), |tries| name.with_tries(tries));
                systemd_boot::entry_file_path(&name)
            }
        };
        for companion in &input.images.companions {
            let path = systemd_boot::companion_path(&place, &companion.name);
            let path = path.map_err(|error| Error::Unfit {
                whose: origin.clone(),
                what: "companion",
                path: companion.file.source.clone(),
                reason: error.reason.to_owned(),
            })?;
            let file = PlannedFile {
                recipe: Recipe::Copy {
                    from: companion.file.source.clone(),
                    size: companion.file.size,
                },
                provenance: provenance(companion.kind, companion.file.signature),
            };
            self.add(role, path, file, &origin)?;
        }
        let file = PlannedFile {
            recipe: Recipe::Assembled(image.content.clone()),
            provenance: provenance(Kind::Uki, Some(SignatureState::Unsigned)),
        };
        self.add(role, place, file, &origin)
    }
}
