//! Why a file is in a tree: what it is, which generations need it, and whether
//! it carries a signature.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a file is in a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Provenance {
    /// What the file is to the boot.
    pub kind: Kind,
    /// The generations whose entries refer to the file; empty when it belongs to
    /// the tree as a whole, as a boot loader does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<GenerationId>,
    /// Whether the file carries an Authenticode signature; absent for files that
    /// are not PE images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureState>,
}

/// What a file is to the boot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A boot loader binary.
    Loader,
    /// A boot loader's settings.
    LoaderConfig,
    /// A whole boot menu.
    Menu,
    /// A boot menu entry.
    Entry,
    /// A Linux kernel.
    Kernel,
    /// An initial RAM disk.
    Initrd,
    /// A hypervisor, or its settings.
    Hypervisor,
    /// A flattened device tree.
    Devicetree,
    /// A Unified Kernel Image.
    Uki,
    /// An addon to a Unified Kernel Image.
    Addon,
    /// Material for the firmware's Secure Boot key store.
    Keys,
    /// Anything else that was asked for.
    Extra,
}

/// One bootable configuration: a generation of a profile, or a specialisation of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GenerationId {
    /// The Nix profile; absent for the system profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The generation's number.
    pub number: u64,
    /// The specialisation; absent for the generation itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialisation: Option<String>,
}

/// Whether a PE image carries an Authenticode signature.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureState {
    /// No signature.
    Unsigned,
    /// No signature yet: its digest was handed out and a signature is expected.
    Pending,
    /// At least one signature.
    Signed,
}
