//! Definitions of systemd-repart: files `*.conf` of a partition each.
//!
//! Specification: `man repart.d` of systemd 262. `folder` finds the files, `ini`
//! parses them, `keys` knows each key by both of its names, and `render` writes
//! definitions for a description.
//!
//! Where systemd-repart would warn and go on, this is an error: a key that has no
//! effect is a partition that is not what was asked for. Specifiers stand for what a
//! description says, never for the machine this runs on.

pub mod folder;
mod ini;
mod keys;
pub mod render;
mod specifier;

pub use specifier::Specifiers;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use tree_manifest::spelling;

use crate::config::PartitionConfig;
use crate::error::Error;

/// The text of a definition or of a drop-in.
#[derive(Debug, Clone)]
pub struct DefinitionFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// Reads a partition from a definition and its drop-ins, in their order.
///
/// # Errors
/// When a text is malformed, holds unknown keys, or values a key cannot have.
pub fn parse(files: &[DefinitionFile], specifiers: &Specifiers) -> Result<PartitionConfig, Error> {
    let mut values = Map::new();
    for file in files {
        let assignments = ini::parse(&file.text, "Partition")
            .map_err(|message| Error::config(&file.path, message))?;
        for assignment in assignments {
            keys::assign(&mut values, &assignment, specifiers).map_err(|message| {
                let (key, line) = (&assignment.key, assignment.line);
                Error::config(&file.path, format!("line {line}: `{key}`: {message}"))
            })?;
        }
    }
    let path = files.first().map_or(Path::new(""), |file| &file.path);
    if !values.contains_key("type") {
        return Err(Error::config(path, "`Type` is missing"));
    }
    for (key, value) in &values {
        let alone = json!({ "type": "", key: value });
        if let Err(error) = serde_json::from_value::<PartitionConfig>(alone) {
            return Err(Error::config(
                path,
                format!("`{key}`: {}", spelling::suggest(&error.to_string())),
            ));
        }
    }
    serde_json::from_value(Value::Object(values))
        .map_err(|error| Error::config(path, error.to_string()))
}

#[cfg(test)]
mod tests;
