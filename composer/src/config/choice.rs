//! The keys of a partition that take one of a few words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file system.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FileSystem {
    /// FAT12, FAT16 or FAT32.
    Vfat,
    /// ext4.
    Ext4,
    /// btrfs.
    Btrfs,
    /// XFS.
    Xfs,
    /// EROFS, read-only.
    Erofs,
    /// `SquashFS`, read-only.
    Squashfs,
    /// Swap space.
    Swap,
    /// None; the label is `_empty` and the partition is not mounted automatically.
    Empty,
}

impl FileSystem {
    /// The word for it in descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vfat => "vfat",
            Self::Ext4 => "ext4",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
            Self::Erofs => "erofs",
            Self::Squashfs => "squashfs",
            Self::Swap => "swap",
            Self::Empty => "empty",
        }
    }

    /// Whether it can only be read once it is made, so that it has no room to spare.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Erofs | Self::Squashfs)
    }
}

/// Whether a partition is made as small as its content permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Minimize {
    /// No.
    Off,
    /// As small as can be; for read-only file systems and hashes.
    Best,
    /// About as small as can be.
    Guess,
}

/// The part a partition has in protecting data by dm-verity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verity {
    /// None.
    Off,
    /// It is the data.
    Data,
    /// It has the hashes.
    Hash,
    /// It has the signature of the root hash.
    Signature,
}

/// With what a partition is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encrypt {
    /// It is not.
    #[serde(rename = "off")]
    Off,
    /// A key from a file.
    #[serde(rename = "key-file")]
    KeyFile,
    /// A key in a TPM.
    #[serde(rename = "tpm2")]
    Tpm2,
    /// Either key.
    #[serde(rename = "key-file+tpm2")]
    KeyFileAndTpm2,
}

/// Whether an encrypted partition has checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// No.
    Off,
    /// Within the encrypted volume.
    Inline,
}
