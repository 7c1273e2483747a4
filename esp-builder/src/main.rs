//! The `esp-builder` program.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 `plan` does not fit,
//! `diff` found a difference, `verify` found damage or `signatures` found none of those
//! wanted.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use esp_builder::apply;
use esp_builder::measurement::{self, Wanted};
use esp_builder::signing::{self, earlier::Earlier};
use esp_builder::uki::Parts;
use tree_manifest::ByteSize;

mod cli;
mod failure;
mod installer;
mod live_report;
mod measure_report;
mod notary;
mod report;
mod settings_file;

use cli::uki::UkiArgs;
use cli::{Cli, Command, generate};
use failure::Failure;

fn main() -> ExitCode {
    let mut cli = Cli::try_parse().unwrap_or_else(|error| refuse(error));
    let result = match cli.command.take() {
        Some(Command::Live(command)) => installer::run(command),
        Some(Command::Signing(command)) => notary::run(command),
        Some(Command::Uki(args)) => make_image(&args).map(|()| ExitCode::SUCCESS),
        Some(Command::Measure(args)) => measure_report::print(&args).map(|()| ExitCode::SUCCESS),
        None => run(&cli).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough, such as `head`, is no failure.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Usage(message)) => {
            let kind = clap::error::ErrorKind::MissingRequiredArgument;
            refuse(called().error(kind, message))
        }
        Err(failure) => {
            report::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// The command that was called, whose usage an error shows.
fn called() -> clap::Command {
    let word = std::env::args().nth(1).unwrap_or_default();
    let mut program = Cli::command();
    program.build();
    let command = program.find_subcommand(word).cloned();
    command.unwrap_or(program)
}

/// Ends the program as clap does; of a command with a slip in it, the slip is said.
fn refuse(error: clap::Error) -> ! {
    let word = std::env::args().nth(1).unwrap_or_default();
    let refused = error.use_stderr();
    let misspelt = refused.then(|| command_manual::misspelt(Cli::command(), &word));
    misspelt.flatten().unwrap_or(error).exit()
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if let Some(what) = cli.generate {
        let text = what.text();
        let mut stdout = io::stdout().lock();
        return stdout.write_all(text.as_bytes()).map_err(Failure::Output);
    }
    if let Some(directory) = &cli.manual {
        let written = command_manual::write(&generate::manual(), directory);
        return written.map_err(|error| Failure::Manual {
            path: error.path,
            source: error.source,
        });
    }
    let flags = cli.choices.flags()?;
    let (dry_run, quiet) = (cli.choices.dry_run, cli.choices.quiet);
    let content = flags.content()?;
    let signer = notary::signer(&flags)?;
    let settings = flags.resolve()?;
    let out = cli.out.as_deref();
    if let Some(out) = out {
        apply::check_output(out)?;
    }
    let mut planned = esp_builder::plan(&settings)?;
    report::warnings(&planned.warnings);
    if let Some(signer) = &signer {
        signing::tree::sign(&mut planned.plan, signer, &Earlier::default())?;
    }
    if let (Some(out), false) = (out, dry_run) {
        let total = planned
            .plan
            .trees
            .keys()
            .map(|role| planned.plan.totals(role).1);
        let bar = report::bar(report::BYTES, total.sum(), quiet || cli.json);
        let applied = apply::apply(&planned.plan, out, content, &|count| bar.inc(count));
        bar.finish_and_clear();
        applied?;
        if cli.measure {
            measurement::tree::write(out, &Wanted::new(&[], &[]))?;
        }
    }
    let summary = report::Summary {
        planned: &planned,
        out,
        dry_run,
    };
    let mut stdout = io::stdout().lock();
    match (cli.json, quiet) {
        (true, _) => summary.write_json(&mut stdout),
        (false, true) => Ok(()),
        (false, false) => summary.write_text(&mut stdout),
    }
    .and_then(|()| stdout.flush())
    .map_err(Failure::Output)
}

fn make_image(args: &UkiArgs) -> Result<(), Failure> {
    let mut input = args.input();
    input.policy = notary::pcr_policy(&args.policy)?;
    let (image, warnings) = esp_builder::uki::assemble(&input, &mut Parts::default())?;
    report::warnings(&warnings);
    esp_builder::uki::write(&image, &args.output)?;
    if args.quiet {
        return Ok(());
    }
    let (size, out) = (ByteSize(image.map.length()), args.output.display());
    writeln!(io::stdout().lock(), "wrote {out}, {size}").map_err(Failure::Output)
}
