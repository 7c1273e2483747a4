//! Finds the content of every partition: manifests, directories, files.
//!
//! Nothing is read but manifests and directories; of files only what `stat`
//! says. Symbolic links are followed, as the boot file systems hold none.
#![expect(clippy::disallowed_methods, reason = "looks at the sources")]

mod attributes;
mod closure;
mod excluded;
mod manifest;
mod pieces;
mod stat;
mod whole;

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use extents::{ExtentMap, SourceId};
use tree_manifest::TreePath;

use crate::config::{FileSystem, ImageConfig, PartitionConfig};
use crate::error::{self, Error};
use crate::found::{FoundDisk, FoundTable};
use crate::holes;
use crate::placement::Existing;
use crate::source::{Source, Sources, Stamp};
use crate::tree::{FileContent, FileTree, Whole};
use excluded::Excluded;
pub(crate) use stat::{regular_file, stamp};

pub use closure::Closure;
pub use manifest::load_tree;

/// What every partition holds, and the files it comes from.
#[derive(Debug, Default)]
pub struct Inputs {
    /// One for each partition, in their order.
    pub partitions: Vec<PartitionInput>,
    /// The files.
    pub sources: Sources,
    /// The disk that is there already.
    pub found: Option<FoundDisk>,
}

impl Inputs {
    /// The partition table that stays.
    #[must_use]
    pub fn found_table(&self) -> Option<&FoundTable> {
        self.found.as_ref()?.table.as_ref()
    }
}

/// What one partition holds.
#[derive(Debug)]
pub enum PartitionInput {
    /// Nothing.
    Empty,
    /// What is in it already.
    Kept(Existing),
    /// The bytes of a file, without its holes.
    Blocks(ExtentMap),
    /// Files and directories.
    Tree(FileTree),
    /// Hashes or a signature of dm-verity.
    Computed(Arc<[u8]>),
    /// A file system that was made of files and directories, by a program or here.
    Made {
        /// Its bytes.
        extents: ExtentMap,
        /// What it was made of.
        tree: FileTree,
    },
}

/// Whether content is compared with the digests of its manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckDigests {
    /// Unless the file system proves that a file has not changed since its
    /// manifest was written: its inode changed before that.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Finds the content of every partition. Relative paths of the description
/// count from `base`. A partition whose tree is still to be made is empty.
///
/// # Errors
/// When something cannot be read, is of a type that cannot be copied, is not of
/// the size its manifest says, or wants a place that is taken.
pub fn scan(config: &ImageConfig, base: &Path, digests: CheckDigests) -> Result<Inputs, Error> {
    let mut scan = Scan::of(base, digests, Sources::default());
    let mut partitions = Vec::new();
    for (number, partition) in (1..).zip(&config.partitions) {
        if !partition.tree_command.is_empty() {
            partitions.push(PartitionInput::Empty);
            continue;
        }
        let input = scan
            .partition(partition)
            .map_err(|source| Error::Partition {
                number,
                label: partition.label().to_owned(),
                source: Box::new(source),
            })?;
        partitions.push(input);
    }
    Ok(Inputs {
        partitions,
        sources: scan.sources,
        found: None,
    })
}

/// Finds the content of a partition again, as `partition` now says it.
pub(crate) fn rescan(
    inputs: &mut Inputs,
    partition: &PartitionConfig,
    index: usize,
    (base, digests): (&Path, CheckDigests),
) -> Result<(), Error> {
    let mut scan = Scan::of(base, digests, std::mem::take(&mut inputs.sources));
    let input = scan.partition(partition);
    inputs.sources = scan.sources;
    inputs.partitions[index] = input?;
    Ok(())
}

struct Scan<'a> {
    base: &'a Path,
    digests: CheckDigests,
    sources: Sources,
    excluded: Excluded,
    /// The directories that were read for a partition.
    directories: Vec<(PathBuf, Stamp)>,
    /// Whether their files, or they, have attributes that stay there.
    leaves_attributes: bool,
    /// Whether the file system has symbolic links, so that they are not followed.
    keeps_links: bool,
    /// Whether the file system has holes, so that those of sources are looked for.
    keeps_holes: bool,
}

impl<'a> Scan<'a> {
    /// One that adds to sources, before the first partition.
    fn of(base: &'a Path, digests: CheckDigests, sources: Sources) -> Self {
        Self {
            base,
            digests,
            sources,
            excluded: Excluded::default(),
            directories: Vec::new(),
            leaves_attributes: false,
            keeps_links: false,
            keeps_holes: false,
        }
    }

    fn partition(&mut self, config: &PartitionConfig) -> Result<PartitionInput, Error> {
        if let Some(path) = &config.copy_blocks {
            let path = self.base.join(path);
            regular_file(&path)?;
            let blocks = holes::slices_of(&path, &mut self.sources)?;
            return Ok(PartitionInput::Blocks(blocks));
        }
        if !config.has_files() {
            return Ok(PartitionInput::Empty);
        }
        self.excluded = Excluded::of(config, self.base);
        self.directories.clear();
        self.leaves_attributes = false;
        self.keeps_links = config.format != Some(FileSystem::Vfat);
        self.keeps_holes = config.format == Some(FileSystem::Ext4);
        let mut tree = FileTree::default();
        for directory in &config.make_directories {
            if let Some(path) = target(directory)? {
                tree.add_directory(path)?;
            }
        }
        for subvolume in &config.subvolumes {
            if let Some(path) = target(subvolume.split(':').next().unwrap_or_default())? {
                tree.add_directory(path)?;
            }
        }
        if let Some(reference) = &config.tree {
            match reference.rsplit_once('#') {
                Some((manifest, role)) => self.manifest(&mut tree, manifest, role)?,
                None => self.copy(&mut tree, &self.base.join(reference), None, &mut Vec::new())?,
            }
        }
        for item in &config.copy_files {
            let (from, to) = item.split_once(':').unwrap_or((item, item));
            self.copy(
                &mut tree,
                &self.base.join(from),
                target(to)?,
                &mut Vec::new(),
            )?;
        }
        self.closure(&mut tree, config)?;
        for link in &config.make_symlinks {
            let (place, leads) = link.split_once(':').unwrap_or((link, ""));
            if let Some(place) = target(place)? {
                tree.add_symlink(place, leads.to_owned())?;
            }
        }
        if let Some(folder) = whole::directory(config, self.base) {
            let directories = std::mem::take(&mut self.directories);
            tree.whole = Some(Whole {
                folder,
                directories,
                leaves_attributes: self.leaves_attributes,
            });
        }
        Ok(PartitionInput::Tree(tree))
    }

    /// Adds a file or directory of the host at a place; `None` is the root.
    /// `above` are the inodes of the directories on the way.
    fn copy(
        &mut self,
        tree: &mut FileTree,
        from: &Path,
        to: Option<TreePath>,
        above: &mut Vec<(u64, u64)>,
    ) -> Result<(), Error> {
        let place = to.as_ref().map_or("", TreePath::as_str);
        if self.excluded.has(from, place, false) {
            return Ok(());
        }
        // What is named in the description is meant, even by a link.
        let look = if self.keeps_links && !above.is_empty() {
            fs::symlink_metadata(from)
        } else {
            fs::metadata(from)
        };
        let metadata = look.map_err(error::read(from))?;
        let unusual = |what| Error::Unusual {
            path: from.to_owned(),
            what,
        };
        if metadata.is_symlink() {
            let leads = fs::read_link(from).map_err(error::read(from))?;
            let leads = leads.into_os_string().into_string();
            let leads = leads.map_err(|_| unusual("a link whose target is not UTF-8"))?;
            return match to {
                Some(to) => tree.add_symlink(to, leads),
                None => Ok(()),
            };
        }
        if self.keeps_links {
            let found = attributes::of(from)?;
            self.leaves_attributes |= found.has_others;
            match &to {
                Some(to) => tree.set_attributes(to, found.taken),
                None => self.leaves_attributes |= !found.taken.is_empty(),
            }
        }
        if let Some(to) = &to {
            tree.set_mode(to.clone(), metadata.mode() & 0o7777);
        }
        if metadata.is_file() {
            let Some(to) = to else {
                return Err(unusual(
                    "a file, and needs a name in the partition: `SOURCE:TARGET`",
                ));
            };
            let source = self.source(from.to_owned(), &metadata);
            if self.keeps_holes && holes::may_have_some(&metadata) {
                let data = holes::data_in(from).map_err(error::read(from))?;
                self.sources.set_data(source, data);
            }
            return tree.add_file(to, FileContent::Source(source, metadata.len()));
        }
        if !metadata.is_dir() {
            return Err(unusual("neither file nor directory"));
        }
        let stamp = stamp(&metadata);
        self.directories.push((from.to_owned(), stamp));
        let inode = stamp.inode;
        if above.contains(&inode) {
            return Err(unusual("a link that leads back up"));
        }
        above.push(inode);
        self.copy_directory(tree, from, to.as_ref(), above)?;
        above.pop();
        Ok(())
    }

    /// Adds a directory with what is in it.
    fn copy_directory(
        &mut self,
        tree: &mut FileTree,
        from: &Path,
        to: Option<&TreePath>,
        above: &mut Vec<(u64, u64)>,
    ) -> Result<(), Error> {
        if let Some(to) = to {
            tree.add_directory(to.clone())?;
        }
        let place = to.map_or("", TreePath::as_str);
        if self.excluded.has(from, place, true) {
            return Ok(());
        }
        let mut names = Vec::new();
        for item in fs::read_dir(from).map_err(error::read(from))? {
            names.push(item.map_err(error::read(from))?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let path = from.join(&name);
            let name = name.into_string().map_err(|_| Error::Unusual {
                path: path.clone(),
                what: "not named in UTF-8",
            })?;
            let place = to.map_or_else(|| name.clone(), |to| format!("{to}/{name}"));
            // What FAT cannot hold, its own rules refuse.
            let place = TreePath::on_unix(place).map_err(|error| not_a_place(&error))?;
            self.copy(tree, &path, Some(place), above)?;
        }
        Ok(())
    }

    fn source(&mut self, path: PathBuf, metadata: &Metadata) -> SourceId {
        let (size, stamp) = (metadata.len(), stamp(metadata));
        self.sources.add(Source {
            path,
            size,
            stamp,
            sha256: None,
        })
    }
}

/// A place in a partition, written from its root as in repart.d; `None` is the
/// root itself.
fn target(text: &str) -> Result<Option<TreePath>, Error> {
    let bare = text.trim_matches('/');
    if bare.is_empty() {
        return Ok(None);
    }
    TreePath::on_unix(bare)
        .map(Some)
        .map_err(|error| not_a_place(&error))
}

fn not_a_place(error: &tree_manifest::PathError) -> Error {
    Error::NotAPlace {
        path: error.path.clone(),
        reason: error.reason,
    }
}
