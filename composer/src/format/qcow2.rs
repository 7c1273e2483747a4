//! qcow2, version 3, the format of QEMU.
//!
//! Specification: <https://www.qemu.org/docs/master/interop/qcow2.html>. Clusters that
//! hold no data are not allocated; the others follow each other in the order of the
//! disk, behind all tables.

use extents::ExtentMap;

use super::clusters;
use crate::error::Error;
use crate::size::ByteSize;

/// The size of a cluster, as QEMU's programs choose it.
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;

/// Entries of a table of level 2, each for a cluster.
const L2_ENTRIES: u64 = CLUSTER / 8;

/// Counts of references in a block of them, 16 bits each.
const BLOCK_ENTRIES: u64 = CLUSTER / 2;

/// Entries of the table of level 1 that QEMU accepts (32 MiB).
const L1_MOST: u64 = 4 << 20;

/// In an entry: nothing else refers to the cluster.
const COPIED: u64 = 1 << 63;

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

/// A file that holds a disk.
pub fn encode(disk: &ExtentMap) -> Result<ExtentMap, Error> {
    let runs = clusters::used(disk, CLUSTER);
    let l1_entries = disk.length().div_ceil(CLUSTER * L2_ENTRIES).max(1);
    if l1_entries > L1_MOST {
        return Err(Error::DiskTooLarge {
            format: "qcow2",
            size: ByteSize(disk.length()),
            most: ByteSize(L1_MOST * L2_ENTRIES * CLUSTER),
        });
    }
    let mut tables: Vec<u64> = clusters::numbered(&runs)
        .map(|(cluster, _)| cluster / L2_ENTRIES)
        .collect();
    tables.dedup();
    let parts = parts(l1_entries, tables.len() as u64, clusters::count(&runs));
    let mut file = ExtentMap::hole(parts.end * CLUSTER);
    file.push_bytes(0, header(disk.length(), l1_entries, &parts));
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
    let mut numbered = clusters::numbered(&runs).peekable();
    for (table, at) in tables.iter().zip(parts.l2..) {
        let mut l2 = vec![0; to_index(L2_ENTRIES)];
        while let Some((cluster, place)) =
            numbered.next_if(|(cluster, _)| cluster / L2_ENTRIES == *table)
        {
            l2[to_index(cluster % L2_ENTRIES)] = ((parts.data + place) * CLUSTER) | COPIED;
        }
        file.push_bytes(at * CLUSTER, entries(l2.into_iter()));
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

fn header(size: u64, l1_entries: u64, parts: &Parts) -> Vec<u8> {
    let table_clusters = parts.counts - parts.counts_table;
    let mut header = b"QFI\xfb".to_vec();
    header.extend(3_u32.to_be_bytes());
    // No backing file: an offset, and a length of 32 bits.
    header.extend([0; 12]);
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
    header
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
