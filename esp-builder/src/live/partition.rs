//! Which partition a mounted file system is on: what firmware must know of an ESP.
//!
//! The kernel says which disk it is on, and where; the disk's partition table (UEFI
//! 2.10, section 5.3) has the GUID. Neither needs udev, which an initrd may not run.
#![expect(clippy::disallowed_methods, reason = "looks at sysfs and disks")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use bootloaders::load_option::GptPartition;
use rustix::fs::{major, minor};

use super::mount;
use crate::error::{Error, read_error};

/// The kernel counts in these bytes, whatever the blocks of the disk.
const SECTOR: u64 = 512;

/// Where the kernel shows block devices by their numbers.
const BY_NUMBER: &str = "/sys/dev/block";

/// Where the devices are.
const DEVICES: &str = "/dev";

/// The bytes of a table's header that are read.
const HEADER: usize = 92;

/// The bytes of an entry that every revision has.
const ENTRY: usize = 128;

/// The GPT partition that a mounted file system is on.
///
/// # Errors
/// When it is on none, or when the table of the disk cannot be read.
pub fn of_mount(mount: &Path) -> Result<GptPartition, Error> {
    let failed = read_error(mount);
    // A folder of another file system is on a partition too, but not the one that
    // firmware finds its files on.
    if mount::check(mount).is_err() {
        return Err(Error::NoPartition {
            mount: mount.into(),
            reason: "is not a mounted FAT file system".to_owned(),
        });
    }
    let device = fs::metadata(mount).map_err(failed)?.dev();
    let number = format!("{}:{}", major(device), minor(device));
    find(
        &Path::new(BY_NUMBER).join(number),
        Path::new(DEVICES),
        mount,
    )
}

/// As [`of_mount`], by the folder that sysfs has for the partition.
fn find(folder: &Path, devices: &Path, mount: &Path) -> Result<GptPartition, Error> {
    let refuse = |reason: String| Error::NoPartition {
        mount: mount.into(),
        reason,
    };
    let folder = fs::canonicalize(folder).map_err(|_| refuse("is on no block device".into()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if !folder.join("partition").exists() {
        return Err(refuse(format!("is on `{name}`, which is no partition")));
    }
    let number = number_in(&folder.join("partition"))?;
    let disk = folder.parent().unwrap_or(Path::new("/"));
    let block = number_in(&disk.join("queue/logical_block_size"))?;
    let (start, length) = (
        number_in(&folder.join("start"))?,
        number_in(&folder.join("size"))?,
    );
    let is_whole = |sectors: u64| (sectors * SECTOR).is_multiple_of(block);
    if block == 0 || !is_whole(start) || !is_whole(length) {
        return Err(refuse(format!("is on `{name}`, which has no whole blocks")));
    }
    let own = GptPartition {
        number: u32::try_from(number).unwrap_or_default(),
        start: start * SECTOR / block,
        blocks: length * SECTOR / block,
        guid: [0; 16],
    };
    let device = devices.join(device_name(disk)?);
    let table = File::open(&device).and_then(|disk| entry(&disk, block, own.number));
    let table = table.map_err(read_error(&device))?;
    match table {
        Some(found)
            if GptPartition {
                guid: [0; 16],
                ..found
            } == own =>
        {
            Ok(found)
        }
        Some(_) => Err(refuse(format!(
            "is on `{name}`, which the table on `{}` has elsewhere",
            device.display()
        ))),
        None => Err(refuse(format!(
            "is on `{name}`, and `{}` has no GPT with a partition {number}",
            device.display()
        ))),
    }
}

/// An entry of the table on a disk, by its number from 1.
fn entry(disk: &File, block: u64, number: u32) -> io::Result<Option<GptPartition>> {
    let mut header = [0; HEADER];
    disk.read_exact_at(&mut header, block)?;
    let (count, size) = (u32_at(&header, 80), u32_at(&header, 84));
    let place = number.checked_sub(1).filter(|place| *place < count);
    let place = place.filter(|_| header.starts_with(b"EFI PART") && size as usize >= ENTRY);
    let Some(place) = place else {
        return Ok(None);
    };
    let table = u64_at(&header, 72).checked_mul(block);
    let at = table.and_then(|table| table.checked_add(u64::from(place) * u64::from(size)));
    let Some(at) = at else {
        return Ok(None);
    };
    let mut entry = [0; ENTRY];
    disk.read_exact_at(&mut entry, at)?;
    let (first, last) = (u64_at(&entry, 32), u64_at(&entry, 40));
    let mut guid = [0; 16];
    guid.copy_from_slice(&entry[16..32]);
    Ok(Some(GptPartition {
        number,
        start: first,
        blocks: last.wrapping_sub(first).wrapping_add(1),
        guid,
    }))
}

/// The name of a disk's node below `/dev`, which is not always that in sysfs.
fn device_name(disk: &Path) -> Result<String, Error> {
    let path = disk.join("uevent");
    let text = text_of(&path)?;
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    name.map(str::to_owned).ok_or_else(|| Error::Read {
        path,
        source: io::Error::other("it has no DEVNAME"),
    })
}

fn number_in(path: &Path) -> Result<u64, Error> {
    let text = text_of(path)?;
    text.trim().parse().map_err(|_| Error::Read {
        path: path.into(),
        source: io::Error::other("it is no number"),
    })
}

fn text_of(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(read_error(path))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: [u8; 16] = *b"0123456789abcdef";

    /// A disk with sectors of `block` bytes, whose second partition has ten of 4096
    /// bytes from the place 40960, and what sysfs says of it.
    fn machine(block: u64) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let disk = "sys/devices/pci0/block/nvme0n1";
        write(&format!("{disk}/uevent"), b"MAJOR=259\nDEVNAME=a/disk\n");
        let text = format!("{block}\n");
        write(&format!("{disk}/queue/logical_block_size"), text.as_bytes());
        for (file, text) in [("partition", "2\n"), ("start", "80\n"), ("size", "80\n")] {
            write(&format!("{disk}/nvme0n1p2/{file}"), text.as_bytes());
        }
        let mut image = vec![0; 40_960];
        let (header, table) = (usize::try_from(block).unwrap(), 3 * 4096);
        image[header..header + 8].copy_from_slice(b"EFI PART");
        let first_of_table = table as u64 / block;
        image[header + 72..header + 80].copy_from_slice(&first_of_table.to_le_bytes());
        image[header + 80] = 4;
        image[header + 84] = 128;
        let second = table + 128;
        image[second + 16..second + 32].copy_from_slice(&GUID);
        for (at, byte) in [(32, 40_960), (40, 81_920 - block)] {
            let number = (byte / block).to_le_bytes();
            image[second + at..second + at + 8].copy_from_slice(&number);
        }
        write("dev/a/disk", &image);
        root
    }

    fn look(root: &Path, folder: &str) -> Result<GptPartition, Error> {
        let folder = root.join("sys/devices/pci0/block").join(folder);
        find(&folder, &root.join("dev"), Path::new("/boot"))
    }

    #[test]
    fn a_partition_is_found_in_blocks_of_its_disk() {
        for block in [512, 4096] {
            let root = machine(block);
            let found = look(root.path(), "nvme0n1/nvme0n1p2").unwrap();
            let expected = GptPartition {
                number: 2,
                start: 40_960 / block,
                blocks: 40_960 / block,
                guid: GUID,
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_folder_is_no_partition() {
        let folder = tempfile::tempdir().unwrap();
        let error = of_mount(folder.path()).unwrap_err();
        assert!(matches!(error, Error::NoPartition { .. }), "{error}");
    }

    #[test]
    fn what_is_on_no_partition_or_does_not_agree_is_refused() {
        let root = machine(512);
        let said = |folder| look(root.path(), folder).unwrap_err().to_string();
        let mut all = vec![said("absent"), said("nvme0n1")];
        let disk = root.path().join("dev/a/disk");
        let sound = fs::read(&disk).unwrap();
        for (at, byte) in [(3 * 4096 + 128 + 32, 81), (512, b'X'), (512 + 80, 1)] {
            let mut image = sound.clone();
            image[at] = byte;
            fs::write(&disk, image).unwrap();
            all.push(said("nvme0n1/nvme0n1p2"));
        }
        let all = all.join("\n").replace(root.path().to_str().unwrap(), "");
        insta::assert_snapshot!(all, @r"
        `/boot` is on no block device
        `/boot` is on `nvme0n1`, which is no partition
        `/boot` is on `nvme0n1p2`, which the table on `/dev/a/disk` has elsewhere
        `/boot` is on `nvme0n1p2`, and `/dev/a/disk` has no GPT with a partition 2
        `/boot` is on `nvme0n1p2`, and `/dev/a/disk` has no GPT with a partition 2
        ");
        fs::write(&disk, &sound[..600]).unwrap();
        let error = look(root.path(), "nvme0n1/nvme0n1p2").unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}
