use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::{BootOptions, GuestReport, Machine, Peer, TinyPe, boot, boot_until, lab};
use serde_json::json;

use crate::kit::{Kit, esp};
use crate::system::real_document;

/// `EFI_GUID` of the owner in these tests.
const OWNER: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// A kit with keys in `keys`, and an image `image.efi` of a length that needs padding.
fn kit_with_keys() -> Kit {
    let kit = Kit::empty();
    let arguments = ["keys", "generate", "keys", "--owner", OWNER];
    kit.esp_builder()
        .args(arguments)
        .args(["--timestamp", "1700000000"])
        .ok();
    let mut image = TinyPe::new(Machine::X86_64, 3000).bytes();
    image.extend(b"tail!");
    kit.write("image.efi", image);
    kit
}

fn host(kit: &Kit, program: &str) -> Peer {
    Peer::host(program).dir(kit.root())
}

/// Signs a file with the key of db.
fn sign(kit: &Kit, image: &str, output: &str) -> String {
    kit.esp_builder()
        .args(["sign", "--key", "keys/db.key"])
        .args(["--certificate", "keys/db.pem", image, "-o", output])
        .ok()
}

#[test]
fn sbverify_accepts_what_we_sign_and_we_accept_what_sbsign_signs() {
    let kit = kit_with_keys();
    assert_eq!(sign(&kit, "image.efi", "ours.efi"), "signed ours.efi\n");
    let verify = |image: &str| {
        host(&kit, "sbverify")
            .args(["--cert", "keys/db.pem", image])
            .ok()
    };
    assert!(verify("ours.efi").contains("Signature verification OK"));
    let sbsign = ["--key", "keys/db.key", "--cert", "keys/db.pem"];
    host(&kit, "sbsign")
        .args(sbsign)
        .args(["--output", "theirs.efi", "image.efi"])
        .ok();
    let list = |image: &str| {
        let check = ["signatures", "--certificate", "keys/db.pem", image];
        kit.esp_builder().args(check).ok()
    };
    // The digest is in what is listed.
    assert_eq!(list("ours.efi"), list("theirs.efi"));
    assert!(list("ours.efi").contains("trusted through Secure Boot db"));
    let said = sign(&kit, "theirs.efi", "again.efi");
    assert_eq!(said, "again.efi carried this signature already\n");
    let (theirs, again) = (kit.path("theirs.efi"), kit.path("again.efi"));
    assert_eq!(fs::read(theirs).unwrap(), fs::read(again).unwrap());
    // Two signatures, each of which is found.
    kit.esp_builder()
        .args(["sign", "--key", "keys/KEK.key", "--certificate"])
        .args(["keys/KEK.pem", "theirs.efi", "-o", "both.efi"])
        .ok();
    assert!(verify("both.efi").contains("Signature verification OK"));
    let listed = host(&kit, "sbverify").args(["--list", "both.efi"]).ok();
    assert!(listed.contains("signature 2"), "{listed}");
}

#[test]
fn sbverify_counts_gaps_between_sections_as_we_do() {
    let kit = kit_with_keys();
    let mut image = TinyPe::new(Machine::X86_64, 3000)
        .section(".data", [7; 100])
        .bytes();
    // SizeOfRawData of the first section: 512 bytes of it are in no section now.
    let field = 0x40 + 24 + 240 + 16;
    let size = u32::from_le_bytes(image[field..field + 4].try_into().unwrap());
    image[field..field + 4].copy_from_slice(&(size - 512).to_le_bytes());
    kit.write("gap.efi", image);
    sign(&kit, "gap.efi", "ours.efi");
    let verify = ["--cert", "keys/db.pem", "ours.efi"];
    let said = host(&kit, "sbverify").args(verify).ok();
    assert!(said.contains("Signature verification OK"), "{said}");
}

#[test]
fn openssl_accepts_our_signature_of_the_content_and_our_key_and_certificate() {
    let kit = kit_with_keys();
    sign(&kit, "image.efi", "ours.efi");
    host(&kit, "sbattach")
        .args(["--detach", "ours.p7", "ours.efi"])
        .ok();
    // The content is what is inside the value after its type; openssl does not look for
    // it in values that are not octet strings.
    let signature = fs::read(kit.path("ours.p7")).unwrap();
    let kind = b"\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04";
    let mut parts = signature.windows(kind.len());
    let start = parts.position(|part| part == kind).unwrap() + kind.len() + 4;
    let length = usize::from(signature[start - 1]);
    kit.write("inside", &signature[start..start + length]);
    host(&kit, "openssl")
        .args(["smime", "-verify", "-inform", "DER", "-in", "ours.p7"])
        .args(["-binary", "-content", "inside"])
        .args([
            "-CAfile",
            "keys/db.pem",
            "-purpose",
            "any",
            "-out",
            "content",
        ])
        .ok();
    let key = ["pkey", "-in", "keys/db.key", "-check", "-noout"];
    assert!(host(&kit, "openssl").args(key).ok().contains("valid"));
    host(&kit, "openssl")
        .args([
            "verify",
            "-check_ss_sig",
            "-CAfile",
            "keys/db.pem",
            "keys/db.pem",
        ])
        .ok();
}

#[test]
fn efitools_make_the_same_signature_lists_and_read_the_updates() {
    let kit = kit_with_keys();
    for name in ["PK", "KEK", "db"] {
        let (pem, esl) = (format!("keys/{name}.pem"), format!("keys/{name}.esl"));
        host(&kit, "cert-to-efi-sig-list")
            .args(["-g", OWNER, &pem, "theirs.esl"])
            .ok();
        let theirs = fs::read(kit.path("theirs.esl")).unwrap();
        let ours = fs::read(kit.path(&esl)).unwrap();
        assert_eq!(ours, theirs, "{name}");
        // The certificate is the end of the update.
        let update = fs::read(kit.path(&format!("keys/{name}.auth"))).unwrap();
        assert!(update.ends_with(&ours), "{name}");
    }
    // What is signed, sign-efi-sig-list can print.
    host(&kit, "sign-efi-sig-list")
        .args(["-t", "2023-11-14 22:13:20", "-o", "-g"])
        .args([
            "d719b2cb-3d3a-4596-a3bc-dad00e67656f",
            "db",
            "keys/db.esl",
            "message",
        ])
        .env("TZ", "UTC")
        .ok();
    let update = fs::read(kit.path("keys/db.auth")).unwrap();
    let length = u32::from_le_bytes(update[16..20].try_into().unwrap()) as usize;
    kit.write("update.p7", content_info(&update[40..16 + length]));
    host(&kit, "openssl")
        .args(["smime", "-verify", "-inform", "DER", "-in", "update.p7"])
        .args(["-binary", "-content", "message", "-CAfile", "keys/KEK.pem"])
        .args(["-purpose", "any", "-out", "/dev/null"])
        .ok();
}

/// What openssl wants around a signature, and firmware does not.
fn content_info(signed_data: &[u8]) -> Vec<u8> {
    let value = |tag: u8, content: Vec<u8>| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [vec![tag, 0x82], length.to_vec(), content].concat()
    };
    let mut info = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02".to_vec();
    info.extend(value(0xa0, signed_data.to_vec()));
    value(0x30, info)
}

#[test]
fn a_signature_is_made_by_a_command_in_place_of_a_key() {
    let kit = kit_with_keys();
    sign(&kit, "image.efi", "ours.efi");
    let command = "openssl dgst -sha256 -sign keys/db.key";
    kit.esp_builder()
        .args(["sign", "--sign-command", command, "--certificate"])
        .args(["keys/db.pem", "image.efi", "-o", "command.efi"])
        .ok();
    let read = |name: &str| fs::read(kit.path(name)).unwrap();
    assert_eq!(read("command.efi"), read("ours.efi"));
    for (command, why) in [
        ("exit 3", "exit status: 3"),
        ("cat /dev/zero", "more than the 1024 bytes"),
        (
            "openssl dgst -sha256 -sign keys/PK.key",
            "is not of the key that signed",
        ),
    ] {
        let said = kit
            .esp_builder()
            .args(["sign", "--sign-command", command, "--certificate"])
            .args(["keys/db.pem", "image.efi", "-o", "none.efi"])
            .fails(1);
        assert!(said.contains(why), "{said}");
        assert!(!kit.path("none.efi").exists());
    }
}

#[test]
fn keys_that_others_could_have_are_refused() {
    let kit = kit_with_keys();
    let mode = |path: &str| fs::metadata(kit.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("keys"), mode("keys/db.key")), (0o700, 0o600));
    let sign = |key: &str, store: &str| {
        kit.esp_builder()
            .args(["sign", "--store-dir", store, "--key", key, "--certificate"])
            .args(["keys/db.pem", "image.efi", "-o", "none.efi"])
            .fails(1)
    };
    let store = kit.path("keys");
    let said = sign("keys/db.key", store.to_str().unwrap());
    assert!(said.contains("is in the store"), "{said}");
    kit.link("keys/db.key", "link.key");
    let said = sign("link.key", store.to_str().unwrap());
    assert!(said.contains("is in the store"), "{said}");
    fs::set_permissions(kit.path("keys/db.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let said = sign("keys/db.key", "/nix/store");
    assert!(said.contains("has mode 0640"), "{said}");
    let encrypt = [
        "pkey",
        "-aes256",
        "-passout",
        "pass:x",
        "-in",
        "keys/KEK.key",
    ];
    host(&kit, "openssl")
        .args(encrypt)
        .args(["-out", "secret.key"])
        .ok();
    let said = sign("secret.key", "/nix/store");
    assert!(said.contains("the private key is encrypted"), "{said}");
    let again = kit
        .esp_builder()
        .args(["keys", "generate", "keys"])
        .fails(1);
    assert!(
        again.contains("no key takes the place of another"),
        "{again}"
    );
}

/// Signs an image of a tree that was asked for in `asked`, into `made`: the RSA
/// signature alone.
fn rsa_signature(kit: &Kit, path: &str) {
    host(kit, "openssl")
        .args(["dgst", "-sha256", "-sign", "keys/db.key", "-out"])
        .args([format!("made/{path}.sig"), format!("asked/{path}.tbs")])
        .ok();
}

/// The same: a PKCS#7 with its content.
fn sbsign_signature(kit: &Kit, path: &str) {
    host(kit, "sbsign")
        .args(["--key", "keys/db.key", "--cert", "keys/db.pem"])
        .args(["--detached", "--output", &format!("made/{path}.p7")])
        .arg(format!("out/{path}"))
        .ok();
}

/// The same: a PKCS#7 without its content.
fn cms_signature(kit: &Kit, path: &str) {
    host(kit, "openssl")
        .args(["cms", "-sign", "-binary", "-md", "sha256"])
        .args(["-signer", "keys/db.pem", "-inkey", "keys/db.key"])
        .args(["-econtent_type", "1.3.6.1.4.1.311.2.1.4", "-outform", "PEM"])
        .args(["-in", &format!("asked/{path}.content")])
        .args(["-out", &format!("made/{path}.p7")])
        .ok();
}

#[test]
fn a_tree_is_signed_by_tools_that_never_see_it() {
    let kit = Kit::with_made_up_system();
    kit.esp_builder().args(["keys", "generate", "keys"]).ok();
    let build = ["--root", ".", "--bootspec", "boot.json", "--systemd-boot"];
    kit.esp_builder()
        .args(build)
        .args(["systemd-bootx64.efi", "out"])
        .ok();
    let manifest = kit.path("out/manifest.json");
    let written = fs::metadata(&manifest).unwrap().modified().unwrap();
    let digests = kit
        .esp_builder()
        .args(["digests", "out", "--to", "asked"])
        .ok();
    let digests: serde_json::Value = serde_json::from_str(&digests).unwrap();
    let images = digests["images"].as_array().unwrap();
    assert_eq!(images.len(), 3, "{digests:#}");
    let states = |wanted: &str| kit.manifest("out").to_string().matches(wanted).count();
    assert_eq!(states(r#""signature":"pending""#), 3);
    let paths = images.iter().map(|image| image["path"].as_str().unwrap());
    for (path, tool) in paths.zip([rsa_signature, sbsign_signature, cms_signature]) {
        let path = format!("esp/{path}");
        fs::create_dir_all(kit.path(&format!("made/{path}")).parent().unwrap()).unwrap();
        tool(&kit, &path);
    }
    let attach = ["attach", "out", "made", "--certificate", "keys/db.pem"];
    kit.esp_builder().args(attach).ok();
    assert_eq!(states(r#""signature":"signed""#), 3);
    for image in images {
        let path = format!("out/esp/{}", image["path"].as_str().unwrap());
        let verified = host(&kit, "sbverify").args(["--cert", "keys/db.pem", &path]);
        assert!(verified.ok().contains("OK"), "{path}");
    }
    assert_eq!(
        fs::metadata(&manifest).unwrap().modified().unwrap(),
        written
    );
    // The manifest fits the tree: an image is made of it.
    let partition = esp("").replace("\"tree\"", "\"out/manifest.json#esp\"");
    kit.describe("", &partition);
    kit.compose()
        .args(["-q", "--digests", "always", "image.toml"])
        .ok();
    let nothing = kit.esp_builder().args(attach).fails(1);
    assert!(nothing.contains("holds no signature"), "{nothing}");
}

/// A tree of a real system, with our keys to be enrolled, and an image of it.
fn secure_image(kit: &Kit, arguments: &[&str]) {
    let mut document = real_document("secure");
    document["org.nixos.bootspec.v1"]["kernel"] = json!(kit.path("vmlinuz"));
    document["org.nixos.specialisation.v1"] = json!({});
    kit.write("boot.json", document.to_string());
    kit.esp_builder()
        .args(["--bootspec", "boot.json", "--systemd-boot", "loader.efi"])
        .args(["--timeout", "0", "--set", "secure-boot-enroll=force"])
        .args(["--enroll-keys", "keys", "--measure"])
        .args(arguments)
        .arg("out")
        .ok();
    let partition = esp("").replace("\"tree\"", "\"out/manifest.json#esp\"");
    kit.describe("", &partition);
    kit.compose().args(["-q", "image.toml"]).ok();
}

/// What register 4 is predicted to be when the kernel of a tree runs.
fn predicted_boot(kit: &Kit) -> String {
    let text = fs::read_to_string(kit.path("out/measurements.json")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let images = found["images"].as_array().unwrap();
    let mut kernels = images.iter().filter(|image| {
        let path = image["path"].as_str().unwrap();
        path.starts_with("EFI/nixos/")
    });
    let kernel = kernels.next().unwrap();
    kernel["pcr-4"]["sha256"].as_str().unwrap().to_uppercase()
}

#[test]
fn firmware_enrols_our_keys_and_starts_what_they_signed_and_nothing_else() {
    let kit = kit_with_keys();
    let vars = kit.path("vars.fd");
    fs::copy(lab::firmware_variables(), &vars).unwrap();
    fs::copy(lab::vmlinuz(), kit.path("vmlinuz")).unwrap();
    fs::copy(lab::systemd_boot(), kit.path("loader.efi")).unwrap();
    let options = BootOptions {
        secure: true,
        vars: Some(vars),
        tpm: true,
        timeout: Some(300),
        ..BootOptions::default()
    };
    let signed = ["--secure-boot-key", "keys/db.key"];
    let signed = [&signed[..], &["--secure-boot-certificate", "keys/db.pem"]].concat();
    secure_image(&kit, &[&signed[..], &["--by-reference"]].concat());
    // The first boot enrols and starts again; the second finds the keys there.
    for _ in 0..2 {
        let report = boot(&kit.image(), &options);
        assert_eq!(report.efi("SecureBoot"), Some("1"), "{report:?}");
        assert_eq!(report.pcr(4), Some(predicted_boot(&kit).as_str()));
    }
    // Of what is not signed, firmware refuses the boot loader already.
    secure_image(&kit, &[]);
    let serial = boot_until(&kit.image(), &options, "Access Denied");
    assert_eq!(GuestReport::parse(&serial), None);
    // Of a kernel that was changed after it was signed, the boot loader says it, and
    // would show its menu for ever.
    sign(&kit, "loader.efi", "loader.efi");
    sign(&kit, "vmlinuz", "vmlinuz");
    let mut kernel = fs::read(kit.path("vmlinuz")).unwrap();
    let middle = kernel.len() / 2;
    kernel[middle] ^= 1;
    kit.write("vmlinuz", kernel);
    secure_image(&kit, &[]);
    let serial = boot_until(&kit.image(), &options, "Access denied");
    assert_eq!(GuestReport::parse(&serial), None);
}
