//! The manifest as JSON: the one place that knows its spelling.
//!
//! The private types mirror the document; the public ones in [`crate::Manifest`]
//! are what programs work with. The schema is generated from the former.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use crate::digest::Sha256;
use crate::error::Error;
use crate::model::{Entry, File, Manifest, Mode, Role, Source, Tree};
use crate::path::TreePath;
use crate::pieces::{self, PieceJson};
use crate::provenance::Provenance;

/// The value of the document's `format`.
pub const FORMAT: &str = "tree-manifest";

/// The version this crate reads and writes.
pub const VERSION: u64 = 1;

/// What is read of a document that does not fit.
#[derive(DeriveDeserialize)]
struct Head {
    format: String,
    version: u64,
}

/// A directory-tree manifest: what is in the trees of a disk image, and where
/// each byte comes from.
#[derive(Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Document {
    /// Always `tree-manifest`.
    #[schemars(extend("const" = FORMAT))]
    format: String,
    /// Always 1.
    #[schemars(extend("const" = VERSION))]
    version: u64,
    /// The EFI architectures the trees can boot, by their suffix (`x64`, `aa64`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    architectures: BTreeSet<String>,
    /// The trees by role (`esp`, `xbootldr`, or a name of your own); in each, the
    /// entries by path, sorted.
    trees: Unique<Unique<EntryJson>>,
}

/// One thing in a tree.
#[derive(Serialize, DeriveDeserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", try_from = "AnyEntry")]
#[schemars(rename = "Entry", deny_unknown_fields, !try_from)]
enum EntryJson {
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// The SHA-256 of its bytes, in lower-case hexadecimal digits; absent where it was
        /// not taken, so that nobody can tell whether the bytes are still these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
        sha256: Option<String>,
        /// Where its bytes are; absent when they are nowhere but in the tree itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SourceJson>,
        /// Permissions, where the file system keeps them, as octal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
        /// Why it is in the tree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provenance: Option<Provenance>,
    },
    /// A directory; only an empty one, or one with a mode, needs an entry.
    Directory {
        /// Permissions, where the file system keeps them, as octal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    },
    /// A symbolic link; never in a tree for FAT.
    Symlink {
        /// Where it points, verbatim.
        target: String,
    },
}

/// An entry as it is read. Where `type` decides which keys there are, serde has to keep
/// each value until it is known; this takes them as they come.
#[derive(DeriveDeserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AnyEntry {
    r#type: EntryType,
    size: Option<u64>,
    sha256: Option<String>,
    source: Option<SourceJson>,
    mode: Option<String>,
    provenance: Option<Provenance>,
    target: Option<String>,
}

#[derive(DeriveDeserialize)]
#[serde(rename_all = "kebab-case")]
enum EntryType {
    File,
    Directory,
    Symlink,
}

impl TryFrom<AnyEntry> for EntryJson {
    type Error = String;

    fn try_from(entry: AnyEntry) -> Result<Self, String> {
        let foreign = |what: &str, keys: &[(&str, bool)]| match keys.iter().find(|key| key.1) {
            Some((key, _)) => Err(format!("a {what} has no `{key}`")),
            None => Ok(()),
        };
        let missing = |key| format!("missing field `{key}`");
        let of_files = [
            ("size", entry.size.is_some()),
            ("sha256", entry.sha256.is_some()),
            ("source", entry.source.is_some()),
            ("provenance", entry.provenance.is_some()),
        ];
        let target = ("target", entry.target.is_some());
        Ok(match entry.r#type {
            EntryType::File => {
                foreign("file", &[target])?;
                Self::File {
                    size: entry.size.ok_or_else(|| missing("size"))?,
                    sha256: entry.sha256,
                    source: entry.source,
                    mode: entry.mode,
                    provenance: entry.provenance,
                }
            }
            EntryType::Directory => {
                foreign("directory", &[&of_files[..], &[target]].concat())?;
                Self::Directory { mode: entry.mode }
            }
            EntryType::Symlink => {
                let mode = ("mode", entry.mode.is_some());
                foreign("symlink", &[&of_files[..], &[mode]].concat())?;
                Self::Symlink {
                    target: entry.target.ok_or_else(|| missing("target"))?,
                }
            }
        })
    }
}

/// Where the bytes of a file are.
#[derive(Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Source")]
enum SourceJson {
    /// A file: absolute, or relative to the directory that holds the manifest.
    Path(String),
    /// The bytes themselves.
    Text(String),
    /// What the file is put together from, in order.
    Pieces(Vec<PieceJson>),
}

impl Manifest {
    /// Reads a manifest from its JSON text and checks every rule of the format.
    ///
    /// # Errors
    /// When the text is not JSON, is of another format or version, holds unknown
    /// or repeated keys, or breaks a rule of [`Manifest::check`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let document = match serde_json::from_str::<Document>(text) {
            Ok(document) => {
                check_head(&document.format, document.version)?;
                document
            }
            // Of another format or version it may well not fit: that is to be said.
            Err(error) => {
                let head: Head = serde_json::from_str(text).map_err(Error::Json)?;
                check_head(&head.format, head.version)?;
                return Err(Error::Json(error));
            }
        };
        let mut manifest = Self {
            architectures: document.architectures,
            ..Self::default()
        };
        for (name, entries) in document.trees.0 {
            let role: Role = name.parse().map_err(|error| custom(&error))?;
            let tree = read_tree(&role, entries)?;
            manifest.trees.insert(role, tree);
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The JSON text: sorted, indented, with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let trees = self.trees.iter().map(|(role, tree)| {
            let entries = tree
                .iter()
                .map(|(path, entry)| (path.to_string(), write_entry(entry)));
            (role.to_string(), Unique(entries.collect()))
        });
        let document = Document {
            format: FORMAT.to_owned(),
            version: VERSION,
            architectures: self.architectures.clone(),
            trees: Unique(trees.collect()),
        };
        let mut text = serde_json::to_string_pretty(&document)
            .unwrap_or_else(|error| unreachable!("maps with text keys become JSON: {error}"));
        text.push('\n');
        text
    }
}

/// The JSON Schema of the format, as published in `schema/`.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Document);
    schema.insert(
        "title".to_owned(),
        "Directory-tree manifest, version 1".into(),
    );
    schema.insert("$id".to_owned(), "manifest-v1.schema.json".into());
    format!("{:#}\n", schema.as_value())
}

fn check_head(format: &str, version: u64) -> Result<(), Error> {
    if format != FORMAT {
        return Err(Error::Format(format.to_owned()));
    }
    if version != VERSION {
        return Err(Error::Version(version));
    }
    Ok(())
}

fn read_tree(role: &Role, entries: Unique<EntryJson>) -> Result<Tree, Error> {
    let read = |(path, entry)| {
        let refuse = |path: String, reason: String| Error::Entry {
            role: role.clone(),
            path,
            reason,
        };
        let path =
            TreePath::new(path).map_err(|error| refuse(error.path, error.reason.to_owned()))?;
        let entry = read_entry(entry).map_err(|reason| refuse(path.to_string(), reason))?;
        Ok((path, entry))
    };
    entries.0.into_iter().map(read).collect()
}

fn read_entry(entry: EntryJson) -> Result<Entry, String> {
    Ok(match entry {
        EntryJson::File {
            size,
            sha256,
            source,
            mode,
            provenance,
        } => {
            let sha256 = sha256.map(|digits| digits.parse()).transpose();
            let sha256 = sha256.map_err(|error| format!("{error}"))?;
            Entry::File(File {
                size,
                sha256,
                source: match source {
                    Some(source) => read_source(source, size, sha256)?,
                    None => Source::Nowhere,
                },
                mode: read_mode(mode)?,
                provenance,
            })
        }
        EntryJson::Directory { mode } => Entry::Directory {
            mode: read_mode(mode)?,
        },
        EntryJson::Symlink { target } if target.is_empty() || target.contains('\0') => {
            return Err("a symbolic link needs a target without NUL".to_owned());
        }
        EntryJson::Symlink { target } => Entry::Symlink { target },
    })
}

fn read_source(source: SourceJson, size: u64, sha256: Option<Sha256>) -> Result<Source, String> {
    match source {
        SourceJson::Path(path) if path.starts_with('/') => {
            if path.contains('\0') {
                return Err("a source path holds no NUL".to_owned());
            }
            Ok(Source::Absolute(path))
        }
        SourceJson::Path(path) => {
            let beside = TreePath::new(path).map_err(|error| format!("source {error}"))?;
            Ok(Source::Beside(beside))
        }
        SourceJson::Text(text) => {
            let is_own = |sha256| Sha256::of(text.as_bytes()) == sha256;
            if text.len() as u64 != size || !sha256.is_none_or(is_own) {
                return Err("`size` or `sha256` is not that of its own text".to_owned());
            }
            Ok(Source::Text(text))
        }
        SourceJson::Pieces(list) => pieces::read(list, size).map(Source::Pieces),
    }
}

fn read_mode(text: Option<String>) -> Result<Option<Mode>, String> {
    let Some(text) = text else { return Ok(None) };
    let bits = u16::from_str_radix(&text, 8)
        .ok()
        .filter(|_| !text.starts_with('+'));
    match bits.and_then(Mode::new) {
        Some(mode) => Ok(Some(mode)),
        None => Err(format!(
            "mode `{}` is not octal digits up to 7777",
            text.escape_debug()
        )),
    }
}

fn write_entry(entry: &Entry) -> EntryJson {
    match entry {
        Entry::File(file) => EntryJson::File {
            size: file.size,
            sha256: file.sha256.map(|digest| digest.to_string()),
            source: match &file.source {
                Source::Beside(path) => Some(SourceJson::Path(path.to_string())),
                Source::Absolute(path) => Some(SourceJson::Path(path.clone())),
                Source::Text(text) => Some(SourceJson::Text(text.clone())),
                Source::Pieces(list) => {
                    Some(SourceJson::Pieces(list.iter().map(pieces::write).collect()))
                }
                Source::Nowhere => None,
            },
            mode: file.mode.map(|mode| mode.to_string()),
            provenance: file.provenance.clone(),
        },
        Entry::Directory { mode } => EntryJson::Directory {
            mode: mode.map(|mode| mode.to_string()),
        },
        Entry::Symlink { target } => EntryJson::Symlink {
            target: target.clone(),
        },
    }
}

fn custom(error: &impl fmt::Display) -> Error {
    Error::Json(de::Error::custom(error))
}

/// A map whose keys may not repeat. JSON allows it and most readers keep the
/// last, so two programs could read two different trees from one manifest.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        // Sorted already when it is our own, and then a map is made of it at once.
        let mut pairs = Vec::new();
        while let Some(pair) = access.next_entry::<String, V>()? {
            pairs.push(pair);
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let key = &twice[0].0;
            return Err(de::Error::custom(format_args!(
                "key `{key}` is there twice"
            )));
        }
        Ok(Unique(pairs.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests;
