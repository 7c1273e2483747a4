//! qcow2, version 3, the format of QEMU.
//!
//! Specification: <https://www.qemu.org/docs/master/interop/qcow2.html>. Clusters that
//! hold no data are not allocated; the others follow each other in the order of the
//! disk, behind all tables.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use extents::ExtentMap;

use super::clusters;
use crate::error::Error;
use crate::size::ByteSize;

/// The size of a cluster, as QEMU's programs choose it.
pub const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;

/// Entries of a table of level 2, each for a cluster.
const L2_ENTRIES: u64 = CLUSTER / 8;

/// Counts of references in a block of them, 16 bits each.
const BLOCK_ENTRIES: u64 = CLUSTER / 2;

/// Entries of the table of level 1 that QEMU accepts (32 MiB).
const L1_MOST: u64 = 4 << 20;

/// In an entry: nothing else refers to the cluster.
const COPIED: u64 = 1 << 63;

/// An entry of a cluster that reads as zeros, whatever the backing file has there.
const ZEROS: u64 = 1;

/// The extension of a header that names the format of the backing file, and its text.
const BACKING_FORMAT: (u32, &[u8; 8]) = (0xe279_2aca, b"raw\0\0\0\0\0");

/// The longest name of a backing file.
const LONGEST_NAME: usize = 1023;

/// Bytes of the header; what comes behind it is an extension of type 0: the end.
const HEADER: u32 = 104;

/// Where the parts of a file are, in clusters; the header is cluster 0.
struct Parts {
    counts_table: u64,
    counts: u64,
    l1: u64,
    l2: u64,
    data: u64,
    end: u64,
}

/// What a file leaves to a raw image.
#[derive(Debug, Clone, Default)]
pub struct Backing {
    /// Where that is, from where the file is.
    pub name: String,
    /// Clusters that read as zeros all the same, in order.
    pub emptied: Vec<Range<u64>>,
}

/// A file that holds a disk, or what it has beyond a backing file.
pub fn encode(disk: &ExtentMap, backing: Option<&Backing>) -> Result<ExtentMap, Error> {
    let emptied = backing.map_or(&[][..], |backing| &backing.emptied);
    let runs = clusters::used(disk, CLUSTER);
    let l1_entries = disk.length().div_ceil(CLUSTER * L2_ENTRIES).max(1);
    if l1_entries > L1_MOST {
        return Err(Error::DiskTooLarge {
            format: "qcow2",
            size: ByteSize(disk.length()),
            most: ByteSize(L1_MOST * L2_ENTRIES * CLUSTER),
        });
    }
    let tables_of = |run: &Range<u64>| run.start / L2_ENTRIES..=(run.end - 1) / L2_ENTRIES;
    let tables: BTreeSet<u64> = runs.iter().chain(emptied).flat_map(tables_of).collect();
    let parts = parts(l1_entries, tables.len() as u64, clusters::count(&runs));
    let mut file = ExtentMap::hole(parts.end * CLUSTER);
    let name = backing.map_or("", |backing| &backing.name);
    file.push_bytes(0, header(disk.length(), l1_entries, &parts, name)?);
    let blocks = (parts.counts..parts.l1).map(|block| block * CLUSTER);
    file.push_bytes(parts.counts_table * CLUSTER, entries(blocks));
    for (block, at) in (parts.counts..parts.l1).enumerate() {
        let first = block as u64 * BLOCK_ENTRIES;
        let count = parts.end.saturating_sub(first).min(BLOCK_ENTRIES);
        let ones = (0..count).flat_map(|_| 1_u16.to_be_bytes());
        file.push_bytes(at * CLUSTER, ones.collect::<Vec<_>>());
    }
    let mut l1 = vec![0; to_index(l1_entries)];
    for (table, at) in tables.iter().zip(parts.l2..) {
        l1[to_index(*table)] = (at * CLUSTER) | COPIED;
    }
    file.push_bytes(parts.l1 * CLUSTER, entries(l1.into_iter()));
    let mut filled: Vec<(&Range<u64>, Option<u64>)> = Vec::new();
    let mut place = parts.data;
    for run in &runs {
        filled.push((run, Some(place)));
        place += run.end - run.start;
    }
    filled.extend(emptied.iter().map(|run| (run, None)));
    filled.sort_unstable_by_key(|(run, _)| run.start);
    let tables: BTreeMap<u64, u64> = tables.into_iter().zip(parts.l2..).collect();
    for (run, place) in filled {
        // The tables of a run follow each other; what no run has of them stays a hole.
        let at = tables[&(run.start / L2_ENTRIES)] * CLUSTER + run.start % L2_ENTRIES * 8;
        let entry = |number| place.map_or(ZEROS, |place| ((place + number) * CLUSTER) | COPIED);
        file.push_bytes(at, entries((0..run.end - run.start).map(entry)));
    }
    clusters::append(&mut file, disk, CLUSTER, parts.data * CLUSTER);
    Ok(file)
}

/// Lays the parts out. Counts of references count their own clusters too.
fn parts(l1_entries: u64, tables: u64, data: u64) -> Parts {
    let l1 = (l1_entries * 8).div_ceil(CLUSTER);
    let (mut counts_table, mut counts) = (1, 1);
    loop {
        let end = 1 + counts_table + counts + l1 + tables + data;
        let needed = end.div_ceil(BLOCK_ENTRIES);
        let needed_table = (needed * 8).div_ceil(CLUSTER);
        if (needed, needed_table) == (counts, counts_table) {
            return Parts {
                counts_table: 1,
                counts: 1 + counts_table,
                l1: 1 + counts_table + counts,
                l2: 1 + counts_table + counts + l1,
                data: end - data,
                end,
            };
        }
        (counts, counts_table) = (needed, needed_table);
    }
}

/// The first cluster; `backing` is the name of a raw image, or empty.
fn header(size: u64, l1_entries: u64, parts: &Parts, backing: &str) -> Result<Vec<u8>, Error> {
    let (kind, format) = BACKING_FORMAT;
    let mut extensions = Vec::new();
    if !backing.is_empty() {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(3_u32.to_be_bytes());
        extensions.extend(format);
        // Their end, which the name follows.
        extensions.extend([0; 8]);
    }
    if backing.len() > LONGEST_NAME {
        return Err(Error::NotAPlace {
            path: backing.to_owned(),
            reason: "names of backing files have at most 1023 bytes",
        });
    }
    let table_clusters = parts.counts - parts.counts_table;
    let mut header = b"QFI\xfb".to_vec();
    header.extend(3_u32.to_be_bytes());
    // Where the name of the backing file is, and its length.
    let at = u64::from(HEADER) + extensions.len() as u64;
    header.extend(if backing.is_empty() { 0 } else { at }.to_be_bytes());
    header.extend(to_u32(backing.len() as u64).to_be_bytes());
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    // No encryption.
    header.extend(0_u32.to_be_bytes());
    header.extend(to_u32(l1_entries).to_be_bytes());
    header.extend((parts.l1 * CLUSTER).to_be_bytes());
    header.extend((parts.counts_table * CLUSTER).to_be_bytes());
    header.extend(to_u32(table_clusters).to_be_bytes());
    // No snapshots: a number of 32 bits, an offset; no features: three sets of 64 bits.
    header.extend([0; 36]);
    // Counts of references have 2^4 bits.
    header.extend(4_u32.to_be_bytes());
    header.extend(HEADER.to_be_bytes());
    header.extend(extensions);
    header.extend(backing.as_bytes());
    Ok(header)
}

fn entries(values: impl Iterator<Item = u64>) -> Vec<u8> {
    values.flat_map(u64::to_be_bytes).collect()
}

fn to_index(value: u64) -> usize {
    usize::try_from(value).unwrap_or_else(|_| unreachable!("tables fit into memory"))
}

fn to_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or_else(|_| unreachable!("the size of the disk is bounded"))
}
