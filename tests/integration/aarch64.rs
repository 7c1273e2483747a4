use std::fs;

use integration_tests::{BootOptions, GuestReport, Peer, boot, lab};
use serde_json::json;

use crate::kit::{Kit, esp};

/// What the device tree of QEMU's machine calls it, and a name of as many letters.
const MODEL: &[u8] = b"linux,dummy-virt";
const OTHER_MODEL: &str = "tested,with-tree";

/// A kit with a document of a system for aarch64 and the device tree of another machine.
fn kit() -> Kit {
    let kit = Kit::empty();
    lab::foreign_guest_initrd("arm64", &kit.path("initrd"));
    let dumped = kit.path("machine.dtb");
    // Without firmware the machine has other devices.
    let firmware = "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd";
    Peer::host("qemu-system-aarch64")
        .args(["-cpu", "cortex-a57", "-m", "512", "-nodefaults"])
        .args(["-drive", firmware, "-machine"])
        .arg(format!("virt,dumpdtb={}", dumped.display()))
        .ok();
    let mut tree = fs::read(dumped).unwrap();
    for at in 0..=tree.len() - MODEL.len() {
        if tree[at..].starts_with(MODEL) {
            tree[at..at + MODEL.len()].copy_from_slice(OTHER_MODEL.as_bytes());
        }
    }
    kit.write("board.dtb", tree);
    let document = json!({
        "org.nixos.bootspec.v1": {
            "system": "aarch64-linux",
            "label": "arm",
            "kernel": lab::foreign("arm64").join("vmlinuz"),
            "initrd": kit.path("initrd"),
            "init": "/init",
            "toplevel": "/nix/store/0000-nixos-system",
            "kernelParams": ["console=ttyAMA0", "quiet"],
        },
        "org.nixos.specialisation.v1": {},
        "org.nixos.systemd-boot": { "devicetree": kit.path("board.dtb") },
    });
    kit.write("boot.json", document.to_string());
    kit
}

/// Builds a tree, composes it and boots the image.
fn boot_system(kit: &Kit, arguments: &[&str]) -> GuestReport {
    kit.esp_builder()
        .args([
            "--bootspec",
            "boot.json",
            "--timeout",
            "0",
            "--systemd-boot",
        ])
        .arg(lab::foreign_systemd("arm64", "systemd-bootaa64.efi"))
        .args(arguments)
        .arg("out")
        .ok();
    kit.describe(
        "",
        &esp("").replace("\"tree\"", "\"out/manifest.json#esp\""),
    );
    kit.compose().args(["-q", "image.toml"]).ok();
    let options = BootOptions {
        arch: Some("aa64"),
        ..BootOptions::default()
    };
    boot(&kit.image(), &options)
}

#[test]
fn entries_and_images_boot_with_the_device_tree_of_their_system() {
    let kit = kit();
    let stub = lab::foreign_systemd("arm64", "linuxaa64.efi.stub");
    let stub = format!("--stub={}", stub.display());
    for (arguments, selected) in [
        (&[][..], "nixos-generation-1.conf"),
        (&["--layout=uki", &stub], "nixos-generation-1.efi"),
    ] {
        let report = boot_system(&kit, arguments);
        assert_eq!(report.efi("LoaderEntrySelected"), Some(selected));
        let end = "init=/init console=ttyAMA0 quiet";
        assert!(report.cmdline().ends_with(end), "{report:?}");
        assert_eq!(report.get("model"), Some(OTHER_MODEL), "{report:?}");
        assert!(report.kernel().ends_with("-arm64"), "{report:?}");
    }
}
