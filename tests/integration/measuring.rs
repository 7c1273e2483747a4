use std::fs;

use integration_tests::Peer;
use serde_json::Value;

use crate::kit::Kit;
use crate::ukis::{agree, kit, uki, ukify};

/// Writes the sections of every profile into a directory of its number, for each what
/// the profile brings or else what is shared.
const EXTRACT: &str = "
import os, pefile, sys
shared, profiles = {}, []
for section in pefile.PE(sys.argv[1], fast_load=True).sections:
    name = section.Name.rstrip(b'\\0').decode()
    if name == '.profile':
        profiles.append(dict(shared))
    target = profiles[-1] if profiles else shared
    target[name] = section.get_data(length=section.Misc_VirtualSize)
for number, sections in enumerate(profiles or [shared]):
    os.makedirs(f'sections/{number}')
    for name, data in sections.items():
        open(f'sections/{number}/{name[1:]}', 'wb').write(data)
";

/// A kit with an image `ours.efi` that has most kinds of sections, three profiles, and
/// policies signed by `keys/db.key`.
fn kit_with_image() -> Kit {
    let kit = kit();
    kit.esp_builder().args(["keys", "generate", "keys"]).ok();
    uki(&kit)
        .args(["--stub=stub", "--kernel=kernel", "--initrd=initrd"])
        .args(["--initrd=second", "--microcode=microcode", "--cmdline=a b"])
        .args(["--os-release=os-release", "--dtb=board.dtb"])
        .args(["--hwids=hwids", "--splash=splash.bmp", "--sbat=sbat"])
        .args(["--section=.more:text", "--pcr-private-key=keys/db.key"])
        .args(["--profile=debug=debug", "--profile=other=other"])
        .arg("--output=ours.efi")
        .ok();
    kit
}

/// `systemd-measure` over the sections of a profile, with these arguments.
fn systemd_measure(kit: &Kit, profile: usize, arguments: &[&str]) -> Value {
    let mut peer = Peer::sid("/usr/lib/systemd/systemd-measure").dir(kit.root());
    peer = peer.args(arguments).arg("--json=short");
    for item in fs::read_dir(kit.path(&format!("sections/{profile}"))).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let not_measured = [
            "text", "rodata", "data", "reloc", "sdmagic", "more", "pcrsig",
        ];
        if !not_measured.contains(&name) {
            peer = peer.arg(format!("--{name}={}", path.display()));
        }
    }
    serde_json::from_str(&peer.ok()).unwrap()
}

/// Makes keys, and `public.pem` of KEK's.
fn make_keys(kit: &Kit) {
    kit.esp_builder().args(["keys", "generate", "keys"]).ok();
    let public = [
        "pkey",
        "-in",
        "keys/KEK.key",
        "-pubout",
        "-out",
        "public.pem",
    ];
    Peer::host("openssl").dir(kit.root()).args(public).ok();
}

#[test]
fn registers_and_policies_are_those_of_systemd_measure() {
    let kit = kit_with_image();
    let python = Peer::sid("python3").dir(kit.root());
    python.args(["-c", EXTRACT, "ours.efi"]).ok();
    for arguments in [&[][..], &["--phase=:", "--phase=x:y", "--bank=sha384"]] {
        let measure = kit.esp_builder().args(["measure", "--json", "ours.efi"]);
        let said = measure.args(arguments).ok();
        let ours: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(ours["profiles"].as_array().unwrap().len(), 3, "{said}");
        for (number, id) in ["main", "debug", "other"].into_iter().enumerate() {
            let profile = &ours["profiles"][number];
            assert_eq!(profile["id"], id, "{said}");
            let arguments = [&["calculate"], arguments].concat();
            let theirs = systemd_measure(&kit, number, &arguments);
            let banks = theirs.as_object().unwrap().len();
            assert_eq!(
                banks,
                if arguments.contains(&"--bank=sha384") {
                    1
                } else {
                    4
                }
            );
            for (bank, moments) in theirs.as_object().unwrap() {
                let moments = moments.as_array().unwrap();
                assert_eq!(moments.len(), profile["pcr-11"].as_array().unwrap().len());
                for (index, theirs) in moments.iter().enumerate() {
                    let ours = &profile["pcr-11"][index];
                    assert_eq!(ours[bank], theirs["hash"], "{bank}: {said}");
                    let phase = theirs.get("phase").map_or(":", |it| it.as_str().unwrap());
                    assert_eq!(ours["phases"], phase);
                }
            }
        }
    }
    for number in 0..3 {
        let signed = fs::read(kit.path(&format!("sections/{number}/pcrsig"))).unwrap();
        let ours: Value = serde_json::from_slice(&signed).unwrap();
        assert_eq!(ours.as_object().unwrap().len(), 4, "{ours}");
        let theirs = systemd_measure(&kit, number, &["sign", "--private-key=keys/db.key"]);
        assert_eq!(ours, theirs);
    }
}

#[test]
fn policies_are_in_the_sections_that_ukify_makes() {
    let kit = kit();
    make_keys(&kit);
    let one = ["--pcr-private-key=keys/db.key"];
    let several = [
        "--pcr-private-key=keys/db.key",
        "--pcr-private-key=keys/KEK.key",
        "--pcrpkey=public.pem",
        "--phases=enter-initrd, enter-initrd:leave-initrd",
        "--phases=ready",
        "--pcr-bank=sha256",
        "--pcr-bank=sha1",
    ];
    let given = [
        "--pcr-private-key=keys/KEK.key",
        "--pcr-public-key=public.pem",
        "--pcr-bank=sha512",
    ];
    ukify(&kit)
        .args(["--stub=addon-stub", "--profile=@debug", "--cmdline=debug"])
        .arg("--output=profile.efi")
        .ok();
    for arguments in [&one[..], &several, &given] {
        // ukify spells the option for banks in the plural.
        let theirs = arguments
            .iter()
            .map(|it| it.replace("pcr-bank", "pcr-banks"));
        let banks: Vec<_> = theirs.clone().filter(|it| it.contains("banks")).collect();
        let banks = banks.join(",").replace(",--pcr-banks=", ",");
        let theirs = theirs.filter(|it| !it.contains("banks"));
        ukify(&kit)
            .args(["--stub=stub", "--linux=kernel", "--initrd=initrd"])
            .args(["--cmdline=quiet", "--os-release=@os-release"])
            .args(["--profile=@main", "--join-profile=profile.efi"])
            .args(theirs)
            .args((!banks.is_empty()).then_some(banks))
            .arg("--output=theirs.efi")
            .ok();
        uki(&kit)
            .args(["--stub=stub", "--kernel=kernel", "--initrd=initrd"])
            .args(["--cmdline=quiet", "--os-release=os-release"])
            .arg("--profile=debug:For debugging=debug")
            .args(arguments)
            .arg("--output=ours.efi")
            .ok();
        agree(&kit, "ours.efi", "theirs.efi");
    }
}

#[test]
fn what_cannot_be_measured_or_vouched_for_is_refused() {
    let kit = kit();
    for (arguments, why) in [
        (&["os-release"][..], "`os-release` cannot be measured: "),
        (&["none"], "cannot read `none`"),
        (&["--bank=md5", "stub"], "is none of sha1, sha256, sha384"),
        (&["--phase=a b", "stub"], "is no path of boot phases"),
        (&["--profile=2", "stub"], "has no profile `2`"),
    ] {
        let output = kit.esp_builder().arg("measure").args(arguments).run();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}");
    }
    make_keys(&kit);
    let wrong = [
        "--pcr-private-key=keys/db.key",
        "--pcr-public-key=public.pem",
    ];
    let said = uki(&kit)
        .args(["--stub=stub", "--kernel=kernel", "--output=none.efi"])
        .args(wrong)
        .fails(1);
    assert!(said.contains("has another public key"), "{said}");
    assert!(!kit.path("none.efi").exists());
}

#[test]
fn what_a_tree_measures_is_written_beside_its_manifest() {
    let kit = Kit::with_made_up_system();
    let loader = ["--systemd-boot", "systemd-bootx64.efi"];
    let build = ["--root", ".", "--bootspec", "boot.json", "--measure", "out"];
    for _ in 0..2 {
        kit.esp_builder().args(loader).args(build).ok();
    }
    let text = fs::read_to_string(kit.path("out/measurements.json")).unwrap();
    let said = kit.esp_builder().args(["measure", "--json", "out"]).ok();
    assert_eq!(said, text);
    let found: Value = serde_json::from_str(&text).unwrap();
    let images = found["images"].as_array().unwrap();
    assert_eq!(images.len(), 3, "{text}");
    for image in images {
        let path = format!("out/esp/{}", image["path"].as_str().unwrap());
        let is_kernel = path.contains("EFI/nixos/");
        assert_eq!(image["through-loader"], is_kernel, "{path}");
        let mut measure = kit.esp_builder().args(["measure", "--json", &path]);
        if is_kernel {
            measure = measure.args(["--through", "out/esp/EFI/BOOT/BOOTX64.EFI"]);
        }
        let alone: Value = serde_json::from_str(&measure.ok()).unwrap();
        assert_eq!(alone["pcr-4"], image["pcr-4"], "{path}");
        assert_eq!(alone["authenticode"], image["authenticode"], "{path}");
    }
}
