use std::fs;

use integration_tests::Peer;

use crate::kit::{Kit, file_system_programs, partitions};

/// Runs a script with a store of its own in `nix/store`.
fn nix(kit: &Kit, script: &str) -> String {
    let head = "set -eu; export NIX_STORE_DIR=$PWD/nix/store NIX_STATE_DIR=$PWD/nix/var/nix \
                NIX_LOG_DIR=$PWD/nix/log NIX_CONF_DIR=$PWD\n";
    let peer = Peer::sid("bash").dir(kit.root());
    peer.args(["-c", &format!("{head}{script}")]).ok()
}

/// A system that refers to a program, a text and a link, each an object of its own, and
/// an object that is not of its closure.
const SYSTEM: &str = r#"
let
  make = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "PATH=/bin:/usr/bin; ${script}" ];
  };
  text = builtins.toFile "text" "a text\n";
  program = make "program" "mkdir -p $out/bin; printf '#!/bin/sh\ncat ${text}\n' > $out/bin/run; chmod +x $out/bin/run";
  link = make "link" "ln -s ${program}/bin/run $out";
in make "system-1.0" "mkdir -p $out/etc; ln -s ${link} $out/init; echo ${text} > $out/etc/text; : > $out/etc/empty"
"#;

/// A kit with a store, and in `closure` what closureInfo would make of its system, in the
/// other dialect in `dump`. Returns the system's path as well.
fn kit() -> (Kit, String) {
    let kit = Kit::empty();
    kit.write("nix.conf", "sandbox = false\nbuild-users-group =\n");
    kit.write("system.nix", SYSTEM);
    kit.write("other", "not of the closure");
    let script = "system=$(nix-build --quiet --no-out-link system.nix)
        nix-store --add other > other-path
        mkdir closure; nix-store -qR $system | sort > closure/store-paths
        nix-store --dump-db $(cat closure/store-paths) > dump
        while read -r path; do
          echo $path; nix-store -q --hash $path; nix-store -q --size $path; echo
          nix-store -q --references $path | wc -l; nix-store -q --references $path
        done < closure/store-paths > closure/registration
        echo $system";
    let system = nix(&kit, script).trim().to_owned();
    file_system_programs(&kit);
    (kit, system)
}

/// Unpacks the partition to `out`; Nix must then load its registration and find all
/// objects as they were.
fn judge(kit: &Kit, unpack: &str, registration: &str, store: &str) {
    let found = &partitions(&kit.image(), 512)[0];
    let script = format!(
        "rm -rf out state volume
        dd if=image.raw of=volume bs=4096 skip={} count={} status=none conv=sparse
        {unpack}
        store=\"local?root=$PWD/state&store=$PWD/nix/store&real=$PWD/out{store}\"
        unset NIX_STATE_DIR NIX_LOG_DIR NIX_STORE_DIR
        nix-store --store \"$store\" --load-db < {registration}
        nix-store --store \"$store\" --verify --check-contents
        nix-store --store \"$store\" --dump-db | grep ^$PWD/nix/store | grep -v [.]drv$ | sort -u > known
        sort closure/store-paths | diff - known
        ls out{store} | sort > objects; sed s,.*/,, closure/store-paths | sort | diff - objects",
        found.start / 4096,
        found.size / 4096
    );
    nix(kit, &script);
}

const EXT4: &str = "e2fsck -fn volume >&2; mkdir out; debugfs -R 'rdump / out' volume >&2";
const EROFS: &str = "fsck.erofs --extract=out volume >&2";
const SQUASHFS: &str = "unsquashfs -quiet -no-progress -d out volume >&2";

fn describe(kit: &Kit, keys: &str) {
    let head = "[[partition]]\ntype = \"root\"\n";
    kit.describe("", &format!("{head}{keys}\n"));
}

#[test]
fn nix_finds_a_closure_whole_and_registered() {
    let (kit, system) = kit();
    for (format, unpack) in [("ext4", EXT4), ("erofs", EROFS), ("squashfs", SQUASHFS)] {
        let profile = "/nix/var/nix/profiles/system";
        describe(
            &kit,
            &format!(
                "format = \"{format}\"\nclosure = \"closure\"\n\
                 make-symlinks = [\"{profile}:system-1-link\", \"{profile}-1-link:{system}\"]"
            ),
        );
        kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        judge(&kit, unpack, "out/nix-path-registration", "/nix/store");
        let link = fs::read_link(kit.path("out/nix/var/nix/profiles/system-1-link")).unwrap();
        assert_eq!(link.to_str(), Some(system.as_str()));
    }
}

#[test]
fn a_store_may_have_a_partition_of_its_own() {
    let (kit, _) = kit();
    describe(
        &kit,
        "format = \"erofs\"\nclosure = \"closure/store-paths\"\nnix-store-prefix = \"/\"\n\
         [[partition]]\ntype = \"var\"\nformat = \"squashfs\"\nregistration = \"dump\"",
    );
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    judge(&kit, EROFS, "dump", "");
    let root = &partitions(&kit.image(), 512)[1];
    let script = format!(
        "rm -rf out; unsquashfs -o {} -quiet -no-progress -d out image.raw >&2
        diff out/nix-path-registration dump; ls -A out",
        root.start
    );
    assert_eq!(nix(&kit, &script), "nix-path-registration\n");
}

#[test]
fn systemd_repart_copies_the_same_closure() {
    let (kit, _) = kit();
    describe(&kit, "format = \"ext4\"\nclosure = \"closure\"\n");
    let repart = kit.sid_program("repart-262", "systemd-repart");
    let peer = kit
        .compose_with_programs()
        .args(["-q", "--engine", "repart"]);
    peer.args(["--repart", &repart, "image.toml"]).ok();
    judge(&kit, EXT4, "out/nix-path-registration", "/nix/store");
}

#[test]
fn closures_and_registrations_that_disagree_are_refused() {
    let (kit, system) = kit();
    let other = fs::read_to_string(kit.path("other-path")).unwrap();
    let all = fs::read_to_string(kit.path("closure/store-paths")).unwrap();
    kit.write("more", all.clone() + &other);
    kit.write("less", all.replace(&format!("{system}\n"), ""));
    let cases = [
        (
            "closure = \"more\"\nregistration = \"dump\"",
            "it does not register",
        ),
        (
            "closure = \"less\"\nregistration = \"dump\"",
            "which is not copied",
        ),
        ("closure = \"dump\"", "is no absolute path"),
        (
            "store-paths = [\"/etc/passwd\"]",
            "no name of a store object",
        ),
        (
            "store-paths = [\"/nix/store/00000000000000000000000000000000-gone\"]",
            "cannot read `/nix/store",
        ),
        (
            "format = \"vfat\"\nclosure = \"closure\"",
            "vfat cannot hold a store",
        ),
        (
            "closure = \"closure\"\nnix-store-prefix = \"/\"\nregistration = \"dump\"",
            "the partition that is the root of the system",
        ),
        (
            "closure = \"closure\"\ncopy-files = [\"dump:/nix-path-registration\"]",
            "`nix-path-registration` is there twice",
        ),
    ];
    for (keys, expected) in cases {
        describe(&kit, keys);
        let said = kit.compose_with_programs().arg("image.toml").fails(1);
        assert!(said.contains(expected), "{keys}\n{said}");
    }
}
