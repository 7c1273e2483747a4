//! Bootspec documents (RFC 125): text to our own types.
//!
//! Specification: <https://github.com/NixOS/rfcs/blob/master/rfcs/0125-bootspec.md>
//!
//! The `bootspec` crate defines the format, and this is the only module that
//! names it. A document is looked at as plain JSON first, because the crate's
//! errors do not say what is missing, and every value is checked on the way
//! into our types: a document may come from anywhere.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use bootloaders::{Arch, CommandLine, Line};
use bootspec::generation::Generation;
use bootspec::v1::{BootSpecV1, GenerationV1, SpecialisationsV1};
use bootspec::{BootJson, Extensions};
use serde::Deserialize;
use serde_json::Value;
use tree_manifest::TreePath;

use crate::error::Error;
use crate::source::{read_at_most, read_whole};

mod shape;
mod xen;

pub use xen::Xen;

/// The longest document, in bytes. Real ones have a few thousand; NixOS systems
/// with hundreds of specialisations stay below one million.
const LONGEST: u64 = 16 << 20;

/// A bootspec document.
#[derive(Debug, Clone)]
pub struct Document {
    /// The system itself.
    pub system: System,
    /// Its specialisations by name.
    pub specialisations: BTreeMap<String, System>,
}

/// What a document says of one system. Every path is absolute and free of `..`.
#[derive(Debug, Clone)]
pub struct System {
    /// The label, when it is not empty.
    pub label: Option<Line>,
    /// The system double, such as `x86_64-linux`.
    pub system: String,
    /// The architecture of the double.
    pub arch: Arch,
    /// The system's directory.
    pub toplevel: PathBuf,
    /// The first program; the directory that holds it is how a system is known
    /// that is being activated.
    pub init: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// The kernel command line, `init=` included.
    pub cmdline: CommandLine,
    /// The program that makes the secrets that the initrd lacks.
    pub initrd_secrets: Option<PathBuf>,
    /// Whether a specialisation has specialisations.
    pub has_nested_specialisations: bool,
    /// `org.nixos.systemd-boot`: sorts the menu.
    pub sort_key: Option<Line>,
    /// `org.nixos.systemd-boot`: a device tree for the kernel.
    pub devicetree: Option<PathBuf>,
    /// `org.nixos.extra-initrd.v1`: initrds that are on the ESP already.
    pub extra_initrds: Vec<TreePath>,
    /// `org.xenproject.bootspec.v2`: a hypervisor to start before the kernel.
    pub xen: Option<Xen>,
}

/// Reads a document.
///
/// # Errors
/// When the file cannot be read or [`parse`] refuses it.
pub fn load(path: &Path) -> Result<Document, Error> {
    let read_error = |source| Error::Document {
        path: path.into(),
        source,
    };
    let bytes = read_at_most(path, LONGEST + 1).map_err(read_error)?;
    parse(&bytes).map_err(|refusal| Error::Bootspec {
        path: path.into(),
        refusal,
    })
}

/// Reads a document that is open; `None` when there is something wrong with it.
pub(crate) fn load_open(file: File, metadata: &Metadata) -> Option<Document> {
    let length = metadata.len().min(LONGEST + 1);
    parse(&read_whole(file.take(LONGEST + 1), length).ok()?).ok()
}

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What is wrong.
    pub reason: String,
    /// What the user can do about it.
    pub hint: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(reason: impl Into<String>, hint: &'static str) -> Self {
        Self {
            reason: reason.into(),
            hint: Some(hint),
        }
    }

    pub(crate) fn inside(mut self, what: &str) -> Self {
        self.reason = format!("{what}: {}", self.reason);
        self
    }
}

/// Takes a document from its text.
///
/// # Errors
/// When it is too long, not JSON, not a bootspec document of version 1, or when a value
/// is one that no boot entry can hold.
pub fn parse(bytes: &[u8]) -> Result<Document, Refusal> {
    if bytes.len() as u64 > LONGEST {
        return Err(Refusal::new("longer than 16 MiB"));
    }
    if let Some(document) = plain(bytes) {
        return from_boot_json(document);
    }
    from_boot_json(judged(bytes)?)
}

/// A document of any kind, looked at as plain JSON before the crate takes it.
fn judged(bytes: &[u8]) -> Result<BootJson, Refusal> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Refusal::with_hint(
            format!("not JSON: {error}"),
            "name the boot.json of a NixOS system",
        )
    })?;
    shape::check(&value)?;
    serde_json::from_value(value)
        .map_err(|error| Refusal::new(format!("not a bootspec document: {error}")))
}

/// A document without specialisations.
#[derive(Deserialize)]
struct Plain {
    #[serde(rename = "org.nixos.bootspec.v1")]
    bootspec: BootSpecV1,
    #[serde(rename = "org.nixos.specialisation.v1", default)]
    specialisations: BTreeMap<String, Value>,
    #[serde(flatten)]
    extensions: Extensions,
}

/// Most documents have no specialisations and nothing wrong: those are read at once,
/// where [`BootJson`] is flattened twice, which makes serde copy all of a document. Of
/// others nothing is said here.
fn plain(bytes: &[u8]) -> Option<BootJson> {
    let text = std::str::from_utf8(bytes).ok()?;
    let document: Plain = serde_json::from_str(text).ok()?;
    let is_plain =
        document.specialisations.is_empty() && !document.extensions.values().any(Value::is_null);
    is_plain.then(|| BootJson {
        generation: Generation::V1(GenerationV1 {
            bootspec: document.bootspec,
            specialisations: SpecialisationsV1::default(),
        }),
        extensions: document.extensions,
    })
}

/// Makes the document that a system lacks: NixOS writes one since 23.05. The
/// `bootspec` crate knows how; it reads the system's files and follows their links
/// on the host.
///
/// # Errors
/// When something is missing that every system has, or as [`parse`].
pub fn synthesize(toplevel: &Path) -> Result<Document, Refusal> {
    let document =
        BootJson::synthesize_latest(toplevel).map_err(|error| Refusal::new(error.to_string()))?;
    from_boot_json(document)
}

fn from_boot_json(document: BootJson) -> Result<Document, Refusal> {
    let generation = GenerationV1::try_from(document.generation)
        .map_err(|error| Refusal::new(format!("not a bootspec document: {error}")))?;
    // The crate keeps them in hash order, which must not reach a message.
    let sorted: BTreeMap<_, _> = generation
        .specialisations
        .into_iter()
        .map(|(name, specialisation)| (name.0, specialisation))
        .collect();
    let mut specialisations = BTreeMap::new();
    for (name, specialisation) in sorted {
        let what = format!("specialisation `{}`", name.escape_debug());
        Line::new(&name)
            .map_err(|error| Refusal::new(format!("a specialisation's name: {error}")))?;
        let inner = specialisation.generation;
        let mut system = System::new(inner.bootspec, &specialisation.extensions)
            .map_err(|refusal| refusal.inside(&what))?;
        system.has_nested_specialisations = !inner.specialisations.is_empty();
        specialisations.insert(name, system);
    }
    Ok(Document {
        system: System::new(generation.bootspec, &document.extensions)?,
        specialisations,
    })
}

/// `org.nixos.systemd-boot`, as far as it is known.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct SystemdBoot {
    sort_key: Option<String>,
    devicetree: Option<PathBuf>,
}

/// `org.nixos.extra-initrd.v1`, as far as it is known.
#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct ExtraInitrd {
    paths: Vec<String>,
}

impl System {
    fn new(spec: BootSpecV1, extensions: &Extensions) -> Result<Self, Refusal> {
        let init = absolute("init", spec.init)?;
        let systemd_boot: SystemdBoot = extension(extensions, "org.nixos.systemd-boot")?;
        let extra: ExtraInitrd = extension(extensions, "org.nixos.extra-initrd.v1")?;
        let arch = Arch::from_nix_system(&spec.system).ok_or_else(|| {
            let system = spec.system.escape_debug();
            Refusal::new(format!(
                "`system` `{system}` is not one that UEFI boots Linux on"
            ))
        })?;
        Ok(Self {
            label: optional_line("label", Some(spec.label))?,
            arch,
            cmdline: command_line(&init, &spec.kernel_params)?,
            system: spec.system,
            toplevel: absolute("toplevel", spec.toplevel.0)?,
            init,
            kernel: absolute("kernel", spec.kernel)?,
            initrd: spec
                .initrd
                .map(|path| absolute("initrd", path))
                .transpose()?,
            initrd_secrets: spec
                .initrd_secrets
                .map(|path| absolute("initrdSecrets", path))
                .transpose()?,
            has_nested_specialisations: false,
            sort_key: optional_line("sortKey", systemd_boot.sort_key)?,
            devicetree: systemd_boot
                .devicetree
                .map(|path| absolute("devicetree", path))
                .transpose()?,
            extra_initrds: extra
                .paths
                .iter()
                .map(|path| extra_initrd(path))
                .collect::<Result<_, _>>()?,
            xen: extension::<Option<xen::Extension>>(extensions, xen::NAME)?
                .map(Xen::try_from)
                .transpose()?,
        })
    }
}

fn extension<T: Default + for<'de> Deserialize<'de>>(
    extensions: &Extensions,
    name: &str,
) -> Result<T, Refusal> {
    let Some(value) = extensions.get(name) else {
        return Ok(T::default());
    };
    T::deserialize(value).map_err(|error| Refusal::new(format!("extension `{name}`: {error}")))
}

fn optional_line(key: &str, text: Option<String>) -> Result<Option<Line>, Refusal> {
    match text {
        Some(text) if !text.is_empty() => Line::new(&text)
            .map(Some)
            .map_err(|error| Refusal::new(format!("`{key}`: {error}"))),
        _ => Ok(None),
    }
}

fn command_line(init: &Path, parameters: &[String]) -> Result<CommandLine, Refusal> {
    let init = init
        .to_str()
        .filter(|init| !init.contains(char::is_whitespace))
        .ok_or_else(|| Refusal::new("`init` holds a space, which would end it"))?;
    CommandLine::of_system(init, parameters)
        .map_err(|error| Refusal::new(format!("`kernelParams`: {error}")))
}

/// A path that means the same wherever it is read.
fn absolute(key: &str, path: PathBuf) -> Result<PathBuf, Refusal> {
    let refuse = |reason: &str| {
        let shown = path.display().to_string();
        let shown: String = shown.chars().take(200).collect();
        Refusal::new(format!("`{key}` `{}` {reason}", shown.escape_debug()))
    };
    if !path.is_absolute() {
        return Err(refuse("is not an absolute path"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(refuse("holds `..`"));
    }
    // A path that JSON held is text.
    if path.to_str().is_none_or(tree_manifest::holds_control) {
        return Err(refuse("holds a control character"));
    }
    Ok(path)
}

fn extra_initrd(path: &str) -> Result<TreePath, Refusal> {
    let refuse = |reason: &dyn std::fmt::Display| {
        Refusal::new(format!("extension `org.nixos.extra-initrd.v1`: {reason}"))
    };
    let relative = path.strip_prefix('/').unwrap_or(path);
    let path = TreePath::new(relative).map_err(|error| refuse(&error))?;
    for name in path.components() {
        tree_manifest::fat::check_name(name)
            .map_err(|reason| refuse(&format_args!("`{path}`: {reason}")))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
