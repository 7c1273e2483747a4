//! `compose`: the command line of the [`composer`] library.

mod cli;
mod files;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use composer::config::{self, ImageConfig, ImageSection};
use composer::inspect::Layout;
use composer::plan::{self, ImagePlan};
use composer::size::SectorSize;
use composer::source::Sources;
use composer::{Error, digests, raw, scan};
use extents::{Content, ExtentMap};

use cli::{ComposeRequest, Request};
use report::Progress;

/// `verify` found differences.
const DIFFERENT: u8 = 3;

fn main() -> ExitCode {
    let result = match cli::parse() {
        Request::Generate(what) => {
            let mut text = Vec::new();
            let generated = cli::generate(what, &mut text);
            generated
                .and_then(|()| report::print(&String::from_utf8_lossy(&text)))
                .map_err(output_error)
                .map(|()| ExitCode::SUCCESS)
        }
        Request::Look(look) => files::look(look),
        Request::Compose(request) => compose(&request).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        report::error(&error);
        ExitCode::FAILURE
    })
}

/// Reads, plans, checks, writes, reports.
fn compose(request: &ComposeRequest) -> Result<(), Error> {
    let config = overridden(config::load(&request.config)?, request);
    let base = request.config.parent().unwrap_or(Path::new(""));
    let output = match (&request.output, &config.image.output) {
        (Some(output), _) => output.clone(),
        (None, Some(output)) => base.join(output),
        (None, None) => config.default_output(),
    };
    let inputs = scan::scan(&config, base, request.digests)?;
    let plan = plan::plan(&config, &inputs)?;
    if !request.dry_run {
        digests::check(&inputs.sources)?;
        write(request, &plan, &inputs.sources, &output)?;
    }
    if request.quiet {
        return Ok(());
    }
    report::print(&describe(request, &plan, &output)).map_err(output_error)
}

fn overridden(config: ImageConfig, request: &ComposeRequest) -> ImageConfig {
    let image = ImageSection {
        size: request.size.unwrap_or(config.image.size),
        seed: request.seed.or(config.image.seed),
        sector_size: request
            .sector
            .map(SectorSize::bytes)
            .or(config.image.sector_size),
        ..config.image
    };
    ImageConfig { image, ..config }
}

fn write(
    request: &ComposeRequest,
    plan: &ImagePlan,
    sources: &Sources,
    output: &Path,
) -> Result<(), Error> {
    let mut progress = Progress::start(request.progress, plan.extents.data());
    let options = raw::Options { sync: request.sync };
    let written = raw::write(&plan.extents, sources, output, options, &mut |bytes| {
        progress.advance(bytes);
    });
    progress.finish();
    written
}

fn describe(request: &ComposeRequest, plan: &ImagePlan, output: &Path) -> String {
    let layout = Layout::of_plan(plan);
    let (memory, files) = content_of(&plan.extents);
    if request.json {
        let report = serde_json::json!({
            "output": output.to_string_lossy(),
            "written": !request.dry_run,
            "layout": layout,
            "data": { "generated": memory, "copied": files },
        });
        return format!("{report:#}\n");
    }
    let verb = if request.dry_run {
        "would write"
    } else {
        "wrote"
    };
    format!("{verb} {}: {}", output.display(), layout.to_text())
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

fn output_error(source: std::io::Error) -> Error {
    Error::Write {
        path: PathBuf::from("standard output"),
        source,
    }
}
