//! Writes what goes along with an image: its partitions as files, digests of all files,
//! and how systemd-sysupdate updates machines from them.
#![expect(clippy::disallowed_methods, reason = "writes files")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use composer::config::{Compression, ImageConfig};
use composer::plan::ImagePlan;
use composer::source::Sources;
use composer::split::{self, Artifact};
use composer::{Error, raw};
use extents::staging;
use tree_manifest::Sha256;

use crate::cli::ArtifactsRequest;

/// The file with the digests of the others in its folder, as sha256sum writes it.
const SUMS: &str = "SHA256SUMS";

/// What goes along with the image of a plan.
#[derive(Debug)]
pub struct Artifacts {
    parts: Vec<Artifact>,
    /// Names and texts.
    transfers: Vec<(String, String)>,
}

/// Names what is asked for; nothing is written.
///
/// # Errors
/// When a name is none, or nothing by which systemd-sysupdate finds a version.
pub fn plan(
    request: &ArtifactsRequest,
    config: &ImageConfig,
    plan: &ImagePlan,
    image: &Path,
) -> Result<Artifacts, Error> {
    let parts = if request.split || request.sysupdate.is_some() {
        split::artifacts(config, plan, &stem(config, image))?
    } else {
        Vec::new()
    };
    let source = request.sysupdate_source.as_deref();
    let transfers = source.iter().flat_map(|source| {
        let transfer = |part| split::transfer(config, plan, part, source);
        parts.iter().filter_map(transfer)
    });
    let transfers: Vec<_> = transfers.collect();
    if source.is_some() && transfers.is_empty() {
        return Err(Error::NoTransfer);
    }
    let version = config.image.version.as_deref().unwrap_or_default();
    if source.is_some() && !stem(config, image).contains(version) {
        return Err(Error::Output {
            path: image.to_owned(),
            what: "named without the `version`, by which systemd-sysupdate finds files",
        });
    }
    Ok(Artifacts { parts, transfers })
}

/// Writes what is asked for beside the image of a plan.
///
/// # Errors
/// When something cannot be read or written.
pub fn write(
    artifacts: &Artifacts,
    request: &ArtifactsRequest,
    (plan, raw::Options { compressing, sync }): (&ImagePlan, raw::Options<'_>),
    sources: &Sources,
    image: &Path,
) -> Result<(), Error> {
    let folder = match image.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut written = vec![image.to_owned()];
    for part in &artifacts.parts {
        let entry = &plan.partitions[part.index].entry;
        let map = plan.extents.slice(entry.start, entry.size);
        let path = folder.join(&part.name);
        let options = raw::Options { compressing, sync };
        raw::write(&map, sources, &path, options, &mut |_| {})?;
        written.push(path);
    }
    if request.sums {
        sum(folder, &written)?;
    }
    let Some(folder) = &request.sysupdate else {
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(|source| Error::Write {
        path: folder.to_owned(),
        source,
    })?;
    for (name, text) in &artifacts.transfers {
        replace(&folder.join(name), text)?;
    }
    Ok(())
}

/// The file name of the image without what its format and its compression append.
fn stem(config: &ImageConfig, image: &Path) -> String {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let compressed = config.image.compress.map_or("", Compression::ending);
    let stem = name.strip_suffix(compressed).unwrap_or(&name);
    let format = format!(".{}", config.image.format.name());
    stem.strip_suffix(format.as_str())
        .unwrap_or(stem)
        .to_owned()
}

/// Writes the digests of files among those that a folder has already.
fn sum(folder: &Path, files: &[PathBuf]) -> Result<(), Error> {
    let mut new = Vec::new();
    for file in files {
        let failed = |source| Error::Read {
            path: file.clone(),
            source,
        };
        let opened = File::open(file).map_err(failed)?;
        let (digest, _) = Sha256::of_reader(opened).map_err(failed)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        new.push((name.into_owned(), digest.to_string()));
    }
    let path = folder.join(SUMS);
    // Another process adds its lines before or after.
    let lock = File::open(folder).map_err(|source| Error::Read {
        path: folder.to_owned(),
        source,
    })?;
    // Some file systems have no locks.
    let _ = lock.lock();
    let known = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let line = |line: &str| {
        let (digest, name) = line.split_once("  ")?;
        Some((name.to_owned(), digest.to_owned()))
    };
    let mut sums: BTreeMap<String, String> = known.lines().filter_map(line).collect();
    sums.extend(new);
    let text = sums
        .iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"));
    replace(&path, &text.collect::<String>())
}

/// Writes a file under a temporary name and renames it.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let staged = staging::file(folder, raw::TEMPORARY, 0o666);
    let written = staged.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
