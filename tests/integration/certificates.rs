use std::fs;

use integration_tests::Peer;
use serde_json::Value;

use crate::kit::Kit;
use crate::signed_trees::{SIGNED, build, host, judge, kit};

/// Makes a key and a certificate that another owner issued.
fn issue(kit: &Kit, name: &str, bits: u32, issuer: &str, is_authority: bool) {
    let request = format!("{name}/db.csr");
    fs::create_dir(kit.path(name)).unwrap();
    host(kit, "openssl")
        .args(["req", "-new", "-newkey", &format!("rsa:{bits}"), "-nodes"])
        .args(["-subj", &format!("/CN={name}"), "-out", &request])
        .args(["-keyout", &format!("{name}/db.key")])
        .ok();
    kit.write("extensions", format!("basicConstraints=CA:{is_authority}"));
    host(kit, "openssl")
        .args(["x509", "-req", "-extfile", "extensions", "-CAcreateserial"])
        .args(["-CA", &format!("{issuer}/db.pem")])
        .args(["-CAkey", &format!("{issuer}/db.key"), "-in", &request])
        .args(["-out", &format!("{name}/db.pem")])
        .ok();
}

#[test]
fn a_signature_leads_to_firmware_through_a_chain_of_certificates() {
    let kit = kit();
    issue(&kit, "between", 3072, "keys", true);
    issue(&kit, "signer", 4096, "between", false);
    let chain = ["--secure-boot-certificate", "between/db.pem"];
    let signed = ["--secure-boot-key", "signer/db.key"];
    let signed = [&signed[..], &["--secure-boot-certificate", "signer/db.pem"]].concat();
    build(&kit, &signed).args(chain).arg("out").ok();
    let both = [
        fs::read(kit.path("signer/db.pem")).unwrap(),
        fs::read(kit.path("between/db.pem")).unwrap(),
    ];
    kit.write("both.pem", both.concat());
    let flags = [&signed[..3], &["both.pem", "one-file"]].concat();
    build(&kit, &flags).ok();
    host(&kit, "diff").args(["-r", "out", "one-file"]).ok();
    for owner in ["keys", "between", "signer"] {
        let certificate = format!("{owner}/db.pem");
        assert_eq!(judge(&kit, "out/esp", &certificate), 4, "{owner}");
        kit.esp_builder()
            .args(["signatures", "--certificate", &certificate])
            .arg("out/esp/EFI/BOOT/BOOTX64.EFI")
            .ok();
    }
    // The chain is a part of the signature; without it nothing leads to the root.
    build(&kit, &signed).arg("short").ok();
    let said = kit
        .esp_builder()
        .args(["signatures", "--certificate", "keys/db.pem"])
        .arg("short/esp/EFI/BOOT/BOOTX64.EFI")
        .run();
    assert_eq!(said.status.code(), Some(3));
}

#[test]
fn what_systemd_signs_with_a_key_at_hand_or_elsewhere_is_ours_too() {
    let kit = kit();
    let sbsign = || {
        let peer = Peer::sid("/usr/lib/systemd/systemd-sbsign").dir(kit.root());
        peer.args(["sign", "--certificate=keys/db.pem"])
    };
    sbsign()
        .args(["--private-key=keys/db.key", "--output=driver.efi"])
        .arg("ext4x64.efi")
        .ok();
    fs::rename(kit.path("driver.efi"), kit.path("ext4x64.efi")).unwrap();
    build(&kit, &["out"]).ok();
    build(&kit, &SIGNED).arg("signed").ok();
    let driver = "esp/EFI/systemd/drivers/ext4x64.efi";
    let read = |path: String| fs::read(kit.path(&path)).unwrap();
    assert_eq!(
        read(format!("signed/{driver}")),
        read(format!("out/{driver}"))
    );
    // Elsewhere: its attributes have a time, so they are signed and put back by it.
    let asked = kit.esp_builder().args(["digests", "out"]).ok();
    let asked: Value = serde_json::from_str(&asked).unwrap();
    let images = asked["images"].as_array().unwrap();
    assert_eq!(images.len(), 3, "{asked}");
    for image in images {
        let path = format!("esp/{}", image["path"].as_str().unwrap());
        let unsigned = format!("out/{path}");
        sbsign()
            .args(["--prepare-offline-signing", "--output=data", &unsigned])
            .ok();
        host(&kit, "openssl")
            .args(["dgst", "-sha256", "-sign", "keys/db.key"])
            .args(["-out", "signature", "data"])
            .ok();
        sbsign()
            .args(["--signed-data=data", "--signed-data-signature=signature"])
            .args(["--output=image.efi", &unsigned])
            .ok();
        let to = format!("made/{path}.p7");
        kit.write(&to, "");
        host(&kit, "sbattach")
            .args(["--detach", &to, "image.efi"])
            .ok();
    }
    kit.esp_builder()
        .args(["attach", "out", "made", "--certificate", "keys/db.pem"])
        .ok();
    assert_eq!(judge(&kit, "out/esp", "keys/db.pem"), 4);
}

#[test]
fn certificates_of_others_are_enrolled_beside_ours() {
    let kit = kit();
    let owner = "01234567-89ab-cdef-0123-456789abcdef";
    let convert = ["x509", "-in", "others/db.pem", "-outform", "DER"];
    host(&kit, "openssl")
        .args(convert)
        .args(["-out", "others.der"])
        .ok();
    kit.esp_builder()
        .args(["keys", "generate", "made", "--owner", owner])
        .args(["--add-db", "others.der", "--add-kek", "keys/db.pem"])
        .ok();
    for (name, certificates) in [
        ("db", vec!["made/db.pem", "others/db.pem"]),
        ("KEK", vec!["made/KEK.pem", "keys/db.pem"]),
        ("PK", vec!["made/PK.pem"]),
    ] {
        let mut theirs = Vec::new();
        for certificate in certificates {
            host(&kit, "cert-to-efi-sig-list")
                .args(["-g", owner, certificate, "list.esl"])
                .ok();
            theirs.extend(fs::read(kit.path("list.esl")).unwrap());
        }
        let ours = fs::read(kit.path(&format!("made/{name}.esl"))).unwrap();
        assert!(ours == theirs, "{name}");
    }
}
