use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use integration_tests::{Machine, Peer, TinyPe, lab};
use serde_json::Value;

use crate::kit::{Kit, esp};
use crate::live::{add_generations, live, toplevel};

/// The flags that sign with the key of db.
pub const SIGNED: [&str; 4] = [
    "--secure-boot-key",
    "keys/db.key",
    "--secure-boot-certificate",
    "keys/db.pem",
];

/// A kit with keys of two owners, a made-up system and a driver.
pub fn kit() -> Kit {
    let kit = Kit::with_made_up_system();
    for keys in ["keys", "others"] {
        fs::create_dir(kit.path(keys)).unwrap();
        host(&kit, "openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj"])
            .arg(format!("/CN={keys}"))
            .args(["-keyout", &format!("{keys}/db.key")])
            .args(["-out", &format!("{keys}/db.pem")])
            .ok();
    }
    let driver = TinyPe::new(Machine::X86_64, 3001).bytes();
    kit.write("ext4x64.efi", driver);
    kit
}

pub fn host(kit: &Kit, program: &str) -> Peer {
    Peer::host(program).dir(kit.root())
}

/// Builds the tree of a kit's system.
pub fn build(kit: &Kit, arguments: &[&str]) -> Peer {
    kit.esp_builder()
        .args(["--root", ".", "--bootspec", "boot.json"])
        .args(["--systemd-boot", "systemd-bootx64.efi"])
        .args(["--efi-driver", "ext4x64.efi"])
        .args(arguments)
}

/// The files of a folder that are PE images, by their paths in it.
fn images(folder: &Path) -> BTreeSet<String> {
    let found = Peer::host("grep").args(["-rlaP", r"\AMZ"]).arg(folder);
    let found = String::from_utf8(found.run().stdout).unwrap();
    let inside = found.lines().map(|line| {
        let path = Path::new(line).strip_prefix(folder).unwrap();
        path.to_str().unwrap().to_owned()
    });
    inside.collect()
}

/// Has sbverify judge every image of a folder.
pub fn judge(kit: &Kit, folder: &str, certificate: &str) -> usize {
    let images = images(&kit.path(folder));
    for image in &images {
        let said = host(kit, "sbverify")
            .args(["--cert", certificate, &format!("{folder}/{image}")])
            .ok();
        assert!(said.contains("Signature verification OK"), "{image}");
    }
    images.len()
}

/// How often a manifest says this of an image.
fn states(kit: &Kit, folder: &str, state: &str) -> usize {
    let wanted = format!(r#""signature":"{state}""#);
    kit.manifest(folder).to_string().matches(&wanted).count()
}

/// Makes an image of a tree, with every digest checked, and takes its files out again.
fn extract(kit: &Kit, folder: &str) {
    let tree = format!("\"{folder}/manifest.json#esp\"");
    kit.describe("", &esp("").replace("\"tree\"", &tree));
    kit.compose()
        .args(["-q", "--digests", "always", "image.toml"])
        .ok();
    let to = format!("{folder}-extracted");
    kit.compose()
        .args(["extract", "image.raw", "/", "-o", &to])
        .ok();
}

#[test]
fn every_program_of_a_tree_is_signed_and_nothing_else() {
    let kit = kit();
    build(&kit, &["plain"]).ok();
    build(&kit, &SIGNED).arg("out").ok();
    assert_eq!(judge(&kit, "out/esp", "keys/db.pem"), 4);
    assert_eq!(states(&kit, "out", "signed"), 4);
    let initrd = "esp/EFI/nixos/1111-initrd-initrd.efi";
    let content = |folder: &str| fs::read(kit.path(folder).join(initrd)).unwrap();
    assert!(content("out") == content("plain"));
    let names = |folder: &str| {
        let found = Peer::host("find").arg(".").dir(kit.path(folder)).ok();
        let names: BTreeSet<String> = found.lines().map(str::to_owned).collect();
        names
    };
    assert_eq!(names("out"), names("plain"));
    // The same signatures, whoever makes them, on this machine or on another.
    let command = ["--sign-command", "openssl dgst -sha256 -sign keys/db.key"];
    build(&kit, &command).args(&SIGNED[2..]).arg("command").ok();
    host(&kit, "diff").args(["-r", "out", "command"]).ok();
    // By reference, the manifest has a few bytes of each and the rest is where it was.
    build(&kit, &SIGNED).args(["--by-reference", "small"]).ok();
    assert_eq!(images(&kit.path("small")), BTreeSet::new());
    assert!(kit.manifest("small").to_string().len() < 60_000);
    extract(&kit, "small");
    host(&kit, "diff")
        .args(["-r", "out/esp", "small-extracted"])
        .ok();
    let measured = |folder| kit.esp_builder().args(["measure", "--json", folder]).ok();
    assert_eq!(measured("small"), measured("out"));
    let found: Value = serde_json::from_str(&measured("small")).unwrap();
    assert_eq!(found["images"].as_array().unwrap().len(), 4);
    // What the owner of the certificate has signed is signed once.
    fs::copy(
        kit.path("out/esp/EFI/BOOT/BOOTX64.EFI"),
        kit.path("systemd-bootx64.efi"),
    )
    .unwrap();
    build(&kit, &SIGNED).arg("again").ok();
    host(&kit, "diff").args(["-r", "out/esp", "again/esp"]).ok();
}

#[test]
fn what_is_put_together_is_signed_by_tools_that_never_see_it() {
    let kit = kit();
    build(&kit, &["--by-reference", "out"]).ok();
    build(&kit, &SIGNED).arg("signed").ok();
    // First by another owner, so that the second finds images that are put together.
    let mut asked = String::new();
    for (keys, round) in [("others", "first"), ("keys", "second")] {
        if round == "second" {
            let manifest = kit.path("out/manifest.json");
            let text = fs::read_to_string(&manifest).unwrap();
            assert_eq!(text.matches(r#""pieces""#).count(), 4, "{text}");
            let pending = text.replace(r#""signature": "signed""#, r#""signature": "pending""#);
            fs::write(&manifest, pending).unwrap();
        }
        let said = kit
            .esp_builder()
            .args(["digests", "out", "--to", round])
            .ok();
        assert!(asked.is_empty() || asked == said, "the digest is another");
        asked = said;
        let tbs = host(&kit, "find").args([round, "-name", "*.tbs"]).ok();
        assert_eq!(tbs.lines().count(), 4, "{tbs}");
        for path in tbs.lines() {
            host(&kit, "openssl")
                .args(["dgst", "-sha256", "-sign", &format!("{keys}/db.key")])
                .args(["-out", &path.replace(".tbs", ".sig"), path])
                .ok();
        }
        let certificate = format!("{keys}/db.pem");
        kit.esp_builder()
            .args(["attach", "out", round, "--certificate", &certificate])
            .ok();
        assert_eq!(states(&kit, "out", "signed"), 4);
    }
    assert_eq!(images(&kit.path("out")), BTreeSet::new());
    extract(&kit, "out");
    assert_eq!(judge(&kit, "out-extracted", "keys/db.pem"), 4);
    assert_eq!(judge(&kit, "out-extracted", "others/db.pem"), 4);
}

#[test]
fn keys_and_certificates_of_a_tree_must_fit() {
    let kit = kit();
    let fails = |arguments: &[&str], code| build(&kit, arguments).arg("out").fails(code);
    let said = fails(&SIGNED[..2], 2);
    assert!(said.contains("need --secure-boot-certificate"), "{said}");
    let said = fails(&SIGNED[2..], 2);
    assert!(said.contains("needs --secure-boot-key"), "{said}");
    let mixed = [&SIGNED[..3], &["others/db.pem"]].concat();
    let said = fails(&mixed, 1);
    assert!(said.contains("is not of the key that signed"), "{said}");
    // In the store of the root, in whatever way it is named.
    kit.write("nix/store/0000-key", "");
    fs::copy(kit.path("keys/db.key"), kit.path("nix/store/0000-key")).unwrap();
    let stored = [&["--secure-boot-key", "nix/store/0000-key"], &SIGNED[2..]].concat();
    let said = fails(&stored, 1);
    assert!(said.contains("is in the store"), "{said}");
    kit.write("bad.efi", b"MZ and no more");
    let open = [&SIGNED[..], &["--extra-file", "bad.efi=bad.efi"]].concat();
    build(&kit, &open).arg("out").ok();
    assert_eq!(states(&kit, "out", "signed"), 4, "that is no program");
}

/// A kit with keys and a profile of two generations, whose kernels are longer than what
/// is read of their heads.
fn with_profile() -> Kit {
    let kit = kit();
    add_generations(&kit, 2, 200_000);
    kit.write("esp/EFI/Microsoft/Boot/bootmgfw.efi", "windows");
    kit
}

/// Installs the second generation with signatures that a command makes and counts.
fn install(kit: &Kit, keys: &str, arguments: &[&str]) -> (String, usize) {
    let (count, key) = (kit.path("count"), format!("{keys}/db.key"));
    let sign = format!(
        "openssl dgst -sha256 -sign {key}; echo >> {}",
        count.display()
    );
    let _ = fs::remove_file(&count);
    let said = live(kit, "install")
        .args(["--sign-command", &sign, "--secure-boot-certificate"])
        .arg(format!("{keys}/db.pem"))
        .args(arguments)
        .arg(toplevel(2))
        .ok();
    let made = fs::read_to_string(&count).unwrap_or_default();
    (said, made.lines().count())
}

#[test]
fn what_is_installed_is_signed_once_and_again_when_the_certificate_changes() {
    let kit = with_profile();
    let (said, signed) = install(&kit, "keys", &[]);
    assert_eq!(signed, 3, "two kernels and a boot loader: {said}");
    assert_eq!(judge(&kit, "esp", "keys/db.pem"), 4);
    assert_eq!(live(&kit, "verify").ok(), "esp: as it was written down\n");
    // Nobody reads the kernels again: what was changed in them changes nothing.
    let store = kit.path(&format!("nix/store/{:032}-linux/bzImage", 1));
    let kernel = fs::read(&store).unwrap();
    let mut changed = kernel.clone();
    changed[150_000] ^= 1;
    fs::write(&store, &changed).unwrap();
    let (said, signed) = install(&kit, "keys", &[]);
    assert!(said.contains("nothing to do") && signed == 0, "{said}");
    fs::write(&store, &kernel).unwrap();
    // Another certificate, and back.
    let (said, signed) = install(&kit, "others", &[]);
    assert_eq!(signed, 3, "{said}");
    assert_eq!(judge(&kit, "esp", "others/db.pem"), 4);
    let (said, signed) = install(&kit, "others", &[]);
    assert!(said.contains("nothing to do") && signed == 0, "{said}");
    install(&kit, "keys", &[]);
    assert_eq!(judge(&kit, "esp", "keys/db.pem"), 4);
    // What was written down is lost: the signatures are on the partition.
    fs::remove_file(kit.path("esp/loader/esp-builder.json")).unwrap();
    let (said, signed) = install(&kit, "keys", &[]);
    assert_eq!(signed, 0, "{said}");
    let (said, signed) = install(&kit, "keys", &[]);
    assert!(said.contains("nothing to do") && signed == 0, "{said}");
    // Repairing takes no key.
    let kernel = kit.path(&format!("esp/EFI/nixos/{:032}-linux-bzImage.efi", 2));
    let mut content = fs::read(&kernel).unwrap();
    content[150_000] ^= 1;
    fs::write(&kernel, content).unwrap();
    assert_eq!(live(&kit, "verify").run().status.code(), Some(3));
    live(&kit, "repair").ok();
    assert_eq!(judge(&kit, "esp", "keys/db.pem"), 4);
}

/// Images are signed as a whole, kernels in them not.
#[test]
fn images_of_a_menu_are_signed_once_whether_listed_or_named() {
    let kit = with_profile();
    let stub = lab::systemd_stub();
    fs::copy(stub, kit.path("stub")).unwrap();
    for layout in ["uki", "type1-uki"] {
        let arguments = ["--layout", layout, "--stub", "stub"];
        let (said, signed) = install(&kit, "keys", &arguments);
        let loader = usize::from(layout == "uki");
        assert_eq!(signed, 2 + loader, "two images and a boot loader: {said}");
        assert_eq!(judge(&kit, "esp", "keys/db.pem"), 4);
        let (said, signed) = install(&kit, "keys", &arguments);
        assert!(said.contains("nothing to do") && signed == 0, "{said}");
        assert_eq!(live(&kit, "verify").ok(), "esp: as it was written down\n");
        let tree = format!("signed-{layout}");
        build(&kit, &SIGNED).args(arguments).arg(&tree).ok();
        assert_eq!(judge(&kit, &tree, "keys/db.pem"), 4);
        assert_eq!(states(&kit, &tree, "signed"), 4);
    }
    let entries = fs::read_dir(kit.path("esp/EFI/Linux")).unwrap();
    assert_eq!(entries.count(), 0, "what was listed is gone");
}

#[test]
fn a_boot_loader_stays_only_if_it_is_as_new_and_signed() {
    let kit = with_profile();
    let loader = |version: &str| {
        let loader = TinyPe::systemd_boot(Machine::X86_64, version);
        kit.write("systemd-bootx64.efi", loader.bytes());
    };
    let installed = |keys: &str| {
        let path = "esp/EFI/systemd/systemd-bootx64.efi";
        let verify = ["--cert", &format!("{keys}/db.pem"), path];
        let is_signed = host(&kit, "sbverify").args(verify).run().status.success();
        let bytes = fs::read(kit.path(path)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let start = text.find("systemd-boot ").unwrap() + "systemd-boot ".len();
        (text[start..start + 3].to_owned(), is_signed)
    };
    live(&kit, "install").arg(toplevel(2)).ok();
    assert_eq!(installed("keys"), ("260".to_owned(), false));
    // As new, but without the signature.
    install(&kit, "keys", &[]);
    assert_eq!(installed("keys"), ("260".to_owned(), true));
    loader("261");
    install(&kit, "keys", &[]);
    assert_eq!(installed("keys"), ("261".to_owned(), true));
    // Ours is older now, and is not even signed.
    loader("259");
    let (said, signed) = install(&kit, "keys", &[]);
    assert!(said.contains("nothing to do") && signed == 0, "{said}");
    assert_eq!(installed("keys"), ("261".to_owned(), true));
    // Where the newer one would not start, the older one must do.
    install(&kit, "others", &[]);
    assert_eq!(installed("others"), ("259".to_owned(), true));
}
