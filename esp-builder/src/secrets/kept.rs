//! Secrets that an earlier run left on a boot partition: in a file of their own, or behind
//! the initial RAM disks in a Unified Kernel Image.
#![expect(clippy::disallowed_methods, reason = "reads what is on partitions")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bootloaders::pe::{self, PeImage, Section};
use bootloaders::{BootEntry, Secret, ownership};
use tree_manifest::TreePath;

use super::LARGEST;
use crate::source::read_at_most;

/// RAM disks in one section are filled up to multiples of this, in bytes.
const PADDING: u64 = 4;

/// The longest command line of an image that is read, in bytes.
const LONGEST: u32 = 64 << 10;

/// The secrets of an entry that are on one of the partitions; `path` is where a file of
/// their own lies.
pub(super) fn kept(boot: &[PathBuf], path: &TreePath, entry: &BootEntry) -> Option<Secret> {
    let read = |partition: &PathBuf| fs::read(path.on(partition)).ok();
    let file = boot.iter().find_map(read).map(Secret::from);
    file.or_else(|| {
        boot.iter()
            .find_map(|partition| of_images(partition, entry))
    })
}

fn of_images(partition: &Path, entry: &BootEntry) -> Option<Secret> {
    let items = fs::read_dir(partition.join("EFI/Linux")).ok()?;
    let mut paths: Vec<PathBuf> = items.flatten().map(|item| item.path()).collect();
    paths.sort();
    let is_ours = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(ownership::is_image_name)
    };
    let mut images = paths.iter().filter(is_ours);
    images.find_map(|path| of_image(path, entry))
}

/// What follows the entry's own initial RAM disks in an image. That it is the entry's is
/// known by the command line, which names its system.
fn of_image(path: &Path, entry: &BootEntry) -> Option<Secret> {
    let head = read_at_most(path, pe::HEAD as u64).ok()?;
    let image = PeImage::parse(&head).ok()?;
    let file = File::open(path).ok()?;
    let read = |offset: u64, size: usize| {
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    };
    let wanted = entry.cmdline.as_str().as_bytes();
    let is_for_entry = |section: &Section| {
        let is_short = section.name == ".cmdline" && section.size <= LONGEST;
        let text = is_short.then(|| read(u64::from(section.offset), section.size as usize));
        text.flatten().is_some_and(|text| text == wanted)
    };
    if !image.sections.iter().any(is_for_entry) {
        return None;
    }
    let mut sections = image.sections.iter();
    let initrd = sections.find(|section| section.name == ".initrd")?;
    let own = entry.initrds.iter();
    let own: u64 = own.map(|file| file.size.next_multiple_of(PADDING)).sum();
    let size = u64::from(initrd.size).checked_sub(own)?;
    if size == 0 || size > LARGEST {
        return None;
    }
    let bytes = read(u64::from(initrd.offset) + own, usize::try_from(size).ok()?)?;
    Some(bytes.into())
}
