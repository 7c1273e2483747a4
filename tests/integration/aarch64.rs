use std::fs;

use integration_tests::{BootOptions, Firmware, GuestReport, Peer, boot, boot_until, lab};
use serde_json::{Value, json};

use crate::kit::{Kit, esp};

/// What the device tree of QEMU's machine calls it, and a name of as many letters.
const MODEL: &[u8] = b"linux,dummy-virt";
const OTHER_MODEL: &str = "tested,with-tree";

/// How QEMU starts its firmware.
const UEFI: [&str; 2] = [
    "-drive",
    "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd",
];
const U_BOOT: [&str; 2] = ["-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"];

/// U-Boot for this machine says nowhere where device trees go, and has one of QEMU's.
const TAKE_TREES: &str = "setenv fdt_addr_r 0x4f000000\nsetenv fdtfile vendor/board.dtb";

/// A kit with the device tree of another machine, an initrd and `boot.json`.
fn kit(firmware: [&str; 2], machine: &str) -> Kit {
    let kit = Kit::empty();
    lab::foreign_guest_initrd("arm64", &kit.path("initrd"));
    let dumped = kit.path("machine.dtb");
    // Without firmware the machine has other devices, and so it has without ACPI.
    Peer::host("qemu-system-aarch64")
        .args(["-cpu", "cortex-a57", "-m", "512", "-nodefaults"])
        .args(firmware)
        .arg("-machine")
        .arg(format!("{machine},dumpdtb={}", dumped.display()))
        .ok();
    let tree = fs::read(dumped).unwrap();
    // QEMU calls both so; the model comes first.
    let mut names = (0..=tree.len() - MODEL.len()).filter(|at| tree[*at..].starts_with(MODEL));
    for name in ["board.dtb", "incompatible.dtb"] {
        let at = names.next().unwrap();
        let mut tree = tree.clone();
        tree[at..at + MODEL.len()].copy_from_slice(OTHER_MODEL.as_bytes());
        kit.write(name, tree);
    }
    kit.write("boot.json", document(&kit, true).to_string());
    kit
}

/// A document of a system for aarch64, with or without that device tree.
fn document(kit: &Kit, has_tree: bool) -> Value {
    let mut document = json!({
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
    });
    if has_tree {
        document["org.nixos.systemd-boot"] = json!({ "devicetree": kit.path("board.dtb") });
    }
    document
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
    boot(&kit.image(), &composed(kit))
}

/// Makes the image of a tree; how it boots.
fn composed(kit: &Kit) -> BootOptions {
    kit.describe(
        "",
        &esp("").replace("\"tree\"", "\"out/manifest.json#esp\""),
    );
    kit.compose().args(["-q", "image.toml"]).ok();
    BootOptions {
        arch: Some("aa64"),
        ..BootOptions::default()
    }
}

#[test]
fn entries_and_images_boot_with_the_device_tree_of_their_system() {
    let kit = kit(UEFI, "virt");
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

/// Such a kernel has a command line and an initrd built in; this one has not, and so it comes
/// no further than to where it needs them.
#[test]
fn firmware_starts_a_kernel_alone() {
    let kit = Kit::empty();
    kit.esp_builder()
        .args(["--bootloader", "efi-stub", "--kernel"])
        .arg(lab::foreign("arm64").join("vmlinuz"))
        .arg("out")
        .ok();
    let serial = boot_until(&kit.image(), &composed(&kit), "Unable to mount root fs");
    assert!(serial.contains("Linux version "), "{serial}");
}

#[test]
fn an_image_takes_the_device_tree_of_its_machine() {
    // An image chooses by the tree that firmware has.
    let kit = kit(UEFI, "virt,acpi=off");
    kit.write("os-release", "ID=nixos\n");
    kit.write("tree/EFI/BOOT/BOOTAA64.EFI", "");
    kit.esp_builder()
        .args([
            "uki",
            "--quiet",
            "--initrd=initrd",
            "--os-release=os-release",
        ])
        .args(["--cmdline=console=ttyAMA0 quiet", "--stub"])
        .arg(lab::foreign_systemd("arm64", "linuxaa64.efi.stub"))
        .arg("--kernel")
        .arg(lab::foreign("arm64").join("vmlinuz"))
        .args(["--dtbauto=incompatible.dtb", "--dtbauto=board.dtb"])
        .args(["--output", "tree/EFI/BOOT/BOOTAA64.EFI"])
        .ok();
    kit.describe("", &esp(""));
    kit.compose().args(["-q", "image.toml"]).ok();
    let options = BootOptions {
        arch: Some("aa64"),
        firmware: Firmware::WithoutAcpi,
        ..BootOptions::default()
    };
    let report = boot(&kit.image(), &options);
    assert_eq!(report.get("model"), Some(OTHER_MODEL), "{report:?}");
}

#[test]
fn u_boot_starts_the_default_line_with_the_device_tree_of_its_board() {
    let kit = kit(U_BOOT, "virt");
    let mut plain = document(&kit, false);
    // None of it is a variable, a quote or an escape.
    let hostile = r"x='$y ${loadaddr}' a=\x2db $(reboot)";
    plain["org.nixos.bootspec.v1"]["kernelParams"] = json!(["console=ttyAMA0", hostile, "quiet"]);
    plain["org.nixos.bootspec.v1"]["label"] = json!("}; reboot ${x} 'y' #");
    kit.write("plain.json", plain.to_string());
    kit.write(
        "trees/vendor/board.dtb",
        fs::read(kit.path("board.dtb")).unwrap(),
    );
    kit.describe(
        "",
        &esp("").replace("\"tree\"", "\"out/manifest.json#esp\""),
    );
    // The tree that a generation names, and that of the board among many.
    let end = format!("init=/init console=ttyAMA0 {hostile} quiet");
    for (default, trees, end) in [
        ("1", None, "init=/init console=ttyAMA0 quiet"),
        ("2", Some("trees"), end.as_str()),
    ] {
        let trees = trees.map(|directory| format!("--device-tree-dir={directory}"));
        kit.esp_builder()
            .args(["--bootspec", "1=boot.json", "--bootspec", "2=plain.json"])
            .args(["--bootloader", "extlinux", "--timeout", "0"])
            .args(["--default", default, "--distro-name", "#1"])
            .args(trees)
            .arg("out")
            .ok();
        kit.compose().args(["-q", "image.toml"]).ok();
        let options = BootOptions {
            arch: Some("aa64"),
            firmware: Firmware::UBoot(TAKE_TREES),
            ..BootOptions::default()
        };
        let report = boot(&kit.image(), &options);
        assert_eq!(report.cmdline(), end);
        assert_eq!(report.get("model"), Some(OTHER_MODEL), "{report:?}");
    }
}
