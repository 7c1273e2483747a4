//! Hash trees of dm-verity.
//!
//! Specification: <https://docs.kernel.org/admin-guide/device-mapper/verity.html>, and for
//! the superblock <https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity>. The hash is
//! SHA-256 with the salt before the data (type 1). Behind the superblock come the levels
//! of the tree, the root first.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::size::round_up;

/// The digest of a block.
pub type Digest = [u8; DIGEST];

const DIGEST: usize = 32;

/// Bytes of the superblock.
const SUPERBLOCK: usize = 512;

/// What a hash tree depends on, besides the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// The size of the blocks that are hashed: a power of two from 512 to 4096.
    pub data_block: u32,
    /// The size of the blocks of hashes: likewise.
    pub hash_block: u32,
    /// What is hashed before each block.
    pub salt: [u8; 32],
    /// The UUID of the tree.
    pub uuid: Uuid,
}

/// A superblock and a hash tree, and the hash that stands for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashTree {
    /// The root hash.
    pub root: Digest,
    /// The content of the hash partition.
    pub bytes: Vec<u8>,
}

impl Parameters {
    /// How many bytes the content of a hash partition has, for so many bytes of data.
    #[must_use]
    pub fn size(&self, data: u64) -> u64 {
        let per_block = u64::from(self.hash_block) / DIGEST as u64;
        let mut count = data.div_ceil(self.data_block.into());
        let mut blocks = 0;
        while count > 1 {
            count = count.div_ceil(per_block);
            blocks += count;
        }
        self.tree_at() + blocks * u64::from(self.hash_block)
    }

    /// The digest of a block, of data or of hashes.
    #[must_use]
    pub fn digest(&self, block: &[u8]) -> Digest {
        let salted = Sha256::new().chain_update(self.salt);
        salted.chain_update(block).finalize().into()
    }

    /// The tree above the digests of the blocks of data, which are at least one.
    #[must_use]
    pub fn tree(&self, leaves: &[Digest]) -> HashTree {
        let block = self.hash_block as usize;
        let mut levels: Vec<Vec<u8>> = Vec::new();
        let mut digests = leaves.to_vec();
        while digests.len() > 1 {
            let mut level = digests.concat();
            level.resize(level.len().next_multiple_of(block), 0);
            digests = level.chunks(block).map(|it| self.digest(it)).collect();
            levels.push(level);
        }
        let mut bytes = self.superblock(leaves.len() as u64);
        for level in levels.iter().rev() {
            bytes.extend_from_slice(level);
        }
        let root = digests.first().copied().unwrap_or([0; DIGEST]);
        HashTree { root, bytes }
    }

    /// Where the tree begins in the hash partition.
    fn tree_at(&self) -> u64 {
        round_up(SUPERBLOCK as u64, self.hash_block.into())
    }

    /// The superblock, filled up to where the tree begins.
    fn superblock(&self, data_blocks: u64) -> Vec<u8> {
        let mut bytes = b"verity\0\0".to_vec();
        // The version of the superblock, and the type of the hash.
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(self.uuid.as_bytes());
        bytes.extend(b"sha256");
        bytes.resize(64, 0);
        bytes.extend(self.data_block.to_le_bytes());
        bytes.extend(self.hash_block.to_le_bytes());
        bytes.extend(data_blocks.to_le_bytes());
        bytes.extend(32_u16.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(self.salt);
        bytes.resize(usize::try_from(self.tree_at()).unwrap_or(SUPERBLOCK), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_as_long_as_its_size_says() {
        for (data_block, hash_block) in [(4096, 4096), (512, 512), (512, 4096), (1024, 2048)] {
            let parameters = Parameters {
                data_block,
                hash_block,
                salt: [7; 32],
                uuid: Uuid::from_u128(1),
            };
            for count in [1, 2, 15, 16, 17, 127, 128, 129, 300, 4097, 16385] {
                let tree = parameters.tree(&vec![[9; 32]; count]);
                let data = count as u64 * u64::from(data_block);
                assert_eq!(tree.bytes.len() as u64, parameters.size(data), "{count}");
            }
        }
    }

    #[test]
    fn the_size_is_the_one_that_systemd_repart_computes() {
        let parameters = Parameters {
            data_block: 4096,
            hash_block: 4096,
            salt: [0; 32],
            uuid: Uuid::nil(),
        };
        assert_eq!(parameters.size(10 << 30), 84_557_824);
        assert_eq!(parameters.size(40 << 20), 335_872);
    }
}
