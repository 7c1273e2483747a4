//! `org.xenproject.bootspec.v2`: the Xen hypervisor, which NixOS starts before the
//! kernel of some systems.
//!
//! Written by the NixOS module `virtualisation.xen`.

use std::path::PathBuf;

use bootloaders::{CommandLine, Line};
use serde::Deserialize;

use super::{Refusal, absolute, optional_line};

/// The extension's key in a document.
pub(super) const NAME: &str = "org.xenproject.bootspec.v2";

/// A hypervisor and how it is started. Every path is absolute and free of `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xen {
    /// The hypervisor as an EFI application.
    pub efi: Option<PathBuf>,
    /// The hypervisor for loaders that speak Multiboot 2.
    pub multiboot: Option<PathBuf>,
    /// Its own command line; the kernel keeps another.
    pub cmdline: CommandLine,
    /// Its version.
    pub version: Option<Line>,
}

/// The extension as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct Extension {
    efi_path: Option<PathBuf>,
    multiboot_path: Option<PathBuf>,
    #[serde(default)]
    params: Vec<String>,
    version: Option<String>,
}

impl TryFrom<Extension> for Xen {
    type Error = Refusal;

    fn try_from(extension: Extension) -> Result<Self, Refusal> {
        let path = |key, path: Option<PathBuf>| {
            path.map(|path| absolute(key, path))
                .transpose()
                .map_err(|refusal| refusal.inside(&what()))
        };
        Ok(Self {
            efi: path("efiPath", extension.efi_path)?,
            multiboot: path("multibootPath", extension.multiboot_path)?,
            cmdline: CommandLine::new(&extension.params.join(" "))
                .map_err(|error| Refusal::new(format!("{}: `params`: {error}", what())))?,
            version: optional_line("version", extension.version)
                .map_err(|refusal| refusal.inside(&what()))?,
        })
    }
}

fn what() -> String {
    format!("extension `{NAME}`")
}
