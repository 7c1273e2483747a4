use std::fs;

use integration_tests::Peer;

use crate::kit::{Kit, SEED, judge_fat, judge_table, partitions};

/// Partitions that both engines can make, with sizes systemd-repart has no floor above.
const PARTITIONS: &str = "[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\ntree = \"tree\"\n\
    make-directories = [\"/loader/keys\"]\nexclude-files = [\"tree/loader/entries/\"]\n\
    [[partition]]\ntype = \"root\"\nsize-min-bytes = \"1M\"\nsize-max-bytes = \"5M\"\n\
    [[partition]]\ntype = \"swap\"\nsize-max-bytes = \"3M\"\nsize-min-bytes = \"3M\"\n\
    [[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"tree/NO-EXT\"\npadding-min-bytes = \"1M\"\n";

fn table(kit: &Kit, name: &str) -> String {
    let dump = Peer::host("sfdisk").arg("-d").arg(kit.path(name)).ok();
    dump.replace(&kit.path(name).display().to_string(), "disk")
}

/// A kit with sources that both engines can read, and this description.
fn kit(image: &str) -> Kit {
    let kit = Kit::with_tree();
    kit.write("tree/NO-EXT", vec![5; 512 * 2000]);
    // Too long for mtools, and a name it gives back in another encoding.
    fs::remove_dir_all(kit.path("tree/EFI/nixos")).unwrap();
    kit.describe(
        &format!("architecture = \"x86-64\"\nminimum-sizes = \"repart\"\n{image}"),
        PARTITIONS,
    );
    kit
}

#[test]
fn both_engines_make_the_same_image() {
    for image in ["", "size = \"256M\""] {
        let kit = kit(image);
        let repart = kit.sid_program("repart-262", "systemd-repart");
        kit.compose().args(["-q", "image.toml"]).ok();
        let said = kit
            .compose()
            .args([
                "--engine",
                "repart",
                "--json",
                "image.toml",
                "-o",
                "theirs.raw",
            ])
            .args(["--repart", &repart])
            .ok();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["layout"]["partitions"][1]["type"], "root-x86-64");
        assert_eq!(table(&kit, "image.raw"), table(&kit, "theirs.raw"));
        let swap = |name: &str| {
            let at = partitions(&kit.path(name), 512)[2].start;
            let at = usize::try_from(at).unwrap();
            fs::read(kit.path(name)).unwrap()[at..at + 4096].to_vec()
        };
        assert!(
            swap("image.raw") == swap("theirs.raw"),
            "mkswap writes another header"
        );
        fs::remove_dir_all(kit.path("tree/loader/entries")).unwrap();
        for name in ["tree/loader/entries", "tree/loader/keys"] {
            fs::create_dir_all(kit.path(name)).unwrap();
        }
        for name in ["image.raw", "theirs.raw"] {
            judge_table(&kit.path(name), 512);
            let volume = &partitions(&kit.path(name), 512)[0];
            judge_fat(&kit.path(name), volume, &kit.path("tree"));
        }
    }
}

#[test]
fn definitions_are_written_that_make_the_image() {
    let kit = kit("");
    kit.compose().args(["-q", "image.toml"]).ok();
    let said = kit
        .compose()
        .args(["repart", "image.toml", "-o", "repart.d"])
        .ok();
    assert!(said.contains(SEED), "{said}");
    let mut words: Vec<&str> = said.split_whitespace().collect();
    words.pop();
    Peer::sid(words[0])
        .dir(kit.root())
        .args(&words[1..])
        .arg("theirs.raw")
        .ok();
    assert_eq!(table(&kit, "image.raw"), table(&kit, "theirs.raw"));
    let compose = kit
        .compose()
        .args(["-q", "--definitions", "repart.d", "--seed", SEED]);
    compose.args(["-o", "again.raw"]).ok();
    assert!(fs::read(kit.image()).unwrap() == fs::read(kit.path("again.raw")).unwrap());
}

#[test]
fn what_systemd_repart_cannot_do_is_told() {
    let kit = kit("engine = \"repart\"");
    let said = kit
        .compose()
        .args(["--repart", "no-such-repart", "image.toml"])
        .fails(1);
    assert!(
        said.contains("`no-such-repart` is not there") && said.contains("install `systemd-repart`"),
        "{said}"
    );
    let old = kit.sid_program("old", "echo systemd 256 '(256.7)' #");
    let more = "[[partition]]\ntype = \"root\"\nmake-symlinks = [\"/a:b\"]\n";
    kit.describe("engine = \"repart\"", more);
    let said = kit
        .compose()
        .args(["--repart", &old, "image.toml"])
        .fails(1);
    assert!(
        said.contains("is of version 256, and `make-symlinks` needs 257"),
        "{said}"
    );
    kit.describe(
        "engine = \"repart\"\nsize = \"8M\"",
        "[[partition]]\ntype = \"home\"\n",
    );
    let repart = kit.sid_program("repart-262", "systemd-repart");
    let before = kit.names();
    let said = kit
        .compose()
        .args(["--repart", &repart, "image.toml"])
        .fails(1);
    assert!(
        said.contains("repart-262` failed (exit status: 1)"),
        "{said}"
    );
    assert_eq!(kit.names(), before, "something was left behind");
}

#[test]
fn the_types_are_those_of_systemd() {
    let kit = Kit::empty();
    let listed = Peer::sid("systemd-id128").arg("show").ok();
    let listed: Vec<(&str, &str)> = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(char::is_whitespace))
        .collect();
    assert!(
        listed.len() > 200,
        "systemd-id128 lists {} types",
        listed.len()
    );
    for types in listed.chunks(100) {
        let mut partitions = String::new();
        for (name, _) in types {
            partitions += &format!(
                "[[partition]]\ntype = \"{name}\"\nsize-min-bytes = \"40K\"\nsize-max-bytes = \"40K\"\n"
            );
        }
        kit.describe("architecture = \"x86-64\"", &partitions);
        kit.compose().args(["-q", "image.toml"]).ok();
        let table = table(&kit, "image.raw");
        let found = table
            .lines()
            .filter_map(|line| line.split_once("type=")?.1.get(..36));
        let found: Vec<_> = found
            .map(|guid| guid.replace('-', "").to_lowercase())
            .collect();
        let wanted: Vec<_> = types.iter().map(|(_, guid)| guid.trim()).collect();
        assert_eq!(found, wanted);
    }
}
