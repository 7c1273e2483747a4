//! `install`, `plan` and `diff`: from flags to what is on the partitions.
#![expect(clippy::disallowed_methods, reason = "installing looks and writes")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use bootloaders::boot_order::{Rank, VariableChange};
use bootloaders::ownership;
use esp_builder::live::changes::is_another_loader;
use esp_builder::live::execute::Mounts;
use esp_builder::live::fit::{self, Target};
use esp_builder::live::install::{Installation, Policy};
use esp_builder::live::known::SourceDigests;
use esp_builder::live::{booted, diff, random_seed};
use esp_builder::settings::{InitrdSecrets, Input};
use esp_builder::source::Sources;
use esp_builder::{Error, Planned, Settings, generation};
use tree_manifest::Role;

use super::loaders::{Settled, on, settled};
use super::{DIFFERENT, firmware, locks, make, print, signing, targets};
use crate::cli::Flags;
use crate::cli::live::{InstallArgs, RandomSeed};
use crate::failure::Failure;
use crate::live_report as say;
use crate::{notary, report};

/// What an installation is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// To be made.
    Install,
    /// To be shown, with the room it takes.
    Plan,
    /// To be compared with what is there.
    Diff,
}

/// `install`, and `plan` and `diff`, which only show what it would do.
pub(super) fn run(args: &InstallArgs, goal: Goal) -> Result<ExitCode, Failure> {
    let dry_run = args.choices.dry_run || goal != Goal::Install;
    let (quiet, json) = (args.choices.quiet, args.partition.json);
    let reinstall = args.reinstall || wants_reinstall();
    let targets = targets(&args.partition)?;
    let flags = args.choices.flags()?;
    let signer = notary::signer(&flags)?;
    let settings = settings(args, flags, &targets)?;
    let _locks = locks(&targets, dry_run)?;
    let mut planned = esp_builder::plan(&settings)?;
    report::warnings(&planned.warnings);
    let mut settled = settled(&planned.loaders, &targets, reinstall)?;
    if let Some(signer) = &signer {
        let store = store_on_host(&settings)?;
        signing::sign(&mut planned.plan, signer, &mut settled, &store)?;
    }
    let prepared = prepare(args, &settings, &planned, &settled)?;
    let (installations, fits) = (prepared.installations, prepared.fits);
    warn_of_foreign(&targets, &installations);
    // Asked before the first write: what cannot be done is better known early.
    let firmware = if args.no_variables || settings.root.is_some() {
        Vec::new()
    } else {
        let loaders = (settings.boot_loader.name, &planned.loaders[..]);
        let rank = rank(reinstall, &installations);
        let found = firmware::changes(&args.efivars, &installations, loaders, rank);
        unless_graceful(found, args.graceful || dry_run)?
    };
    if goal == Goal::Diff {
        return differences(&targets, &installations, &firmware, args);
    }
    if !quiet || json {
        print(&say::installations(
            &targets,
            &installations,
            &firmware,
            json,
        ))?;
    }
    if let Err(error) = fits {
        report::failure(&error.into());
        return Ok(ExitCode::from(if goal == Goal::Plan {
            DIFFERENT
        } else {
            1
        }));
    }
    if dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    for (mounts, installation) in targets.iter().zip(&installations) {
        make(mounts, installation, quiet || json)?;
    }
    if args.random_seed == RandomSeed::Auto && settings.root.is_none() {
        write_seeds(&targets);
    }
    unless_graceful(firmware::write(&args.efivars, &firmware), args.graceful)?;
    // The process ends, and with it goes all memory at once: to free a thousand
    // generations one by one takes longer than to find nothing to do.
    std::mem::forget((planned, installations, settings));
    Ok(ExitCode::SUCCESS)
}

/// Another boot loader than before would not be started by an option behind the old one's.
fn rank(reinstall: bool, installations: &[Installation]) -> Rank {
    let mut each = installations.iter();
    if reinstall || each.any(|one| is_another_loader(&one.changes)) {
        Rank::First
    } else {
        Rank::Any
    }
}

/// Shows what differs, and says whether anything does.
fn differences(
    targets: &[Mounts],
    installations: &[Installation],
    firmware: &[VariableChange],
    args: &InstallArgs,
) -> Result<ExitCode, Failure> {
    let found: Vec<_> = installations.iter().map(diff::diff).collect();
    if !args.choices.quiet || args.partition.json {
        let text = say::differences(targets, &found, firmware, args.partition.json);
        print(&text)?;
    }
    let is_same = firmware.is_empty() && found.iter().all(Vec::is_empty);
    Ok(if is_same {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

/// What would be made of each target, and whether there is room for it.
struct Prepared {
    installations: Vec<Installation>,
    fits: Result<(), Error>,
}

/// Prepares all targets, before any is touched. Where not all generations have room,
/// the oldest are left out, or named in the error.
fn prepare(
    args: &InstallArgs,
    settings: &Settings,
    planned: &Planned,
    settled: &[Settled<'_>],
) -> Result<Prepared, Failure> {
    let booted = booted::booted(&args.efivars);
    let store_dir = store_on_host(settings)?;
    let targets = settled.iter().map(|settled| Target {
        mounts: settled.mounts,
        policy: Policy {
            store_dir: &store_dir,
            booted: booted.clone(),
            settled: settled.places(),
            kept: BTreeSet::new(),
            order: None,
            is_ours: &|path| ownership::ours(path).is_some(),
        },
    });
    let targets: Vec<_> = targets.collect();
    let mut sources = SourceDigests::default();
    let installations = fit::prepare_all(&planned.plan, &targets, &mut sources)?;
    let fits = installations.iter().try_for_each(Installation::check_space);
    let Err(error) = fits else {
        return Ok(Prepared {
            installations,
            fits,
        });
    };
    let default = planned.entries[planned.default].generation();
    let all = &installations;
    let found = fit::fit(&planned.plan, default, &targets, all, &mut sources)?;
    match found {
        // A binary that accepts one menu alone takes no shorter one.
        Some(found) if args.fit && !settings.boot_loader.is_menu_fixed => {
            for id in &found.left_out {
                let whose = generation::describe(id);
                report::warning(&format!("{whose} is left out: there is no room for it"));
            }
            let installations = found.installations;
            Ok(Prepared {
                installations,
                fits: Ok(()),
            })
        }
        found => Ok(Prepared {
            installations,
            fits: Err(error.instead(found.map(|fit| fit.left_out).unwrap_or_default())),
        }),
    }
}

/// What goes wrong with EFI variables is an error, or only worth a warning.
fn unless_graceful<T: Default>(result: Result<T, Error>, graceful: bool) -> Result<T, Error> {
    result.or_else(|error| {
        if !graceful {
            return Err(error);
        }
        report::warning_of("no boot option", &error);
        Ok(T::default())
    })
}

/// The store as the sources of a plan name it: that of a root is as immutable as the
/// host's.
fn store_on_host(settings: &Settings) -> Result<PathBuf, Failure> {
    let sources = Sources::new(settings.root.as_deref(), &settings.store_dir)?;
    Ok(sources.on_host(&settings.store_dir))
}

/// Last of all, and without a right to fail: a machine boots without a seed.
fn write_seeds(targets: &[Mounts]) {
    for esp in targets.iter().filter_map(|mounts| mounts.get(&Role::esp())) {
        if let Err(error) = random_seed::write_if_absent(esp) {
            report::warning_of("no random seed", &error);
        }
    }
}

/// NixOS asks for a boot loader's own files with a variable of the environment.
fn wants_reinstall() -> bool {
    let is_set = |name| std::env::var(name).is_ok_and(|value| value == "1");
    if is_set("NIXOS_INSTALL_GRUB") {
        report::warning("NIXOS_INSTALL_GRUB is deprecated: set NIXOS_INSTALL_BOOTLOADER");
        return true;
    }
    is_set("NIXOS_INSTALL_BOOTLOADER")
}

fn settings(args: &InstallArgs, flags: Flags, targets: &[Mounts]) -> Result<Settings, Failure> {
    let mut flags = flags.for_install(args.activated.as_deref(), args.partition.boot.is_some())?;
    // An image has none before its first boot; then its entries have none either.
    let text = std::fs::read_to_string(flags.root().join("etc/machine-id"));
    flags.default_machine_id(text.ok().and_then(|text| text.trim().parse().ok()));
    let mut settings = flags.resolve()?;
    // What is made of another root may be copied to any number of machines; and a date
    // that was chosen is that of all.
    let is_own = settings.root.is_none() && settings.date.is_none();
    if let Input::Generations(input) = &mut settings.input {
        input.dates = is_own;
    }
    if !args.no_initrd_secrets {
        let boot = |mounts: &Mounts| {
            let xbootldr = mounts.get(&Role::xbootldr());
            xbootldr.or_else(|| mounts.get(&Role::esp())).cloned()
        };
        settings.initrd_secrets = InitrdSecrets::Append {
            boot: targets.iter().filter_map(boot).collect(),
        };
    }
    Ok(settings)
}

/// Warns of files that somebody else put where one of ours belongs.
fn warn_of_foreign(targets: &[Mounts], installations: &[Installation]) {
    for (mounts, installation) in targets.iter().zip(installations) {
        for place in &installation.foreign {
            let path = on(mounts, place);
            report::warning(&format!("`{path}` is somebody else's; it is replaced"));
        }
    }
}
