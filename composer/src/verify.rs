//! Checks an image: its table, its file systems, its files.

use std::collections::BTreeMap;

use tree_manifest::{Entry, Tree};

use crate::error::Error;
use crate::image::Image;
use crate::table;
use crate::volume::{Item, Volume};
use crate::window::Window;

/// Bytes that are compared at once.
const CHUNK: usize = 1 << 20;

/// Everything that is wrong with an image, in sentences; nothing when it is sound.
///
/// Checks both partition tables, that partitions neither overlap nor repeat a
/// GUID, and of each FAT file system that its two tables are one and that every
/// file can be read to its end.
///
/// # Errors
/// When the image itself cannot be read.
pub fn structure(image: &Image) -> Result<Vec<String>, Error> {
    let mut problems = image.damage.clone();
    for (first, second) in table::overlaps(&image.partitions) {
        problems.push(format!("partitions {first} and {second} overlap"));
    }
    for (number, entry) in &image.partitions {
        let twin = image
            .partitions
            .iter()
            .find(|(other, twin)| *other < number && twin.uuid == entry.uuid);
        if let Some((twin, _)) = twin {
            problems.push(format!("partitions {twin} and {number} have one GUID"));
        }
        match Volume::open(image, *number) {
            Ok(volume) => problems.extend(volume_problems(image, *number, &volume)?),
            Err(error) if entry.partition_type.is_boot() => problems.push(error.to_string()),
            // Whatever else it holds is not for us to judge.
            Err(_) => {}
        }
    }
    Ok(problems)
}

/// In what the volume of a partition differs from a tree.
///
/// # Errors
/// When the volume cannot be read.
pub fn against(volume: &Volume<'_>, tree: &Tree) -> Result<Vec<String>, Error> {
    let items = volume.walk("")?;
    let by_path: BTreeMap<&str, &Item<'_>> = items
        .iter()
        .map(|item| (item.path.as_str(), item))
        .collect();
    let mut problems = Vec::new();
    for (path, entry) in tree {
        let found = by_path.get(path.as_str());
        match (entry, found) {
            (_, None) => problems.push(format!("`{path}` is missing")),
            (Entry::File(file), Some(item)) if !item.is_directory => {
                if item.size != file.size {
                    let (size, found) = (file.size, item.size);
                    problems.push(format!("`{path}` has {found} bytes instead of {size}"));
                    continue;
                }
                match file.sha256 {
                    None => problems.push(format!("`{path}` has no digest in the manifest")),
                    Some(digest) if volume.digest(item)? != digest => {
                        problems.push(format!("`{path}` has other content"));
                    }
                    Some(_) => {}
                }
            }
            (Entry::Directory { .. }, Some(item)) if item.is_directory => {}
            (_, Some(_)) => problems.push(format!("`{path}` is of another type")),
        }
    }
    for item in items.iter().filter(|item| !item.is_directory) {
        if !tree.contains_key(item.path.as_str()) {
            problems.push(format!("`{}` is not in the manifest", item.path));
        }
    }
    Ok(problems)
}

fn volume_problems(image: &Image, number: u32, volume: &Volume<'_>) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    if !tables_agree(&image.partition(number)?).unwrap_or(false) {
        problems.push(format!(
            "partition {number}: the two allocation tables differ"
        ));
    }
    match volume.walk("") {
        Err(error) => problems.push(error.to_string()),
        Ok(items) => {
            for item in items.iter().filter(|item| !item.is_directory) {
                if let Err(error) = volume.digest(item) {
                    problems.push(error.to_string());
                }
            }
        }
    }
    Ok(problems)
}

/// Whether both copies of the allocation table are the same.
fn tables_agree(window: &Window) -> std::io::Result<bool> {
    let mut boot = [0; 512];
    window.read_exact_at(&mut boot, 0)?;
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
    let (sector, reserved, copies) = (u16_at(11), u16_at(14), boot[16]);
    let short = u16_at(22);
    let sectors = if short != 0 {
        short
    } else {
        u16_at(36) | u16_at(38) << 16
    };
    if copies != 2 {
        return Ok(true);
    }
    let length = sectors * sector;
    let (mut one, mut other) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut done = 0;
    while done < length {
        let count = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        window.read_exact_at(&mut one[..count], reserved * sector + done)?;
        window.read_exact_at(&mut other[..count], reserved * sector + length + done)?;
        if one[..count] != other[..count] {
            return Ok(false);
        }
        done += count as u64;
    }
    Ok(true)
}
