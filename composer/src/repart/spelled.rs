//! Says with the keys of definitions what only descriptions have keys for.
#![expect(clippy::disallowed_methods, reason = "looks at the sources")]

use std::fs;
use std::path::Path;

use crate::config::{ImageConfig, PartitionConfig};
use crate::error::{self, Error};
use crate::nix_store;
use crate::scan::Closure;

/// A description whose closures are lists of files to copy.
///
/// # Errors
/// When a closure cannot be read, or is none.
pub fn spell_out(config: &ImageConfig, base: &Path) -> Result<ImageConfig, Error> {
    let mut config = config.clone();
    for (number, partition) in (1..).zip(&mut config.partitions) {
        let label = partition.label().to_owned();
        spell_out_store(partition, base).map_err(|source| Error::Partition {
            number,
            label,
            source: Box::new(source),
        })?;
    }
    Ok(config)
}

fn spell_out_store(partition: &mut PartitionConfig, base: &Path) -> Result<(), Error> {
    let closure = Closure::of(partition, base)?;
    let prefix = format!("/{}", partition.nix_store_prefix().trim_matches('/'));
    let prefix = prefix.trim_end_matches('/');
    for path in &closure.paths {
        let place = format!("{prefix}/{}", path.name());
        let from = Path::new(path.as_str());
        let metadata = fs::symlink_metadata(from).map_err(error::read(from))?;
        if metadata.is_symlink() {
            // systemd-repart would copy what it leads to.
            let leads = fs::read_link(from).map_err(error::read(from))?;
            let link = format!("{place}:{}", leads.display());
            partition.make_symlinks.push(link);
        } else {
            partition.copy_files.push(format!("{path}:{place}"));
        }
    }
    if let Some(registration) = closure.registration {
        let place = nix_store::REGISTRATION;
        let item = format!("{}:/{place}", registration.display());
        partition.copy_files.push(item);
    }
    partition.closure = None;
    partition.store_paths.clear();
    partition.nix_store_prefix = None;
    partition.registration = None;
    Ok(())
}
