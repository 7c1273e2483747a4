//! The engine `repart`: has systemd-repart make the image.
//!
//! The description becomes definitions ([`crate::definitions::render`]) in a folder
//! beside the output; systemd-repart makes an image there, without root and without a
//! loop device, and the image gets its name when it is complete.
#![expect(clippy::disallowed_methods, reason = "runs systemd-repart")]

mod ownership;
mod spelled;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use extents::staging::{self, Folder};
use serde::Deserialize;

use crate::config::{Empty, ImageConfig, ImageSize, PartitionConfig};
use crate::definitions::folder;
use crate::definitions::render::{self, Rendered};
use crate::error::{self, Error};
use crate::holes;
use crate::image::Image;
use crate::plan::{self, ImagePlan, PlannedContent, PlannedPartition};
use crate::raw;
use crate::scan::CheckDigests;
use crate::source::Sources;
use crate::tools::{Tool, Tools};
use ownership::Way;

/// The first version whose output and options are as they are used here.
const LEAST_VERSION: u32 = 254;

/// The keys that came later, with the version of systemd that brought them.
const LATER: [(&str, u32); 18] = [
    ("add-validate-fs", 258),
    ("block-device-replace", 261),
    ("compression", 257),
    ("compression-level", 257),
    ("default-subvolume", 256),
    ("discard", 261),
    ("encrypt-kdf", 261),
    ("encrypted-volume", 256),
    ("file-system-sector-size", 258),
    ("integrity", 260),
    ("integrity-algorithm", 260),
    ("key-file", 259),
    ("make-symlinks", 257),
    ("mount-point", 256),
    ("supplement-for", 257),
    ("tpm2-pcrs", 259),
    ("volume-label", 259),
    ("volume-name", 261),
];

/// What systemd-repart says of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// Its number, from 0.
    pub partno: u32,
    /// The root hash of data that is protected by dm-verity.
    pub roothash: Option<String>,
    /// Its definition, if it has one.
    file: Option<PathBuf>,
}

impl Said {
    /// The place of its definition among the partitions of the description.
    fn index(&self) -> Option<usize> {
        let name = self.file.as_ref()?.file_name()?.to_str()?;
        let number: usize = name.split('-').next()?.parse().ok()?;
        number.checked_sub(1)
    }
}

/// How systemd-repart is run.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Where it is.
    pub tools: &'a Tools,
    /// The key that it signs root hashes with.
    pub private_key: Option<&'a Path>,
    /// The certificate that goes with the key.
    pub certificate: Option<&'a Path>,
    /// Whether content is compared with its manifest before.
    pub digests: CheckDigests,
}

/// An image that systemd-repart made, in a folder that goes with this.
#[derive(Debug)]
pub struct Made {
    /// Where it is.
    pub image: PathBuf,
    /// What systemd-repart says of the partitions.
    pub said: Vec<Said>,
    /// The program in which it ran, so that files belong to root.
    pub inside: Option<&'static str>,
    _folder: Folder,
}

/// Has systemd-repart make an image in a folder, or add to a copy of one that is there.
///
/// Relative paths of the description count from `base`.
///
/// # Errors
/// When no definitions can be rendered, the program is not there, is too old for a
/// key, or fails.
pub fn make(
    config: &ImageConfig,
    base: &Path,
    program: &Program<'_>,
    (folder, found): (&Path, Option<&Path>),
) -> Result<Made, Error> {
    check_version(config, program.tools)?;
    let folder = std::path::absolute(folder).map_err(error::write(folder))?;
    let made = Folder::new(&folder, raw::TEMPORARY).map_err(error::write(&folder))?;
    let definitions = made.path().join("repart.d");
    write_definitions(config, base, &definitions, program.digests)?;
    let image = made.path().join("image.raw");
    if let Some(found) = found {
        let mut sources = Sources::default();
        let map = holes::slices_of(found, &mut sources)?;
        let file = fs::File::create_new(&image).map_err(error::write(&image))?;
        raw::fill(&map, &sources, &file, &image)?;
    }
    let mut arguments = arguments(config, &definitions, &image);
    for (option, path) in [
        ("--private-key", program.private_key),
        ("--certificate", program.certificate),
    ] {
        if let Some(path) = path {
            let path = std::path::absolute(path).map_err(error::read(path))?;
            arguments.extend([option.into(), path.into()]);
        }
    }
    let way = ownership::way(config, made.path(), program.tools)?;
    let ran = run(program.tools, way, &arguments)?;
    let said = serde_json::from_slice(&ran.stdout).map_err(|error| Error::Program {
        program: program.tools.program(Tool::Repart).into(),
        status: "its output is not as expected".to_owned(),
        said: error.to_string(),
    })?;
    Ok(Made {
        image,
        said,
        inside: way.map(|way| way.tool.name()),
        _folder: made,
    })
}

impl Made {
    /// Gives the image its name.
    ///
    /// # Errors
    /// When the output is something that must not be replaced, or cannot be written.
    pub fn keep(self, output: &Path, sync: bool) -> Result<(), Error> {
        raw::check_output(output)?;
        if sync {
            let file = fs::File::open(&self.image);
            let synced = file.and_then(|file| file.sync_all());
            synced.map_err(error::write(output))?;
        }
        fs::rename(&self.image, output).map_err(error::write(output))
    }

    /// The image as a plan, of which files of other formats and files of partitions are
    /// written.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn plan(&self) -> Result<(ImagePlan, Sources), Error> {
        let mut sources = Sources::default();
        let image = Image::open(&self.image)?;
        let extents = holes::slices_of(&self.image, &mut sources)?;
        let mut partitions = Vec::new();
        for said in &self.said {
            let number = said.partno + 1;
            let Some(index) = said.index() else {
                continue;
            };
            let entry = image.entry(number)?.clone();
            partitions.push(PlannedPartition {
                index,
                number,
                content: PlannedContent::Blocks { size: entry.size },
                entry,
                root_hash: said.roothash.clone(),
            });
        }
        let plan = ImagePlan {
            sector: image.sector,
            disk: image.disk,
            partitions,
            left_out: Vec::new(),
            extents,
        };
        Ok((plan, sources))
    }
}

/// Writes the definitions of a settled description into a directory, which is made.
///
/// # Errors
/// When none can be rendered, or they cannot be written.
pub fn write_definitions(
    config: &ImageConfig,
    base: &Path,
    directory: &Path,
    digests: CheckDigests,
) -> Result<Vec<Rendered>, Error> {
    let base = std::path::absolute(Path::new(".").join(base)).map_err(error::read(base))?;
    fs::create_dir_all(directory).map_err(error::write(directory))?;
    let config = spelled::spell_out(config, &base, directory, digests)?;
    let rendered =
        render::render(&config, &base).map_err(|message| Error::Definitions { message })?;
    refuse_others(directory, &rendered)?;
    for definition in &rendered {
        let path = directory.join(&definition.name);
        write_definition(directory, &path, &definition.text).map_err(error::write(&path))?;
    }
    Ok(rendered)
}

/// Refuses a directory with definitions that systemd-repart would take for part of these.
fn refuse_others(directory: &Path, rendered: &[Rendered]) -> Result<(), Error> {
    for item in fs::read_dir(directory).map_err(error::read(directory))? {
        let item = item.map_err(error::read(directory))?;
        let name = item.file_name().to_string_lossy().into_owned();
        if folder::is_definition(&name) && rendered.iter().all(|one| one.name != name) {
            return Err(Error::Output {
                path: item.path(),
                what: "a definition that is not of this description; \
                       remove it, or choose another directory",
            });
        }
    }
    Ok(())
}

/// Writes a definition in the place of what is there, be it a link.
fn write_definition(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = staging::file(directory, raw::TEMPORARY, 0o666)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The arguments by which systemd-repart makes an image of definitions.
#[must_use]
pub fn arguments(config: &ImageConfig, definitions: &Path, image: &Path) -> Vec<OsString> {
    let size = match config.image.size {
        ImageSize::Auto => "auto".to_owned(),
        ImageSize::Bytes(size) => size.bytes().to_string(),
    };
    let mut arguments: Vec<OsString> = [
        format!(
            "--empty={}",
            config.image.empty.unwrap_or(Empty::Create).name()
        ),
        "--offline=yes".to_owned(),
        "--dry-run=no".to_owned(),
        "--json=short".to_owned(),
        format!("--size={size}"),
        format!("--seed={}", plan::seed_of(config).0),
        format!("--sector-size={}", config.sector_size().get()),
    ]
    .map(OsString::from)
    .to_vec();
    let mut folder = OsString::from("--definitions=");
    folder.push(definitions);
    arguments.extend([folder, image.as_os_str().to_owned()]);
    arguments
}

/// Refuses a systemd-repart that does not know a key of the description.
fn check_version(config: &ImageConfig, tools: &Tools) -> Result<(), Error> {
    let program = tools.program(Tool::Repart);
    let said = run(tools, None, &["--version".into()])?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.split_whitespace().nth(1);
    let version = version.and_then(|word| word.split(['.', '~', '-']).next()?.parse().ok());
    let version: u32 = version.ok_or_else(|| Error::Program {
        program: program.into(),
        status: "its version is not as expected".to_owned(),
        said,
    })?;
    let too_old = |key: &str, since| Error::OldProgram {
        program: program.into(),
        version,
        key: key.to_owned(),
        since,
    };
    if version < LEAST_VERSION {
        return Err(too_old("engine", LEAST_VERSION));
    }
    for partition in &config.partitions {
        for (key, since) in LATER {
            if version < since && has(partition, key) {
                return Err(too_old(key, since));
            }
        }
        let has_option = |item: &String| item.ends_with(":fsverity=copy");
        if version < 258 && partition.copy_files.iter().any(has_option) {
            return Err(too_old("fsverity", 258));
        }
    }
    Ok(())
}

fn has(partition: &PartitionConfig, key: &str) -> bool {
    serde_json::to_value(partition).is_ok_and(|keys| keys.get(key).is_some())
}

/// Runs systemd-repart, on its own or in another program.
fn run(tools: &Tools, way: Option<Way>, arguments: &[OsString]) -> Result<Output, Error> {
    let program = tools.program(Tool::Repart);
    let (tool, mut command) = match way {
        None => (Tool::Repart, Command::new(program)),
        Some(way) => (way.tool, way.command(tools)),
    };
    let output = command.args(arguments).output();
    let output = output.map_err(|error| tools.not_started(tool, error))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::of_program(Path::new(program), &output))
}
