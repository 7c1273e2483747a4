//! The image description: `image.toml`.
//!
//! The keys of a partition are those of systemd's repart.d in kebab-case (`man
//! repart.d` is the reference); `tree` is ours. JSON with the same keys is read
//! too. Unknown keys are refused, and so are keys the engine cannot act on.

mod choice;
mod compression;
mod empty;
mod engine;
mod partition;
mod rules;
mod verity_set;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tree_manifest::{NotASize, spelling};
use uuid::Uuid;

use crate::error::{self, Error};
use crate::partition_type::is_architecture;
use crate::size::{ByteSize, SectorSize};

pub use choice::{Encrypt, FileSystem, Integrity, Minimize, Verity};
pub use compression::{Compression, Compressor, NotACompression};
pub use empty::Empty;
pub use partition::PartitionConfig;
pub use verity_set::{VeritySet, sets as verity_sets};

/// A whole image.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageConfig {
    /// What concerns the image as a whole.
    #[serde(default)]
    pub image: ImageSection,
    /// The partitions, in their order on the disk.
    #[serde(default, rename = "partition")]
    pub partitions: Vec<PartitionConfig>,
}

/// What concerns the image as a whole.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSection {
    /// Its name; `image` when there is none.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// A UUID of which all identifiers are derived; of name and version when
    /// there is none.
    #[schemars(with = "Option<String>")]
    pub seed: Option<Uuid>,
    /// `auto`, which is the default, or the size of the image.
    #[serde(default)]
    #[schemars(with = "Option<ByteSize>")]
    pub size: ImageSize,
    /// What becomes of an image that is there already; replaced when it is not said.
    pub empty: Option<Empty>,
    /// The logical sector size of the disk: 512, which is the default, or 4096.
    pub sector_size: Option<u64>,
    /// The architecture that the types `root` and `usr` mean; that of this program
    /// when there is none.
    pub architecture: Option<String>,
    /// What decides the least size of a partition that names none.
    #[serde(default)]
    pub minimum_sizes: MinimumSizes,
    /// Where to write the image, relative to the description; `NAME_VERSION.FORMAT`
    /// in the working directory when it is not said.
    pub output: Option<PathBuf>,
    /// Who writes the image.
    #[serde(default)]
    pub engine: Engine,
    /// The format of the output.
    #[serde(default)]
    pub format: OutputFormat,
    /// How the output is compressed: `zstd` or `xz`, or either with a level as in
    /// `zstd:19`.
    #[schemars(with = "Option<String>")]
    pub compress: Option<Compression>,
}

/// Who writes the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This program.
    #[default]
    Embedded,
    /// systemd-repart.
    Repart,
}

impl Engine {
    /// The word for it in descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Repart => "repart",
        }
    }
}

/// What decides the least size of a partition that names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MinimumSizes {
    /// Its content; 10 MiB where there is none.
    #[default]
    Content,
    /// What systemd-repart takes: 10 MiB, and as much as it reserves for a file
    /// system, such as 100 MiB for an ESP.
    Repart,
}

/// The format of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// The bytes of the disk, with holes.
    #[default]
    Raw,
    /// QEMU's, version 3.
    Qcow2,
    /// That of Hyper-V and Azure, of the fixed kind.
    Vhd,
    /// That of VMware and VirtualBox, in one file.
    Vmdk,
}

impl OutputFormat {
    /// The ending of file names, which is the word for it in descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
        }
    }
}

/// How large the image is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImageSize {
    /// As large as its partitions need.
    #[default]
    Auto,
    /// So many bytes.
    Bytes(ByteSize),
}

impl FromStr for ImageSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        if text == "auto" {
            Ok(Self::Auto)
        } else {
            text.parse().map(Self::Bytes)
        }
    }
}

impl<'de> Deserialize<'de> for ImageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a size is `auto`, bytes, or a text such as \"2G\""
        )]
        enum Either {
            Bytes(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Bytes(bytes) => Ok(Self::Bytes(ByteSize(bytes))),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl ImageConfig {
    /// Reads a description from its text. `path` decides between TOML and JSON,
    /// and appears in messages.
    ///
    /// # Errors
    /// When the text is malformed or holds unknown keys.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        let config: Self = if is_json {
            serde_json::from_str(text)
                .map_err(|error| Error::config(path, describe_json(&error)))?
        } else {
            toml::from_str(text).map_err(|error| Error::config(path, describe(&error, text)))?
        };
        config
            .check()
            .map_err(|message| Error::config(path, message))?;
        Ok(config)
    }

    /// Refuses what only this program does where another engine is chosen.
    ///
    /// # Errors
    /// With a sentence that begins with `what`.
    pub fn require_embedded(&self, what: &str) -> Result<(), Error> {
        if self.image.engine == Engine::Embedded {
            return Ok(());
        }
        let message = format!("{what}: only the engine `embedded` does that");
        Err(Error::config(Path::new("image.toml"), message))
    }

    /// Whether the output is the bytes of the disk.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.image.format == OutputFormat::Raw && self.image.compress.is_none()
    }

    /// Refuses other formats than raw images.
    ///
    /// # Errors
    /// With a sentence that begins with `what`.
    pub fn require_raw(&self, what: &str) -> Result<(), Error> {
        if self.is_raw() {
            return Ok(());
        }
        let message = format!("{what} is raw: leave out `format` and `compress`");
        Err(Error::config(Path::new("image.toml"), message))
    }

    /// The sector size.
    #[must_use]
    pub fn sector_size(&self) -> SectorSize {
        self.image
            .sector_size
            .and_then(SectorSize::new)
            .unwrap_or(SectorSize::S512)
    }

    /// The file name the image has when nothing else is said.
    #[must_use]
    pub fn default_output(&self) -> PathBuf {
        let name = self.image.name.as_deref().unwrap_or("image");
        let version = self
            .image
            .version
            .as_ref()
            .map(|version| format!("_{version}"));
        let (version, format) = (version.unwrap_or_default(), self.image.format.name());
        let compressed = self.image.compress.map(Compression::ending);
        PathBuf::from(format!(
            "{name}{version}.{format}{}",
            compressed.unwrap_or_default()
        ))
    }

    /// Completes a description when all that is to be said was said: puts what
    /// follows from other keys where there is nothing, and checks the whole. `path`
    /// appears in messages.
    ///
    /// # Errors
    /// When keys contradict each other, or the engine cannot do what they ask for.
    pub fn settle(mut self, path: &Path) -> Result<Self, Error> {
        self.settle_partitions()
            .map_err(|message| Error::config(path, message))?;
        Ok(self)
    }

    fn settle_partitions(&mut self) -> Result<(), String> {
        if self.partitions.is_empty() {
            return Err("an image needs at least one `[[partition]]`".to_owned());
        }
        let count = self.partitions.len();
        if count > 128 {
            return Err(format!("{count} partitions; a GPT has 128"));
        }
        let has_small_sectors = matches!(self.image.format, OutputFormat::Vhd | OutputFormat::Vmdk);
        if has_small_sectors && self.sector_size() != SectorSize::S512 {
            let format = self.image.format.name();
            return Err(format!(
                "disks of the format {format} have sectors of 512 bytes"
            ));
        }
        let architecture = self
            .image
            .architecture
            .as_deref()
            .unwrap_or(std::env::consts::ARCH);
        for (number, partition) in (1..).zip(&mut self.partitions) {
            let settled = partition
                .settle(architecture)
                .and_then(|()| rules::check(partition))
                .and_then(|()| engine::check(self.image.engine, partition));
            settled.map_err(|message| format!("partition {number}: {message}"))?;
        }
        check_uuids(&self.partitions)?;
        verity_sets(&self.partitions)?;
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if let Some(size) = self.image.sector_size
            && SectorSize::new(size).is_none()
        {
            return Err(format!("`sector-size` is {size}; it can be 512 or 4096"));
        }
        if let Some(name) = &self.image.architecture
            && !is_architecture(name)
        {
            return Err(format!(
                "`{}` is no architecture that has partition types",
                name.escape_debug()
            ));
        }
        for (key, text) in [("name", &self.image.name), ("version", &self.image.version)] {
            if let Some(text) = text
                && (text.is_empty() || text.contains(['/', '\0']) || text.starts_with('.'))
            {
                return Err(format!(
                    "`{key}` becomes part of a file name and cannot be `{text}`"
                ));
            }
        }
        Ok(())
    }
}

/// Refuses a GUID that two partitions were given; zeros are none.
fn check_uuids(partitions: &[PartitionConfig]) -> Result<(), String> {
    let given = (1..).zip(partitions);
    let given = given.filter_map(|(number, partition)| Some((number, partition.uuid?)));
    let mut known: BTreeMap<Uuid, u32> = BTreeMap::new();
    for (number, uuid) in given.filter(|(_, uuid)| !uuid.is_nil()) {
        if let Some(first) = known.insert(uuid, number) {
            return Err(format!(
                "partitions {first} and {number} have one `uuid`, {uuid}"
            ));
        }
    }
    Ok(())
}

/// Reads a description.
///
/// # Errors
/// When the file cannot be read, or [`ImageConfig::parse`] refuses it.
#[expect(clippy::disallowed_methods, reason = "reads the description")]
pub fn load(path: &Path) -> Result<ImageConfig, Error> {
    let text = std::fs::read_to_string(path).map_err(error::read(path))?;
    ImageConfig::parse(&text, path)
}

/// The JSON Schema of the description, as published in `schema/`.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(ImageConfig);
    schema.insert("title".to_owned(), "Image description, version 1".into());
    schema.insert("$id".to_owned(), "image-v1.schema.json".into());
    format!("{:#}\n", schema.as_value())
}

/// A TOML error as one line: place, message, and the key it may have meant.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let place = error.span().map(|span| {
        let before = &text[..span.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        format!("line {line}: ")
    });
    let message = spelling::suggest(error.message());
    format!("{}{message}", place.unwrap_or_default())
}

/// The same of JSON, whose errors name their place at the end.
fn describe_json(error: &serde_json::Error) -> String {
    let (text, line) = (error.to_string(), error.line());
    let place = format!(" at line {line} column {}", error.column());
    match text.strip_suffix(&place) {
        Some(message) => format!("line {line}: {}", spelling::suggest(message)),
        None => text,
    }
}

#[cfg(test)]
mod tests;
