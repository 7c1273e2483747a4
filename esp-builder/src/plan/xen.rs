//! The entry that starts Xen before a kernel, and what it needs beside the kernel's own
//! entry.

use bootloaders::boot_counting::EntryFileName;
use bootloaders::{BootEntry, Hypervisor, systemd_boot, xen};
use tree_manifest::{Kind, Provenance, Role};

use super::{PlannedFile, Recipe, TreePlan};
use crate::error::Error;
use crate::generation::describe_entry;
use crate::settings::Settings;

impl TreePlan {
    /// Adds the hypervisor, its settings and its entry; returns the entry's name.
    pub(super) fn add_xen(
        &mut self,
        role: &Role,
        entry: &BootEntry,
        hypervisor: &Hypervisor,
        settings: &Settings,
    ) -> Result<EntryFileName, Error> {
        let origin = describe_entry(entry);
        let files =
            xen::files(entry, hypervisor, settings.machine_id.as_ref()).map_err(|refusal| {
                Error::Unfit {
                    whose: origin.clone(),
                    what: "hypervisor",
                    path: hypervisor.file.source.clone(),
                    reason: format!("cannot start it: {refusal}"),
                }
            })?;
        let mut add = |path, recipe, kind, signature| {
            let provenance = Provenance {
                kind,
                generations: entry.generation().cloned().into_iter().collect(),
                signature,
            };
            let file = PlannedFile { recipe, provenance };
            self.add(role, path, file, &origin)
        };
        let program = Recipe::Copy {
            from: hypervisor.file.source.clone(),
            size: hypervisor.file.size,
        };
        let (path, signature) = (hypervisor.file.path.clone(), hypervisor.file.signature);
        add(path, program, Kind::Hypervisor, signature)?;
        let config = Recipe::Text(files.config);
        add(files.config_path, config, Kind::Hypervisor, None)?;
        let name = systemd_boot::name_xen_entry(settings.entry_names, &entry.id, &files.entry);
        let named = match settings.tries {
            Some(tries) => name.with_tries(tries),
            None => name.clone(),
        };
        let path = systemd_boot::entry_file_path(&named);
        add(path, Recipe::Text(files.entry), Kind::Entry, None)?;
        Ok(name)
    }
}
