//! A small sound disk, to be damaged.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use composer::config::ImageConfig;
use composer::raw::{self, Options};
use composer::scan::CheckDigests;
use composer::{plan, scan};
use tree_manifest::{Entry, Tree, TreePath};

use crate::scratch;

/// An image with two partitions of FAT12 and FAT16: a tree and nothing.
#[derive(Debug)]
pub struct Disk {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is on its first partition.
    pub tree: Tree,
    /// Where each partition starts, in bytes.
    pub starts: Vec<usize>,
    file: File,
}

impl Disk {
    /// Writes bytes over others.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn put(&self, at: usize, bytes: &[u8]) {
        let end = bytes.len().min(self.bytes.len().saturating_sub(at));
        self.file
            .write_all_at(&bytes[..end], at as u64)
            .expect("a file in memory can be written");
    }

    /// Makes a part of it sound again.
    pub fn restore(&self, at: usize, length: usize) {
        let at = at.min(self.bytes.len());
        let end = (at + length).min(self.bytes.len());
        self.put(at, &self.bytes[at..end]);
    }
}

/// The files of the disk.
fn files() -> [(&'static str, Vec<u8>); 5] {
    [
        ("EFI/BOOT/BOOTX64.EFI", vec![7; 9000]),
        ("EFI/Linux/a long name of an image.efi", vec![8; 4096]),
        ("loader/loader.conf", b"timeout 5\n".to_vec()),
        ("loader/entries/one.conf", b"linux /a\n".to_vec()),
        ("empty", Vec::new()),
    ]
}

/// The disk of this process.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn disk() -> &'static Disk {
    static DISK: OnceLock<Disk> = OnceLock::new();
    DISK.get_or_init(|| {
        let folder = scratch();
        let mut tree = Tree::new();
        for (name, content) in files() {
            let path = folder.join("tree").join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(folder)).expect("a folder");
            std::fs::write(&path, &content).expect("a file");
            let text = String::from_utf8_lossy(&content).into_owned();
            let file = tree_manifest::File::from_text(text);
            tree.insert(TreePath::new(name).expect("a path"), Entry::File(file));
        }
        let (path, starts) = compose(folder);
        let bytes = std::fs::read(&path).expect("the image");
        let file = File::options().write(true).open(&path).expect("the image");
        Disk {
            path,
            bytes,
            tree,
            starts,
            file,
        }
    })
}

/// Makes the image; returns where the partitions start.
fn compose(folder: &Path) -> (PathBuf, Vec<usize>) {
    let text = "[image]\nname = \"disk\"\n\
        [[partition]]\ntype = \"esp\"\ntree = \"tree\"\nfat-type = \"fat12\"\n\
        size-min-bytes = \"256K\"\nsize-max-bytes = \"256K\"\n\
        [[partition]]\ntype = \"xbootldr\"\nformat = \"vfat\"\nfat-type = \"fat16\"\n\
        make-directories = [\"/loader\"]\nsize-min-bytes = \"3M\"\nsize-max-bytes = \"3M\"\n";
    let name = Path::new("image.toml");
    let config = ImageConfig::parse(text, name).expect("a description");
    let config = config.settle(name).expect("a sound description");
    let inputs = scan::scan(&config, folder, CheckDigests::Never).expect("the tree");
    let layout = plan::lay_out(&config, &inputs).expect("a layout");
    let plan = plan::complete(&config, &inputs, &layout).expect("a plan");
    let path = folder.join("disk.raw");
    let written = raw::write(
        &plan.extents,
        &inputs.sources,
        &path,
        Options::default(),
        &mut |_| {},
    );
    written.expect("the image");
    let starts = plan.partitions.iter().map(|it| it.entry.start);
    let starts = starts.map(|start| usize::try_from(start).expect("a small disk"));
    (path, starts.collect())
}
