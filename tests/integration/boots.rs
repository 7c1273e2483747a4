use std::fs;

use integration_tests::{BootOptions, GuestReport, boot, boot_until, lab};

use crate::kit::{Kit, esp};
use crate::system::real_document;

/// Builds a tree from `--bootspec` arguments, composes it and boots the image.
fn boot_system(kit: &Kit, arguments: &[&str], image: &str, options: &BootOptions) -> GuestReport {
    compose_system(kit, arguments, image);
    boot(&kit.image(), options)
}

/// Builds a tree from `--bootspec` arguments and composes it.
pub fn compose_system(kit: &Kit, arguments: &[&str], image: &str) {
    let loader = lab::systemd_boot();
    kit.esp_builder()
        .args(arguments)
        .args(["--timeout", "0", "--systemd-boot"])
        .arg(loader)
        .arg("out")
        .ok();
    let mut partitions = esp("").replace("\"tree\"", "\"out/manifest.json#esp\"");
    if kit.path("out/xbootldr").exists() {
        partitions += "[[partition]]\ntype = \"xbootldr\"\nformat = \"vfat\"\n\
            tree = \"out/manifest.json#xbootldr\"\n";
    }
    kit.describe(image, &partitions);
    kit.compose().args(["-q", "image.toml"]).ok();
}

#[test]
fn an_image_boots_its_newest_generation() {
    let kit = Kit::with_real_system();
    kit.write("old.json", real_document("old").to_string());
    let arguments = ["--bootspec", "7=old.json", "--bootspec", "boot.json"];
    let report = boot_system(&kit, &arguments, "", &BootOptions::default());
    assert_eq!(
        report.efi("LoaderEntrySelected"),
        Some("nixos-generation-8.conf")
    );
    assert!(
        report.cmdline().ends_with("init=/init console=ttyS0 quiet"),
        "{report:?}"
    );
    assert_eq!(report.kernel(), lab::kernel_release());
    let entries = report.efi("LoaderEntries").unwrap();
    for entry in [
        "nixos-generation-7.conf",
        "nixos-generation-8-specialisation-other.conf",
    ] {
        assert!(entries.contains(entry), "{entries}");
    }
    let kernels = fs::read_dir(kit.path("out/esp/EFI/nixos")).unwrap().count();
    assert_eq!(kernels, 2, "one kernel and one initrd serve all entries");
}

#[test]
fn an_image_boots_the_specialisation_that_is_the_default() {
    let kit = Kit::with_real_system();
    let arguments = ["--bootspec", "boot.json", "--default", "1:other"];
    let report = boot_system(&kit, &arguments, "", &BootOptions::default());
    assert_eq!(
        report.efi("LoaderEntrySelected"),
        Some("nixos-generation-1-specialisation-other.conf")
    );
    assert!(report.cmdline().ends_with("other=yes"), "{report:?}");
}

#[test]
fn an_image_with_sectors_of_4096_bytes_and_xbootldr_boots() {
    let kit = Kit::with_real_system();
    let arguments = ["--bootspec", "boot.json", "--xbootldr"];
    let options = BootOptions {
        sector_size: Some(4096),
        ..BootOptions::default()
    };
    let report = boot_system(&kit, &arguments, "sector-size = 4096", &options);
    assert_eq!(
        report.efi("LoaderEntrySelected"),
        Some("nixos-generation-1.conf")
    );
}

#[test]
fn an_entry_that_fails_three_times_gives_way_to_the_one_before() {
    let kit = Kit::empty();
    for name in ["old", "boot"] {
        let mut document = real_document(name);
        document["org.nixos.specialisation.v1"] = serde_json::json!({});
        kit.write(&format!("{name}.json"), document.to_string());
    }
    let arguments = [
        "--bootspec",
        "1=old.json",
        "--bootspec",
        "2=boot.json",
        "--tries",
        "3",
    ];
    let options = BootOptions {
        write: true,
        ..BootOptions::default()
    };
    let newest = Some("nixos-generation-2.conf");
    // Nothing in the guest blesses its boot, so each counts as a failure.
    let mut report = boot_system(&kit, &arguments, "", &options);
    for left in ["+2-1", "+1-2", "+0-3"] {
        assert_eq!(report.efi("LoaderEntrySelected"), newest, "{left}");
        let listed = kit
            .compose()
            .args(["ls", "image.raw", "/loader/entries"])
            .ok();
        let name = format!("nixos-generation-2{left}.conf");
        assert!(listed.contains(&name), "{name} is not in\n{listed}");
        report = boot(&kit.image(), &options);
    }
    let oldest = Some("nixos-generation-1.conf");
    assert_eq!(report.efi("LoaderEntrySelected"), oldest);
}

#[test]
fn xen_finds_its_settings_and_starts_the_kernel() {
    let kit = Kit::empty();
    let mut document = real_document("one");
    document["org.nixos.specialisation.v1"] = serde_json::json!({});
    document["org.xenproject.bootspec.v2"] = serde_json::json!({
        "efiPath": lab::xen(),
        "params": ["console=com1", "com1=115200,8n1", "loglvl=all", "noreboot"],
    });
    kit.write("boot.json", document.to_string());
    compose_system(&kit, &["--bootspec", "boot.json"], "");
    // The kernel of the tests is not built to be the first domain: that Xen starts it
    // is as far as it comes.
    let serial = boot_until(&kit.image(), &BootOptions::default(), "Scrubbing Free RAM");
    assert!(
        serial.contains("Command line: console=com1 com1=115200,8n1"),
        "{serial}"
    );
    for fact in [
        "*** Building a PV Dom0 ***",
        "Xen  kernel: 64-bit",
        "Init. ramdisk: ",
    ] {
        assert!(serial.contains(fact), "{fact}: {serial}");
    }
}
