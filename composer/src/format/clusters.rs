//! Which clusters of a disk hold data, and where they go when there are no others.

use std::ops::Range;

use extents::{Content, ExtentMap};

/// The runs of clusters that hold data, in order; clusters are counted from 0.
pub fn used(disk: &ExtentMap, cluster: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for extent in disk.extents() {
        let (start, end) = (extent.start / cluster, extent.end().div_ceil(cluster));
        match runs.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

/// How many clusters runs have.
pub fn count(runs: &[Range<u64>]) -> u64 {
    runs.iter().map(|run| run.end - run.start).sum()
}

/// Every cluster of runs, with its place among those that are kept.
pub fn numbered(runs: &[Range<u64>]) -> impl Iterator<Item = (u64, u64)> {
    runs.iter().flat_map(Clone::clone).zip(0..)
}

/// Appends the data of a disk to a file, its clusters from `start` on, without those
/// that hold none.
pub fn append(file: &mut ExtentMap, disk: &ExtentMap, cluster: u64, start: u64) {
    let runs = used(disk, cluster);
    let mut extents = disk.extents().iter().peekable();
    let mut place = start;
    for run in runs {
        let end = run.end * cluster;
        while let Some(extent) = extents.next_if(|extent| extent.start < end) {
            let at = place + (extent.start - run.start * cluster);
            match &extent.content {
                Content::Bytes(bytes) => file.push_bytes(at, bytes.clone()),
                Content::Slice { source, offset } => {
                    file.push_slice(at, extent.length, *source, *offset);
                }
            }
        }
        place += (run.end - run.start) * cluster;
    }
}
