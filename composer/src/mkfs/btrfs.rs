//! What mkfs.btrfs is told, and how large a btrfs must be to hold a tree.
//!
//! Specification: `man mkfs.btrfs`. It reads a folder; what is in it keeps its owners and
//! new subvolumes get random identifiers, until [`volume`] has gone over them.

pub mod volume;

use std::path::Path;

use super::Order;
use super::program::Program;
use crate::config::PartitionConfig;
use crate::label::cut;
use crate::seed;
use crate::size::round_up;
use crate::tools::Tool;
use crate::tree::{FileTree, Node};

const BLOCK: u64 = 4096;

/// What an empty one takes.
const EMPTY: u64 = 109 << 20;

/// The unit of space for data.
const DATA_CHUNK: u64 = 8 << 20;

/// The unit of space for metadata, which is there twice.
const METADATA_CHUNK: u64 = 32 << 20;

/// What is reserved for a file, however little it takes: three names of the greatest
/// length, and a block.
const METADATA_OF_INODE: u64 = 4 * 4096;

/// The size that mkfs.btrfs demands for a tree, in bytes. It reserves far more than is
/// needed and makes the file larger where it is smaller (`btrfs_mkfs_size_dir` in
/// btrfs-progs); what is not used is holes.
#[must_use]
pub fn least_size(tree: &FileTree) -> u64 {
    let (mut data, mut inodes) = (0, 1);
    for (_, node) in tree.iter() {
        inodes += 1;
        if let Node::File(content) = node {
            data += content.size().next_multiple_of(BLOCK);
        }
    }
    let metadata = inodes * METADATA_OF_INODE + data / 8;
    let more = |size: u64, unit| round_up(size, unit).saturating_sub(unit);
    EMPTY + more(data, DATA_CHUNK) + 2 * more(metadata, METADATA_CHUNK)
}

/// The program that makes a file system of a folder.
pub fn program<'a>(order: Order<'a>, folder: &Path) -> Program<'a> {
    let mut program = Program::new(order.tools, Tool::MkfsBtrfs);
    let partition = order.partition;
    let uuid = order.file_system();
    let device = seed::file_system(uuid).to_string();
    let label = cut(order.volume_label(), 255);
    program.add(&["-q", "-f", "-K", "-U", &uuid.to_string(), "-L", label]);
    program.add(&["--device-uuid", &device]);
    if let Some(algorithm) = &partition.compression {
        let level = partition.compression_level.as_ref();
        let level = level.map(|level| format!(":{level}"));
        let level = level.unwrap_or_default();
        program.add(&["--compress", &format!("{algorithm}{level}")]);
    }
    for subvolume in subvolumes(partition) {
        let kind = match (subvolume.is_default, subvolume.is_read_only) {
            (true, true) => "default-ro",
            (true, false) => "default",
            (false, true) => "ro",
            (false, false) => "rw",
        };
        program.add(&["--subvol", &format!("{kind}:{}", subvolume.path)]);
        if subvolume.has_no_cow {
            let flags = format!("nodatacow:{}", subvolume.path);
            program.add(&["--inode-flags", &flags]);
        }
    }
    program.add(&["--rootdir"]);
    program.add_path(folder);
    program
}

/// A subvolume to make.
struct Subvolume<'a> {
    path: &'a str,
    is_default: bool,
    is_read_only: bool,
    has_no_cow: bool,
}

fn subvolumes(partition: &PartitionConfig) -> impl Iterator<Item = Subvolume<'_>> {
    let default = partition.default_subvolume.as_deref();
    let default = default.map(|path| path.trim_matches('/'));
    partition.subvolumes.iter().map(move |text| {
        let (path, flags) = text.split_once(':').unwrap_or((text, ""));
        let path = path.trim_matches('/');
        let has = |wanted: &str| flags.split(',').any(|flag| flag == wanted);
        Subvolume {
            path,
            is_default: default == Some(path),
            is_read_only: has("ro"),
            has_no_cow: has("nodatacow"),
        }
    })
}
