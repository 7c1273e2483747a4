//! What starting each image of an output measures, written beside its manifest.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use secure_boot::measure::Digests;
use serde::Serialize;
use tree_manifest::{Entry, Kind, Manifest, check};

use super::{ImageMeasurement, Wanted, open};
use crate::assembled::Assembled;
use crate::error::{Error, SigningError, write_error};
use crate::publish::{MANIFEST, MEASUREMENTS, put, set_mode, stage};

/// What is predicted of the images of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TreeMeasurements {
    /// What the document is.
    pub format: &'static str,
    /// Its version.
    pub version: u32,
    /// The images, by tree and path.
    pub images: Vec<TreeImage>,
}

/// An image of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TreeImage {
    /// The tree that it is in.
    pub tree: String,
    /// Its path there.
    pub path: String,
    /// Whether a boot loader of the output starts it; otherwise firmware does.
    pub through_loader: bool,
    /// What starting it measures.
    #[serde(flatten)]
    pub measurement: ImageMeasurement,
}

/// Predicts what starting the images of an output measures, and writes it into the
/// output. Boot loaders are started by firmware, and start everything else of their
/// architecture.
///
/// # Errors
/// When the output cannot be read or written.
pub fn write(output: &Path, wanted: &Wanted) -> Result<TreeMeasurements, Error> {
    let manifest = output.join(MANIFEST);
    let manifest = check::load(&manifest).map_err(|source| SigningError::Manifest {
        path: manifest,
        source,
    })?;
    let measurements = measure(&images(&manifest, output), wanted)?;
    let path = output.join(MEASUREMENTS);
    let json = serde_json::to_string_pretty(&measurements);
    let text = json.map_err(|error| write_error(&path)(error.into()))? + "\n";
    let mut staged = stage(&path, 0o600)?;
    staged
        .write_all(text.as_bytes())
        .map_err(write_error(&path))?;
    set_mode(staged.path(), 0o644)?;
    put(staged, &path)?;
    Ok(measurements)
}

/// An image and where it is.
struct Place {
    tree: String,
    path: String,
    is_loader: bool,
    /// What messages call it.
    name: PathBuf,
    image: Assembled,
}

/// The images: the files that may have a signature.
fn images(manifest: &Manifest, output: &Path) -> Vec<Place> {
    let mut images = Vec::new();
    for (role, tree) in &manifest.trees {
        for (path, entry) in tree {
            let Entry::File(file) = entry else {
                continue;
            };
            let why = file.provenance.as_ref();
            let Some(why) = why.filter(|why| why.signature.is_some()) else {
                continue;
            };
            let Some(image) = Assembled::of_source(file, output) else {
                continue;
            };
            let place = (role.clone(), path.clone());
            images.push(Place {
                name: image.name(&place),
                tree: role.to_string(),
                path: path.to_string(),
                is_loader: why.kind == Kind::Loader,
                image,
            });
        }
    }
    images
}

fn measure(images: &[Place], wanted: &Wanted) -> Result<TreeMeasurements, Error> {
    // By machine type; a loader has two places.
    let mut loaders: BTreeMap<u16, Digests> = BTreeMap::new();
    for loader in images.iter().filter(|image| image.is_loader) {
        let mut open = open(&loader.image, &loader.name)?;
        let machine = open.head()?.machine;
        loaders.insert(machine, open.authenticode(&wanted.banks)?);
    }
    let predict = |image: &Place| {
        let mut open = open(&image.image, &image.name)?;
        let machine = open.head()?.machine;
        let loader = loaders.get(&machine).filter(|_| !image.is_loader);
        let before = loader.map_or(&[][..], std::slice::from_ref);
        Ok(TreeImage {
            tree: image.tree.clone(),
            path: image.path.clone(),
            through_loader: loader.is_some(),
            measurement: open.measure(before, wanted)?,
        })
    };
    Ok(TreeMeasurements {
        format: "esp-builder-measurements",
        version: 1,
        images: images.iter().map(predict).collect::<Result<_, Error>>()?,
    })
}
