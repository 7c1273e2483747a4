//! The commands that look into an image.
#![expect(clippy::disallowed_methods, reason = "extracts files")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use composer::config::FileSystem;
use composer::image::Image;
use composer::inspect::Layout;
use composer::size::ByteSize;
use composer::volume::{Item, Volume};
use composer::{Error, config, plan, scan, verify};

use crate::cli::Look;
use crate::{DIFFERENT, output_error, report};

/// Runs one of the commands.
///
/// # Errors
/// When the image cannot be read, does not have what is asked for, or the
/// output fails.
pub fn look(look: Look) -> Result<ExitCode, Error> {
    match look {
        Look::Inspect { image, json } => inspect(&image, json),
        Look::Ls {
            image,
            path,
            recursive,
            json,
        } => list(&image, &path, recursive, json),
        Look::Cat { image, path } => cat(&image, &path),
        Look::Extract {
            image,
            path,
            output,
        } => extract(&image, &path, &output),
        Look::Verify {
            image,
            config,
            json,
        } => return verify(&image, config.as_deref(), json),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn inspect(path: &Path, json: bool) -> Result<(), Error> {
    let layout = Layout::of_image(&Image::open(path)?)?;
    let text = if json {
        format!("{:#}\n", json!(layout))
    } else {
        format!("{}: {}", path.display(), layout.to_text())
    };
    report::print(&text).map_err(output_error)
}

fn list(path: &Path, place: &str, recursive: bool, json: bool) -> Result<(), Error> {
    let image = Image::open(path)?;
    let (volume, place) = open(&image, place)?;
    let item = volume.find(place)?;
    let items = match (item.is_directory, recursive) {
        (false, _) => vec![item],
        (true, false) => volume.list(&item.path)?,
        (true, true) => volume.walk(&item.path)?,
    };
    let text = if json {
        let describe = |item: &Item| {
            let kind = if item.is_directory {
                "directory"
            } else {
                "file"
            };
            json!({ "path": item.path, "type": kind, "size": item.size })
        };
        format!(
            "{:#}\n",
            json!(items.iter().map(describe).collect::<Vec<_>>())
        )
    } else {
        items
            .iter()
            .fold(String::new(), |text, item| text + &line(item))
    };
    report::print(&text).map_err(output_error)
}

/// An item as a line; what a hostile name could do to a terminal is escaped.
fn line(item: &Item) -> String {
    let path: String = item.path.chars().flat_map(escaped).collect();
    if item.is_directory {
        format!("{:>10}  /{path}/\n", "")
    } else {
        format!("{:>10}  /{path}\n", ByteSize(item.size).to_string())
    }
}

fn escaped(character: char) -> Vec<char> {
    if character.is_control() {
        character.escape_default().collect()
    } else {
        vec![character]
    }
}

fn cat(path: &Path, place: &str) -> Result<(), Error> {
    let image = Image::open(path)?;
    let (volume, place) = open(&image, place)?;
    let item = file(&image, volume.find(place)?)?;
    let mut out = std::io::stdout().lock();
    match volume.read(&item, &mut out)?.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(output_error(error)),
        _ => Ok(()),
    }
}

fn file<'v>(image: &Image, item: Item<'v>) -> Result<Item<'v>, Error> {
    if item.is_directory {
        let what = format!("file `/{}`: it is a directory", item.path);
        return Err(Error::NotInImage {
            path: image.path.clone(),
            what,
        });
    }
    Ok(item)
}

fn extract(path: &Path, place: &str, output: &Path) -> Result<(), Error> {
    let image = Image::open(path)?;
    let (volume, place) = open(&image, place)?;
    let top = volume.find(place)?;
    let above = top
        .path
        .rsplit_once('/')
        .map_or("", |(above, _)| above)
        .len();
    let mut items = vec![top.clone()];
    if top.is_directory {
        items.extend(volume.walk(&top.path)?);
    }
    create_directory(output)?;
    for item in items.iter().filter(|item| !item.path.is_empty()) {
        // A name out of an image must not lead out of the directory.
        let below = item.path[above..].trim_start_matches('/');
        let below = tree_manifest::TreePath::new(below).map_err(|error| Error::NotAPlace {
            path: error.path,
            reason: error.reason,
        })?;
        let target = below.on(output);
        if item.is_directory {
            create_directory(&target)?;
            continue;
        }
        let write_error = |source| Error::Write {
            path: target.clone(),
            source,
        };
        // Neither over a file that is there nor through a link.
        let mut copy = File::create_new(&target).map_err(write_error)?;
        volume.read(item, &mut copy)?.map_err(write_error)?;
    }
    Ok(())
}

/// Makes a directory that is not there; what is there must be one, and no link.
fn create_directory(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
                return Ok(());
            }
            Err(Error::Output {
                path: path.to_owned(),
                what: "not a directory",
            })
        }
        result => result.map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

fn verify(path: &Path, description: Option<&Path>, json: bool) -> Result<ExitCode, Error> {
    let image = Image::open(path)?;
    let mut problems = verify::structure(&image)?;
    if let Some(description) = description {
        problems.extend(compare(&image, description)?);
    }
    let text = if json {
        format!(
            "{:#}\n",
            json!({ "image": path.to_string_lossy(), "problems": problems })
        )
    } else if problems.is_empty() {
        format!("{}: sound\n", path.display())
    } else {
        let line = |problem: &String| format!("{}: {problem}\n", path.display());
        report::visible(&problems.iter().map(line).collect::<String>())
    };
    report::print(&text).map_err(output_error)?;
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

/// In what the volumes of an image differ from the trees of its description.
fn compare(image: &Image, description: &Path) -> Result<Vec<String>, Error> {
    let base = description.parent().unwrap_or(Path::new(""));
    let config = config::load(description)?.settle(description)?;
    let mut problems = Vec::new();
    let described = config.partitions.iter().zip(plan::identities(&config));
    for (number, (partition, identity)) in (1..).zip(described) {
        let tree = partition.tree.as_ref();
        let Some((manifest, role)) = tree.and_then(|tree| tree.rsplit_once('#')) else {
            continue;
        };
        let is_made_later = !partition.tree_command.is_empty();
        if is_made_later || partition.format != Some(FileSystem::Vfat) {
            continue;
        }
        // It has another number where partitions were left out.
        let mut found = image.partitions.iter();
        let found = found.find(|(_, entry)| entry.uuid == identity.uuid);
        let number = found.map_or(number, |(number, _)| *number);
        let tree = scan::load_tree(&base.join(manifest), role)?;
        let volume = Volume::open(image, number)?;
        let found = verify::against(&volume, &tree)?;
        problems.extend(
            found
                .into_iter()
                .map(|found| format!("partition {number}: {found}")),
        );
    }
    Ok(problems)
}

/// Opens the volume that `[PARTITION:]PATH` names.
fn open<'a, 'p>(image: &'a Image, place: &'p str) -> Result<(Volume<'a>, &'p str), Error> {
    match place.split_once(':') {
        Some((name, path)) => Ok((Volume::open(image, number_of(image, name)?)?, path)),
        None => Ok((only_volume(image)?, place)),
    }
}

/// The number of a partition by number, label or type.
fn number_of(image: &Image, name: &str) -> Result<u32, Error> {
    let mut found = image.partitions.iter().filter(|(number, entry)| {
        number.to_string() == name
            || entry.label == name
            || entry.partition_type.to_string() == name
    });
    let missing = |what| Error::NotInImage {
        path: image.path.clone(),
        what,
    };
    match (found.next(), found.next()) {
        (Some((number, _)), None) => Ok(*number),
        (None, _) => Err(missing(format!("partition `{name}`"))),
        (Some(_), Some(_)) => Err(missing(format!(
            "single partition `{name}`: use its number"
        ))),
    }
}

/// The one FAT volume of an image; the ESP if there are several.
fn only_volume(image: &Image) -> Result<Volume<'_>, Error> {
    let mut volumes: Vec<_> = image
        .partitions
        .keys()
        .filter_map(|number| Some((*number, Volume::open(image, *number).ok()?)))
        .collect();
    if volumes.len() > 1 {
        volumes.retain(|(number, _)| image.partitions[number].partition_type.to_string() == "esp");
    }
    if let (Some((_, volume)), true) = (volumes.pop(), volumes.is_empty()) {
        return Ok(volume);
    }
    let what = "single FAT partition: name one, as in `2:/PATH`".to_owned();
    Err(Error::NotInImage {
        path: image.path.clone(),
        what,
    })
}
