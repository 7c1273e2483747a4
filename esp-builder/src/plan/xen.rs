//! The entry that starts Xen before a kernel, and what it needs beside the kernel's own
//! entry.

use bootloaders::boot_counting::EntryFileName;
use bootloaders::xen::{self, XenFiles};
use bootloaders::{BootEntry, Hypervisor, systemd_boot};
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
        let files = self.add_hypervisor(role, entry, hypervisor, settings)?;
        let name = systemd_boot::name_xen_entry(settings.entry_names, &entry.id, &files.entry);
        let named = match settings.tries {
            Some(tries) => name.with_tries(tries),
            None => name.clone(),
        };
        let file = file_of(entry, Kind::Entry, Recipe::Text(files.entry));
        let path = systemd_boot::entry_file_path(&named);
        self.add(role, path, file, &describe_entry(entry))?;
        Ok(name)
    }

    /// Adds the hypervisor and its settings; returns what is to be known of them.
    pub(super) fn add_hypervisor(
        &mut self,
        role: &Role,
        entry: &BootEntry,
        hypervisor: &Hypervisor,
        settings: &Settings,
    ) -> Result<XenFiles, Error> {
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
        let program = Recipe::Copy {
            from: hypervisor.file.source.clone(),
            size: hypervisor.file.size,
        };
        let mut file = file_of(entry, Kind::Hypervisor, program);
        file.provenance.signature = hypervisor.file.signature;
        self.add(role, hypervisor.file.path.clone(), file, &origin)?;
        let config = Recipe::Text(files.config.clone());
        let file = file_of(entry, Kind::Hypervisor, config);
        self.add(role, files.config_path.clone(), file, &origin)?;
        Ok(files)
    }
}

fn file_of(entry: &BootEntry, kind: Kind, recipe: Recipe) -> PlannedFile {
    PlannedFile {
        recipe,
        provenance: Provenance {
            kind,
            generations: entry.generation().cloned().into_iter().collect(),
            signature: None,
        },
    }
}
