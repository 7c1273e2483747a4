//! `compose`: the command line of the [`composer`] library.

mod artifacts;
mod cli;
mod describe;
mod files;
mod output;
mod report;
mod signing;
mod workshop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use composer::config::{self, Engine, ImageConfig, OutputFormat, PartitionConfig};
use composer::found::FoundDisk;
use composer::image::Image;
use composer::inspect::Layout;
use composer::plan::{self, ImageLayout, ImagePlan};
use composer::scan::{CheckDigests, Inputs};
use composer::source::Sources;
use composer::{Error, digests, protect, raw, repart, scan, tree_command, update};
use extents::{Content, ExtentMap};
use serde_json::json;

use cli::{ComposeRequest, Description, Request};
use output::Output;
use report::{Busy, Progress};
use workshop::Workshop;

/// `verify` found differences.
const DIFFERENT: u8 = 3;

fn main() -> ExitCode {
    let result = match cli::parse() {
        Request::Generate(what) => report::print(&what.text())
            .map_err(output_error)
            .map(|()| ExitCode::SUCCESS),
        Request::Manual(directory) => command_manual::write(&cli::generate::manual(), &directory)
            .map_err(|error| Error::Write {
                path: error.path,
                source: error.source,
            })
            .map(|()| ExitCode::SUCCESS),
        Request::Look(look) => files::look(look),
        Request::Definitions(description, output) => {
            write_definitions(&description, &output).map(|()| ExitCode::SUCCESS)
        }
        Request::Compose(request) => compose(&request).map(|()| ExitCode::SUCCESS),
        Request::Update(request) => update(&request).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        report::error(&error);
        ExitCode::FAILURE
    })
}

/// Reads, plans, checks, writes, reports.
fn compose(request: &ComposeRequest) -> Result<(), Error> {
    let (config, base) = describe::load(&request.description)?;
    let output = Output::of(request, &config, &base)?;
    if request.artifacts.is_some() {
        output.path()?;
    }
    let mut found = find(request, &config, &output)?;
    if config.image.engine == Engine::Repart && !request.dry_run {
        return compose_by_repart(request, &config, &base, &output, found.is_some());
    }
    let config = match &mut found {
        Some(found) => found.describe(config)?,
        None => config,
    };
    let mut workshop = Workshop::new(&config, output.folder(), request)?;
    let (plan, inputs) = plan_image(request, &config, &base, &mut workshop, found)?;
    if !request.dry_run {
        write(request, &config, &plan, &inputs, &output)?;
    }
    tell(request, &Layout::of_plan(&plan), Some(&plan), &output)
}

/// Has systemd-repart make an image, and writes it as it is asked for.
fn compose_by_repart(
    request: &ComposeRequest,
    config: &ImageConfig,
    base: &Path,
    output: &Output,
    is_found: bool,
) -> Result<(), Error> {
    if let Output::File(path) = output {
        raw::check_output(path)?;
    }
    let folder = output.folder();
    let found = if is_found { Some(output.path()?) } else { None };
    let made = repart::make(config, base, &program(request), (&folder, found))?;
    let layout = Layout::of_image(&Image::open(&made.image)?)?;
    let layout = layout.with_root_hashes(&made.said);
    let inside = made.inside;
    match output {
        Output::File(path) if config.is_raw() && !request.artifacts.is_some() => {
            made.keep(path, request.sync)?;
        }
        _ => {
            let (plan, sources) = made.plan()?;
            write_new(request, config, &plan, &sources, output)?;
        }
    }
    tell(request, &layout, None, output)?;
    match inside {
        Some(inside) if !request.quiet && !request.json => {
            let text = format!("files belong to root: systemd-repart ran in {inside}\n");
            report::print_beside(&text).map_err(output_error)
        }
        _ => Ok(()),
    }
}

/// Brings an image to what its description says, and tells what was written.
fn update(request: &ComposeRequest) -> Result<(), Error> {
    let (config, base) = describe::load(&request.description)?;
    config.require_embedded("`compose update`")?;
    let output = Output::of(request, &config, &base)?;
    let path = output.path()?;
    let description = &request.description;
    let is_of_new_images = description.empty().is_some()
        || description.format().is_some()
        || description.compress.is_some();
    if is_of_new_images {
        return Err(Error::Output {
            path: path.to_owned(),
            what: "updated as it is: leave out `--empty`, `--format` and `--compress`",
        });
    }
    let mut workshop = Workshop::new(&config, output.folder(), request)?;
    let (plan, inputs) = plan_image(request, &config, &base, &mut workshop, None)?;
    let sources = &inputs.sources;
    let mut progress = Progress::start(request.progress, update::work(&plan));
    let updated = update::update(&plan, sources, path, &mut |bytes| progress.advance(bytes));
    progress.finish();
    if request.quiet {
        return updated.map(drop);
    }
    report::print(&report::of_update(&updated?)).map_err(output_error)
}

/// Reads, checks and plans.
fn plan_image(
    request: &ComposeRequest,
    config: &ImageConfig,
    base: &Path,
    workshop: &mut Workshop<'_>,
    found: Option<FoundDisk>,
) -> Result<(ImagePlan, Inputs), Error> {
    let busy = Busy::with(request.progress, "looking at the sources");
    let mut inputs = scan::scan(config, base, request.digests)?;
    drop(busy);
    if let Some(found) = found {
        found.note(&mut inputs);
    }
    if !request.dry_run {
        let _busy = Busy::with(request.progress, "comparing content with its digests");
        digests::check(&inputs.sources)?;
    }
    workshop.make_read_only(&mut inputs)?;
    let mut layout = plan::lay_out(config, &inputs)?;
    if !request.dry_run {
        let stage = (&mut inputs, &mut layout);
        fill(request, config, base, workshop, stage)?;
    }
    let plan = plan::complete(config, &inputs, &layout)?;
    Ok((plan, inputs))
}

/// What is there of the image, where the description says what becomes of it.
fn find(
    request: &ComposeRequest,
    config: &ImageConfig,
    output: &Output,
) -> Result<Option<FoundDisk>, Error> {
    let Some(empty) = config.image.empty else {
        return Ok(None);
    };
    let found = FoundDisk::find(empty, output.path()?)?;
    if found.is_some() {
        config.require_raw("an image that is there")?;
    }
    if found.as_ref().is_some_and(|found| found.table.is_some()) && request.artifacts.is_some() {
        let path = output.path()?.to_owned();
        let what =
            "an image that is added to; `--split`, `--sums` and `--sysupdate` need a new one";
        return Err(Error::Output { path, what });
    }
    Ok(found)
}

/// Writes the image, or adds to the one that is there.
fn write(
    request: &ComposeRequest,
    config: &ImageConfig,
    plan: &ImagePlan,
    inputs: &Inputs,
    output: &Output,
) -> Result<(), Error> {
    let sources = &inputs.sources;
    if let (Some(found), Some(table)) = (&inputs.found, inputs.found_table()) {
        let mut progress = Progress::start(request.progress, update::work(plan));
        let mut told = |bytes| progress.advance(bytes);
        let added = update::add(plan, (found, table), sources, output.path()?, &mut told);
        progress.finish();
        return added.map(drop);
    }
    write_new(request, config, plan, sources, output)
}

/// Writes a new image and what goes along with it.
fn write_new(
    request: &ComposeRequest,
    config: &ImageConfig,
    plan: &ImagePlan,
    sources: &Sources,
    output: &Output,
) -> Result<(), Error> {
    if !request.artifacts.is_some() {
        return output.write(request, &config.image, plan, sources);
    }
    let (image, wanted) = (output.path()?, &request.artifacts);
    let artifacts = artifacts::plan(wanted, config, plan, image)?;
    output.write(request, &config.image, plan, sources)?;
    let options = raw::Options {
        compressing: request.compressing(config.image.compress),
        sync: request.sync,
    };
    artifacts::write(&artifacts, wanted, (plan, options), sources, image)
}

/// Makes what depends on the layout: file systems, hashes, and trees that name them.
fn fill(
    request: &ComposeRequest,
    config: &ImageConfig,
    base: &Path,
    workshop: &mut Workshop<'_>,
    (inputs, layout): (&mut Inputs, &mut ImageLayout),
) -> Result<(), Error> {
    let sets = config::verity_sets(&config.partitions).unwrap_or_default();
    let hashed = sets.iter().map(|set| set.data);
    workshop.make_writable(inputs, layout, hashed)?;
    let signing = signing::load(&request.signing)?;
    let busy = Busy::with(request.progress, "computing hashes");
    protect::protect(config, inputs, layout, &signing)?;
    drop(busy);
    let has_command = |partition: &PartitionConfig| !partition.tree_command.is_empty();
    if config.partitions.iter().any(has_command) {
        let folder = workshop.folder()?;
        let _busy = Busy::with(request.progress, "running `tree-command`");
        tree_command::run(config, base, request.digests, folder, (inputs, layout))?;
        digests::check(&inputs.sources)?;
        *layout = plan::lay_out_again(config, inputs, layout)?;
    }
    workshop.make_writable(inputs, layout, 0..config.partitions.len())
}

/// systemd-repart, and what it signs root hashes with.
fn program(request: &ComposeRequest) -> repart::Program<'_> {
    repart::Program {
        tools: &request.tools,
        private_key: request.signing.private_key.as_deref(),
        certificate: request.signing.certificate.as_deref(),
        digests: request.digests,
    }
}

/// Writes definitions, and says how systemd-repart makes an image of them.
fn write_definitions(description: &Description, output: &Path) -> Result<(), Error> {
    let (mut config, base) = describe::load(description)?;
    // That is what systemd-repart writes.
    (config.image.format, config.image.compress) = (OutputFormat::Raw, None);
    repart::write_definitions(&config, &base, output, CheckDigests::Auto)?;
    let arguments = repart::arguments(&config, output, &config.default_output());
    let words = arguments.iter().map(|word| word.to_string_lossy());
    let words: Vec<_> = words.filter(|word| !word.starts_with("--json")).collect();
    let text = format!("systemd-repart {}\n", words.join(" "));
    report::print(&text).map_err(output_error)
}

fn tell(
    request: &ComposeRequest,
    layout: &Layout,
    plan: Option<&ImagePlan>,
    output: &Output,
) -> Result<(), Error> {
    if request.quiet {
        return Ok(());
    }
    let text = if request.json {
        let data = plan.map(|plan| content_of(&plan.extents));
        let data = data.map(|(memory, files)| json!({ "generated": memory, "copied": files }));
        let report = json!({
            "output": output.to_string(),
            "written": !request.dry_run,
            "layout": layout,
            "left-out": plan.map(|plan| &plan.left_out),
            "data": data,
        });
        format!("{report:#}\n")
    } else {
        let verb = if request.dry_run {
            "would write"
        } else {
            "wrote"
        };
        let left_out = plan.map_or(&[][..], |plan| &plan.left_out);
        let left_out = left_out
            .iter()
            .map(|label| format!("no room for `{label}`\n"));
        let left_out: String = left_out.collect();
        format!("{verb} {output}: {}{left_out}", layout.to_text())
    };
    match output {
        Output::File(_) => report::print(&text).map_err(output_error),
        // The other stream has the image.
        Output::Standard => report::print_beside(&text).map_err(output_error),
    }
}

/// How many bytes of an image are made here, and how many come from files.
fn content_of(extents: &ExtentMap) -> (u64, u64) {
    extents
        .extents()
        .iter()
        .fold((0, 0), |(memory, files), extent| match extent.content {
            Content::Bytes(_) => (memory + extent.length, files),
            Content::Slice { .. } => (memory, files + extent.length),
        })
}

pub(crate) fn output_error(source: std::io::Error) -> Error {
    Error::Write {
        path: PathBuf::from("standard output"),
        source,
    }
}
