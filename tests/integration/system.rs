//! A system to boot: bootspec documents of a real kernel and an initrd that
//! reports.

use std::fs;

use integration_tests::{Machine, Peer, TinyPe, binary, lab};
use serde_json::{Value, json};

use crate::kit::Kit;

impl Kit {
    /// A kit with `boot.json` for a real kernel, and one specialisation `other`.
    pub fn with_real_system() -> Self {
        let kit = Self::empty();
        kit.write("boot.json", real_document("one").to_string());
        kit
    }

    /// A kit with the store path of a made-up system: `boot.json`, a kernel, an
    /// initrd and a systemd-boot made in code.
    pub fn with_made_up_system() -> Self {
        let kit = Self::empty();
        let kernel = TinyPe::new(Machine::X86_64, 40_000).section(".linux", b"x".to_vec());
        kit.write("nix/store/0000-linux-6.12/bzImage", kernel.bytes());
        kit.write("nix/store/1111-initrd/initrd", vec![7; 70_000]);
        let loader = TinyPe::systemd_boot(Machine::X86_64, "260");
        kit.write("systemd-bootx64.efi", loader.bytes());
        kit.write("boot.json", made_up_document("25.11").to_string());
        kit
    }

    pub fn esp_builder(&self) -> Peer {
        binary::esp_builder(self.root())
    }

    /// The manifest that `esp-builder` wrote to a folder.
    pub fn manifest(&self, folder: &str) -> Value {
        let text = fs::read_to_string(self.path(folder).join("manifest.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// A bootspec document whose kernel boots, and whose specialisation says so.
pub fn real_document(label: &str) -> Value {
    let system = |params: &[&str]| {
        json!({
            "system": "x86_64-linux",
            "label": label,
            "kernel": lab::vmlinuz(),
            "initrd": lab::guest_initrd(),
            "init": "/init",
            "toplevel": "/nix/store/0000-nixos-system",
            "kernelParams": params,
        })
    };
    json!({
        "org.nixos.bootspec.v1": system(&["console=ttyS0", "quiet"]),
        "org.nixos.specialisation.v1": {
            "other": { "org.nixos.bootspec.v1": system(&["console=ttyS0", "quiet", "other=yes"]) },
        },
    })
}

/// A bootspec document of a store that is in the kit.
pub fn made_up_document(label: &str) -> Value {
    json!({
        "org.nixos.bootspec.v1": {
            "system": "x86_64-linux",
            "label": label,
            "kernel": "/nix/store/0000-linux-6.12/bzImage",
            "initrd": "/nix/store/1111-initrd/initrd",
            "init": "/nix/store/2222-nixos-system/init",
            "toplevel": "/nix/store/2222-nixos-system",
            "kernelParams": ["quiet"],
        },
        "org.nixos.specialisation.v1": {},
    })
}
