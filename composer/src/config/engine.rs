//! Which engine can do what a description asks for.

use serde_json::Value;

use super::partition::copy_options;
use super::{Encrypt, Engine, FileSystem, Minimize, PartitionConfig};

/// Keys that only systemd-repart can act on.
const REPART_ONLY: [&str; 14] = [
    "add-validate-fs",
    "block-device-replace",
    "discard",
    "encrypt",
    "encrypt-kdf",
    "encrypted-volume",
    "file-system-sector-size",
    "integrity",
    "integrity-algorithm",
    "key-file",
    "mount-point",
    "supplement-for",
    "tpm2-pcrs",
    "volume-name",
];

/// Keys that only this program can act on.
const EMBEDDED_ONLY: [&str; 2] = ["cluster-size", "fat-type"];

/// Values by which a key asks for nothing.
fn asks_for_nothing(value: &Value) -> bool {
    *value == Value::Bool(false) || value == "off"
}

/// Checks that the engine can do all that a partition asks for.
///
/// # Errors
/// With a sentence that names the key and the engine that can.
pub fn check(engine: Engine, partition: &PartitionConfig) -> Result<(), String> {
    let (beyond, other): (&[&str], _) = match engine {
        Engine::Embedded => (&REPART_ONLY, Engine::Repart),
        Engine::Repart => (&EMBEDDED_ONLY, Engine::Embedded),
    };
    let keys = serde_json::to_value(partition).map_err(|error| error.to_string())?;
    for key in beyond {
        if keys.get(key).is_some_and(|value| !asks_for_nothing(value)) {
            return Err(refusal(engine, &format!("`{key}`"), other));
        }
    }
    let beyond = match engine {
        Engine::Embedded => beyond_embedded(partition),
        Engine::Repart => beyond_repart(partition),
    };
    match beyond {
        Some(what) => Err(refusal(engine, what, other)),
        None => Ok(()),
    }
}

/// What only this program can do of what keys ask for that both know.
fn beyond_repart(partition: &PartitionConfig) -> Option<&'static str> {
    let is_encrypted = partition.encrypt.is_some_and(|it| it != Encrypt::Off);
    let is_labelled = partition.volume_label.is_some() && !is_encrypted;
    is_labelled.then_some("`volume-label` of what is not encrypted")
}

/// What only systemd-repart can do of what keys ask for that both know.
fn beyond_embedded(partition: &PartitionConfig) -> Option<&'static str> {
    let is_btrfs = partition.format == Some(FileSystem::Btrfs);
    if is_btrfs && partition.minimize == Some(Minimize::Best) {
        return Some("`minimize = \"best\"` of btrfs");
    }
    let mut options = partition
        .copy_files
        .iter()
        .filter_map(|it| copy_options(it));
    options
        .any(|options| options.contains("copy"))
        .then_some("`fsverity=copy`")
}

fn refusal(engine: Engine, what: &str, other: Engine) -> String {
    let (engine, other) = (engine.name(), other.name());
    format!("{what} is beyond the engine `{engine}`: set `engine = \"{other}\"`")
}
