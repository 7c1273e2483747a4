//! What firmware starts without a boot loader: one image, or one kernel.

use bootloaders::BootLoader;
use tree_manifest::{Kind, Provenance, Role, TreePath};

use super::images::Owners;
use super::{PlanInput, PlannedFile, Recipe, TreePlan};
use crate::error::Error;
use crate::generation::describe_entry;

impl TreePlan {
    /// Adds the default entry at the place that firmware starts without a boot variable.
    pub(super) fn add_direct(&mut self, input: &PlanInput<'_>) -> Result<(), Error> {
        let entry = &input.entries[input.default];
        let unfit = |what, reason: &str| Error::Unfit {
            whose: describe_entry(entry),
            what,
            path: entry.kernel.source.clone(),
            reason: reason.to_owned(),
        };
        let (recipe, kind) = if input.settings.boot_loader.name == BootLoader::EfiStub {
            if entry.initrd_paths().next().is_some() || !entry.cmdline.is_empty() {
                let reason = "cannot start alone: firmware hands it neither an initrd nor a \
                              command line, which an image has (--bootloader uki)";
                return Err(unfit("kernel", reason));
            }
            let recipe = Recipe::Copy {
                from: entry.kernel.source.clone(),
                size: entry.kernel.size,
            };
            (recipe, Kind::Kernel)
        } else {
            let image = input.images.images.first().ok_or_else(|| {
                let reason = "cannot be in one image: it has a hypervisor, or initrds that \
                              somebody else puts on the partition";
                unfit("entry of", reason)
            })?;
            (Recipe::Assembled(image.content.clone()), Kind::Uki)
        };
        let path = TreePath::new(format!("EFI/BOOT/{}", entry.arch.removable_name()))
            .unwrap_or_else(|error| unreachable!("a path of fixed names: {error}"));
        let generations: Vec<_> = entry.generation().cloned().into_iter().collect();
        let owners = Owners {
            origin: &describe_entry(entry),
            generations: &generations,
        };
        self.add_companions(&Role::esp(), &path, &owners, input)?;
        let file = PlannedFile {
            recipe,
            provenance: Provenance {
                kind,
                generations,
                signature: entry.kernel.signature.filter(|_| kind == Kind::Kernel),
            },
        };
        self.add(&Role::esp(), path, file, &describe_entry(entry))
    }
}
