//! One `[[partition]]` of a description.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::fat::FatType;
use crate::partition_type::PartitionType;
use crate::size::ByteSize;

/// One partition.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartitionConfig {
    /// A name of the Discoverable Partitions Specification, or a GUID.
    #[serde(rename = "type")]
    pub partition_type: String,
    /// The label, at most 36 UTF-16 units; the name of the type when there is none.
    pub label: Option<String>,
    /// The GUID; derived from the seed when there is none.
    #[schemars(with = "Option<String>")]
    pub uuid: Option<Uuid>,
    /// The file system; none when there is none.
    pub format: Option<FileSystem>,
    /// The least size.
    pub size_min_bytes: Option<ByteSize>,
    /// The greatest size.
    pub size_max_bytes: Option<ByteSize>,
    /// Its share of the space that is left in an image of a given size, against
    /// that of the others; 1000 when it is not said.
    pub weight: Option<u32>,
    /// A tree: `MANIFEST#ROLE`, or a directory.
    pub tree: Option<String>,
    /// Files and directories to copy: `SOURCE` or `SOURCE:TARGET`.
    #[serde(default)]
    pub copy_files: Vec<String>,
    /// Empty directories to make.
    #[serde(default)]
    pub make_directories: Vec<String>,
    /// A file whose bytes become the partition; excludes a file system.
    pub copy_blocks: Option<PathBuf>,
    /// The label of the file system; that of the partition when there is none.
    pub volume_label: Option<String>,
    /// Attribute bits of the partition.
    pub flags: Option<u64>,
    /// Whether the partition is not to be mounted automatically (bit 63).
    pub no_auto: Option<bool>,
    /// Whether the partition is to be mounted read-only (bit 60).
    pub read_only: Option<bool>,
    /// Whether its file system is to be grown when it is mounted (bit 59).
    pub grow_file_system: Option<bool>,
    /// The type of a FAT file system, where the size should not decide.
    pub fat_type: Option<FatType>,
    /// The cluster size of a FAT file system, where the size should not decide.
    pub cluster_size: Option<ByteSize>,
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileSystem {
    /// FAT12, FAT16 or FAT32.
    Vfat,
    /// None.
    Empty,
}

impl PartitionConfig {
    /// The type.
    ///
    /// # Errors
    /// When the text names none.
    pub fn partition_type(&self) -> Result<PartitionType, String> {
        self.partition_type
            .parse()
            .map_err(|error| format!("{error}"))
    }

    /// The attribute bits: `flags`, with those that have keys of their own.
    #[must_use]
    pub fn attributes(&self) -> u64 {
        let bits = [
            (63, self.no_auto),
            (60, self.read_only),
            (59, self.grow_file_system),
        ];
        bits.into_iter().fold(
            self.flags.unwrap_or(0),
            |flags, (bit, wanted)| match wanted {
                Some(true) => flags | 1 << bit,
                Some(false) => flags & !(1 << bit),
                None => flags,
            },
        )
    }

    /// The label.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.partition_type)
    }

    /// Whether the partition is filled from files.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.tree.is_some() || !self.copy_files.is_empty() || !self.make_directories.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.partition_type()?;
        let units = self.label().encode_utf16().count();
        if units > 36 {
            return Err(format!(
                "label `{}` has {units} UTF-16 units; a GPT holds 36",
                self.label().escape_debug()
            ));
        }
        let is_vfat = self.format == Some(FileSystem::Vfat);
        if self.copy_blocks.is_some() && (self.format.is_some() || self.has_files()) {
            return Err("`copy-blocks` excludes `format` and files".to_owned());
        }
        if self.has_files() && !is_vfat {
            return Err("files need a file system: set `format = \"vfat\"`".to_owned());
        }
        if (self.fat_type.is_some() || self.cluster_size.is_some()) && !is_vfat {
            return Err("`fat-type` and `cluster-size` need `format = \"vfat\"`".to_owned());
        }
        if let Some(cluster) = self.cluster_size.map(ByteSize::bytes)
            && !(cluster.is_power_of_two() && (512..=65536).contains(&cluster))
        {
            return Err(format!(
                "`cluster-size` is {cluster}; FAT has powers of two to 65536"
            ));
        }
        if let (Some(least), Some(most)) = (self.size_min_bytes, self.size_max_bytes)
            && least > most
        {
            return Err(format!(
                "`size-min-bytes` {least} is above `size-max-bytes` {most}"
            ));
        }
        Ok(())
    }
}
