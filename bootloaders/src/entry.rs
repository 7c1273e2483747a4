//! Bootable things, before anybody chose how to store them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tree_manifest::{GenerationId, SignatureState, TreePath};

use crate::arch::Arch;
use crate::cmdline::CommandLine;
use crate::entry_name::EntryName;
use crate::line::Line;

/// One line of a boot menu.
///
/// It says what boots, not how: a Type #1 entry names the files on the ESP, a
/// Unified Kernel Image joins them, GRUB has a language of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// What the entry stands for.
    pub id: EntryId,
    /// What the menu shows.
    pub title: Line,
    /// Told apart by this where titles are the same; boot loaders sort by it.
    pub version: Option<Line>,
    /// Entries with one key are sorted by version, and different keys apart.
    pub sort_key: Option<Line>,
    /// The kernel's architecture.
    pub arch: Arch,
    /// The kernel: an EFI application.
    pub kernel: BootFile,
    /// Initial RAM disks, in the order in which the kernel unpacks them.
    pub initrds: Vec<BootFile>,
    /// An initial RAM disk of secrets, after the entry's own.
    pub secrets: Option<SecretInitrd>,
    /// Initial RAM disks that somebody else puts on the boot partition, after
    /// the others.
    pub extra_initrds: Vec<TreePath>,
    /// The kernel command line.
    pub cmdline: CommandLine,
    /// A flattened device tree for the kernel.
    pub devicetree: Option<BootFile>,
    /// What may run beneath the kernel. The entry stands for the kernel alone, too.
    pub hypervisor: Option<Hypervisor>,
}

impl BootEntry {
    /// The generation, for an entry that stands for one.
    #[must_use]
    pub fn generation(&self) -> Option<&GenerationId> {
        match &self.id {
            EntryId::Generation(id) => Some(id),
            EntryId::Kernel(_) => None,
        }
    }

    /// The places of all initial RAM disks, in the order in which the kernel unpacks
    /// them.
    pub fn initrd_paths(&self) -> impl Iterator<Item = &TreePath> {
        let own = self.initrds.iter().map(|initrd| &initrd.path);
        let secrets = self.secrets.iter().map(|secrets| &secrets.path);
        own.chain(secrets).chain(&self.extra_initrds)
    }
}

/// What an entry stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryId {
    /// A generation of a NixOS system, or a specialisation of it.
    Generation(GenerationId),
    /// A kernel that belongs to no generation; a tree has one at most.
    Kernel(EntryName),
}

/// The Xen hypervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypervisor {
    /// The EFI application.
    pub file: BootFile,
    /// Its own command line; the kernel keeps another.
    pub cmdline: CommandLine,
}

/// An initial RAM disk of secrets: made on the machine that boots it, and in no
/// store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInitrd {
    /// Where it lies on the boot partition.
    pub path: TreePath,
    /// Its bytes.
    pub content: Secret,
}

/// Bytes that no message shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// A file that an entry needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootFile {
    /// Where its bytes are read; a path of the host.
    pub source: PathBuf,
    /// Where it lies on the boot partition, when it is stored as it is.
    pub path: TreePath,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is signed; `None` when it is not a PE image.
    pub signature: Option<SignatureState>,
}
