//! Where file systems are made, before they become part of the image.
#![expect(clippy::disallowed_methods, reason = "reads SOURCE_DATE_EPOCH")]

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use composer::Error;
use composer::config::{FileSystem, ImageConfig, PartitionConfig};
use composer::mkfs::{self, Order};
use composer::plan::{self, Identity, ImageLayout};
use composer::raw;
use composer::scan::{Inputs, PartitionInput};
use composer::tools::Tools;
use composer::tree::FileTree;
use extents::staging::Folder;

use crate::cli::{ComposeRequest, ProgressStyle};
use crate::report::Making;

/// A folder beside the image, and what is known of the file systems.
#[derive(Debug)]
pub struct Workshop<'a> {
    config: &'a ImageConfig,
    identities: Vec<Identity>,
    /// None as long as nothing is made.
    folder: Option<Folder>,
    beside: PathBuf,
    time: u64,
    style: ProgressStyle,
    tools: &'a Tools,
}

impl<'a> Workshop<'a> {
    /// A workshop in a folder: that of the image, where blocks can be shared with it.
    ///
    /// # Errors
    /// When `SOURCE_DATE_EPOCH` is no time.
    pub fn new(
        config: &'a ImageConfig,
        beside: PathBuf,
        request: &'a ComposeRequest,
    ) -> Result<Self, Error> {
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
            style: request.progress,
            tools: &request.tools,
        })
    }

    /// Makes the file systems that are as large as they turn out.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make_read_only(&mut self, inputs: &mut Inputs) -> Result<(), Error> {
        let partitions = self.config.partitions.iter().enumerate();
        let is_read_only = |(_, partition): &(usize, &PartitionConfig)| {
            partition.format.is_some_and(FileSystem::is_read_only)
        };
        let wanted: Vec<_> = partitions
            .filter(is_read_only)
            .map(|(index, _)| (index, 0))
            .collect();
        self.make(&wanted, inputs)
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
        let mut wanted = Vec::new();
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
                wanted.push((index, entry.size));
            }
        }
        self.make(&wanted, inputs)
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

    /// Makes file systems of these sizes, as many at once as there are processors.
    fn make(&mut self, wanted: &[(usize, u64)], inputs: &mut Inputs) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        let folder = self.folder_for(wanted)?;
        let mut jobs = Vec::new();
        for (index, size) in wanted {
            let input = std::mem::replace(&mut inputs.partitions[*index], PartitionInput::Empty);
            let tree = match input {
                PartitionInput::Tree(tree) => tree,
                _ => FileTree::default(),
            };
            jobs.push((*index, self.order(*index, *size), tree));
        }
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let workers = workers.min(jobs.len());
        let making = Making::start(self.style);
        let queue = Mutex::new(jobs.into_iter());
        let sources = &inputs.sources;
        let work = || {
            let mut made = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((index, order, tree)) = next else {
                    return made;
                };
                let name = order.name();
                making.begins(&name);
                let result = match &folder {
                    Some(folder) if order.takes_program() => {
                        let folder = folder.join((index + 1).to_string());
                        mkfs::make(order, tree, sources, &folder)
                    }
                    _ => mkfs::lay_out(order, tree, sources),
                };
                made.push((index, result));
                making.ends(&name);
            }
        };
        let mut made = thread::scope(|scope| {
            let threads: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mut made = work();
            for thread in threads {
                let joined = thread.join();
                made.extend(joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            made
        });
        // Whichever was quicker, the result is the same.
        made.sort_unstable_by_key(|(index, _)| *index);
        for (index, made) in made {
            let made = made.map_err(|source| Error::Partition {
                number: u32::try_from(index + 1).unwrap_or(u32::MAX),
                label: self.identities[index].label.clone(),
                source: Box::new(source),
            })?;
            inputs.partitions[index] = made.into_input(&mut inputs.sources);
        }
        Ok(())
    }

    /// The folder, where a program makes one of these.
    fn folder_for(&mut self, wanted: &[(usize, u64)]) -> Result<Option<PathBuf>, Error> {
        let takes_program =
            |(index, size): &(usize, u64)| self.order(*index, *size).takes_program();
        if !wanted.iter().any(takes_program) {
            return Ok(None);
        }
        Ok(Some(self.folder()?.to_owned()))
    }

    fn order(&self, index: usize, size: u64) -> Order<'_> {
        let identity = &self.identities[index];
        Order {
            partition: &self.config.partitions[index],
            uuid: identity.uuid,
            label: &identity.label,
            size,
            sector: self.config.sector_size(),
            time: self.time,
            tools: self.tools,
        }
    }

    fn open(&self) -> Result<Folder, Error> {
        let folder = Folder::new(&self.beside, raw::TEMPORARY);
        folder.map_err(|source| Error::Write {
            path: self.beside.clone(),
            source,
        })
    }
}
