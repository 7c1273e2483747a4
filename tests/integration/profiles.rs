use std::collections::BTreeSet;
use std::fs;

use integration_tests::Peer;

use crate::kit::Kit;
use crate::system::made_up_document;

const PROFILES: &str = "nix/var/nix/profiles";

/// A shell of the sid chroot with a Nix whose store and profiles are in the kit.
fn nix(kit: &Kit, script: &str) -> String {
    let head = "set -eu; export NIX_STORE_DIR=$PWD/nix/store NIX_STATE_DIR=$PWD/nix/var/nix \
                NIX_LOG_DIR=$PWD/nix/log NIX_CONF_DIR=$PWD\n";
    let peer = Peer::sid("sh").dir(kit.root());
    peer.args(["-c", &format!("{head}{script}")]).ok()
}

/// A kit with systems 1 to 5 outside of a store, each with a document; `tops/N` will be
/// where system N is.
fn with_systems() -> Kit {
    let kit = Kit::with_made_up_system();
    let root = fs::canonicalize(kit.root()).unwrap();
    let at = |path: &str| root.join(path).display().to_string();
    for number in 1..=5 {
        let mut document = made_up_document(&format!("system {number}"));
        let v1 = &mut document["org.nixos.bootspec.v1"];
        v1["kernel"] = at("nix/store/0000-linux-6.12/bzImage").into();
        v1["initrd"] = at("nix/store/1111-initrd/initrd").into();
        v1["toplevel"] = at(&format!("tops/{number}")).into();
        v1["init"] = at(&format!("tops/{number}/init")).into();
        kit.write(&format!("new/{number}/boot.json"), document.to_string());
    }
    kit
}

/// What Nix itself makes of profiles: gaps after a deletion, a second profile, and a
/// present generation that is not the newest.
#[test]
fn profiles_that_nix_made_are_read_as_nix_lists_them() {
    let kit = with_systems();
    let script = format!(
        "mkdir -p tops {PROFILES}/system-profiles
         for n in 1 2 3 4 5; do
           ln -s \"$(nix-store --add new/$n)\" tops/$n
           nix-env -p $PWD/{PROFILES}/system --set \"$(readlink tops/$n)\"
         done
         for n in 2 4; do
           nix-env -p $PWD/{PROFILES}/system-profiles/work --set \"$(readlink tops/$n)\"
         done
         nix-env -p $PWD/{PROFILES}/system --delete-generations 2 4
         nix-env -p $PWD/{PROFILES}/system --rollback
         for p in system system-profiles/work; do
           nix-env -p $PWD/{PROFILES}/$p --list-generations | while read -r n rest; do
             echo \"${{p##*/}} $n\"
           done
         done"
    );
    let listed = nix(&kit, &script);
    let expected: BTreeSet<String> = listed
        .lines()
        .map(|line| {
            let (profile, number) = line.split_once(' ').unwrap();
            let profile = profile.replace("system", "");
            let dash = if profile.is_empty() { "" } else { "-" };
            format!("nixos{dash}{profile}-generation-{number}.conf")
        })
        .collect();
    assert_eq!(expected.len(), 5, "{listed}");

    let root = fs::canonicalize(kit.root()).unwrap();
    let build = |toplevel: &str| {
        let peer = kit.esp_builder().arg("--profile");
        let peer = peer.arg(root.join(PROFILES).join("system"));
        let peer = peer.arg("--store-dir").arg(root.join("nix/store"));
        let peer = peer.args(["--systemd-boot", "systemd-bootx64.efi", "--toplevel"]);
        peer.arg(root.join(toplevel)).arg("out").ok();
        let conf = fs::read_to_string(kit.path("out/esp/loader/loader.conf")).unwrap();
        let default = conf.lines().find_map(|line| line.strip_prefix("default "));
        default.unwrap().to_owned()
    };
    // As NixOS calls it: with what the profile leads to, after the roll-back.
    let present = fs::canonicalize(root.join(PROFILES).join("system")).unwrap();
    let present = present.strip_prefix(&root).unwrap().to_str().unwrap();
    assert_eq!(build(present), "nixos-generation-3.conf");
    let entries = fs::read_dir(kit.path("out/esp/loader/entries")).unwrap();
    let entries: BTreeSet<String> = entries
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(entries, expected);
    // Each entry is that of the system its link leads to.
    for (name, system) in [
        ("nixos-generation-5.conf", "system 5"),
        ("nixos-work-generation-1.conf", "system 2"),
        ("nixos-work-generation-2.conf", "system 4"),
    ] {
        let text = fs::read_to_string(kit.path("out/esp/loader/entries").join(name)).unwrap();
        assert!(text.contains(system), "{name}: {text}");
    }
    assert_eq!(build("tops/1"), "nixos-generation-1.conf");
}
