//! A layout as text: a table, and a bar in proportion beside it.
//!
//! One rendering serves plans and images, so that `--dry-run` shows what
//! `inspect` will.

use std::fmt::Write;

use serde::Serialize;
use uuid::Uuid;

use crate::error::Error;
use crate::image::Image;
use crate::plan::{ImagePlan, PlannedContent};
use crate::repart::Said;
use crate::size::{ByteSize, SectorSize};
use crate::superblock::Superblock;
use crate::table::TableEntry;
use crate::volume::{Volume, VolumeInfo};

/// Columns of a row, beside the bar on a terminal of 80.
const ROW: usize = 72;

/// Lines of the bar.
const BAR_LINES: usize = 12;

/// The layout of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Layout {
    /// The length of the disk in bytes.
    pub size: ByteSize,
    /// The sector size in bytes.
    pub sector_size: SectorSize,
    /// The GUID of the disk.
    pub uuid: Uuid,
    /// The partitions in the order of their numbers.
    pub partitions: Vec<LayoutPartition>,
    /// What is wrong with the table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
}

/// A partition of a layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayoutPartition {
    /// Its number.
    pub partno: u32,
    /// The name of its type, or its GUID.
    #[serde(rename = "type")]
    pub partition_type: String,
    /// The label.
    pub label: String,
    /// The GUID.
    pub uuid: Uuid,
    /// Attribute bits.
    pub attributes: u64,
    /// Where it starts, in bytes.
    pub offset: ByteSize,
    /// How long it is, in bytes.
    pub raw_size: ByteSize,
    /// The root hash of data that is protected by dm-verity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roothash: Option<String>,
    /// What is in it.
    #[serde(flatten)]
    pub content: LayoutContent,
}

/// What is in a partition, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LayoutContent {
    /// What will be in it.
    Planned {
        /// As planned.
        content: PlannedContent,
    },
    /// What was found in it.
    Found {
        /// The FAT file system.
        vfat: VolumeInfo,
    },
    /// A FAT file system that cannot be read.
    Damaged {
        /// What is wrong with it.
        damage: Vec<String>,
    },
    /// What says of itself what it is.
    Named {
        /// Its words.
        #[serde(rename = "file-system")]
        file_system: Superblock,
    },
    /// Nothing that is known.
    Unknown {},
}

impl Layout {
    /// The layout of a plan.
    #[must_use]
    pub fn of_plan(plan: &ImagePlan) -> Self {
        let partitions = plan.partitions.iter().map(|partition| {
            let content = LayoutContent::Planned {
                content: partition.content.clone(),
            };
            LayoutPartition {
                roothash: partition.root_hash.clone(),
                ..LayoutPartition::of(partition.number, &partition.entry, content)
            }
        });
        let mut partitions: Vec<_> = partitions.collect();
        // One that is added comes first in the description, and not on the disk.
        partitions.sort_by_key(|partition| partition.partno);
        Self {
            size: ByteSize(plan.extents.length()),
            sector_size: plan.sector,
            uuid: plan.disk,
            partitions,
            damage: Vec::new(),
        }
    }

    /// The layout of an image.
    ///
    /// # Errors
    /// When a partition cannot be opened.
    pub fn of_image(image: &Image) -> Result<Self, Error> {
        let mut partitions = Vec::new();
        for (number, entry) in &image.partitions {
            let content = match Volume::open(image, *number).map(|volume| volume.info()) {
                Ok(Ok(vfat)) => LayoutContent::Found { vfat },
                Ok(Err(error)) => LayoutContent::Damaged {
                    damage: vec![format!("file allocation table: {error}")],
                },
                Err(_) => match Superblock::read(&image.partition(*number)?) {
                    Some(file_system) => LayoutContent::Named { file_system },
                    None => LayoutContent::Unknown {},
                },
            };
            partitions.push(LayoutPartition::of(*number, entry, content));
        }
        Ok(Self {
            size: ByteSize(image.size),
            sector_size: image.sector,
            uuid: image.disk,
            partitions,
            damage: image.damage.clone(),
        })
    }

    /// The layout with the root hashes that systemd-repart computed.
    #[must_use]
    pub fn with_root_hashes(mut self, said: &[Said]) -> Self {
        for partition in &mut self.partitions {
            let its = said.iter().find(|said| said.partno + 1 == partition.partno);
            partition.roothash = its.and_then(|said| said.roothash.clone());
        }
        self
    }

    /// The layout as text: head, then the bar with a row for each partition.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} ({} bytes), {}-byte sectors\nGUID {}\n\n",
            self.size,
            self.size.bytes(),
            self.sector_size.get(),
            self.uuid
        );
        for damage in &self.damage {
            let _ = writeln!(text, "damaged: {damage}\n");
        }
        let bar = bar(self.size.bytes(), &self.partitions);
        let rows = rows(&self.partitions);
        for line in 0..bar.len().max(rows.len()) {
            let bar = bar.get(line).map_or("      ", String::as_str);
            let row = rows.get(line).map_or("", String::as_str);
            let _ = writeln!(text, "{}", format!("{bar}  {row}").trim_end());
        }
        text
    }
}

impl LayoutPartition {
    fn of(number: u32, entry: &TableEntry, content: LayoutContent) -> Self {
        Self {
            partno: number,
            partition_type: entry.partition_type.to_string(),
            label: entry.label.clone(),
            uuid: entry.uuid,
            attributes: entry.attributes,
            offset: ByteSize(entry.start),
            raw_size: ByteSize(entry.size),
            roothash: None,
            content,
        }
    }

    fn end(&self) -> u64 {
        self.offset.bytes() + self.raw_size.bytes()
    }

    fn describe(&self) -> String {
        match &self.content {
            LayoutContent::Planned { content } => Self::describe_plan(content),
            LayoutContent::Found { vfat } => {
                let size =
                    |clusters: u32| ByteSize(u64::from(clusters) * u64::from(vfat.cluster_size));
                format!(
                    "{} `{}` {}, {} of {} used",
                    vfat.fat_type,
                    vfat.label.escape_debug(),
                    vfat.serial,
                    size(vfat.clusters.saturating_sub(vfat.free_clusters)),
                    size(vfat.clusters)
                )
            }
            LayoutContent::Damaged { damage } => format!("damaged: {}", damage.join(", ")),
            LayoutContent::Named { .. } | LayoutContent::Unknown {} if self.hashes().is_some() => {
                "hashes".to_owned()
            }
            LayoutContent::Named { file_system } => file_system.to_string(),
            LayoutContent::Unknown {} => "no known file system".to_owned(),
        }
    }

    /// The root hash of a partition with hashes.
    fn hashes(&self) -> Option<&str> {
        let content = PlannedContent::Hashes;
        let has_hashes = self.content == LayoutContent::Planned { content }
            || self.partition_type.ends_with("-verity");
        self.roothash.as_deref().filter(|_| has_hashes)
    }

    fn describe_plan(content: &PlannedContent) -> String {
        match content {
            PlannedContent::Vfat {
                geometry,
                files,
                bytes,
                used,
            } => {
                let (fat_type, bytes, used) =
                    (geometry.fat_type, ByteSize(*bytes), ByteSize(*used));
                format!("{fat_type}, {} of {bytes}, {used} used", counted(*files))
            }
            PlannedContent::Blocks { size } => format!("{} of a file", ByteSize(*size)),
            PlannedContent::Empty => "empty".to_owned(),
            PlannedContent::Kept => "as it is".to_owned(),
            PlannedContent::FileSystem {
                format,
                files,
                bytes,
            } => {
                let (name, bytes) = (format.name(), ByteSize(*bytes));
                format!("{name}, {} of {bytes}", counted(*files))
            }
            PlannedContent::Swap => "swap space".to_owned(),
            PlannedContent::Hashes => "hashes".to_owned(),
            PlannedContent::Signature => "signature of the root hash".to_owned(),
        }
    }
}

fn counted(files: usize) -> String {
    let plural = if files == 1 { "" } else { "s" };
    format!("{files} file{plural}")
}

/// Three lines for each partition: what it is, where it is, what is in it. What is too long
/// has a line of its own.
fn rows(partitions: &[LayoutPartition]) -> Vec<String> {
    let types = partitions.iter().map(|it| it.partition_type.len());
    let width = types.max().unwrap_or_default().max(10);
    let mut rows = Vec::new();
    for partition in partitions {
        let label = format!("`{}`", partition.label.escape_debug());
        let row = format!(
            "{:>3}  {:<width$} {:>10}",
            partition.partno,
            partition.partition_type,
            partition.raw_size.to_string()
        );
        if row.len() + 2 + label.chars().count() > ROW {
            rows.extend([row, format!("     {label}")]);
        } else {
            rows.push(format!("{row}  {label}"));
        }
        rows.push(format!(
            "     at {}, PARTUUID {}",
            partition.offset, partition.uuid
        ));
        match partition.hashes() {
            Some(root_hash) => rows.extend([
                format!("     {}, root hash", partition.describe()),
                format!("     {root_hash}"),
            ]),
            None => rows.push(format!("     {}", partition.describe())),
        }
        rows.push(String::new());
    }
    rows.pop();
    rows
}

/// The disk from top to bottom, each partition with lines in proportion to its
/// size, and at least one.
fn bar(size: u64, partitions: &[LayoutPartition]) -> Vec<String> {
    let mut parts: Vec<(u64, Option<u32>)> = Vec::new();
    let mut position = 0;
    let mut ordered: Vec<&LayoutPartition> = partitions.iter().collect();
    ordered.sort_by_key(|partition| partition.offset);
    for partition in ordered {
        parts.push((partition.offset.bytes().saturating_sub(position), None));
        parts.push((partition.raw_size.bytes(), Some(partition.partno)));
        position = partition.end();
    }
    parts.push((size.saturating_sub(position), None));
    let mut lines = vec!["┌────┐".to_owned()];
    for (length, number) in parts {
        let share = u128::from(length) * BAR_LINES as u128 / u128::from(size.max(1));
        let share = usize::try_from(share).unwrap_or(BAR_LINES);
        match number {
            None => lines.extend(std::iter::repeat_n("│    │".to_owned(), share)),
            Some(number) => {
                let share = share.max(1);
                for line in 0..share {
                    let middle = line == share / 2;
                    let text = if middle {
                        format!("{number:^4}")
                    } else {
                        "    ".to_owned()
                    };
                    lines.push(format!("│{}│", text.replace(' ', "▒")));
                }
            }
        }
    }
    lines.push("└────┘".to_owned());
    lines
}
