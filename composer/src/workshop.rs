//! Where file systems are made by programs, before they become part of the image.
#![expect(clippy::disallowed_methods, reason = "reads SOURCE_DATE_EPOCH")]

use std::path::{Path, PathBuf};

use composer::Error;
use composer::config::{FileSystem, ImageConfig};
use composer::mkfs::{self, Order};
use composer::plan::{self, Identity, ImageLayout};
use composer::scan::{Inputs, PartitionInput};
use composer::tree::FileTree;
use tempfile::TempDir;

/// A folder beside the image, and what is known of the file systems.
#[derive(Debug)]
pub struct Workshop<'a> {
    config: &'a ImageConfig,
    identities: Vec<Identity>,
    /// None as long as nothing is made.
    folder: Option<TempDir>,
    beside: PathBuf,
    time: u64,
}

impl<'a> Workshop<'a> {
    /// A workshop in a folder: that of the image, where blocks can be shared with it.
    ///
    /// # Errors
    /// When `SOURCE_DATE_EPOCH` is no time.
    pub fn new(config: &'a ImageConfig, beside: PathBuf) -> Result<Self, Error> {
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().map_err(|_| Error::NotATime { text })?,
            Err(_) => mkfs::DEFAULT_TIME,
        };
        Ok(Self {
            config,
            identities: plan::identities(config),
            folder: None,
            beside,
            time,
        })
    }

    /// Makes the file systems that are as large as they turn out.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make_read_only(&mut self, inputs: &mut Inputs) -> Result<(), Error> {
        for index in 0..self.config.partitions.len() {
            let format = self.config.partitions[index].format;
            if format.is_some_and(FileSystem::is_read_only) {
                self.make(index, inputs, 0)?;
            }
        }
        Ok(())
    }

    /// Makes the others among these partitions, as large as they are; not once more what
    /// is made.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make_writable(
        &mut self,
        inputs: &mut Inputs,
        layout: &ImageLayout,
        indices: impl IntoIterator<Item = usize>,
    ) -> Result<(), Error> {
        for index in indices {
            if matches!(inputs.partitions[index], PartitionInput::Made { .. }) {
                continue;
            }
            let entry = &layout.entries[index];
            let format = self.config.partitions[index].format;
            let is_writable = |format: FileSystem| mkfs::is_made(format) && !format.is_read_only();
            if let Some(entry) = entry
                && format.is_some_and(is_writable)
            {
                self.make(index, inputs, entry.size)?;
            }
        }
        Ok(())
    }

    /// The folder, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&mut self) -> Result<&Path, Error> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => self.open()?,
        };
        Ok(self.folder.insert(folder).path())
    }

    fn make(&mut self, index: usize, inputs: &mut Inputs, size: u64) -> Result<(), Error> {
        let folder = self.folder()?.to_owned();
        let partition = &self.config.partitions[index];
        let identity = &self.identities[index];
        let tree = match std::mem::replace(&mut inputs.partitions[index], PartitionInput::Empty) {
            PartitionInput::Tree(tree) => tree,
            _ => FileTree::default(),
        };
        let order = Order {
            partition,
            uuid: identity.uuid,
            label: &identity.label,
            size,
            sector: self.config.sector_size(),
            time: self.time,
        };
        let made = mkfs::make(order, tree, &mut inputs.sources, &folder);
        inputs.partitions[index] = made.map_err(|source| Error::Partition {
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            label: identity.label.clone(),
            source: Box::new(source),
        })?;
        Ok(())
    }

    fn open(&self) -> Result<TempDir, Error> {
        let folder = tempfile::Builder::new()
            .prefix(".compose-")
            .tempdir_in(&self.beside);
        folder.map_err(|source| Error::Write {
            path: self.beside.clone(),
            source,
        })
    }
}
