use std::fs;

use integration_tests::{Peer, binary};

use crate::kit::{Kit, esp, manifest, noise};

/// Runs `compose image.toml`, which must fail and leave nothing behind; returns
/// what it said, with the folder's name taken out.
fn refused(kit: &Kit) -> String {
    let before = kit.names();
    let said = kit.compose().arg("image.toml").fails(1);
    assert_eq!(kit.names(), before, "something was left behind");
    said.replace(&kit.root().display().to_string(), "FOLDER")
}

#[test]
fn a_tree_that_does_not_fit_is_refused_with_numbers() {
    let kit = Kit::empty();
    kit.write("tree/EFI/big", noise(1, 20 << 20));
    kit.describe("", &esp("size-max-bytes = \"8M\""));
    let fixed = refused(&kit);
    // Whatever may be left out keeps its number, and a table takes room too.
    let optional = "[[partition]]\ntype = \"swap\"\npriority = 1\n";
    kit.describe("size = \"16M\"", &(optional.to_owned() + &esp("")));
    let beside = refused(&kit);
    kit.describe("size = \"64K\"", optional);
    insta::assert_snapshot!(fixed + &beside + &refused(&kit));
}

#[test]
fn names_that_differ_in_case_are_refused_with_their_origins() {
    let kit = Kit::empty();
    kit.write("tree/EFI/BOOT/x", "1");
    kit.write("tree/efi/boot/y", "2");
    kit.describe("", &esp(""));
    let directories = refused(&kit);
    fs::remove_dir_all(kit.path("tree/efi")).unwrap();
    kit.write("tree/EFI/BOOT/X", "2");
    insta::assert_snapshot!(directories + &refused(&kit));
}

#[test]
fn a_file_over_4_gib_is_refused() {
    let kit = Kit::empty();
    kit.write("tree/huge", "");
    let file = fs::File::options()
        .write(true)
        .open(kit.path("tree/huge"))
        .unwrap();
    file.set_len(1 << 32).unwrap();
    kit.describe("", &esp(""));
    insta::assert_snapshot!(refused(&kit));
}

#[test]
fn content_that_changed_since_its_manifest_is_refused() {
    let kit = Kit::with_manifest();
    kit.compose().args(["-q", "image.toml"]).ok();
    fs::remove_file(kit.image()).unwrap();
    // Of the same length, so that only the digest tells.
    kit.write("out/esp/EFI/file", "CONTENT");
    let content = refused(&kit);
    kit.write("out/esp/EFI/file", "longer content");
    let length = refused(&kit);
    fs::remove_file(kit.path("out/esp/EFI/file")).unwrap();
    insta::assert_snapshot!(content + &length + &refused(&kit));
}

#[test]
fn a_file_renamed_over_another_is_noticed() {
    let kit = Kit::with_manifest();
    // It is older than the manifest; only the rename is new.
    let old = fs::File::open(kit.path("out/esp/EFI/file")).unwrap();
    let time = old.metadata().unwrap().modified().unwrap();
    kit.write("other", "CONTENT");
    fs::File::options()
        .write(true)
        .open(kit.path("other"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    fs::rename(kit.path("other"), kit.path("out/esp/EFI/file")).unwrap();
    assert!(refused(&kit).contains("changed its content"));
}

#[test]
fn manifests_that_cannot_be_trusted_are_refused() {
    let kit = Kit::with_manifest();
    let sound = manifest("EFI/file", b"content");
    let said = [
        sound.replace("\"version\":1", "\"version\":2"),
        sound.replace("\"size\"", "\"owner\":0,\"size\""),
        sound.replace("esp/EFI/file", "../../etc/passwd"),
        sound.replace("\"EFI/file\"", "\"../EFI/file\""),
        sound.replace("\"trees\"", "\"tree\""),
        sound[..40].to_owned(),
    ]
    .map(|text| {
        kit.write("out/manifest.json", text);
        refused(&kit)
    });
    insta::assert_snapshot!(said.concat());
}

#[test]
fn missing_and_unusual_sources_are_refused() {
    let kit = Kit::empty();
    kit.describe("", &esp(""));
    let missing = refused(&kit);
    kit.describe("", &esp("").replace("\"tree\"", "\"manifest.json#esp\""));
    let no_manifest = refused(&kit);
    let kit = Kit::with_manifest();
    kit.describe(
        "",
        &esp("").replace("\"tree\"", "\"out/manifest.json#xbootldr\""),
    );
    let no_role = refused(&kit);
    kit.write("tree/x", "");
    std::os::unix::fs::symlink("nowhere", kit.path("tree/dangling")).unwrap();
    kit.describe("", &esp(""));
    let dangling = refused(&kit);
    fs::remove_file(kit.path("tree/dangling")).unwrap();
    std::os::unix::fs::symlink("..", kit.path("tree/up")).unwrap();
    let looping = refused(&kit);
    insta::assert_snapshot!(missing + &no_manifest + &no_role + &dangling + &looping);
}

#[test]
fn an_output_that_is_no_file_is_not_replaced() {
    let kit = Kit::with_tree();
    kit.describe("", &esp(""));
    fs::create_dir(kit.image()).unwrap();
    assert!(refused(&kit).contains("`image.raw` is a directory"));
}

#[test]
fn an_older_image_stays_when_a_new_one_fails() {
    let kit = Kit::with_manifest();
    kit.compose().args(["-q", "image.toml"]).ok();
    let before = fs::read(kit.image()).unwrap();
    kit.write("out/esp/EFI/file", "CONTENT");
    refused(&kit);
    assert!(fs::read(kit.image()).unwrap() == before);
}

#[test]
fn a_dry_run_writes_nothing() {
    let kit = Kit::with_tree();
    kit.describe("", &esp(""));
    let before = kit.names();
    let said = kit.compose().args(["--dry-run", "image.toml"]).ok();
    assert_eq!(kit.names(), before);
    insta::assert_snapshot!(said);
    let json = kit
        .compose()
        .args(["--dry-run", "--json", "image.toml"])
        .ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["written"], false);
    assert_eq!(json["layout"]["partitions"][0]["type"], "esp");
}

#[test]
fn a_full_disk_is_noticed_before_the_first_byte_and_leaves_nothing() {
    let kit = Kit::with_tree();
    kit.describe("", &esp(""));
    fs::create_dir(kit.path("small")).unwrap();
    let compose = binary::built("compose");
    let script = |size: &str, options: &str| {
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs small; '{}' -q image.toml -o small/{options}; \
             status=$?; ls -A small; exit $status",
            compose.display()
        );
        let unshare = Peer::host("unshare").dir(kit.root());
        unshare.args(["--mount", "--map-root-user", "bash", "-c", &script])
    };
    let output = script("2M", "image.raw").run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("`small/image.raw` takes ")
            && said.contains("has 2 MiB (2097152 bytes) free"),
        "{said}"
    );
    assert!(said.contains("hint: free space"), "{said}");
    assert_eq!(output.stdout, b"", "something was left behind");
    assert_eq!(script("8M", "image.raw").ok(), "image.raw\n");
}
