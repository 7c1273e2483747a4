//! File systems that programs make: btrfs, XFS, `SquashFS`, and EROFS with compression.
//!
//! EROFS and `SquashFS` are made of one tar stream, read from the sources as they lie, or of
//! one folder, where a tree is all of that; XFS is made of a list of them. mkfs.btrfs reads
//! a copy that shares its blocks where it can. Everything belongs to root and has one time,
//! so that the same input gives the same bytes. What the programs write is a file beside
//! the image, whose data then becomes slices of the image.
#![expect(clippy::disallowed_methods, reason = "runs mkfs programs")]

mod archive;
mod btrfs;
mod feed;
mod flush;
mod program;
mod staged;
mod xfs;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use extents::ExtentMap;
use uuid::Uuid;

use crate::config::{FileSystem, PartitionConfig};
use crate::disk_space::Room;
use crate::erofs;
use crate::error::{self, Error};
use crate::ext4;
use crate::holes;
use crate::label::cut;
use crate::scan::{self, PartitionInput};
use crate::seed;
use crate::size::{ByteSize, SectorSize};
use crate::source::{Source, Sources};
use crate::tools::{Tool, Tools};
use crate::tree::FileTree;
use crate::volume_id::VolumeId;
use program::Program;
use staged::StagedTree;
pub(crate) use staged::copy_tree;

/// The time of everything when `SOURCE_DATE_EPOCH` does not say another: that of Nix
/// stores, since programs take 0 for "none".
pub const DEFAULT_TIME: u64 = 1;

/// A file system to be made.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The partition it is for.
    pub partition: &'a PartitionConfig,
    /// The GUID of that partition.
    pub uuid: Uuid,
    /// The label of that partition.
    pub label: &'a str,
    /// How large it is, in bytes, where it can be written to.
    pub size: u64,
    /// The sectors of the disk.
    pub sector: SectorSize,
    /// The time of everything in it, in seconds since 1970.
    pub time: u64,
    /// Where programs are.
    pub tools: &'a Tools,
}

impl Order<'_> {
    /// What a report calls it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} `{}`", self.format().name(), self.label)
    }

    /// Whether a program makes it. ext4, and EROFS without compression, are laid out here.
    #[must_use]
    pub fn takes_program(&self) -> bool {
        match self.format() {
            FileSystem::Ext4 => false,
            FileSystem::Erofs => self.partition.compression.is_some(),
            _ => true,
        }
    }

    /// The UUID of the file system.
    fn file_system(&self) -> Uuid {
        seed::file_system(self.uuid)
    }

    fn volume_label(&self) -> &str {
        let given = self.partition.volume_label.as_deref();
        given.unwrap_or(self.label)
    }

    fn format(&self) -> FileSystem {
        self.partition.format.unwrap_or(FileSystem::Empty)
    }
}

/// A file system that was made.
#[derive(Debug)]
pub struct Made {
    content: MadeContent,
    tree: FileTree,
}

#[derive(Debug)]
enum MadeContent {
    /// A file, and where in it there is data: start and length, in bytes.
    File(Source, Vec<(u64, u64)>),
    /// Slices of the sources.
    Slices(ExtentMap),
}

impl Made {
    /// Takes it among the sources.
    #[must_use]
    pub fn into_input(self, sources: &mut Sources) -> PartitionInput {
        let extents = match self.content {
            MadeContent::Slices(extents) => extents,
            MadeContent::File(file, data) => {
                let size = file.size;
                ExtentMap::of_source(size, sources.add(file), &data)
            }
        };
        let tree = self.tree;
        PartitionInput::Made { extents, tree }
    }
}

/// Whether such a file system is made before it becomes part of the image.
#[must_use]
pub fn is_made(format: FileSystem) -> bool {
    match format {
        FileSystem::Ext4
        | FileSystem::Btrfs
        | FileSystem::Xfs
        | FileSystem::Erofs
        | FileSystem::Squashfs => true,
        FileSystem::Vfat | FileSystem::Swap | FileSystem::Empty => false,
    }
}

/// The least size of a file system that holds a tree, as far as it is known before it is
/// made, in bytes. It is in a partition with this GUID.
///
/// # Errors
/// When no such file system can hold it.
pub fn least_size(
    format: FileSystem,
    tree: &FileTree,
    sources: &Sources,
    partition: Uuid,
) -> Result<u64, Error> {
    Ok(match format {
        FileSystem::Ext4 => ext4::least_size(tree, sources, seed::file_system(partition))?,
        FileSystem::Btrfs => btrfs::least_size(tree),
        FileSystem::Xfs => xfs::least_size(tree),
        _ => 0,
    })
}

/// Lays out a file system of a tree, which takes no program ([`Order::takes_program`]).
///
/// # Errors
/// When it cannot hold something.
pub fn lay_out(order: Order<'_>, tree: FileTree, sources: &Sources) -> Result<Made, Error> {
    let id = VolumeId {
        uuid: order.file_system(),
        label: order.volume_label().to_owned(),
        time: order.time,
    };
    let extents = match order.format() {
        FileSystem::Ext4 => ext4::plan(&tree, sources, &id, order.size)?,
        _ => erofs::plan(&tree, sources, &id)?,
    };
    let content = MadeContent::Slices(extents);
    Ok(Made { content, tree })
}

/// Has a program make a file system of a tree, in a file in `folder`, which is its own.
///
/// # Errors
/// When the program is not there or fails, or a source cannot be read or changed.
pub fn make(
    order: Order<'_>,
    tree: FileTree,
    sources: &Sources,
    folder: &Path,
) -> Result<Made, Error> {
    let folder = std::path::absolute(folder).map_err(error::write(folder))?;
    let format = order.format();
    fs::create_dir_all(&folder).map_err(error::write(&folder))?;
    let path = folder.join(format!("image.{}", format.name()));
    if !format.is_read_only() {
        let file = File::create(&path).map_err(error::write(&path))?;
        file.set_len(order.size).map_err(error::write(&path))?;
    }
    let directory = File::open(&folder).map_err(error::read(&folder))?;
    let room = Room::before(&directory, &folder)?;
    let run = || run(order, &tree, sources, &path);
    let done = if room.shares_blocks() {
        flush::during(&path, error::write(&path), run)
    } else {
        run()
    };
    done.map_err(|error| room.explain(error))?;
    let made = fs::metadata(&path).map_err(error::read(&path))?.len();
    if !format.is_read_only() && made > order.size {
        return Err(Error::Outgrown {
            needed: ByteSize(made),
            available: ByteSize(order.size),
        });
    }
    taken(path, tree)
}

/// Has a program write a file system to `path`.
fn run(order: Order<'_>, tree: &FileTree, sources: &Sources, path: &Path) -> Result<(), Error> {
    match order.format() {
        FileSystem::Btrfs => make_btrfs(order, tree, sources, path)?,
        FileSystem::Xfs => {
            let named = path.with_extension("named");
            let mut program = xfs::program(order, tree, sources, &named)?;
            program.add_path(path);
            program.run(order)?;
            check_all_unchanged(tree, sources)?;
            fs::remove_dir_all(&named).map_err(error::write(&named))?;
        }
        FileSystem::Erofs => {
            let mut program = erofs(order);
            if let Some(folder) = folder_of(tree)? {
                program.add(&["-x-1"]);
                program.add_path(path);
                program.add_path(&folder);
                program.run(order)?;
                check_all_unchanged(tree, sources)?;
            } else {
                program.add(&["--tar=f"]);
                program.add_path(path);
                program.run_with(order, tree, sources)?;
            }
        }
        _ => {
            if let Some(folder) = folder_of(tree)? {
                squashfs_of_folder(order, &folder, path).run(order)?;
                check_all_unchanged(tree, sources)?;
            } else {
                squashfs_of_archive(order, path).run_with(order, tree, sources)?;
            }
        }
    }
    Ok(())
}

fn make_btrfs(
    order: Order<'_>,
    tree: &FileTree,
    sources: &Sources,
    image: &Path,
) -> Result<(), Error> {
    // The program copies all attributes, of which those of the host are to stay there.
    let leaves_some = tree.whole.as_ref().is_some_and(|it| it.leaves_attributes);
    if let Some(folder) = folder_of(tree)?.filter(|_| !leaves_some) {
        let mut program = btrfs::program(order, &folder);
        program.add_path(image);
        program.run(order)?;
        check_all_unchanged(tree, sources)?;
    } else {
        let copy = StagedTree::copy(tree, sources, image.with_extension("copy"))?;
        let mut program = btrfs::program(order, &copy.folder);
        program.add_path(image);
        program.run(order)?;
    }
    let file = File::options().read(true).write(true).open(image);
    let file = file.map_err(error::write(image))?;
    let (uuid, time) = (order.file_system(), order.time);
    btrfs::volume::settle(&file, image, btrfs::volume::Wanted { uuid, time })
}

/// Checks that what a program read by itself is what was planned.
fn check_all_unchanged(tree: &FileTree, sources: &Sources) -> Result<(), Error> {
    let directories = tree.whole.iter().flat_map(|whole| &whole.directories);
    let directories = directories.map(|(path, stamp)| (path, stamp));
    let files = tree.sources().map(|id| sources.get(id));
    let files = files.map(|source| (&source.path, &source.stamp));
    // The time of the last change tells of a new length as well.
    for (path, stamp) in directories.chain(files) {
        let metadata = fs::metadata(path).map_err(error::read(path))?;
        if scan::stamp(&metadata) != *stamp {
            let path = path.clone();
            return Err(Error::Changed { path });
        }
    }
    Ok(())
}

/// The program that makes EROFS, but for what it is made of.
fn erofs(order: Order<'_>) -> Program<'_> {
    let mut program = Program::new(order.tools, Tool::MkfsErofs);
    let (uuid, time) = (
        format!("-U{}", order.file_system()),
        format!("-T{}", order.time),
    );
    program.add(&["--quiet", "--all-root", &uuid, &time]);
    program.add(&["-L", cut(order.volume_label(), 15)]);
    if let Some(algorithm) = order.partition.compression.as_deref() {
        let level = order.partition.compression_level.as_ref();
        let level = level.map(|level| format!(",level={level}"));
        program.add(&[&format!("-z{algorithm}{}", level.unwrap_or_default())]);
    }
    program
}

/// The program that makes `SquashFS` of an archive.
fn squashfs_of_archive<'a>(order: Order<'a>, image: &Path) -> Program<'a> {
    let mut program = Program::new(order.tools, Tool::Mksquashfs);
    program.add(&["-"]);
    program.add_path(image);
    program.add(&["-tar", "-root-uid", "0", "-root-gid", "0"]);
    add_squashfs(order, &mut program);
    program
}

/// The program that makes `SquashFS` of a folder.
fn squashfs_of_folder<'a>(order: Order<'a>, folder: &Path, image: &Path) -> Program<'a> {
    let mut program = Program::new(order.tools, Tool::Mksquashfs);
    program.add_path(folder);
    program.add_path(image);
    let time = order.time.to_string();
    program.add(&["-all-root", "-no-xattrs"]);
    program.add(&["-mkfs-time", &time, "-all-time", &time]);
    // Which it does not take beside these.
    program.hide_epoch();
    add_squashfs(order, &mut program);
    program
}

/// What does not depend on what `SquashFS` is made of.
fn add_squashfs(order: Order<'_>, program: &mut Program<'_>) {
    program.add(&["-quiet", "-no-progress", "-noappend", "-root-mode", "755"]);
    if let Some(algorithm) = &order.partition.compression {
        program.add(&["-comp", algorithm]);
    }
    if let Some(level) = &order.partition.compression_level {
        program.add(&["-Xcompression-level", level]);
    }
}

/// The folder that a program may read by itself, if the tree is all of one. Attributes of
/// the host would come too, so that they must be left out.
fn folder_of(tree: &FileTree) -> Result<Option<PathBuf>, Error> {
    let whole = tree.whole.as_ref().filter(|_| !tree.has_attributes());
    // mksquashfs takes a link to a folder for a link.
    let folder =
        whole.map(|whole| fs::canonicalize(&whole.folder).map_err(error::read(&whole.folder)));
    folder.transpose()
}

/// Looks at a finished file system.
fn taken(path: PathBuf, tree: FileTree) -> Result<Made, Error> {
    let file = File::open(&path).map_err(error::read(&path))?;
    let metadata = file.metadata().map_err(error::read(&path))?;
    let data = holes::data_of(&file, 0, metadata.len()).map_err(error::read(&path))?;
    let size = metadata.len();
    let source = Source {
        path,
        size,
        stamp: scan::stamp(&metadata),
        sha256: None,
    };
    let content = MadeContent::File(source, data);
    Ok(Made { content, tree })
}
