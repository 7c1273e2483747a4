//! Generation lists: which generations there are, in JSON.
//!
//! A list names bootspec documents and gives each what such a document does not
//! say: profile, number, day. It is for those who build a tree without a Nix
//! profile at hand. The schema is published as
//! `schema/generations-v1.schema.json`; a document's own rules are those of
//! [`crate::document`].

use std::path::{Path, PathBuf};

use bootloaders::Line;
use schemars::JsonSchema;
use serde::Deserialize;
use tree_manifest::GenerationId;

use crate::document::Refusal;
use crate::error::Error;
use crate::settings::Date;
use crate::source::read_at_most;

/// The value of the list's `format`.
pub const FORMAT: &str = "generation-list";

/// The version that this program reads.
pub const VERSION: u64 = 1;

/// The longest list, in bytes: some hundred thousand generations.
const LONGEST: u64 = 16 << 20;

/// What to do with a list of another shape.
const HINT: &str = "esp-builder --generate generations-schema prints the format";

/// A generation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationList {
    /// The generations in the list's order.
    pub generations: Vec<Listed>,
    /// Which of them starts by itself, when the list says so.
    pub default: Option<GenerationId>,
}

/// A generation of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its profile and number.
    pub id: GenerationId,
    /// Its bootspec document: absolute, or relative to the list's directory.
    pub bootspec: PathBuf,
    /// The day it was built.
    pub date: Option<Date>,
}

/// What must be known before the rest may be read.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Head {
    format: String,
    version: u64,
}

/// The generations that a boot menu is made of.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ListJson {
    /// Always `generation-list`.
    #[expect(dead_code, reason = "it was read with the head")]
    #[schemars(extend("const" = FORMAT))]
    format: String,
    /// Always 1.
    #[expect(dead_code, reason = "it was read with the head")]
    #[schemars(extend("const" = VERSION))]
    version: u64,
    /// The generations in any order; no two of one profile have one number.
    generations: Vec<ListedJson>,
    /// What starts by itself; without it, the newest generation of the system
    /// profile.
    #[serde(default)]
    default: Option<GenerationId>,
}

/// A generation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "Generation")]
struct ListedJson {
    /// The Nix profile; absent or null for the system profile.
    #[serde(default)]
    #[schemars(regex(pattern = "^[^/]+$"))]
    profile: Option<String>,
    /// The generation's number.
    number: u64,
    /// The path of its bootspec document: absolute, or relative to the directory
    /// that holds this list.
    #[schemars(length(min = 1))]
    bootspec: PathBuf,
    /// The day it was built, as `YYYY-MM-DD`.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    date: Option<String>,
}

/// Reads a list.
///
/// # Errors
/// When the file cannot be read or [`parse`] refuses it.
pub fn load(path: &Path) -> Result<GenerationList, Error> {
    let refused = |refusal| Error::ListRefused {
        path: path.into(),
        refusal,
    };
    let bytes = read_at_most(path, LONGEST + 1).map_err(|source| Error::List {
        path: path.into(),
        source,
    })?;
    if bytes.len() as u64 > LONGEST {
        return Err(refused(Refusal::new("longer than 16 MiB")));
    }
    parse(&bytes).map_err(refused)
}

/// Takes a list from its text.
///
/// # Errors
/// When it is not JSON, is of another format or version, holds unknown or repeated
/// keys, or values that no menu can show.
pub fn parse(bytes: &[u8]) -> Result<GenerationList, Refusal> {
    let not_a_list = |error: serde_json::Error| {
        Refusal::with_hint(format!("not a generation list: {error}"), HINT)
    };
    let head: Head = serde_json::from_slice(bytes).map_err(not_a_list)?;
    if head.format != FORMAT {
        let format = head.format.escape_debug();
        let reason = format!("`format` is `{format}`, not `{FORMAT}`");
        return Err(Refusal::with_hint(reason, HINT));
    }
    if head.version != VERSION {
        let version = head.version;
        return Err(Refusal::with_hint(
            format!("version {version} is not known"),
            "this program reads version 1",
        ));
    }
    let list: ListJson = serde_json::from_slice(bytes).map_err(not_a_list)?;
    let generations = list.generations.into_iter().enumerate();
    let generations = generations.map(|(index, listed)| {
        let what = format!("`generations[{index}]`");
        Listed::try_from(listed).map_err(|refusal| refusal.inside(&what))
    });
    let generations = generations.collect::<Result<Vec<_>, _>>()?;
    if let Some(default) = &list.default {
        check_default(default, &generations)?;
    }
    Ok(GenerationList {
        generations,
        default: list.default,
    })
}

/// The JSON Schema of the format, as published in `schema/`.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(ListJson);
    schema.insert("title".to_owned(), "Generation list, version 1".into());
    schema.insert("$id".to_owned(), "generations-v1.schema.json".into());
    format!("{:#}\n", schema.as_value())
}

impl TryFrom<ListedJson> for Listed {
    type Error = Refusal;

    fn try_from(json: ListedJson) -> Result<Self, Refusal> {
        if let Some(profile) = &json.profile {
            check_profile(profile).map_err(|reason| {
                Refusal::with_hint(
                    format!("`profile` {reason}"),
                    "leave `profile` out for the system profile",
                )
            })?;
        }
        if json.bootspec.as_os_str().is_empty() {
            return Err(Refusal::with_hint("`bootspec` is empty", HINT));
        }
        let date = json.date.map(|text| {
            let refuse = |reason| {
                let text = text.escape_debug();
                Refusal::with_hint(format!("`date` `{text}`: {reason}"), HINT)
            };
            text.parse().map_err(refuse)
        });
        Ok(Self {
            id: GenerationId {
                profile: json.profile,
                number: json.number,
                specialisation: None,
            },
            bootspec: json.bootspec,
            date: date.transpose()?,
        })
    }
}

/// Says what keeps a text from being a profile's name: a file's, which a menu shows.
pub(crate) fn check_profile(name: &str) -> Result<(), String> {
    if name.contains('/') {
        return Err(format!("`{}` holds `/`", name.escape_debug()));
    }
    match Line::new(name) {
        Ok(line) if line.as_str() != name => {
            Err(format!("`{}` has spaces around it", name.escape_debug()))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn check_default(default: &GenerationId, generations: &[Listed]) -> Result<(), Refusal> {
    let of_generation = |listed: &Listed| {
        listed.id.number == default.number && listed.id.profile == default.profile
    };
    if generations.iter().any(of_generation) {
        return Ok(());
    }
    let generation = GenerationId {
        specialisation: None,
        ..default.clone()
    };
    Err(Refusal::with_hint(
        format!(
            "`default` is {}, which is not in `generations`",
            crate::generation::describe(&generation)
        ),
        "choose one of the list, or leave `default` out",
    ))
}

#[cfg(test)]
mod tests;
