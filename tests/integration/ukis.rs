use std::fs;

use integration_tests::{BootOptions, GuestReport, Machine, Peer, TinyPe, boot, lab};

use crate::kit::{Kit, esp, noise};

/// Prints, for each file, the fields of its headers that depend on its sections, then
/// every section with all that is the same wherever its bytes lie.
const SECTIONS: &str = "
import hashlib, pefile, sys
for name in sys.argv[1:]:
    pe = pefile.PE(name, fast_load=True)
    head = pe.OPTIONAL_HEADER
    print(pe.get_warnings(), head.SizeOfImage, head.SizeOfInitializedData, head.SizeOfHeaders,
          hex(head.DllCharacteristics), head.CheckSum)
    for section in pe.sections:
        data = section.get_data(length=section.Misc_VirtualSize)
        print(section.Name.rstrip(b'\\0').decode(), hex(section.VirtualAddress), len(data),
              hex(section.Characteristics), hashlib.sha256(data).hexdigest())
    print('--')
";

/// A kit with a stub, a kernel and small files of every kind.
pub fn kit() -> Kit {
    let kit = Kit::empty();
    fs::copy(lab::systemd_stub(), kit.path("stub")).unwrap();
    fs::copy(lab::vmlinuz(), kit.path("kernel")).unwrap();
    let addon = lab::systemd_stub().with_file_name("addonx64.efi.stub");
    fs::copy(addon, kit.path("addon-stub")).unwrap();
    for (seed, (name, size)) in [
        ("initrd", 3_000_001),
        ("second", 70_002),
        ("microcode", 5000),
        ("board.dtb", 3000),
        ("other.dtb", 100_000),
        ("splash.bmp", 66_000),
        ("fw/acme/firmware.bin", 2000),
    ]
    .into_iter()
    .enumerate()
    {
        kit.write(name, noise(seed, size));
    }
    kit.write("os-release", "ID=nixos\nPRETTY_NAME=\"NixOS\"\n");
    kit.write("key.pem", "-----BEGIN PUBLIC KEY-----\n");
    kit.write("sbat", "sbat,1,of this file\nimage,3,Image\n");
    kit.write("main", "ID=main\n");
    kit.write("debug", "ID=debug\nTITLE=\"For debugging\"\n");
    for (name, id) in [("b/board", "1"), ("a", "2")] {
        let id = format!("0011223{id}-4455-6677-8899-aabbccddeeff");
        let text = format!(
            r#"{{"type":"devicetree","name":"{name}","compatible":"acme,{name}","hwids":["{id}"]}}"#
        );
        kit.write(&format!("hwids/{name}.json"), text);
    }
    kit
}

pub fn ukify(kit: &Kit) -> Peer {
    Peer::sid("ukify").dir(kit.root()).arg("build")
}

pub fn uki(kit: &Kit) -> Peer {
    kit.esp_builder().args(["uki", "--quiet"])
}

/// Compares two files section by section.
pub fn agree(kit: &Kit, ours: &str, theirs: &str) {
    let python = Peer::sid("python3").dir(kit.root());
    let said = python.args(["-c", SECTIONS, ours, theirs]).ok();
    let found: Vec<_> = said.split("--\n").collect();
    assert!(found[0].starts_with("[] "), "{said}");
    assert_eq!(found[0], found[1]);
}

#[test]
fn an_image_has_the_sections_that_ukify_makes() {
    let kit = kit();
    ukify(&kit)
        .args(["--stub=stub", "--linux=kernel", "--initrd=initrd"])
        .args(["--initrd=second", "--microcode=microcode", "--cmdline=a b"])
        .args(["--os-release=@os-release", "--devicetree=board.dtb"])
        .args(["--devicetree-auto=board.dtb", "--devicetree-auto=other.dtb"])
        .args(["--hwids=hwids", "--splash=splash.bmp", "--pcrpkey=key.pem"])
        .args(["--efifw=fw/acme", "--sbat=@sbat", "--section=.sbom:@second"])
        .args(["--section=.more:text", "--output=theirs.efi"])
        .ok();
    uki(&kit)
        .args(["--stub=stub", "--kernel=kernel", "--initrd=initrd"])
        .args(["--initrd=second", "--microcode=microcode", "--cmdline=a b"])
        .args(["--os-release=os-release", "--dtb=board.dtb"])
        .args(["--dtbauto=board.dtb", "--dtbauto=other.dtb"])
        .args(["--hwids=hwids", "--splash=splash.bmp", "--pcrpkey=key.pem"])
        .args(["--efifw=fw/acme", "--sbat=sbat", "--section=.sbom:@second"])
        .args(["--section=.more:text", "--output=ours.efi"])
        .ok();
    agree(&kit, "ours.efi", "theirs.efi");
    let said = Peer::sid("ukify").dir(kit.root());
    let said = said.args(["inspect", "ours.efi"]).ok();
    assert!(said.contains(&lab::kernel_release()), "{said}");
    let bootctl = Peer::sid("bootctl").dir(kit.root());
    let said = bootctl.args(["kernel-inspect", "ours.efi"]).ok();
    for line in ["Kernel Type: uki", "Cmdline: a b", "OS: NixOS"] {
        assert!(said.contains(line), "{said}");
    }
    let sbverify = Peer::host("sbverify").args(["--list", "ours.efi"]);
    let said = sbverify.dir(kit.root()).run();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("No signature table present"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let objdump = Peer::host("objdump")
        .args(["-h", "ours.efi"])
        .dir(kit.root());
    assert!(objdump.ok().contains(".initrd"));
}

/// A kernel of 32 bits that no one could boot is enough to be put into an image.
#[test]
fn images_and_addons_of_other_processors_are_those_of_ukify() {
    let kit = kit();
    fs::copy(lab::foreign("arm64").join("vmlinuz"), kit.path("aa64")).unwrap();
    kit.write("ia32", TinyPe::new(Machine::I386, 20_000).bytes());
    for (debian, arch) in [("arm64", "aa64"), ("i386", "ia32")] {
        for kind in ["linux", "addon"] {
            let stub = lab::foreign_systemd(debian, &format!("{kind}{arch}.efi.stub"));
            fs::copy(stub, kit.path(&format!("{kind}-{arch}"))).unwrap();
        }
        let [stub, addon] = ["linux", "addon"].map(|kind| format!("--stub={kind}-{arch}"));
        let architecture = format!("--efi-arch={arch}");
        ukify(&kit)
            .args([&stub, &format!("--linux={arch}"), "--initrd=initrd"])
            .args(["--cmdline=a b", "--os-release=@os-release", "--uname=6.1"])
            .args([&architecture, "--devicetree=board.dtb"])
            .args(["--output=theirs.efi", "--hwids="])
            .ok();
        uki(&kit)
            .args([&stub, &format!("--kernel={arch}"), "--initrd=initrd"])
            .args(["--cmdline=a b", "--os-release=os-release", "--uname=6.1"])
            .args(["--dtb=board.dtb", "--output=ours.efi"])
            .ok();
        agree(&kit, "ours.efi", "theirs.efi");
        let theirs = ukify(&kit).args([&addon, &architecture, "--cmdline=c"]);
        theirs.args(["--output=theirs.addon.efi", "--hwids="]).ok();
        let ours = uki(&kit).args([&addon, "--addon", "--cmdline=c"]);
        ours.args(["--output=ours.addon.efi"]).ok();
        agree(&kit, "ours.addon.efi", "theirs.addon.efi");
    }
}

#[test]
fn profiles_and_addons_have_the_sections_that_ukify_makes() {
    let kit = kit();
    ukify(&kit)
        .args(["--stub=addon-stub", "--profile=@debug", "--cmdline=debug"])
        .arg("--output=profile.efi")
        .ok();
    ukify(&kit)
        .args(["--stub=stub", "--linux=kernel", "--cmdline=quiet"])
        .args(["--os-release=@os-release", "--profile=@main"])
        .args(["--join-profile=profile.efi", "--output=theirs.efi"])
        .ok();
    let profile = "--profile=debug:For debugging=debug";
    uki(&kit)
        .args(["--stub=stub", "--kernel=kernel", "--cmdline=quiet"])
        .args(["--os-release=os-release", profile, "--output=ours.efi"])
        .ok();
    agree(&kit, "ours.efi", "theirs.efi");
    ukify(&kit)
        .args(["--stub=addon-stub", "--cmdline=a", "--uname=6.1"])
        .args(["--devicetree=board.dtb", "--output=theirs.addon.efi"])
        .ok();
    uki(&kit)
        .args(["--addon", "--stub=addon-stub", "--cmdline=a", "--uname=6.1"])
        .args(["--dtb=board.dtb", "--output=ours.addon.efi"])
        .ok();
    agree(&kit, "ours.addon.efi", "theirs.addon.efi");
    let bootctl = Peer::sid("bootctl").dir(kit.root());
    let said = bootctl.args(["kernel-identify", "ours.addon.efi"]).ok();
    assert_eq!(said, "addon\n");
}

#[test]
fn what_cannot_be_a_stub_or_an_image_is_refused() {
    let kit = kit();
    fs::copy(lab::systemd_boot(), kit.path("loader")).unwrap();
    for (arguments, why) in [
        (&["--stub=loader"][..], "it says that it is `systemd-boot"),
        (&["--stub=addon-stub"], "it says that it is `systemd-addon"),
        (&["--stub=os-release"], "the DOS signature at offset 0x0"),
        (&["--stub=kernel"], "`kernel` cannot be the stub: "),
        (
            &["--stub=stub", "--section=.text:x"],
            "is in the stub already",
        ),
        (
            &["--stub=stub", "--splash=none"],
            "splash picture `none` is missing",
        ),
        (&["--stub=stub", "--hwids=fw"], "there is no .json file"),
    ] {
        let peer = uki(&kit).args(["--kernel=kernel", "--output=out.efi"]);
        let said = peer.args(arguments).fails(1);
        assert!(said.contains(why), "{arguments:?}: {said}");
        assert!(!kit.path("out.efi").exists());
    }
}

/// An image of the guest's kernel and initrd, with these arguments.
fn bootable(kit: &Kit, path: &str, arguments: &[&str]) {
    kit.write(path, "");
    uki(kit)
        .arg("--kernel")
        .arg(lab::vmlinuz())
        .arg("--initrd")
        .arg(lab::guest_initrd())
        .arg("--stub")
        .arg(lab::systemd_stub())
        .args(["--output", path])
        .args(arguments)
        .ok();
}

fn with_tpm() -> BootOptions {
    BootOptions {
        tpm: true,
        ..BootOptions::default()
    }
}

/// Compares the guest's TPM with what `measure` says with these arguments. The guest
/// has no systemd, so that no phase is measured.
fn registers_are_as_predicted(kit: &Kit, report: &GuestReport, arguments: &[&str]) {
    let measure = ["measure", "--json", "--bank=sha256", "--phase=:"];
    let said = kit.esp_builder().args(measure).args(arguments).ok();
    let predicted: serde_json::Value = serde_json::from_str(&said).unwrap();
    let kernel = &predicted["profiles"][0]["pcr-11"][0]["sha256"];
    for (number, expected) in [(4, &predicted["pcr-4"]["sha256"]), (11, kernel)] {
        let found = report.pcr(number).unwrap().to_ascii_lowercase();
        assert_eq!(found, expected.as_str().unwrap(), "PCR {number}: {said}");
    }
}

#[test]
fn an_image_boots_without_a_boot_loader() {
    let kit = Kit::empty();
    kit.write("os-release", "ID=nixos\n");
    let arguments = [
        "--os-release=os-release",
        "--cmdline=console=ttyS0 alone=yes",
    ];
    bootable(&kit, "tree/EFI/BOOT/BOOTX64.EFI", &arguments);
    kit.describe("", &esp(""));
    kit.compose().args(["-q", "image.toml"]).ok();
    let report = boot(&kit.image(), &with_tpm());
    assert_eq!(report.cmdline(), "console=ttyS0 alone=yes");
    registers_are_as_predicted(&kit, &report, &["tree/EFI/BOOT/BOOTX64.EFI"]);
    assert_eq!(report.kernel(), lab::kernel_release());
    assert!(report.efi("StubInfo").unwrap().starts_with("systemd-stub"));
}

#[test]
fn each_profile_of_an_image_boots() {
    let kit = Kit::empty();
    kit.write("os-release", "ID=nixos\nPRETTY_NAME=NixOS\n");
    let arguments = [
        "--os-release=os-release",
        "--cmdline=console=ttyS0 chosen=main",
        "--profile=debug:For debugging=console=ttyS0 chosen=debug",
    ];
    bootable(&kit, "tree/EFI/Linux/nixos.efi", &arguments);
    kit.write(
        "tree/EFI/BOOT/BOOTX64.EFI",
        fs::read(lab::systemd_boot()).unwrap(),
    );
    kit.describe("", &esp(""));
    for (default, chosen) in [("nixos.efi", "main"), ("nixos.efi@debug", "debug")] {
        kit.write(
            "tree/loader/loader.conf",
            format!("timeout 0\ndefault {default}\n"),
        );
        kit.compose().args(["-q", "image.toml"]).ok();
        let report = boot(&kit.image(), &with_tpm());
        let expected = format!("console=ttyS0 chosen={chosen}");
        assert_eq!(report.cmdline(), expected, "{report:?}");
        let through = ["tree/EFI/Linux/nixos.efi", "--profile", chosen, "--through"];
        let arguments = [&through[..], &["tree/EFI/BOOT/BOOTX64.EFI"]].concat();
        registers_are_as_predicted(&kit, &report, &arguments);
    }
}
