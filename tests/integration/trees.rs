use std::fs;

use integration_tests::{Peer, lab};
use serde_json::Value;

use crate::kit::Kit;
use crate::system::made_up_document;

/// Builds `out` from `boot.json` of a kit.
fn build(kit: &Kit, arguments: &[&str]) -> String {
    let builder = kit
        .esp_builder()
        .args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"]);
    builder
        .args(["--bootspec", "boot.json"])
        .args(arguments)
        .arg("out")
        .ok()
}

/// Everything in a folder, with the text of what is short.
fn picture(kit: &Kit, folder: &str) -> String {
    let found = Peer::host("find").args([".", "-type", "f", "-size", "-2", "-name", "*.conf"]);
    let all = Peer::host("find")
        .args([".", "-type", "f"])
        .dir(kit.path(folder))
        .ok();
    let mut paths: Vec<_> = all.lines().collect();
    paths.sort_unstable();
    let texts = found.dir(kit.path(folder)).ok();
    let mut short: Vec<_> = texts.lines().collect();
    short.sort_unstable();
    let mut picture = paths.join("\n") + "\n";
    for path in short {
        let text = fs::read_to_string(kit.path(folder).join(path)).unwrap();
        picture += &format!("\n--- {path}\n{text}");
    }
    picture
}

#[test]
fn a_system_becomes_a_tree() {
    let kit = Kit::with_made_up_system();
    let said = build(&kit, &[]);
    insta::assert_snapshot!(said + "\n" + &picture(&kit, "out"));
}

#[test]
fn xbootldr_holds_what_the_loader_loads() {
    let kit = Kit::with_made_up_system();
    build(&kit, &["--xbootldr"]);
    insta::assert_snapshot!(picture(&kit, "out"));
}

#[test]
fn bootctl_lists_every_entry_and_knows_the_kernel() {
    let kit = Kit::with_real_system();
    let loader = lab::systemd_boot();
    let builder = kit
        .esp_builder()
        .args(["--bootspec", "boot.json", "--systemd-boot"]);
    builder.arg(loader).arg("out").ok();
    let esp = format!("--esp-path={}", kit.path("out/esp").display());
    let bootctl = || {
        Peer::sid("bootctl")
            .env("SYSTEMD_RELAX_ESP_CHECKS", "1")
            .dir(kit.root())
    };
    let listed = bootctl().args([&esp, "list", "--json=short"]).ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let entries = listed.as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let entry = |id: &str| entries.iter().find(|entry| entry["id"] == id).unwrap();
    let other = entry("nixos-generation-1-specialisation-other.conf");
    assert_eq!(other["cmdline"], "init=/init console=ttyS0 quiet other=yes");
    let default = entry("nixos-generation-1.conf");
    assert_eq!(default["isDefault"], true);
    let linux = default["linux"].as_str().unwrap();
    let kernel = kit.path("out/esp").join(linux.trim_start_matches('/'));
    let said = bootctl().arg("kernel-inspect").arg(kernel).ok();
    assert!(said.contains("Kernel Type: pe"), "{said}");
    let status = bootctl()
        .args([&esp, "--no-variables", "status", "--no-pager"])
        .run();
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("/EFI/systemd/systemd-bootx64.efi"), "{said}");
    assert!(said.contains("/EFI/BOOT/BOOTX64.EFI"), "{said}");
}

#[test]
fn manifests_satisfy_the_published_schema() {
    let kit = Kit::with_made_up_system();
    let schema = kit.esp_builder().args(["--generate", "schema"]).ok();
    kit.write("schema.json", schema);
    for arguments in [&[][..], &["--by-reference"], &["--xbootldr"]] {
        build(&kit, arguments);
        let judge = Peer::host("python3").args(["-m", "jsonschema", "schema.json", "-i"]);
        judge.arg("out/manifest.json").dir(kit.root()).ok();
    }
    let mut wrong = kit.manifest("out");
    wrong["extra"] = true.into();
    kit.write("wrong.json", wrong.to_string());
    let judge = Peer::host("python3").args(["-m", "jsonschema", "schema.json", "-i"]);
    judge.arg("wrong.json").dir(kit.root()).fails(1);
}

#[test]
fn trees_by_reference_and_by_copy_give_one_image() {
    let kit = Kit::with_made_up_system();
    kit.describe(
        "",
        &crate::kit::esp("").replace("\"tree\"", "\"out/manifest.json#esp\""),
    );
    let image = |arguments: &[&str]| {
        build(&kit, arguments);
        kit.compose().args(["-q", "image.toml"]).ok();
        kit.compose()
            .args(["verify", "image.raw", "--config", "image.toml"])
            .ok();
        fs::read(kit.image()).unwrap()
    };
    assert!(image(&[]) == image(&["--by-reference"]));
    assert!(
        !kit.path("out/esp/EFI/nixos").exists(),
        "content was copied"
    );
}

#[test]
fn a_tree_whose_content_was_not_read_gives_the_same_image_until_it_changes() {
    let kit = Kit::with_made_up_system();
    kit.describe(
        "",
        &crate::kit::esp("").replace("\"tree\"", "\"out/manifest.json#esp\""),
    );
    let image = |arguments: &[&str]| {
        kit.compose()
            .arg("-q")
            .args(arguments)
            .arg("image.toml")
            .ok();
        fs::read(kit.image()).unwrap()
    };
    build(&kit, &["--by-reference"]);
    let read = image(&[]);
    build(&kit, &["--by-reference", "--digests", "never"]);
    assert!(image(&[]) == read);
    // What cannot be told is not called sound.
    kit.compose()
        .args(["verify", "image.raw", "--config", "image.toml"])
        .fails(3);
    let refused = kit
        .compose()
        .args(["-q", "--digests", "always", "image.toml"])
        .fails(1);
    assert!(refused.contains("has no digest"), "{refused}");
    let kernel = kit.manifest("out")["trees"]["esp"]
        .as_object()
        .unwrap()
        .values()
        .find(|file| file["provenance"]["kind"] == "kernel")
        .and_then(|file| file["source"]["path"].as_str())
        .unwrap()
        .to_owned();
    let bytes = fs::read(&kernel).unwrap();
    fs::write(&kernel, bytes).unwrap();
    let refused = kit.compose().args(["-q", "image.toml"]).fails(1);
    assert!(refused.contains(&kernel), "{refused}");
    assert!(image(&["--digests", "never"]) == read);
    let copied = kit
        .esp_builder()
        .args(["--digests", "never", "--bootspec", "boot.json", "again"])
        .fails(2);
    assert!(copied.contains("needs --by-reference"), "{copied}");
}

#[test]
fn the_same_documents_give_the_same_bytes() {
    let picture = |kit: &Kit| {
        build(kit, &[]);
        let sum = Peer::host("sh").args(["-c", "find out -type f -exec sha256sum {} + | sort"]);
        sum.dir(kit.root()).ok()
    };
    let one = Kit::with_made_up_system();
    let first = picture(&one);
    assert_eq!(
        first,
        picture(&Kit::with_made_up_system()),
        "two folders give two trees"
    );
    assert_eq!(first, picture(&one), "a second run gives another tree");
}

/// Runs `esp-builder` on a document, which must fail and leave nothing behind.
fn refused(kit: &Kit, arguments: &[&str]) -> String {
    let before = kit.names();
    let builder = kit
        .esp_builder()
        .args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"]);
    let said = builder.args(arguments).arg("out").fails(1);
    assert_eq!(kit.names(), before, "something was left behind");
    said.replace(&kit.root().display().to_string(), "FOLDER")
}

#[test]
fn hostile_documents_are_refused() {
    let kit = Kit::with_made_up_system();
    let mut said = String::new();
    for (key, value) in [
        ("label", "1.0\nlinux /evil"),
        ("kernelParams", "quiet\ninitrd /evil"),
        ("init", "../../init"),
        ("kernel", "/nix/store/../../etc/passwd"),
        ("kernel", "nix/store/0000-linux-6.12/bzImage"),
        ("initrd", "/nix/store/9999-gone/initrd"),
        ("kernel", "/nix/store/1111-initrd/initrd"),
        ("system", "aarch64-linux"),
        ("system", "vax-openbsd"),
    ] {
        let mut document = made_up_document("25.11");
        let list = key == "kernelParams";
        document["org.nixos.bootspec.v1"][key] = if list {
            vec![value].into()
        } else {
            value.into()
        };
        kit.write("boot.json", document.to_string());
        said += &format!(
            "# {key} = {value:?}\n{}\n",
            refused(&kit, &["--bootspec", "boot.json"])
        );
    }
    insta::assert_snapshot!(said);
}

#[test]
fn broken_documents_are_refused() {
    let kit = Kit::with_made_up_system();
    let sound = made_up_document("25.11");
    let mut texts = vec![
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
    ];
    let text = sound.to_string();
    texts.push(text[..text.len() / 2].to_owned());
    let mut edit = |change: &dyn Fn(&mut Value)| {
        let mut document = sound.clone();
        change(&mut document);
        texts.push(document.to_string());
    };
    let v1 = "org.nixos.bootspec.v1";
    edit(&|document| drop(document[v1].as_object_mut().unwrap().remove("kernel")));
    edit(&|document| drop(document[v1].as_object_mut().unwrap().remove("label")));
    edit(&|document| document[v1]["kernelParams"] = "quiet".into());
    edit(&|document| document["org.example.extension"] = Value::Null);
    edit(&|document| document["org.nixos.systemd-boot"] = Value::Null);
    edit(&|document| {
        let child = made_up_document("child");
        document["org.nixos.specialisation.v1"]["a\nb"] = child;
    });
    let mut said = String::new();
    for text in texts {
        kit.write("boot.json", &text);
        said += &(refused(&kit, &["--bootspec", "boot.json"]) + "\n");
    }
    kit.write("boot.json", sound.to_string());
    let twice = ["--bootspec", "1=boot.json", "--bootspec", "1=boot.json"];
    said += &refused(&kit, &twice);
    said += &refused(&kit, &["--bootspec", "nowhere.json"]);
    insta::assert_snapshot!(said);
}

#[test]
fn unknown_extensions_and_keys_are_tolerated() {
    let kit = Kit::with_made_up_system();
    let mut document = made_up_document("25.11");
    document["org.example.extension"] = serde_json::json!({ "any": ["thing"] });
    document["org.nixos.bootspec.v1"]["newKey"] = 1.into();
    document["org.nixos.systemd-boot"] = serde_json::json!({ "sortKey": "zzz", "newKey": 1 });
    document["org.nixos.extra-initrd.v1"] =
        serde_json::json!({ "paths": ["/vendorfw/firmware.cpio"] });
    kit.write("boot.json", document.to_string());
    build(&kit, &[]);
    let entry = kit.path("out/esp/loader/entries/nixos-generation-1.conf");
    insta::assert_snapshot!(fs::read_to_string(entry).unwrap());
}

#[test]
fn a_folder_that_is_not_ours_is_not_replaced() {
    let kit = Kit::with_made_up_system();
    kit.write("out/precious", "text");
    let said = refused(&kit, &["--bootspec", "boot.json"]);
    assert!(kit.path("out/precious").exists());
    insta::assert_snapshot!(said);
}
