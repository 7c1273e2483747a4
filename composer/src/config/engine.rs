//! Which engine can do what a description asks for.

use serde_json::Value;

use super::{Engine, PartitionConfig};

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
    Ok(())
}

fn refusal(engine: Engine, what: &str, other: Engine) -> String {
    let (engine, other) = (engine.name(), other.name());
    format!("{what} is beyond the engine `{engine}`: set `engine = \"{other}\"`")
}
