//! The commands that work on boot partitions in use.
#![expect(clippy::disallowed_methods, reason = "installing looks and writes")]

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bootloaders::loader_version::{LoaderUpdate, LoaderVersion, update};
use bootloaders::pe::PeImage;
use bootloaders::{ownership, systemd_boot};
use esp_builder::live::changes::Place;
use esp_builder::live::execute::{Mounts, execute};
use esp_builder::live::install::{Installation, Policy, prepare};
use esp_builder::live::lock::{self, Locks};
use esp_builder::live::{booted, known, mount, random_seed, status, verify};
use esp_builder::loader::LoaderBinary;
use esp_builder::plan::TreePlan;
use esp_builder::source::Sources;
use esp_builder::{Planned, Settings};
use tree_manifest::{Manifest, Role, TreePath};

use crate::cli::live::{InstallArgs, LiveCommand, PartitionArgs, RandomSeed, RepairArgs};
use crate::failure::Failure;
use crate::live_report as say;
use crate::report;
use crate::settings_file;

/// What was asked for does not fit, or is not as it should be.
pub(crate) const DIFFERENT: u8 = 3;

/// Runs one of the commands.
pub(crate) fn run(command: LiveCommand) -> Result<ExitCode, Failure> {
    match command {
        LiveCommand::Install(args) => install(&args, false),
        LiveCommand::Plan(args) => install(&args, true),
        LiveCommand::Verify(args) => verify_partitions(&args),
        LiveCommand::Repair(args) => repair(&args),
        LiveCommand::Explain { path, partition } => explain(&path, &partition),
        LiveCommand::Status(args) => show_status(&args),
    }
}

fn install(args: &InstallArgs, only_plan: bool) -> Result<ExitCode, Failure> {
    let (dry_run, quiet) = (args.dry_run || only_plan, args.quiet);
    let reinstall = args.reinstall || wants_reinstall();
    let targets = targets(&args.partition)?;
    let settings = settings(args)?;
    let _locks = locks(&targets, dry_run)?;
    let planned = esp_builder::plan(&settings)?;
    report::warnings(&planned.warnings);
    let booted = booted::booted(&args.efivars);
    let store_dir = store_on_host(&settings)?;
    let mut installations = Vec::new();
    // All of them are prepared before any is touched.
    for mounts in &targets {
        let settled = settled(&planned, mounts, reinstall);
        let policy = Policy {
            store_dir: &store_dir,
            booted: booted.clone(),
            settled,
            order: None,
            is_ours: &|path| ownership::ours(path).is_some(),
        };
        installations.push(prepare(&planned.plan, mounts, &policy)?);
    }
    let fits = installations.iter().try_for_each(Installation::check_space);
    if !quiet || args.partition.json {
        let text = say::installations(&targets, &installations, args.partition.json);
        print(&text)?;
    }
    if let Err(error) = fits {
        report::failure(&error.into());
        return Ok(ExitCode::from(if only_plan { DIFFERENT } else { 1 }));
    }
    if !dry_run {
        for (mounts, installation) in targets.iter().zip(&installations) {
            make(mounts, installation, quiet || args.partition.json)?;
        }
        if args.random_seed == RandomSeed::Auto && settings.root.is_none() {
            write_seeds(&targets);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The store as the sources of a plan name it: that of a root is as immutable as the
/// host's.
fn store_on_host(settings: &Settings) -> Result<PathBuf, Failure> {
    let sources = Sources::new(settings.root.as_deref(), &settings.store_dir)?;
    Ok(sources.on_host(&settings.store_dir))
}

/// Keeps others off the partitions, from the first look to the last write.
fn locks(targets: &[Mounts], dry_run: bool) -> Result<Vec<Locks>, Failure> {
    let taken = targets.iter().filter(|_| !dry_run).map(lock::all);
    Ok(taken.collect::<Result<_, _>>()?)
}

/// Makes the writes of one installation.
fn make(mounts: &Mounts, installation: &Installation, hidden: bool) -> Result<(), Failure> {
    if let Some(damage) = &installation.damaged_state {
        report::warning(&format!(
            "what the last run wrote down is of no use: {damage}"
        ));
    }
    let bar = report::bar(installation.steps.len() as u64, hidden);
    let mut count = |_: &_| -> io::Result<()> {
        bar.inc(1);
        Ok(())
    };
    let made = execute(
        &installation.steps,
        mounts,
        &installation.digests,
        &mut count,
    );
    bar.finish_and_clear();
    Ok(made?)
}

/// Last of all, and without a right to fail: a machine boots without a seed.
fn write_seeds(targets: &[Mounts]) {
    for esp in targets.iter().filter_map(|mounts| mounts.get(&Role::esp())) {
        if let Err(error) = random_seed::write_if_absent(esp) {
            let cause = std::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            report::warning(&format!("no random seed: {error}{cause}"));
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

fn settings(args: &InstallArgs) -> Result<Settings, Failure> {
    let flags = match &args.settings {
        Some(path) => args.flags.clone().or(settings_file::load(path)?),
        None => args.flags.clone(),
    };
    let mut flags = flags.for_install(args.activated.as_deref(), args.partition.boot.is_some())?;
    // An image has none before its first boot; then its entries have none either.
    let text = std::fs::read_to_string(flags.root().join("etc/machine-id"));
    flags.default_machine_id(text.ok().and_then(|text| text.trim().parse().ok()));
    flags.resolve()
}

/// Boot loaders that stay: those that are there and are as new as ours.
fn settled(planned: &Planned, mounts: &Mounts, reinstall: bool) -> BTreeSet<Place> {
    let Some(esp) = mounts.get(&Role::esp()).filter(|_| !reinstall) else {
        return BTreeSet::new();
    };
    let stays = |(loader, path): &(&LoaderBinary, TreePath)| {
        let available = loader.info.as_deref().and_then(LoaderVersion::from_info);
        let installed = installed_version(&path.on(esp));
        let (Some(available), Some(installed)) = (available, installed) else {
            return false;
        };
        matches!(
            update(Some(&installed), &available),
            LoaderUpdate::Current | LoaderUpdate::Newer { .. }
        )
    };
    let places = planned.loaders.iter().flat_map(|loader| {
        systemd_boot::binary_paths(loader.arch)
            .into_iter()
            .map(move |path| (loader, path))
    });
    places
        .filter(stays)
        .map(|(_, path)| (Role::esp(), path))
        .collect()
}

fn installed_version(path: &Path) -> Option<LoaderVersion> {
    let bytes = std::fs::read(path).ok()?;
    let info = PeImage::parse(&bytes).ok()?.loader_info(&bytes)?;
    LoaderVersion::from_info(&info)
}

/// The partitions of each target: an ESP, and the XBOOTLDR partition they share.
fn targets(args: &PartitionArgs) -> Result<Vec<Mounts>, Failure> {
    if args.boot.is_some() && args.esp.len() > 1 {
        return Err(Failure::Usage("--boot goes with one --esp".to_owned()));
    }
    let mut targets = Vec::new();
    for esp in &args.esp {
        let boot = args
            .boot
            .iter()
            .map(|boot| (Role::xbootldr(), boot.clone()));
        let mounts: Mounts = boot.chain([(Role::esp(), esp.clone())]).collect();
        if !args.no_mount_check {
            mounts.values().try_for_each(|path| mount::check(path))?;
        }
        targets.push(mounts);
    }
    Ok(targets)
}

/// What was written down of a target; it must be there.
fn state_of(mounts: &Mounts) -> Result<Manifest, Failure> {
    let (state, damage) = known::load_state(mounts)?;
    if damage.is_some() || state.trees.is_empty() {
        let esp = mounts.get(&Role::esp()).cloned().unwrap_or_default();
        return Err(Failure::NoState { esp, damage });
    }
    Ok(state)
}

fn verify_partitions(args: &PartitionArgs) -> Result<ExitCode, Failure> {
    let mut all_sound = true;
    for mounts in targets(args)? {
        let findings = verify::verify(&state_of(&mounts)?, &mounts)?;
        all_sound &= findings.iter().all(verify::Finding::is_foreign);
        print(&say::findings(&mounts, &findings, args.json))?;
    }
    Ok(if all_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

fn repair(args: &RepairArgs) -> Result<ExitCode, Failure> {
    for mounts in targets(&args.partition)? {
        let _locks = locks(std::slice::from_ref(&mounts), args.dry_run)?;
        let state = state_of(&mounts)?;
        let (plan, without_source) = verify::as_plan(&state);
        for (role, path) in without_source {
            report::warning(&format!(
                "{role}: `{path}` has no source to be restored from"
            ));
        }
        let installation = prepare_repair(&plan, &mounts)?;
        print(&say::installations(
            std::slice::from_ref(&mounts),
            std::slice::from_ref(&installation),
            args.partition.json,
        ))?;
        installation.check_space()?;
        if !args.dry_run {
            make(&mounts, &installation, args.partition.json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An installation for which nothing vouches: every file is read.
fn prepare_repair(plan: &TreePlan, mounts: &Mounts) -> Result<Installation, Failure> {
    let policy = Policy {
        store_dir: &PathBuf::from("/nonexistent"),
        booted: BTreeSet::new(),
        settled: BTreeSet::new(),
        order: None,
        is_ours: &|_| false,
    };
    Ok(prepare(plan, mounts, &policy)?)
}

fn explain(path: &str, args: &PartitionArgs) -> Result<ExitCode, Failure> {
    for mounts in targets(args)? {
        let found = verify::explain(&state_of(&mounts)?, path);
        if found.is_empty() {
            return Err(Failure::NotOurs(path.to_owned()));
        }
        print(&say::explanations(&found, args.json))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show_status(args: &PartitionArgs) -> Result<ExitCode, Failure> {
    let booted = booted::booted(Path::new(booted::EFIVARS));
    for mounts in targets(args)? {
        let status = status::status(&mounts, &booted)?;
        print(&say::status(&mounts, &status, args.json))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
