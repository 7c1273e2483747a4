//! One `[[partition]]` of a description: the keys of repart.d of systemd 262, and ours.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::choice::{Encrypt, FileSystem, Integrity, Minimize, Verity};
use crate::fat::FatType;
use crate::nix_store;
use crate::partition_type::PartitionType;
use crate::size::ByteSize;

/// The name of an empty partition, by which systemd-sysupdate knows it.
const EMPTY_LABEL: &str = "_empty";

/// One partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartitionConfig {
    /// A name of the Discoverable Partitions Specification, or a GUID.
    #[serde(rename = "type")]
    pub partition_type: String,
    /// The label, at most 36 UTF-16 units; the name of the type when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The GUID; derived from the seed when there is none, and zero when it is `null`.
    #[serde(default, deserialize_with = "uuid_or_null")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub uuid: Option<Uuid>,
    /// Where there is no room for all, partitions are left out, those with the
    /// greatest number first; never one with 0, which is the default, or less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Its share of the space that is left in an image of a given size, against
    /// that of the others; 1000 when it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The share of the free space behind it; 0 when it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding_weight: Option<u32>,
    /// The least size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_min_bytes: Option<ByteSize>,
    /// The greatest size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_max_bytes: Option<ByteSize>,
    /// The least free space behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding_min_bytes: Option<ByteSize>,
    /// The greatest free space behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding_max_bytes: Option<ByteSize>,
    /// Whether a factory reset erases it; says nothing about a new image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory_reset: Option<bool>,
    /// A file whose bytes become the partition; excludes a file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_blocks: Option<PathBuf>,
    /// The file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FileSystem>,
    /// A tree: `MANIFEST#ROLE`, or a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// A program, with its arguments, that makes the tree when root hashes are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tree_command: Vec<String>,
    /// Files and directories to copy: `SOURCE`, `SOURCE:TARGET` or
    /// `SOURCE:TARGET:fsverity=copy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copy_files: Vec<String>,
    /// Sources that are not copied; of one that ends in `/`, only what is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_files: Vec<String>,
    /// Places in the partition to which nothing is copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_files_target: Vec<String>,
    /// A closure of a store of Nix: the folder that closureInfo of nixpkgs makes, with
    /// `store-paths` and `registration`, or a file of paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure: Option<PathBuf>,
    /// The objects of a store to copy, in place of a closure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub store_paths: Vec<String>,
    /// Where the store is in the partition: `/nix/store` when it is not said, and `/` for
    /// a partition that holds a store and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nix_store_prefix: Option<String>,
    /// What is registered of a store, as `nix-store --load-db` reads it; it becomes
    /// `/nix-path-registration`. That of the closure when it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<PathBuf>,
    /// Empty directories to make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub make_directories: Vec<String>,
    /// Symbolic links to make: `PLACE:WHERE IT LEADS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub make_symlinks: Vec<String>,
    /// Subvolumes of btrfs, each as `PATH` or `PATH:ro,nodatacow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subvolumes: Vec<String>,
    /// The subvolume that is mounted when none is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_subvolume: Option<String>,
    /// Whether it is as small as its content permits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimize: Option<Minimize>,
    /// How the file system compresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// How hard it tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_level: Option<String>,
    /// The sector size the file system is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system_sector_size: Option<ByteSize>,
    /// Whether the file system says where it is to be mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_validate_fs: Option<bool>,
    /// The label of the file system, or of the encrypted volume; that of the
    /// partition when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_label: Option<String>,
    /// With what it is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<Encrypt>,
    /// How a key is made of a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt_kdf: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The PCRs that a key in a TPM is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm2_pcrs: Option<String>,
    /// Whether the encrypted partition has checksums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// How they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity_algorithm: Option<String>,
    /// Whether an encrypted partition tells the disk what it no longer uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discard: Option<bool>,
    /// The name an encrypted volume gets in a generated crypttab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_volume: Option<String>,
    /// The name of the encrypted volume while it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// A block device whose content moves here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_device_replace: Option<PathBuf>,
    /// Its part in dm-verity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
    /// What partitions have in common that belong together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity_match_key: Option<String>,
    /// The size of the blocks that are hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity_data_block_size_bytes: Option<ByteSize>,
    /// The size of the blocks of hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity_hash_block_size_bytes: Option<ByteSize>,
    /// Attribute bits of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u64>,
    /// Whether the partition is not to be mounted automatically (bit 63).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_auto: Option<bool>,
    /// Whether the partition is to be mounted read-only (bit 60).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Whether its file system is to be grown when it is mounted (bit 59).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grow_file_system: Option<bool>,
    /// The name of its file when partitions are written apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_name: Option<String>,
    /// Where it goes in a generated fstab: `PATH` or `PATH:OPTIONS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mount_point: Vec<String>,
    /// What other partitions call this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of the partition that this one is merged into where there is no need
    /// for both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplement_for: Option<String>,
    /// The type of a FAT file system, where the size should not decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fat_type: Option<FatType>,
    /// The cluster size of a FAT file system, where the size should not decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_size: Option<ByteSize>,
}

/// The options of `SOURCE:TARGET:OPTIONS`, if there are any.
pub(super) fn copy_options(item: &str) -> Option<&str> {
    item.splitn(3, ':').nth(2)
}

/// Takes a UUID, or `null` for that of zeros.
fn uuid_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "null" {
        return Ok(Some(Uuid::nil()));
    }
    let uuid = Uuid::try_parse(&text).map_err(serde::de::Error::custom)?;
    Ok(Some(uuid))
}

impl PartitionConfig {
    /// The type; `root` and `usr` have none before [`Self::settle`].
    ///
    /// # Errors
    /// When the text names none.
    pub fn partition_type(&self) -> Result<PartitionType, String> {
        self.partition_type
            .parse()
            .map_err(|error| format!("{error}"))
    }

    /// The attribute bits: `flags`, with those that have keys of their own.
    ///
    /// A type that knows bit 59 has it unless it is read-only or told otherwise.
    #[must_use]
    pub fn attributes(&self) -> u64 {
        let kind = self.partition_type().ok();
        let is_verity = kind.is_some_and(PartitionType::is_verity)
            || matches!(self.verity, Some(Verity::Data | Verity::Signature));
        let read_only = self.read_only.or(is_verity.then_some(true));
        let grows = kind.is_some_and(PartitionType::knows_growing) && read_only != Some(true);
        let grows = self.grow_file_system.or(grows.then_some(true));
        let bits = [(63, self.no_auto), (60, read_only), (59, grows)];
        bits.into_iter().fold(
            self.flags.unwrap_or(0),
            |flags, (bit, wanted)| match wanted {
                Some(true) => flags | 1 << bit,
                Some(false) => flags & !(1 << bit),
                None => flags,
            },
        )
    }

    /// The label, which others of its type may have too.
    #[must_use]
    pub fn label(&self) -> &str {
        let is_guid = Uuid::try_parse(&self.partition_type).is_ok();
        let of_type = if is_guid {
            "linux"
        } else {
            &self.partition_type
        };
        self.label.as_deref().unwrap_or(of_type)
    }

    /// Whether the partition is filled from files.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.tree.is_some()
            || !self.tree_command.is_empty()
            || !self.copy_files.is_empty()
            || !self.make_directories.is_empty()
            || !self.make_symlinks.is_empty()
            || !self.subvolumes.is_empty()
            || self.has_store()
            || self.registration.is_some()
    }

    /// Whether the partition holds objects of a store.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.closure.is_some() || !self.store_paths.is_empty()
    }

    /// Where the store is in the partition.
    #[must_use]
    pub fn nix_store_prefix(&self) -> &str {
        let given = self.nix_store_prefix.as_deref();
        given.unwrap_or(nix_store::DEFAULT_PREFIX)
    }

    /// Whether the root of the partition is a store, and so has no place for a
    /// registration.
    #[must_use]
    pub fn holds_only_a_store(&self) -> bool {
        self.has_store() && self.nix_store_prefix().trim_matches('/').is_empty()
    }

    /// Puts what follows from other keys where nothing is said: the architecture of
    /// the type, and the file system, as systemd-repart does.
    ///
    /// # Errors
    /// When the type is none of the architecture.
    pub fn settle(&mut self, architecture: &str) -> Result<(), String> {
        let kind = PartitionType::parse_for(&self.partition_type, architecture)
            .map_err(|error| format!("{error}"))?;
        self.partition_type = kind.to_string();
        let is_encrypted = self.encrypt.is_some_and(|encrypt| encrypt != Encrypt::Off);
        for item in &mut self.copy_files {
            let options = copy_options(item).unwrap_or_default();
            // They ask for nothing.
            if options.split(',').all(|option| option == "fsverity=off") {
                item.truncate(item.len() - options.len() - 1);
            }
        }
        if self.format.is_none() && self.copy_blocks.is_none() {
            if kind == PartitionType::SWAP {
                self.format = Some(FileSystem::Swap);
            } else if self.has_files() || is_encrypted {
                let of_boot = kind.is_boot().then_some(FileSystem::Vfat);
                self.format = Some(of_boot.unwrap_or(FileSystem::Ext4));
            }
        }
        if self.format == Some(FileSystem::Empty) {
            self.format = None;
            if kind.knows_no_auto() {
                self.no_auto = self.no_auto.or(Some(true));
            }
            self.label.get_or_insert_with(|| EMPTY_LABEL.to_owned());
        }
        Ok(())
    }
}
