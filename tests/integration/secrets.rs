use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::{Peer, lab};

use crate::kit::Kit;
use crate::system::made_up_document;

/// A machine with two generations; the program of each appends what is in `key` of
/// the machine.
pub fn machine() -> Kit {
    let kit = Kit::with_made_up_system();
    for number in 1..=2 {
        program(
            &kit,
            number,
            "printf 'secret %s' \"$(cat KIT/key)\" >> \"$1\"",
        );
        let mut document = made_up_document("25.11");
        let v1 = &mut document["org.nixos.bootspec.v1"];
        let store = kit.path("nix/store").display().to_string();
        for key in ["kernel", "initrd", "toplevel", "init"] {
            let path = v1[key].as_str().unwrap().replace("/nix/store", &store);
            v1[key] = path.into();
        }
        v1["initrdSecrets"] = format!("{store}/append-{number}/bin/append").into();
        kit.write(&format!("{number}.json"), document.to_string());
    }
    kit.write("key", "one");
    kit.write("esp/EFI/Microsoft/Boot/bootmgfw.efi", "windows");
    let owner_only = fs::Permissions::from_mode(0o700);
    fs::set_permissions(kit.path("esp"), owner_only).unwrap();
    kit
}

/// Gives a generation a program that makes its secrets.
fn program(kit: &Kit, number: u32, text: &str) {
    let name = format!("nix/store/append-{number}/bin/append");
    let text = text.replace("KIT", &kit.root().display().to_string());
    kit.write(&name, format!("#!/bin/sh\nset -e\n{text}\n"));
    fs::set_permissions(kit.path(&name), fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn install(kit: &Kit) -> Peer {
    kit.esp_builder()
        .args(["install", "--esp", "esp", "--no-mount-check"])
        .args(["--bootspec", "1.json", "--bootspec", "2.json"])
        .args(["--systemd-boot", "systemd-bootx64.efi", "--no-variables"])
        .args(["--store-dir", &kit.path("nix/store").display().to_string()])
}

/// The names of the secrets that an entry boots with, and what is in them.
fn secrets(kit: &Kit, number: u32) -> Vec<(String, String)> {
    let entry = kit.path(&format!(
        "esp/loader/entries/nixos-generation-{number}.conf"
    ));
    let text = fs::read_to_string(entry).unwrap();
    let initrds = text.lines().filter_map(|line| line.strip_prefix("initrd "));
    let secrets = initrds.filter(|path| path.ends_with("-secrets.efi"));
    let read = |path: &str| fs::read_to_string(kit.path(&format!("esp{path}"))).unwrap();
    secrets.map(|path| (path.to_owned(), read(path))).collect()
}

#[test]
fn each_generation_boots_with_the_secrets_of_its_own_program() {
    let kit = machine();
    install(&kit).ok();
    let (first, second) = (secrets(&kit, 1), secrets(&kit, 2));
    assert_eq!(first[0].1, "secret one");
    assert_eq!(second[0].1, "secret one");
    assert_ne!(first[0].0, second[0].0);
    let state = fs::read_to_string(kit.path("esp/loader/esp-builder.json")).unwrap();
    assert!(!state.contains("secret one"), "{state}");
    let said = install(&kit).arg("--json").ok();
    assert!(said.contains("\"writes\":0"), "{said}");

    // Another key is another file, and no more than that.
    kit.write("key", "two");
    install(&kit).ok();
    assert_eq!(
        secrets(&kit, 2),
        [(second[0].0.clone(), "secret two".to_owned())]
    );
    let initrds = fs::read_dir(kit.path("esp/EFI/nixos")).unwrap().count();
    assert_eq!(initrds, 4, "a kernel, an initrd and two of secrets");

    // A program that appends nothing needs no file.
    program(&kit, 2, "exit 0");
    install(&kit).ok();
    assert_eq!(secrets(&kit, 2), []);
    install(&kit).arg("--no-initrd-secrets").ok();
    assert_eq!(secrets(&kit, 1), []);
}

#[test]
fn an_old_generation_keeps_its_secrets_and_the_default_must_have_them() {
    let kit = machine();
    install(&kit).ok();
    let before = secrets(&kit, 1);
    kit.write("key", "two");
    program(&kit, 1, "echo the key is gone >&2; exit 1");
    let output = install(&kit).run();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "generation 1: no initrd secrets were made (exit status: 1: the key is \
                    gone); those of an earlier run are kept";
    assert!(said.contains(expected), "{said}");
    assert!(output.status.success());
    assert_eq!(secrets(&kit, 1), before);
    assert_eq!(secrets(&kit, 2)[0].1, "secret two");

    program(&kit, 2, "echo no >&2; exit 1");
    let said = install(&kit).fails(1);
    assert!(
        said.contains("append-2/bin/append` did not append initrd secrets"),
        "{said}"
    );
    assert!(said.contains("hint: run as root"), "{said}");
    assert_eq!(secrets(&kit, 2)[0].1, "secret two");

    fs::set_permissions(kit.path("esp"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = install(&kit).args(["--default", "1"]).run();
    // Of the two that fail, the default is the one that counts.
    assert_eq!(output.status.code(), Some(1));
    program(&kit, 2, "echo more >> \"$1\"");
    let said = String::from_utf8(install(&kit).run().stderr).unwrap();
    assert!(
        said.contains("everybody can read the initrd secrets on `esp`"),
        "{said}"
    );
}

#[test]
fn images_hold_secrets_and_keep_those_of_an_earlier_run() {
    let kit = machine();
    let images = || {
        let install = install(&kit).args(["--layout", "uki", "--stub"]);
        install.arg(lab::systemd_stub())
    };
    let image = |number: u32| {
        let name = format!("esp/EFI/Linux/nixos-generation-{number}.efi");
        fs::read(kit.path(&name)).unwrap()
    };
    let holds = |image: &[u8], text: &str| {
        let text = text.as_bytes();
        image.windows(text.len()).any(|window| window == text)
    };
    images().ok();
    let before = image(1);
    assert!(holds(&before, "secret one") && holds(&image(2), "secret one"));
    let state = fs::read_to_string(kit.path("esp/loader/esp-builder.json")).unwrap();
    assert!(!state.contains("secret one"), "{state}");
    let said = images().arg("--json").ok();
    assert!(said.contains("\"writes\":0"), "{said}");
    kit.write("key", "two");
    program(&kit, 1, "exit 1");
    let output = images().run();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("those of an earlier run are kept"), "{said}");
    assert!(image(1) == before, "the older image is another");
    assert!(holds(&image(2), "secret two") && !holds(&image(2), "secret one"));
    // They are found when entries take the place of images, and images that of entries.
    install(&kit).ok();
    assert_eq!(secrets(&kit, 1)[0].1.trim_end_matches('\0'), "secret one");
    images().ok();
    assert!(image(1) == before, "the older image is another");
}
