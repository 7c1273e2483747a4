//! The commands that work on boot partitions in use.

use std::io::{self, Write};
use std::process::ExitCode;

use esp_builder::live::execute::{Mounts, execute};
use esp_builder::live::install::Installation;
use esp_builder::live::lock::{self, Locks};
use esp_builder::live::mount;
use tree_manifest::Role;

use crate::cli::live::{LiveCommand, PartitionArgs};
use crate::failure::Failure;
use crate::report;
use install::Goal;

mod firmware;
mod install;
mod loaders;
mod signing;
mod upkeep;

/// What was asked for does not fit, or is not as it should be.
pub(crate) const DIFFERENT: u8 = 3;

/// Runs one of the commands.
pub(crate) fn run(command: LiveCommand) -> Result<ExitCode, Failure> {
    match command {
        LiveCommand::Install(args) => install::run(&args, Goal::Install),
        LiveCommand::Plan(args) => install::run(&args, Goal::Plan),
        LiveCommand::Diff(args) => install::run(&args, Goal::Diff),
        LiveCommand::Verify(args) => upkeep::verify(&args),
        LiveCommand::Repair(args) => upkeep::repair(&args),
        LiveCommand::Explain { path, partition } => upkeep::explain(&path, &partition),
        LiveCommand::Status(args) => upkeep::status(&args),
    }
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
    let bar = report::bar(report::WRITES, installation.steps.len() as u64, hidden);
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

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
