//! What mke2fs is told, and how large an ext4 file system must be to hold a tree.
//!
//! Specification: the kernel's `Documentation/filesystems/ext4`. Counted for blocks of
//! 4096 bytes, inodes of 256, no reserved blocks, and what mke2fs makes of the rest.

use std::collections::BTreeMap;
use std::path::Path;

use super::Order;
use super::program::Program;
use crate::label::cut;
use crate::tools::Tool;
use crate::tree::{FileTree, Node};

const BLOCK: u64 = 4096;

/// Blocks of a group.
const GROUP: u64 = 32768;

/// Of how many bytes mke2fs makes an inode where nothing else is said.
const BYTES_PER_INODE: u64 = 16384;

/// Inodes that mke2fs needs, and some to spare.
const MORE_INODES: u64 = 32;

/// The program that makes a file system of an archive, whose tree this is.
pub fn program<'a>(order: Order<'a>, tree: &FileTree, image: &Path) -> Program<'a> {
    let mut program = Program::new(order.tools, Tool::Mke2fs);
    let uuid = order.file_system().to_string();
    let label = cut(order.volume_label(), 16);
    let inodes = inodes(tree, order.size).to_string();
    let extended = format!("root_owner=0:0,hash_seed={uuid},lazy_itable_init=0,nodiscard");
    program.add(&["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256"]);
    program.add(&["-m", "0", "-N", &inodes, "-U", &uuid, "-L", label]);
    program.add(&["-E", &extended, "-d", "-"]);
    program.add_path(image);
    program
}

/// How many inodes a file system of `size` bytes has for a tree.
fn inodes(tree: &FileTree, size: u64) -> u64 {
    let entries = tree.iter().count() as u64;
    (entries + MORE_INODES).max(size / BYTES_PER_INODE)
}

/// The least size that holds a tree, in bytes; a little more than is needed.
#[must_use]
pub fn least_size(tree: &FileTree) -> u64 {
    let data = data_blocks(tree);
    let mut total = data;
    // The metadata grows with the size, what is to spare included: the journal in leaps.
    for _ in 0..16 {
        let needed = data + metadata_blocks(tree, total);
        let with_spare = needed + needed / 100 + 32;
        if with_spare <= total {
            break;
        }
        total = with_spare;
    }
    total * BLOCK
}

fn data_blocks(tree: &FileTree) -> u64 {
    let mut directories: BTreeMap<&str, u64> = BTreeMap::from([("", 0)]);
    let mut blocks = 4; // lost+found
    for (path, node) in tree.iter() {
        let parent = path
            .as_str()
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let record = (path.name().len() as u64 + 8).next_multiple_of(4);
        *directories.entry(parent).or_default() += record;
        match node {
            Node::Directory => {
                directories.entry(path.as_str()).or_default();
            }
            Node::File(content) => {
                let own = content.size().div_ceil(BLOCK);
                // A block of extents where the file may lie in more than four.
                blocks += own + own / (8 * GROUP) + u64::from(own > 2048);
            }
            Node::Symlink(target) => blocks += u64::from(target.len() >= 60),
        }
    }
    // `.`, `..` and the checksum; names do not cross blocks, so some room is lost.
    let of_directory = |names: &u64| (24 + names + names / 8).div_ceil(BLOCK - 280).max(1);
    blocks + directories.values().map(of_directory).sum::<u64>()
}

fn metadata_blocks(tree: &FileTree, total: u64) -> u64 {
    let groups = total.div_ceil(GROUP).max(1);
    let per_group = inodes(tree, total * BLOCK)
        .div_ceil(groups)
        .next_multiple_of(16);
    let tables = groups * (per_group / 16 + 2);
    let descriptors = (groups * 64).div_ceil(BLOCK);
    // Room for the descriptors of a file system a thousand times as large.
    let reserved = (groups * 1024 * 64).div_ceil(BLOCK).min(1024);
    let is_power = |group: u64, base: u64| {
        let mut power = base;
        while power < group {
            power *= base;
        }
        power == group
    };
    let has_backup =
        |group: &u64| *group < 2 || [3, 5, 7].iter().any(|base| is_power(*group, *base));
    let backups = (0..groups).filter(has_backup).count() as u64;
    tables + backups * (1 + descriptors + reserved) + journal_blocks(total)
}

/// The blocks of the journal that mke2fs makes.
fn journal_blocks(total: u64) -> u64 {
    let sizes = [
        (2048, 0),
        (32768, 1024),
        (256 << 10, 4096),
        (512 << 10, 8192),
        (4096 << 10, 16384),
        (8192 << 10, 32768),
        (16384 << 10, 65536),
        (32768 << 10, 131_072),
    ];
    let size = sizes.iter().find(|(below, _)| total < *below);
    size.map_or(262_144, |(_, journal)| *journal) + 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use extents::ExtentMap;
    use tree_manifest::TreePath;

    use crate::tree::FileContent;

    #[test]
    fn what_is_to_spare_is_there_after_each_leap_of_the_journal() {
        let leaps = [
            1900..2100,
            31_000..33_000,
            250_000..264_000,
            500_000..526_000,
        ];
        for blocks in leaps.into_iter().flat_map(|leap| leap.step_by(50)) {
            let mut tree = FileTree::default();
            let content = FileContent::Pieces(ExtentMap::hole(blocks * BLOCK));
            tree.add_file(TreePath::new("file").unwrap(), content)
                .unwrap();
            let total = least_size(&tree) / BLOCK;
            let needed = data_blocks(&tree) + metadata_blocks(&tree, total);
            assert!(needed + needed / 100 <= total, "{needed} of {total}");
            assert!(total < needed + needed / 20 + 8192, "{needed} of {total}");
        }
    }
}
