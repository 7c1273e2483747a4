//! Identifiers derived from a seed, as systemd-repart derives them.
//!
//! An identifier is the first half of an HMAC-SHA256 whose key is a UUID and
//! whose message names what is identified, marked as a version 4 UUID. With one
//! seed both programs give one disk the same identifiers, so images of either
//! can replace each other. Reference: `man systemd-repart`, `--seed=`.

use hmac::{Hmac, KeyInit, Mac};
use uuid::{Builder, Uuid};

/// The UUID of which every identifier of an image is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub Uuid);

impl Seed {
    /// A seed for an image that names none. Images of one name and version get
    /// the same identifiers, so two of them should not meet in one machine.
    #[must_use]
    pub fn of_name(name: &str, version: Option<&str>) -> Self {
        let text = format!("image:{name}:{}", version.unwrap_or_default());
        Self(derive(Uuid::nil(), text.as_bytes()))
    }

    /// The disk's GUID.
    #[must_use]
    pub fn disk(self) -> Uuid {
        derive(self.0, b"disk-uuid")
    }

    /// The GUID of the partition that is number `index` among those of its type,
    /// counted from 0.
    #[must_use]
    pub fn partition(self, partition_type: Uuid, index: u64) -> Uuid {
        let mut message = partition_type.as_bytes().to_vec();
        if index > 0 {
            message.extend_from_slice(&index.to_le_bytes());
        }
        derive(self.0, &message)
    }

    /// The UUID of hash trees of dm-verity.
    #[must_use]
    pub fn hash_tree(self) -> Uuid {
        derive(self.0, b"verity-uuid")
    }

    /// The salt of hash trees of dm-verity.
    #[must_use]
    pub fn salt(self) -> [u8; 32] {
        digest(self.0, b"verity-salt")
    }
}

/// The UUID of the file system in a partition.
#[must_use]
pub fn file_system(partition: Uuid) -> Uuid {
    derive(partition, b"file-system-uuid")
}

/// The UUID of a subvolume of the btrfs with this UUID.
#[must_use]
pub fn subvolume(file_system: Uuid, number: u64) -> Uuid {
    derive(file_system, format!("subvolume:{number}").as_bytes())
}

/// The serial number a FAT volume with this UUID has: its first four bytes.
#[must_use]
pub fn fat_serial(file_system: Uuid) -> u32 {
    let [a, b, c, d, ..] = *file_system.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn derive(key: Uuid, message: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(key, message)[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

fn digest(key: Uuid, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes())
        .unwrap_or_else(|error| unreachable!("HMAC takes keys of any length: {error}"));
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_by_type_and_place_and_are_version_4() {
        let seed = Seed(Uuid::from_u128(1));
        let kind = Uuid::from_u128(2);
        let all = [
            seed.disk(),
            seed.partition(kind, 0),
            seed.partition(kind, 1),
        ];
        assert!(all.iter().all(|id| id.get_version_num() == 4));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_ne!(file_system(all[1]), file_system(all[2]));
    }
}
