//! The engine `repart`: has systemd-repart make the image.
//!
//! The description becomes definitions ([`crate::definitions::render`]) in a folder
//! beside the output; systemd-repart makes an image there, without root and without a
//! loop device, and the image gets its name when it is complete.
#![expect(clippy::disallowed_methods, reason = "runs systemd-repart")]

mod spelled;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use crate::config::{ImageConfig, ImageSize, PartitionConfig};
use crate::definitions::render::{self, Rendered};
use crate::error::{self, Error};
use crate::plan;
use crate::raw;

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
}

/// How systemd-repart is run.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Its path or its name.
    pub path: &'a OsStr,
    /// The key that it signs root hashes with.
    pub private_key: Option<&'a Path>,
    /// The certificate that goes with the key.
    pub certificate: Option<&'a Path>,
}

/// Has systemd-repart write an image; returns what it says of the partitions.
///
/// Relative paths of the description count from
/// `base`.
///
/// # Errors
/// When no definitions can be rendered, the program is not there, is too old for a
/// key, or fails; the output is then as before.
pub fn write(
    config: &ImageConfig,
    base: &Path,
    program: &Program<'_>,
    output: &Path,
) -> Result<Vec<Said>, Error> {
    raw::check_output(output)?;
    check_version(config, program.path)?;
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = std::path::absolute(folder).map_err(error::write(output))?;
    let folder = tempfile::Builder::new()
        .prefix(".compose-")
        .tempdir_in(folder)
        .map_err(error::write(output))?;
    let definitions = folder.path().join("repart.d");
    write_definitions(config, base, &definitions)?;
    let image = folder.path().join("image.raw");
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
    let ran = run(program.path, &arguments)?;
    let said = serde_json::from_slice(&ran.stdout).map_err(|error| Error::Program {
        program: program.path.into(),
        status: "its output is not as expected".to_owned(),
        said: error.to_string(),
    })?;
    fs::rename(&image, output).map_err(error::write(output))?;
    Ok(said)
}

/// Writes the definitions of a settled description into a directory, which is made.
///
/// # Errors
/// When none can be rendered, or they cannot be written.
pub fn write_definitions(
    config: &ImageConfig,
    base: &Path,
    directory: &Path,
) -> Result<Vec<Rendered>, Error> {
    let base = std::path::absolute(Path::new(".").join(base)).map_err(error::read(base))?;
    let config = spelled::spell_out(config, &base)?;
    let rendered =
        render::render(&config, &base).map_err(|message| Error::Definitions { message })?;
    fs::create_dir_all(directory).map_err(error::write(directory))?;
    for definition in &rendered {
        let path = directory.join(&definition.name);
        fs::write(&path, &definition.text).map_err(error::write(&path))?;
    }
    Ok(rendered)
}

/// The arguments by which systemd-repart makes an image of definitions.
#[must_use]
pub fn arguments(config: &ImageConfig, definitions: &Path, image: &Path) -> Vec<OsString> {
    let size = match config.image.size {
        ImageSize::Auto => "auto".to_owned(),
        ImageSize::Bytes(size) => size.bytes().to_string(),
    };
    let mut arguments: Vec<OsString> = [
        "--empty=create".to_owned(),
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
fn check_version(config: &ImageConfig, program: &OsStr) -> Result<(), Error> {
    let said = run(program, &["--version".into()])?;
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
    }
    Ok(())
}

fn has(partition: &PartitionConfig, key: &str) -> bool {
    serde_json::to_value(partition).is_ok_and(|keys| keys.get(key).is_some())
}

fn run(program: &OsStr, arguments: &[OsString]) -> Result<Output, Error> {
    let mut command = Command::new(program);
    let output = command.args(arguments).output().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            return Error::NoProgram {
                program: PathBuf::from(program),
                purpose: "the engine `repart` runs",
                package: "systemd-repart",
            };
        }
        error::read(Path::new(program))(error)
    })?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::of_program(Path::new(program), &output))
}
