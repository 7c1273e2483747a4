//! In which clusters a disk differs from an image that is there.

use std::ops::Range;
use std::path::Path;

use extents::ExtentMap;

use crate::error::Error;
use crate::holes;
use crate::pieces;
use crate::source::Sources;

/// How much of both is compared at once: a multiple of every cluster.
const STEP: u64 = 16 << 20;

/// What begins files of other formats than raw images, which are not read here.
const OTHER_FORMATS: [&[u8]; 3] = [b"QFI\xfb", b"KDMV", b"# Disk DescriptorFile"];

/// What a disk has beyond an image.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The disk, with nothing but clusters that differ.
    pub disk: ExtentMap,
    /// Clusters that hold nothing now, and something in the image, in order.
    pub emptied: Vec<Range<u64>>,
}

/// Compares a disk with a raw image, cluster by cluster.
///
/// # Errors
/// When the image is none, or either cannot be read or changes meanwhile.
pub fn beyond(
    image: &Path,
    disk: &ExtentMap,
    cluster: u64,
    sources: &Sources,
) -> Result<Overlay, Error> {
    let mut sources = sources.clone();
    let base = holes::slices_of(image, &mut sources)?;
    check_raw(image, &base, &sources)?;
    differences(disk, &base, cluster, &sources)
}

fn check_raw(image: &Path, base: &ExtentMap, sources: &Sources) -> Result<(), Error> {
    let head = bytes(base, 0, 32, sources)?;
    if OTHER_FORMATS.iter().any(|magic| head.starts_with(magic)) {
        let reason = "only a raw image can be compared with: name that";
        return Err(Error::image(image, reason));
    }
    Ok(())
}

fn differences(
    disk: &ExtentMap,
    base: &ExtentMap,
    cluster: u64,
    sources: &Sources,
) -> Result<Overlay, Error> {
    let (mut changed, mut emptied) = (Vec::new(), Vec::new());
    let has_data = |map: &ExtentMap, start, end| map.within(start..end).next().is_some();
    let mut start = 0;
    while start < disk.length() {
        let end = disk.length().min(start + STEP);
        if has_data(disk, start, end) || has_data(base, start, end) {
            let ours = bytes(disk, start, end - start, sources)?;
            let theirs = bytes(base, start, end - start, sources)?;
            let size = usize::try_from(cluster).unwrap_or(usize::MAX);
            let pairs = ours.chunks(size).zip(theirs.chunks(size));
            for ((ours, theirs), at) in pairs.zip((start..).step_by(size)) {
                if ours == theirs {
                    continue;
                }
                let has_data = has_data(disk, at, at + cluster);
                let runs = if has_data { &mut changed } else { &mut emptied };
                add(runs, at / cluster);
            }
        }
        start = end;
    }
    let mut differing = ExtentMap::hole(disk.length());
    for run in changed {
        let start = run.start * cluster;
        let end = disk.length().min(run.end * cluster);
        differing.append(start, disk.slice(start, end - start));
    }
    Ok(Overlay {
        disk: differing,
        emptied,
    })
}

/// Adds a cluster to runs that are all before it.
fn add(runs: &mut Vec<Range<u64>>, cluster: u64) {
    match runs.last_mut() {
        Some(last) if last.end == cluster => last.end += 1,
        _ => runs.push(cluster..cluster + 1),
    }
}

/// Bytes of a map; zeros behind its end.
fn bytes(map: &ExtentMap, start: u64, length: u64, sources: &Sources) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    pieces::read(&map.slice(start, length), sources, |piece| {
        bytes.extend_from_slice(piece);
        Ok::<_, Error>(())
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_found_across_steps_and_behind_the_end_of_the_image() {
        let map = |length, parts: &[(u64, &[u8])]| {
            let mut map = ExtentMap::hole(length);
            for (at, bytes) in parts {
                map.push_bytes(*at, *bytes);
            }
            map
        };
        let base = map(40 << 20, &[(0, b"same"), (9000, b"goes"), (STEP, b"x")]);
        let end = 48 << 20;
        let disk = map(
            end,
            &[
                (0, b"same"),
                (8196, b"\0\0"),
                (STEP, b"y"),
                (end - 4, b"last"),
            ],
        );
        let found = differences(&disk, &base, 4096, &Sources::default()).unwrap();
        // Zeros that are written stay written.
        let disk = map(end, &[(8196, b"\0\0"), (STEP, b"y"), (end - 4, b"last")]);
        let expected = Overlay {
            disk,
            emptied: vec![],
        };
        assert_eq!(found, expected);
        let disk = ExtentMap::hole(end);
        let found = differences(&disk, &base, 4096, &Sources::default()).unwrap();
        let step = STEP / 4096;
        let emptied = vec![0..1, 2..3, step..step + 1];
        assert_eq!(found, Overlay { disk, emptied });
    }
}
