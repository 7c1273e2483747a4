//! Finds the closure of a store of Nix that a partition holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tree_manifest::TreePath;

use super::{Scan, not_a_place, regular_file, stamp, target};
use crate::config::PartitionConfig;
use crate::error::{self, Error};
use crate::nix_store::{self, StorePath};
use crate::tree::{FileContent, FileTree};

/// What a partition holds of a store.
#[derive(Debug, Default)]
pub struct Closure {
    /// The objects.
    pub paths: BTreeSet<StorePath>,
    /// The file that says what is registered.
    pub registration: Option<PathBuf>,
}

impl Closure {
    /// Reads the closure of a partition, and checks that its registration is one of it.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn of(config: &PartitionConfig, base: &Path) -> Result<Self, Error> {
        let mut list = None;
        let mut registration = None;
        if let Some(closure) = &config.closure {
            let closure = base.join(closure);
            let metadata = fs::metadata(&closure).map_err(error::read(&closure))?;
            if metadata.is_dir() {
                registration = Some(closure.join("registration"));
                list = Some(closure.join("store-paths"));
            } else {
                list = Some(closure);
            }
        }
        if config.holds_only_a_store() {
            registration = None;
        }
        if let Some(path) = &config.registration {
            registration = Some(base.join(path));
        }
        let paths = match &list {
            Some(list) => {
                let text = text_of(list)?;
                nix_store::paths(text.lines()).map_err(|message| Error::config(list, message))?
            }
            None if config.store_paths.is_empty() => BTreeSet::new(),
            None => {
                let paths = config.store_paths.iter().map(String::as_str);
                nix_store::paths(paths).map_err(|message| Error::Closure { message })?
            }
        };
        if let Some(registration) = &registration {
            let text = text_of(registration)?;
            let closure = (!paths.is_empty()).then_some(&paths);
            nix_store::check_registration(&text, closure)
                .map_err(|message| Error::config(registration, message))?;
        }
        Ok(Self {
            paths,
            registration,
        })
    }
}

fn text_of(path: &Path) -> Result<String, Error> {
    regular_file(path)?;
    fs::read_to_string(path).map_err(error::read(path))
}

impl Scan<'_> {
    /// Adds the objects of a closure, and what is registered of them.
    pub(super) fn closure(
        &mut self,
        tree: &mut FileTree,
        config: &PartitionConfig,
    ) -> Result<(), Error> {
        let closure = Closure::of(config, self.base)?;
        let prefix = target(config.nix_store_prefix())?;
        // With what is above it an object that is a link stays one.
        let mut above = Vec::new();
        if let Some(path) = closure.paths.first() {
            let store = Path::new(path.store());
            let metadata = fs::metadata(store).map_err(error::read(store))?;
            above.push(stamp(&metadata).inode);
        }
        for path in &closure.paths {
            let name = path.name();
            let place = prefix
                .as_ref()
                .map_or_else(|| name.to_owned(), |prefix| format!("{prefix}/{name}"));
            let place = TreePath::new(place).map_err(|error| not_a_place(&error))?;
            self.copy(tree, Path::new(path.as_str()), Some(place), &mut above)?;
        }
        if let Some(registration) = closure.registration {
            let metadata = regular_file(&registration)?;
            let source = self.source(registration, &metadata);
            if let Some(place) = target(nix_store::REGISTRATION)? {
                tree.add_file(place, FileContent::Source(source, metadata.len()))?;
            }
        }
        Ok(())
    }
}
