//! Writes definitions that have systemd-repart make what a description asks for.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ini;
use super::keys::{KEYS, Kind, SUPPLEMENT_FOR};
use crate::config::{ImageConfig, PartitionConfig};

/// A definition with its file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The file name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Renders the definitions of a settled description. Relative paths count from `base`,
/// which is absolute.
///
/// # Errors
/// With a sentence about the key that no definition can have.
pub fn render(config: &ImageConfig, base: &Path) -> Result<Vec<Rendered>, String> {
    let names = names(config);
    let mut rendered = Vec::new();
    for (number, (partition, name)) in (1..).zip(config.partitions.iter().zip(&names)) {
        let failed = |message: String| format!("partition {number}: {message}");
        let mut text = definition(partition, base).map_err(failed)?;
        if let Some(wanted) = &partition.supplement_for {
            let is_wanted = |other: &&PartitionConfig| other.name.as_ref() == Some(wanted);
            let target = config.partitions.iter().position(|other| is_wanted(&other));
            let target = target.ok_or_else(|| {
                failed(format!(
                    "`supplement-for`: no partition has the name `{wanted}`"
                ))
            })?;
            let _ = writeln!(text, "{}={}", SUPPLEMENT_FOR.name, names[target]);
        }
        rendered.push(Rendered {
            name: format!("{name}.conf"),
            text,
        });
    }
    Ok(rendered)
}

/// The names of the definitions of a description, without their ending.
pub(crate) fn names(config: &ImageConfig) -> Vec<String> {
    (1..)
        .zip(&config.partitions)
        .map(|(number, partition)| file_name(number, partition))
        .collect()
}

/// The name of a definition without its ending; systemd-repart takes them in order.
fn file_name(number: u32, partition: &PartitionConfig) -> String {
    let name = partition
        .name
        .as_deref()
        .unwrap_or_else(|| partition.label());
    let fit = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => character,
        _ => '_',
    };
    format!("{number:03}-{}", name.chars().map(fit).collect::<String>())
}

fn definition(partition: &PartitionConfig, base: &Path) -> Result<String, String> {
    let partition = &as_repart_has_it(partition, base)?;
    let values = serde_json::to_value(partition).map_err(|error| error.to_string())?;
    let mut text = "[Partition]\n".to_owned();
    for key in &KEYS {
        let Some(value) = values.get(key.own) else {
            continue;
        };
        let items = match value {
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        for item in items {
            let plain = match item {
                Value::String(text) => text.clone(),
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                other => other.to_string(),
            };
            if plain.contains(char::is_control) {
                return Err(format!("`{}` has control characters", key.own));
            }
            let written = match key.kind {
                Kind::Expanded | Kind::Items => plain.replace('%', "%%"),
                Kind::Words => ini::quote(&plain.replace('%', "%%")),
                _ => plain,
            };
            let _ = writeln!(text, "{}={written}", key.name);
        }
    }
    Ok(text)
}

/// A partition with everything that systemd-repart sees in another way.
fn as_repart_has_it(partition: &PartitionConfig, base: &Path) -> Result<PartitionConfig, String> {
    let mut partition = partition.clone();
    let absolute = |path: &Path| -> PathBuf { base.join(path) };
    let kind = partition.partition_type()?;
    // It ignores attributes of types that do not know them, but never the flags; and
    // where those have bit 59, it does not matter that it sets the bit regardless.
    if !(kind.knows_no_auto() && kind.knows_read_only() && kind.knows_growing()) {
        let flags = partition.attributes();
        if flags != 0 {
            partition.flags = Some(flags);
        }
        partition.no_auto = None;
        partition.read_only = None;
        partition.grow_file_system = None;
    } else if partition.grow_file_system == Some(false) && partition.read_only != Some(true) {
        return Err(
            "`grow-file-system = false`: systemd-repart ignores it unless `read-only = true`"
                .to_owned(),
        );
    }
    if partition.uuid.is_some_and(|uuid| uuid.is_nil()) {
        return Err("`uuid = \"null\"` is beyond what definitions are rendered for".to_owned());
    }
    partition.copy_blocks = partition.copy_blocks.as_deref().map(absolute);
    partition.key_file = partition.key_file.as_deref().map(absolute);
    for item in &mut partition.copy_files {
        let (from, to) = item.split_once(':').unwrap_or((item, item));
        let to = format!("/{}", to.trim_start_matches('/'));
        *item = format!("{}:{to}", absolute(Path::new(from)).display());
    }
    for item in &mut partition.exclude_files {
        // Joining would take the ending away that says "only what is in it".
        *item = format!("{}", absolute(Path::new(item.as_str())).display());
    }
    for list in [
        &mut partition.make_directories,
        &mut partition.make_symlinks,
    ] {
        for item in list {
            *item = format!("/{}", item.trim_start_matches('/'));
        }
    }
    if let Some(tree) = partition.tree.take() {
        let from = absolute(Path::new(&tree));
        partition
            .copy_files
            .insert(0, format!("{}:/", from.display()));
    }
    Ok(partition)
}
