//! Puts a description together: a file, definitions, and what the command line says.

use std::path::{Path, PathBuf};

use composer::Error;
use composer::config::{self, ImageConfig, ImageSection, MinimumSizes};
use composer::definitions::{Specifiers, folder};
use composer::size::SectorSize;

use crate::cli::Description;

/// A description that is complete, and the directory from which its paths count.
pub fn load(description: &Description) -> Result<(ImageConfig, PathBuf), Error> {
    let mut config = match &description.config {
        Some(path) => config::load(path)?,
        None => ImageConfig::default(),
    };
    if description.config.is_none() {
        config.image.minimum_sizes = MinimumSizes::Repart;
    }
    let mut config = ImageConfig {
        image: overridden(config.image, description),
        ..config
    };
    let specifiers = Specifiers {
        name: config.image.name.clone(),
        version: config.image.version.clone(),
        architecture: config.image.architecture.clone(),
    };
    let defined = folder::read(&description.definitions, &specifiers)?;
    config.partitions.extend(defined);
    let path = description
        .config
        .as_ref()
        .or(description.definitions.first());
    let path = path.map_or(Path::new(""), PathBuf::as_path);
    let base = description.config.as_deref().and_then(Path::parent);
    let base = base.unwrap_or(Path::new("")).to_owned();
    Ok((config.settle(path)?, base))
}

fn overridden(image: ImageSection, description: &Description) -> ImageSection {
    ImageSection {
        size: description.size.unwrap_or(image.size),
        empty: description.empty().or(image.empty),
        seed: description.seed.or(image.seed),
        format: description.format().unwrap_or(image.format),
        compress: description.compress.or(image.compress),
        engine: description.engine().unwrap_or(image.engine),
        minimum_sizes: description.minimum_sizes().unwrap_or(image.minimum_sizes),
        architecture: description.architecture.clone().or(image.architecture),
        sector_size: description
            .sector()
            .map(SectorSize::bytes)
            .or(image.sector_size),
        ..image
    }
}
