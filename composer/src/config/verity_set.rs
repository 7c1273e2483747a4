//! Which partitions belong together for dm-verity.

use std::collections::BTreeMap;

use super::{Minimize, PartitionConfig, Verity};
use crate::size::ByteSize;

/// Data, its hashes, and the signature of the root hash, by their places among the
/// partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VeritySet {
    /// The data.
    pub data: usize,
    /// The hashes.
    pub hash: usize,
    /// The signature.
    pub signature: Option<usize>,
    /// The size of the blocks that are hashed, in bytes.
    pub data_block: u32,
    /// The size of the blocks of hashes, in bytes.
    pub hash_block: u32,
    /// Whether the content is hashed, instead of all of the partition.
    pub is_minimal: bool,
}

/// The size of blocks of which nothing is said.
const DEFAULT_BLOCK: u32 = 4096;

/// The sets of a description, in the order of their match keys.
///
/// # Errors
/// With a sentence that names the match key of a set that lacks a part, or has one twice.
pub fn sets(partitions: &[PartitionConfig]) -> Result<Vec<VeritySet>, String> {
    let mut found: BTreeMap<&str, [Option<usize>; 3]> = BTreeMap::new();
    for (index, partition) in partitions.iter().enumerate() {
        let (role, name) = match partition.verity {
            None | Some(Verity::Off) => continue,
            Some(Verity::Data) => (0, "data"),
            Some(Verity::Hash) => (1, "hash"),
            Some(Verity::Signature) => (2, "signature"),
        };
        let key = partition.verity_match_key.as_deref().unwrap_or_default();
        let set = found.entry(key).or_default();
        if set[role].replace(index).is_some() {
            return Err(format!(
                "two partitions have `verity = \"{name}\"` and the `verity-match-key` `{}`",
                key.escape_debug()
            ));
        }
    }
    let complete = found.into_iter().map(|(key, [data, hash, signature])| {
        let lacks = |role: &str| {
            format!(
                "no partition has `verity = \"{role}\"` and the `verity-match-key` `{}`",
                key.escape_debug()
            )
        };
        let data = data.ok_or_else(|| lacks("data"))?;
        let hash = hash.ok_or_else(|| lacks("hash"))?;
        let block = |of: fn(&PartitionConfig) -> Option<ByteSize>| {
            let size = of(&partitions[hash]).or(of(&partitions[data]));
            let size = size.and_then(|size| u32::try_from(size.bytes()).ok());
            size.unwrap_or(DEFAULT_BLOCK)
        };
        let minimize = partitions[hash].minimize;
        Ok(VeritySet {
            data,
            hash,
            signature,
            data_block: block(|partition| partition.verity_data_block_size_bytes),
            hash_block: block(|partition| partition.verity_hash_block_size_bytes),
            is_minimal: minimize.is_some_and(|minimize| minimize != Minimize::Off),
        })
    });
    complete.collect()
}
