//! Prints predictions of registers, as text or JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use esp_builder::measurement::{self, ByBank, ImageMeasurement, ProfileMeasurement};
use serde::Serialize;

use crate::cli::measure::MeasureArgs;
use crate::failure::Failure;

/// Predicts and prints.
pub(crate) fn print(args: &MeasureArgs) -> Result<(), Failure> {
    let wanted = args.moments.wanted();
    if args.image.is_dir() {
        if args.profile.is_some() || !args.through.is_empty() {
            let message = "--profile and --through are for one image, not for an output";
            return Err(Failure::Usage(message.to_owned()));
        }
        let found = measurement::tree::write(&args.image, &wanted)?;
        return write(&if args.json {
            json(&found)?
        } else {
            let (output, count) = (args.image.display(), found.images.len());
            format!("wrote measurements.json of {count} images in {output}\n")
        });
    }
    let before = args.through.iter();
    let before: Vec<_> = before
        .map(|path| measurement::authenticode(path, &wanted.banks))
        .collect::<Result<_, _>>()?;
    let mut found = measurement::of_image(&args.image, &before, &wanted)?;
    if let Some(wanted) = &args.profile {
        let is_wanted = |profile: &ProfileMeasurement| {
            profile.profile.to_string() == *wanted || profile.id.as_ref() == Some(wanted)
        };
        found.profiles.retain(is_wanted);
        if found.profiles.is_empty() {
            let image = args.image.display();
            let wanted = wanted.escape_debug();
            return Err(Failure::Usage(format!(
                "`{image}` has no profile `{wanted}`"
            )));
        }
    }
    write(&if args.json {
        json(&found)?
    } else {
        render(&found)
    })
}

fn json(found: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(found);
    Ok(text.map_err(|error| Failure::Output(io::Error::other(error)))? + "\n")
}

fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

fn render(found: &ImageMeasurement) -> String {
    let mut text = String::from("# the image, as firmware measures it into PCR 4\n");
    lines(&mut text, "authenticode", &found.authenticode);
    text.push_str("# PCR 4, once it runs\n");
    lines(&mut text, "4", &found.boot);
    for profile in &found.profiles {
        let id = profile.id.as_ref();
        let id = id.map(|id| format!(" {}", id.escape_debug()));
        let devicetree = profile
            .devicetree
            .map(|number| format!(", device tree {number}"));
        for moment in &profile.register {
            let _ = writeln!(
                text,
                "# PCR 11, profile {}{}{}, phase {}",
                profile.profile,
                id.as_deref().unwrap_or_default(),
                devicetree.as_deref().unwrap_or_default(),
                moment.phases
            );
            lines(&mut text, "11", &moment.value);
        }
    }
    text
}

fn lines(text: &mut String, name: &str, digests: &ByBank) {
    for (bank, digest) in digests {
        let _ = writeln!(text, "{name}:{bank}={digest}");
    }
}
