//! Partitions as files of their own, and how systemd-sysupdate finds them.
//!
//! Specifications: `SplitName=` in `man repart.d`, `man sysupdate.d`.

use std::collections::BTreeSet;

use crate::config::{Compression, ImageConfig};
use crate::error::Error;
use crate::plan::{self, ImagePlan, PlannedPartition};

/// The name of a file where none is said: the type of the partition.
const DEFAULT_NAME: &str = "%t";

/// What stands for the type, its GUID, the UUID and the number of a partition in names.
pub(crate) const SPECIFIERS: [char; 4] = ['t', 'T', 'U', 'n'];

/// What stands for a version, and for a UUID, in patterns of systemd-sysupdate.
const VERSION: &str = "@v";
const UUID: &str = "@u";

/// A partition that becomes a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its place among those of the plan.
    pub index: usize,
    /// The name of the file.
    pub name: String,
    /// What its name has in common with those of other versions.
    pattern: String,
}

/// The files of a plan, for an image whose file name begins with `stem`.
///
/// # Errors
/// When two would have one name, or one is none.
pub fn artifacts(
    config: &ImageConfig,
    plan: &ImagePlan,
    stem: &str,
) -> Result<Vec<Artifact>, Error> {
    let mut taken = BTreeSet::new();
    let mut artifacts = Vec::new();
    for (index, partition) in plan.partitions.iter().enumerate() {
        let described = &config.partitions[partition.index];
        let text = described.split_name.as_deref().unwrap_or(DEFAULT_NAME);
        if text == "-" {
            continue;
        }
        let failed = |reason| {
            let source = Error::SplitName { reason };
            plan::in_partition(config, partition.index, source)
        };
        let uuid = partition.entry.uuid.simple().to_string();
        let expand = |uuid: &str| expand(text, partition, (index, uuid)).map_err(failed);
        let ending = config.image.compress.map_or("", Compression::ending);
        let name = format!("{stem}.{}.raw{ending}", expand(&uuid)?);
        if !taken.insert(name.clone()) {
            return Err(failed(format!("`{name}` is there twice")));
        }
        let stem = of_versions(config, stem).unwrap_or_else(|| escape(stem));
        let pattern = format!("{stem}.{}.raw{ending}", expand(UUID)?);
        artifacts.push(Artifact {
            index,
            name,
            pattern,
        });
    }
    Ok(artifacts)
}

/// The name of a file of systemd-sysupdate and its text, by which machines replace a
/// partition by a newer version of an artifact. Nothing for one whose label does not have
/// the version of the image.
#[must_use]
pub fn transfer(
    config: &ImageConfig,
    plan: &ImagePlan,
    artifact: &Artifact,
    source: &str,
) -> Option<(String, String)> {
    let entry = &plan.partitions[artifact.index].entry;
    let label = of_versions(config, &entry.label)?;
    let kind = if source.contains("://") {
        "url-file"
    } else {
        "regular-file"
    };
    // All at once: systemd-sysupdate 262 does not act on `ReadOnly=` alone.
    let flags = entry.attributes;
    let text = format!(
        "[Transfer]\nProtectVersion=%A\n\n\
         [Source]\nType={kind}\nPath={source}\nMatchPattern={pattern}\n\n\
         [Target]\nType=partition\nPath=auto\nMatchPattern={label}\n\
         MatchPartitionType={partition_type}\nPartitionFlags={flags:#x}\n\
         InstancesMax=2\n",
        source = source.replace('%', "%%"),
        pattern = artifact.pattern,
        partition_type = entry.partition_type,
    );
    let number = (artifact.index + 1) * 10;
    Some((
        format!("{number:03}-{}.transfer", entry.partition_type),
        text,
    ))
}

/// A name in which the version of the image is a pattern; nothing when it is not there.
fn of_versions(config: &ImageConfig, name: &str) -> Option<String> {
    let version = config.image.version.as_deref()?;
    let (before, behind) = name.rsplit_once(version)?;
    Some(format!("{}{VERSION}{}", escape(before), escape(behind)))
}

/// A text in which `%` means nothing to systemd.
fn escape(text: &str) -> String {
    text.replace('%', "%%")
}

/// Replaces the specifiers of a split name; `number` counts from 0, as in systemd-repart.
fn expand(
    text: &str,
    partition: &PlannedPartition,
    (number, uuid): (usize, &str),
) -> Result<String, String> {
    let mut expanded = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            expanded.push(character);
            continue;
        }
        let kind = partition.entry.partition_type;
        match characters.next() {
            Some('%') => expanded.push('%'),
            Some('t') => expanded += &kind.to_string(),
            Some('T') => expanded += &kind.0.simple().to_string(),
            Some('U') => expanded += uuid,
            Some('n') => expanded += &number.to_string(),
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(format!(
                    "`%{}` is no specifier: there are `%t`, `%T`, `%U`, `%n` and `%%`",
                    other.escape_debug()
                ));
            }
        }
    }
    if expanded.is_empty() || expanded.contains(|c: char| c == '/' || c.is_control()) {
        return Err(format!("`{}` is no name of a file", text.escape_debug()));
    }
    Ok(expanded)
}
