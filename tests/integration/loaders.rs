use std::fs;

use integration_tests::{BootOptions, GuestReport, Peer, binary, boot, lab};

use crate::kit::{Kit, esp};
use crate::system::real_document;

/// Builds a tree of two generations, the older one the default, and boots it.
fn boot_older(arguments: &[&str], specialisation: &str, options: &BootOptions) -> GuestReport {
    let kit = Kit::with_real_system();
    kit.write("old.json", real_document("It's $old \"{x}\"").to_string());
    let default = format!("7{specialisation}");
    kit.esp_builder()
        .args(["--bootspec", "7=old.json", "--bootspec", "8=boot.json"])
        .args(["--default", &default, "--timeout", "0"])
        .args(arguments)
        .arg("out")
        .ok();
    let mut partitions = esp("").replace("\"tree\"", "\"out/manifest.json#esp\"");
    if kit.path("out/xbootldr").exists() {
        partitions += "[[partition]]\ntype = \"xbootldr\"\nformat = \"vfat\"\n\
            tree = \"out/manifest.json#xbootldr\"\n";
    }
    kit.describe("", &partitions);
    kit.compose().args(["-q", "image.toml"]).ok();
    boot(&kit.image(), options)
}

/// The paths of binaries that packages of Debian have.
fn debian(path: &str) -> String {
    lab::loaders().join(path).display().to_string()
}

#[test]
fn grub_boots_the_default_specialisation_from_another_partition() {
    let arguments = [
        "--bootloader",
        "grub",
        "--grub-mkimage",
        "grub-mkimage",
        "--xbootldr",
    ];
    let report = boot_older(&arguments, ":other", &BootOptions::default());
    assert!(report.cmdline().contains(" init=/init "), "{report:?}");
    assert!(report.cmdline().ends_with(" other=yes"), "{report:?}");
}

#[test]
fn refind_boots_the_older_generation() {
    let binary = debian("usr/share/refind/refind/refind_x64.efi");
    let arguments = ["--bootloader", "refind", "--loader", &binary];
    let report = boot_older(&arguments, "", &BootOptions::default());
    assert!(
        report.cmdline().contains("initrd=\\EFI\\nixos\\"),
        "{report:?}"
    );
    assert!(
        report.cmdline().ends_with("init=/init console=ttyS0 quiet"),
        "{report:?}"
    );
}

#[test]
fn firmware_starts_the_image_of_the_older_generation_with_what_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let stub = lab::systemd_stub();
    fs::create_dir(folder.path().join("extra")).unwrap();
    binary::esp_builder(folder.path())
        .args(["uki", "--quiet", "--addon", "--cmdline=added=yes", "--stub"])
        .arg(stub.with_file_name("addonx64.efi.stub"))
        .args(["--output", "extra/a.addon.efi"])
        .ok();
    let extra = folder.path().join("extra").display().to_string();
    let stub = stub.display().to_string();
    let arguments = [
        "--bootloader",
        "uki",
        "--stub",
        &stub,
        "--uki-extra",
        &extra,
    ];
    let report = boot_older(&arguments, "", &BootOptions::default());
    let cmdline = "init=/init console=ttyS0 quiet added=yes";
    assert_eq!(report.cmdline(), cmdline, "{report:?}");
    assert!(report.efi("StubInfo").unwrap().starts_with("systemd-stub"));
}

/// Firmware with Microsoft's keys trusts shim, shim Debian's GRUB, and that Debian's
/// kernel; nothing is signed by us.
#[test]
fn shim_and_grub_boot_with_the_keys_that_machines_are_sold_with() {
    let folder = tempfile::tempdir().unwrap();
    let vars = folder.path().join("vars.fd");
    fs::copy("/usr/share/OVMF/OVMF_VARS_4M.ms.fd", &vars).unwrap();
    let shim = debian("usr/lib/shim/shimx64.efi.signed");
    let grub = debian("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    let arguments = ["--bootloader", "grub", "--loader", &grub, "--shim", &shim];
    let options = BootOptions {
        secure: true,
        vars: Some(vars),
        ..BootOptions::default()
    };
    let report = boot_older(&arguments, ":other", &options);
    assert_eq!(report.efi("SecureBoot"), Some("1"), "{report:?}");
    assert!(report.cmdline().ends_with(" other=yes"), "{report:?}");
}

#[test]
fn grubs_own_reader_takes_every_menu() {
    let kit = Kit::with_real_system();
    let hostile = r#"}; halt; menuentry 'x' { $(reboot) ${x} `y` \" # "#;
    kit.write("old.json", real_document(hostile).to_string());
    kit.esp_builder()
        .args(["--bootloader", "grub", "--grub-mkimage", "grub-mkimage"])
        .args([
            "--bootspec",
            "old.json",
            "--bootspec",
            "boot.json",
            "--no-editor",
        ])
        .args(["--distro-name", "it's", "out"])
        .ok();
    Peer::host("grub-script-check")
        .arg(kit.path("out/esp/EFI/grub/grub.cfg"))
        .ok();
    let menu = fs::read_to_string(kit.path("out/esp/EFI/grub/grub.cfg")).unwrap();
    assert!(menu.contains("'it'\\''s (Generation 1 }; halt;"), "{menu}");
}
