//! The boot loader among firmware's boot options, as `bootctl install` and `update`
//! have it.
#![expect(clippy::disallowed_methods, reason = "asks the kernel about firmware")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bootloaders::boot_order::{BootOptions, Rank, VariableChange};
use bootloaders::load_option::{LoadOption, Started};
use bootloaders::{Arch, BootLoader, Line};
use esp_builder::Error;
use esp_builder::live::changes::Action;
use esp_builder::live::efivars;
use esp_builder::live::install::Installation;
use esp_builder::live::partition;
use esp_builder::loader::LoaderBinary;
use tree_manifest::{Role, TreePath, fat};

use crate::report;

/// The boot loaders that options are named after.
const NAMED: [BootLoader; 4] = [
    BootLoader::SystemdBoot,
    BootLoader::Grub,
    BootLoader::Limine,
    BootLoader::Refind,
];

/// Finds the variables that must change so that firmware starts the boot loader of
/// each ESP: that of the first ESP before that of the second. An option of a boot loader
/// that is no longer there goes.
///
/// # Errors
/// When there are no variables, or when firmware cannot find an ESP.
pub(super) fn changes(
    efivars: &Path,
    installations: &[Installation],
    (name, loaders): (BootLoader, &[LoaderBinary]),
    rank: Rank,
) -> Result<Vec<VariableChange>, Error> {
    let before = efivars::boot_options(efivars)?;
    let mut after = before.clone();
    for installation in installations {
        remove_dead(&mut after, installation)?;
    }
    if loaders.is_empty() {
        // Firmware starts what is in EFI/BOOT, or somebody else's boot loader.
        return Ok(before.changes_to(&after));
    }
    let arch = firmware_arch(efivars);
    let mut own = loaders.iter().filter(|loader| Some(loader.arch) == arch);
    let Some(program) = own.next().and_then(|first| first.paths.first()) else {
        report::warning("no boot option: no boot loader is for this machine's firmware");
        return Ok(before.changes_to(&after));
    };
    let mounts = installations.iter().map(|one| &one.mounts);
    let esps = mounts.filter_map(|mounts| mounts.get(&Role::esp()));
    let mut options = Vec::new();
    for esp in esps {
        options.push(option(esp, program, name)?);
    }
    if rank == Rank::First {
        // The last one that is registered is the first in the order.
        options.reverse();
    }
    for option in &options {
        after.register(option, rank);
    }
    Ok(before.changes_to(&after))
}

/// Takes away the options that are called as ours, and whose program will not be on the
/// ESP. One that a user has renamed is the user's.
fn remove_dead(options: &mut BootOptions, installation: &Installation) -> Result<(), Error> {
    let (Some(esp), Some(there)) = (
        installation.mounts.get(&Role::esp()),
        installation.inventories.get(&Role::esp()),
    ) else {
        return Ok(());
    };
    let guid = match partition::of_mount(esp) {
        Ok(found) => found.guid,
        // Options name partitions of a GPT: of this one there is none.
        Err(Error::NoPartition { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut files: BTreeSet<String> = there
        .files()
        .map(|found| fat::fold(found.path.as_str()))
        .collect();
    for change in &installation.changes {
        let (role, path) = &change.place;
        let path = fat::fold(path.as_str());
        match change.action {
            _ if *role != Role::esp() => {}
            Action::Remove | Action::RemoveLast => _ = files.remove(&path),
            _ => _ = files.insert(path),
        }
    }
    let is_ours = |started: &Started| {
        let mut names = NAMED.iter();
        names.any(|name| name.boot_option() == started.description)
    };
    options.remove(&|started| {
        started.guid == guid && is_ours(started) && !files.contains(&started.program)
    });
    Ok(())
}

/// Makes the changes.
///
/// # Errors
/// When firmware or the kernel refuses one.
pub(super) fn write(efivars: &Path, changes: &[VariableChange]) -> Result<(), Error> {
    let mut each = changes.iter();
    each.try_for_each(|change| efivars::write(efivars, change))
}

fn option(esp: &Path, program: &TreePath, name: BootLoader) -> Result<LoadOption, Error> {
    Ok(LoadOption {
        description: Line::new(name.boot_option())
            .unwrap_or_else(|error| unreachable!("a constant is a line: {error}")),
        partition: partition::of_mount(esp)?,
        program: program.clone(),
    })
}

/// What firmware runs: as this program, but for kernels of 64 bits that were started
/// by firmware of 32.
fn firmware_arch(efivars: &Path) -> Option<Arch> {
    let size = fs::read_to_string(efivars.with_file_name("fw_platform_size"));
    let of_program = std::env::consts::ARCH.parse().ok()?;
    let is_small = size.is_ok_and(|size| size.trim() == "32");
    Some(match of_program {
        Arch::X64 if is_small => Arch::Ia32,
        arch => arch,
    })
}
