#![expect(clippy::disallowed_methods, reason = "tests make their own inputs")]

use std::fs;

use serde_json::json;

use super::*;
use crate::testkit::{document, with, with_extension};

fn parse_value(document: &Value) -> Result<Document, Refusal> {
    parse(document.to_string().as_bytes())
}

#[test]
fn takes_what_it_knows_and_tolerates_the_rest() {
    let mut value = with("newKey", json!([1]));
    value["org.example"] = json!({ "anything": [null] });
    value["org.nixos.systemd-boot"] = json!({
        "sortKey": "a_first",
        "devicetree": "/nix/store/d1-dtbs/vendor/board.dtb",
        "later": true,
    });
    value["org.nixos.extra-initrd.v1"] = json!({ "paths": ["/EFI/extra.img", "b.img"] });
    value["org.xenproject.bootspec.v2"] = json!({
        "efiPath": "/nix/store/x1-xen/boot/xen.efi",
        "multibootPath": "/nix/store/x1-xen/boot/xen",
        "params": ["dom0_mem=4G", "ucode=scan"],
        "version": "4.20.1",
    });
    value["org.nixos.specialisation.v1"]["gnome"] = document();
    value["org.nixos.specialisation.v1"]["gnome"]["org.nixos.systemd-boot"] =
        json!({ "sortKey": "z_last" });
    let document = parse_value(&value).unwrap();
    insta::assert_debug_snapshot!(document);
}

#[test]
fn the_initrd_and_the_specialisations_may_be_absent() {
    let mut value = with("initrd", Value::Null);
    value
        .as_object_mut()
        .unwrap()
        .remove("org.nixos.specialisation.v1");
    let document = parse_value(&value).unwrap();
    assert_eq!(document.system.initrd, None);
    assert!(document.specialisations.is_empty());

    let mut value = document_with_null_initrd();
    value["org.nixos.bootspec.v1"]["initrdSecrets"] = json!("/nix/store/x/append");
    let document = parse_value(&value).unwrap();
    let program = document.system.initrd_secrets;
    assert_eq!(program, Some("/nix/store/x/append".into()));
}

fn document_with_null_initrd() -> Value {
    let mut value = document();
    value["org.nixos.bootspec.v1"]["initrd"] = Value::Null;
    value
}

#[test]
fn what_is_read_at_once_means_what_it_means_as_plain_json() {
    let mut with_null = document();
    with_null["org.example"] = Value::Null;
    let mut specialised = document();
    specialised["org.nixos.specialisation.v1"]["gnome"] = document();
    let mut other_version = document();
    other_version["org.nixos.bootspec.v2"] = json!({});
    let init = json!({ "init": "/nix/store/other/init" }).to_string();
    let twice =
        document()
            .to_string()
            .replacen('{', &format!("{{\"org.nixos.bootspec.v1\":{init},"), 1);
    let extended = with_extension("org.nixos.systemd-boot", json!({ "sortKey": "a" }));
    for (text, is_plain) in [
        (document().to_string(), true),
        (document_with_null_initrd().to_string(), true),
        (extended.to_string(), true),
        (with("newKey", json!([1, 1e9])).to_string(), true),
        (other_version.to_string(), true),
        (with("label", json!(1)).to_string(), false),
        (with_null.to_string(), false),
        (specialised.to_string(), false),
        (twice, false),
        (format!("{} x", document()), false),
    ] {
        let at_once = plain(text.as_bytes());
        assert_eq!(at_once.is_some(), is_plain, "{text}");
        let Some(at_once) = at_once else { continue };
        let judged = judged(text.as_bytes()).unwrap();
        assert_eq!(at_once.generation, judged.generation, "{text}");
        let known = |key: &&String| !key.starts_with("org.nixos.bootspec.");
        for key in at_once.extensions.keys().filter(known) {
            assert_eq!(
                at_once.extensions.get(key),
                judged.extensions.get(key),
                "{text}"
            );
        }
    }
}

/// Every refusal with its hint, as one text to read.
#[test]
fn refusals_name_the_key_and_the_way_out() {
    let mut specialisation = document();
    specialisation["org.nixos.specialisation.v1"]["gnome"] = with("label", json!(5));
    let mut hostile_name = document();
    hostile_name["org.nixos.specialisation.v1"]["x)\nlinux /evil"] = document();
    let mut newer = document();
    let spec = newer["org.nixos.bootspec.v1"].take();
    newer
        .as_object_mut()
        .unwrap()
        .remove("org.nixos.bootspec.v1");
    newer["org.nixos.bootspec.v2"] = spec;
    let extension = with_extension;
    let refused = [
        json!([]),
        json!({}),
        json!({ "v1": {} }),
        newer,
        json!({ "org.nixos.bootspec.v1": 1 }),
        with("kernel", Value::Null),
        with("label", Value::Null),
        with("init", json!(["/init"])),
        with("initrd", json!(5)),
        with("kernelParams", json!("quiet")),
        with("kernelParams", json!(["a", 1])),
        extension("org.example", Value::Null),
        extension("org.nixos.specialisation.v1", json!([])),
        specialisation,
        with("system", json!("x86_64-darwin")),
        with("label", json!("26.05\nlinux /evil")),
        with("kernelParams", json!(["quiet\ninitrd /evil"])),
        with("kernelParams", json!(["x".repeat(5000)])),
        hostile_name,
        with("kernel", json!("bzImage")),
        with("kernel", json!("/nix/store/../../etc/shadow")),
        with("initrd", json!("/nix/store/a\u{1b}[2J")),
        with("init", json!("/init rdinit=/evil")),
        with("toplevel", json!("")),
        extension("org.nixos.systemd-boot", json!({ "sortKey": "a\nb" })),
        extension("org.nixos.systemd-boot", json!({ "devicetree": "../x" })),
        extension("org.nixos.systemd-boot", json!("x")),
        extension("org.nixos.extra-initrd.v1", json!({})),
        extension("org.nixos.extra-initrd.v1", json!({ "paths": ["../x"] })),
        extension("org.nixos.extra-initrd.v1", json!({ "paths": ["/a\nb"] })),
        extension("org.nixos.extra-initrd.v1", json!({ "paths": ["/a:b"] })),
        extension("org.xenproject.bootspec.v2", json!("xen.efi")),
        extension("org.xenproject.bootspec.v2", json!({ "efiPath": "x" })),
        extension("org.xenproject.bootspec.v2", json!({ "params": ["a\nb"] })),
        extension("org.xenproject.bootspec.v2", json!({ "version": "a\nb" })),
    ];
    let lines = refused.iter().flat_map(|document| {
        let refusal = parse_value(document).unwrap_err();
        let hint = refusal.hint.map(|hint| format!("  hint: {hint}"));
        std::iter::once(refusal.reason).chain(hint)
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn text_that_is_not_json_is_refused_with_its_place() {
    let deep = "[".repeat(100_000);
    for (text, why) in [
        ("", "line 1 column 0"),
        ("{\n  \"a\": }", "line 2 column 8"),
        ("{\"org.nixos.bootspec.v1\":", "line 1 column"),
        (deep.as_str(), "recursion limit"),
    ] {
        let refusal = parse(text.as_bytes()).unwrap_err();
        assert!(refusal.reason.contains(why), "{}", refusal.reason);
    }
    assert!(parse(b"\xff\xfe").is_err());
}

#[test]
fn a_document_beyond_reason_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("boot.json");
    let file = fs::File::create(&path).unwrap();
    file.set_len(LONGEST + 1).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.ends_with("longer than 16 MiB"), "{error}");
    let error = load(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("cannot be read"), "{error}");
    let error = load(&directory.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("is missing"), "{error}");
}
