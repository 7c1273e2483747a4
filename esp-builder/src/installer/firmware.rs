//! The boot loader among firmware's boot options, as `bootctl install` and `update`
//! have it.
#![expect(clippy::disallowed_methods, reason = "asks the kernel about firmware")]

use std::fs;
use std::path::Path;

use bootloaders::boot_order::{Rank, VariableChange};
use bootloaders::load_option::LoadOption;
use bootloaders::{Arch, BootLoader, Line};
use esp_builder::Error;
use esp_builder::live::efivars;
use esp_builder::live::execute::Mounts;
use esp_builder::live::partition;
use esp_builder::loader::LoaderBinary;
use tree_manifest::{Role, TreePath};

use crate::report;

/// Finds the variables that must change so that firmware starts the boot loader of
/// each ESP: that of the first ESP before that of the second.
///
/// # Errors
/// When there are no variables, or when firmware cannot find an ESP.
pub(super) fn changes(
    efivars: &Path,
    targets: &[Mounts],
    (name, loaders): (BootLoader, &[LoaderBinary]),
    rank: Rank,
) -> Result<Vec<VariableChange>, Error> {
    let before = efivars::boot_options(efivars)?;
    let arch = firmware_arch(efivars);
    let mut own = loaders.iter().filter(|loader| Some(loader.arch) == arch);
    let Some(program) = own.next().and_then(|first| first.paths.first()) else {
        report::warning("no boot option: no boot loader is for this machine's firmware");
        return Ok(Vec::new());
    };
    let esps = targets.iter().filter_map(|mounts| mounts.get(&Role::esp()));
    let mut options = Vec::new();
    for esp in esps {
        options.push(option(esp, program, name)?);
    }
    if rank == Rank::First {
        // The last one that is registered is the first in the order.
        options.reverse();
    }
    let mut after = before.clone();
    for option in &options {
        after.register(option, rank);
    }
    Ok(before.changes_to(&after))
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
