//! File systems that programs make: ext4, EROFS and `SquashFS`.
//!
//! The programs read one tar stream, made from the sources as they lie: nothing is
//! copied into a temporary tree, everything belongs to root, and one order and one time
//! are in it, so that the same input gives the same bytes. What they write is a file
//! beside the image, whose data then becomes slices of the image.
#![expect(clippy::disallowed_methods, reason = "runs mkfs programs")]

mod archive;
pub mod ext4;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::SeekFrom;
use tree_manifest::TreePath;
use uuid::Uuid;

use crate::config::{FileSystem, PartitionConfig};
use crate::error::{self, Error};
use crate::pieces;
use crate::raw::check_unchanged;
use crate::scan::{self, PartitionInput};
use crate::seed;
use crate::size::round_up;
use crate::source::{Source, Sources};
use crate::tree::{FileContent, FileTree, Node};

/// The time of everything when `SOURCE_DATE_EPOCH` does not say another: that of Nix
/// stores, since programs take 0 for "none".
pub const DEFAULT_TIME: u64 = 1;

/// Bytes that are written to a program at once.
const BUFFER: usize = 256 << 10;

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
    /// The time of everything in it, in seconds since 1970.
    pub time: u64,
}

/// Whether a program makes such a file system.
#[must_use]
pub fn is_made(format: FileSystem) -> bool {
    matches!(
        format,
        FileSystem::Ext4 | FileSystem::Erofs | FileSystem::Squashfs
    )
}

/// Makes a file system of a tree, in a file in `folder`.
///
/// # Errors
/// When the program is not there or fails, or a source cannot be read or changed.
pub fn make(
    order: Order<'_>,
    tree: FileTree,
    sources: &mut Sources,
    folder: &Path,
) -> Result<PartitionInput, Error> {
    let path = folder.join(format!("{}.{}", order.uuid, name(order)));
    let (program, package, arguments) = call(order, &tree, &path);
    if order.partition.format == Some(FileSystem::Ext4) {
        let file = File::create(&path).map_err(error::write(&path))?;
        file.set_len(order.size).map_err(error::write(&path))?;
    }
    let mut child = Command::new(program)
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", order.time.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NoProgram {
                program: program.into(),
                purpose: "makes this file system",
                package,
            },
            _ => error::read(Path::new(program))(error),
        })?;
    let fed = feed(&mut child, &tree, sources, order.time);
    finish(child, program, fed)?;
    taken(path, tree, sources)
}

fn name(order: Order<'_>) -> &'static str {
    order.partition.format.map_or("none", FileSystem::name)
}

/// The program, the package that has it, and its arguments.
fn call(
    order: Order<'_>,
    tree: &FileTree,
    image: &Path,
) -> (&'static str, &'static str, Vec<OsString>) {
    let uuid = seed::file_system(order.uuid);
    let label = order
        .partition
        .volume_label
        .as_deref()
        .unwrap_or(order.label);
    let (compression, level) = compression(order.partition);
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    match order.partition.format {
        Some(FileSystem::Erofs) => {
            let label = cut(label, 15);
            let (uuid, time) = (format!("-U{uuid}"), format!("-T{}", order.time));
            add(&[
                "--quiet",
                "--tar=f",
                "--all-root",
                &uuid,
                &time,
                "-L",
                label,
            ]);
            if let Some(algorithm) = compression {
                let level = level.map(|level| format!(",level={level}"));
                add(&[&format!("-z{algorithm}{}", level.unwrap_or_default())]);
            }
            arguments.push(image.into());
            ("mkfs.erofs", "erofs-utils", arguments)
        }
        Some(FileSystem::Squashfs) => {
            arguments.extend(["-".into(), image.into()]);
            let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
            add(&["-tar", "-quiet", "-no-progress", "-noappend"]);
            add(&["-root-mode", "755", "-root-uid", "0", "-root-gid", "0"]);
            if let Some(algorithm) = compression {
                add(&["-comp", algorithm]);
            }
            if let Some(level) = level {
                add(&["-Xcompression-level", level]);
            }
            ("mksquashfs", "squashfs-tools", arguments)
        }
        _ => {
            let (uuid, label) = (uuid.to_string(), cut(label, 16));
            let inodes = ext4::inodes(tree, order.size).to_string();
            let extended = format!("root_owner=0:0,hash_seed={uuid},lazy_itable_init=0,nodiscard");
            add(&[
                "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0",
            ]);
            add(&[
                "-N", &inodes, "-U", &uuid, "-L", label, "-E", &extended, "-d", "-",
            ]);
            arguments.push(image.into());
            ("mke2fs", "e2fsprogs", arguments)
        }
    }
}

fn compression(partition: &PartitionConfig) -> (Option<&str>, Option<&str>) {
    let level = partition.compression_level.as_deref();
    (partition.compression.as_deref(), level)
}

/// As much of a label as fits.
fn cut(label: &str, most: usize) -> &str {
    let fits = |end: &usize| label.is_char_boundary(*end);
    let end = (0..=label.len().min(most)).rev().find(fits);
    &label[..end.unwrap_or(0)]
}

/// Writes a tree to a program as an archive.
fn feed(child: &mut Child, tree: &FileTree, sources: &Sources, time: u64) -> Result<(), Fed> {
    let Some(input) = child.stdin.take() else {
        unreachable!("its input is a pipe");
    };
    let mut out = BufWriter::with_capacity(BUFFER, input);
    for (path, node) in tree.iter() {
        member(&mut out, tree, (path, node), sources, time)?;
    }
    out.write_all(&archive::END).map_err(Fed::Closed)?;
    out.flush().map_err(Fed::Closed)
}

/// Why a program did not get all of an archive.
enum Fed {
    /// It went away; its own words say why.
    Closed(io::Error),
    /// A source is to blame.
    Source(Error),
}

impl From<Error> for Fed {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

fn member(
    out: &mut dyn Write,
    tree: &FileTree,
    (path, node): (&TreePath, &Node),
    sources: &Sources,
    time: u64,
) -> Result<(), Fed> {
    let kind = match node {
        Node::Directory => archive::Kind::Directory,
        Node::File(content) => archive::Kind::File(content.size()),
        Node::Symlink(target) => archive::Kind::Symlink(target),
    };
    let header = archive::header(path.as_str(), tree.mode(path), kind, time);
    out.write_all(&header).map_err(Fed::Closed)?;
    let Node::File(content) = node else {
        return Ok(());
    };
    match content {
        FileContent::Bytes(bytes) => out.write_all(bytes).map_err(Fed::Closed)?,
        FileContent::Source(id, _) => copy(out, sources.get(*id))?,
        FileContent::Pieces(map) => pieces::read(map, sources, |bytes| {
            out.write_all(bytes).map_err(Fed::Closed)
        })?,
    }
    let filled = round_up(content.size(), archive::BLOCK) - content.size();
    let zeros = usize::try_from(filled).unwrap_or_default();
    out.write_all(&[0; 512][..zeros]).map_err(Fed::Closed)
}

/// Copies a source, which must be before and after what was planned.
fn copy(out: &mut dyn Write, planned: &Source) -> Result<(), Fed> {
    let failed = |error| Fed::Source(error::read(&planned.path)(error));
    let mut file = File::open(&planned.path).map_err(failed)?;
    check_unchanged(&file, planned).map_err(Fed::Source)?;
    let mut buffer = vec![0; BUFFER];
    let mut left = planned.size;
    while left > 0 {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 || count as u64 > left {
            let path = planned.path.clone();
            return Err(Fed::Source(Error::Changed { path }));
        }
        out.write_all(&buffer[..count]).map_err(Fed::Closed)?;
        left -= count as u64;
    }
    check_unchanged(&file, planned).map_err(Fed::Source)
}

/// Waits for a program; what it says of a failure goes before what we know of it.
fn finish(child: Child, program: &str, fed: Result<(), Fed>) -> Result<(), Error> {
    let path = PathBuf::from(program);
    let output = child.wait_with_output().map_err(error::read(&path))?;
    if let Err(Fed::Source(error)) = fed {
        return Err(error);
    }
    if !output.status.success() {
        return Err(Error::of_program(&path, &output));
    }
    match fed {
        Err(Fed::Closed(error)) => Err(error::write(&path)(error)),
        _ => Ok(()),
    }
}

/// Takes a finished file system among the sources.
fn taken(path: PathBuf, tree: FileTree, sources: &mut Sources) -> Result<PartitionInput, Error> {
    let file = File::open(&path).map_err(error::read(&path))?;
    let metadata = file.metadata().map_err(error::read(&path))?;
    let data = data_of(&file).map_err(error::read(&path))?;
    let size = metadata.len();
    let source = sources.add(Source {
        path,
        size,
        stamp: scan::stamp(&metadata),
        sha256: None,
    });
    Ok(PartitionInput::Made {
        source,
        size,
        data,
        tree,
    })
}

/// Where a file has data: start and length of each run.
fn data_of(file: &File) -> io::Result<Vec<(u64, u64)>> {
    let mut runs = Vec::new();
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Err(rustix::io::Errno::NXIO) => return Ok(runs),
            start => start?,
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
        runs.push((start, end - start));
        at = end;
    }
}
