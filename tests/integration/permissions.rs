use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::{Peer, binary};

use crate::kit::{Kit, esp, noise};
use crate::secrets;

/// Every path below a folder with its permissions and the time of its last change, which
/// no program can set.
fn stamps(kit: &Kit, folder: &str) -> String {
    let find = Peer::host("find").dir(kit.root());
    let listed = find.args([folder, "-printf", "%p %m %C@\\n"]).ok();
    let mut lines: Vec<_> = listed.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn nothing_in_a_store_is_written() {
    let kit = secrets::machine();
    let before = stamps(&kit, "nix/store");
    secrets::install(&kit).ok();
    let build = |output: &str, more: &[&str]| {
        let esp_builder = kit.esp_builder().args(["--bootspec", "boot.json"]);
        esp_builder
            .args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"])
            .args(more)
            .arg(output)
            .ok();
    };
    build("out", &[]);
    build("slim", &["--by-reference"]);
    let partition = esp("").replace("\"tree\"", "\"slim/manifest.json#esp\"");
    kit.describe("", &partition);
    kit.compose().args(["-q", "image.toml"]).ok();
    assert_eq!(stamps(&kit, "nix/store"), before);
}

#[test]
fn secrets_are_for_their_owner_whatever_the_umask() {
    let kit = secrets::machine();
    let script = "umask 000; exec \"$@\"";
    // The call, as the arguments of a shell.
    let store = kit.path("nix/store").display().to_string();
    Peer::host("sh")
        .dir(kit.root())
        .args(["-c", script, "sh"])
        .arg(binary::built("esp-builder"))
        .args(["install", "--esp", "esp", "--no-mount-check", "-q"])
        .args(["--bootspec", "1.json", "--bootspec", "2.json"])
        .args(["--systemd-boot", "systemd-bootx64.efi", "--no-variables"])
        .args(["--store-dir", &store])
        .ok();
    let listed = Peer::host("find").dir(kit.path("esp"));
    let listed = listed.args([".", "-type", "f", "-printf", "%m %p\\n"]).ok();
    let secret = |line: &&str| line.ends_with("-secrets.efi");
    let secrets: Vec<_> = listed.lines().filter(secret).collect();
    assert_eq!(secrets.len(), 2, "{listed}");
    assert!(
        secrets.iter().all(|line| line.starts_with("600 ")),
        "{listed}"
    );
    assert!(!listed.contains("666 ./loader"), "{listed}");
    let found = Peer::host("grep").args(["-rlF", "secret one"]);
    let found = found.arg(kit.path("esp")).ok();
    let found: Vec<_> = found.lines().collect();
    assert!(found.iter().all(|path| path.ends_with("-secrets.efi")));
}

#[test]
fn a_key_that_others_can_read_signs_no_root_hash() {
    let kit = Kit::empty();
    kit.write("blocks", noise(1, 1 << 20));
    let partition = |kind: &str, role: &str| {
        format!(
            "[[partition]]\ntype = \"usr-x86-64{kind}\"\nverity = \"{role}\"\n\
             verity-match-key = \"a\"\n"
        )
    };
    let data = partition("", "data") + "copy-blocks = \"blocks\"\n";
    let set = data + &partition("-verity", "hash") + &partition("-verity-sig", "signature");
    kit.describe("", &set);
    kit.make_key();
    let compose = || {
        let compose = kit.compose().args(["-q", "image.toml", "--private-key"]);
        compose.args(["key.pem", "--certificate", "certificate.pem"])
    };
    for mode in [0o644, 0o640, 0o620] {
        fs::set_permissions(kit.path("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
        let said = compose().fails(1);
        let expected = format!(
            "error: the private key `key.pem` has mode {mode:04o}: its group or others have a \
             right to it\nhint: "
        );
        assert!(said.starts_with(&expected), "{said}");
    }
    fs::set_permissions(kit.path("key.pem"), fs::Permissions::from_mode(0o400)).unwrap();
    compose().ok();
}

/// What a description or a file name says is never read by a shell.
#[test]
fn programs_are_started_without_a_shell() {
    let kit = Kit::with_tree();
    let more = "[[partition]]\ntype = \"linux-generic\"\nsize-min-bytes = \"1M\"\n\
        label = \"$(touch x)`id`\"\n";
    kit.describe("compress = \"zstd\"", &(esp("") + more));
    Peer::host("strace")
        .dir(kit.root())
        .args(["-f", "-qqq", "-o", "calls", "-e", "trace=execve"])
        .arg(binary::built("compose"))
        .args(["-q", "image.toml"])
        .ok();
    let calls = fs::read_to_string(kit.path("calls")).unwrap();
    let started = calls.lines().filter(|line| line.ends_with(" = 0"));
    let started = started.filter_map(|line| line.split('"').nth(1));
    let names = started.filter_map(|path| path.rsplit('/').next());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["compose", "zstd"]);
    assert!(!kit.path("x").exists());
}
