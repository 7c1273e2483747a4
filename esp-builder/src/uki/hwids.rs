//! Reads descriptions of machines: a directory of JSON files, as systemd has them in
//! `/usr/lib/systemd/boot/hwids`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bootloaders::uki::hwids::{Machine, Wanted, pack};
use serde::Deserialize;

use super::{need, read as read_small};
use crate::error::Error;

/// Directories in directories; there are one or two.
const MAX_DEPTH: usize = 16;

/// A description, as far as it matters here.
#[derive(Deserialize)]
struct Description {
    #[serde(rename = "type")]
    kind: Kind,
    name: String,
    compatible: Option<String>,
    fwid: Option<String>,
    hwids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Devicetree,
    UefiFw,
}

/// The section of all descriptions below a directory, in the order of their paths.
pub(super) fn read(directory: &Path) -> Result<Vec<u8>, Error> {
    let mut files = BTreeSet::new();
    collect(directory, MAX_DEPTH, &mut files)
        .map_err(|source| need("hardware IDs").missing(directory, source))?;
    let machines = files.iter().map(|path| {
        let bytes = read_small(path, "hardware IDs")?;
        machine(&bytes).map_err(|reason| Error::Hwids {
            path: path.clone(),
            reason,
        })
    });
    let machines = machines.collect::<Result<Vec<_>, _>>()?;
    if machines.is_empty() {
        return Err(Error::Hwids {
            path: directory.into(),
            reason: "there is no .json file in it".to_owned(),
        });
    }
    pack(&machines).map_err(Error::Uki)
}

fn collect(directory: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for item in fs::read_dir(directory)? {
        let item = item?;
        let path = item.path();
        if item.file_type()?.is_dir() {
            if depth == 0 {
                return Err(io::Error::other("directories are nested too deeply"));
            }
            collect(&path, depth - 1, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.insert(path);
        }
    }
    Ok(())
}

fn machine(json: &[u8]) -> Result<Machine, String> {
    let description: Description =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let (wanted, value) = match description.kind {
        Kind::Devicetree => (
            Wanted::Devicetree,
            (description.compatible, description.fwid),
        ),
        Kind::UefiFw => (Wanted::Firmware, (description.fwid, description.compatible)),
    };
    match value {
        (Some(value), None) => Ok(Machine {
            wanted,
            name: description.name,
            value,
            ids: description.hwids,
        }),
        _ => Err("a `devicetree` has `compatible`, an `uefi-fw` has `fwid`".to_owned()),
    }
}
