use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use integration_tests::{Peer, binary};

use crate::kit::{Kit, esp, judge_table, noise};

/// An image of an ESP and protected data.
fn kit() -> Kit {
    let kit = Kit::empty();
    kit.write("tree/loader/loader.conf", "timeout 1\n");
    kit.write("tree/kernel", noise(1, 300_000));
    kit.write("blocks", noise(2, 1 << 20));
    let data = "[[partition]]\ntype = \"usr-x86-64\"\nverity = \"data\"\n\
        verity-match-key = \"a\"\ncopy-blocks = \"blocks\"\n\
        [[partition]]\ntype = \"usr-x86-64-verity\"\nverity = \"hash\"\n\
        verity-match-key = \"a\"\n";
    kit.describe("", &(esp("") + data));
    kit.compose().args(["-q", "image.toml"]).ok();
    kit
}

fn update(kit: &Kit) -> String {
    kit.compose()
        .args(["update", "image.raw", "image.toml"])
        .ok()
}

/// The image is the one that is composed anew, and as sparse.
fn is_as_new(kit: &Kit) {
    kit.compose().args(["-q", "image.toml", "-o", "new"]).ok();
    let [found, new] = ["image.raw", "new"].map(|name| kit.path(name));
    assert!(fs::read(&found).unwrap() == fs::read(&new).unwrap());
    let blocks = |path| fs::metadata(path).unwrap().blocks();
    assert!(blocks(&found) <= blocks(&new) + 64);
    judge_table(&found, 512);
}

#[test]
fn an_update_writes_only_what_differs() {
    let kit = kit();
    let before = fs::metadata(kit.image()).unwrap();
    assert_eq!(update(&kit), "nothing differs\n");
    let after = fs::metadata(kit.image()).unwrap();
    let changed = |found: &fs::Metadata| (found.ino(), found.mtime(), found.mtime_nsec());
    assert_eq!(changed(&before), changed(&after));
    // Less content: what was there becomes a hole again.
    kit.write("tree/kernel", noise(3, 1000));
    assert_eq!(update(&kit), "wrote partition 1\n");
    is_as_new(&kit);
    // The root hash is in the table.
    kit.write("blocks", noise(4, 1 << 20));
    let said = "wrote partition 2\nwrote partition 3\nwrote the partition table\n";
    assert_eq!(update(&kit), said);
    is_as_new(&kit);
}

#[test]
fn damaged_tables_are_repaired_from_the_other_one() {
    let kit = kit();
    let length = fs::metadata(kit.image()).unwrap().len();
    for (at, which) in [
        (512 + 16, "primary"),
        (length - 512 + 16, "backup"),
        (1030, "primary"),
    ] {
        let file = fs::OpenOptions::new().write(true).open(kit.image());
        file.unwrap().write_all_at(b"damage", at).unwrap();
        let said = update(&kit);
        assert!(
            said.starts_with(&format!("repaired {which} partition table")),
            "{said}"
        );
        assert!(said.ends_with("wrote the partition table\n"), "{said}");
        is_as_new(&kit);
    }
}

#[test]
fn what_would_have_to_move_is_refused_and_nothing_is_written() {
    let kit = kit();
    let before = fs::read(kit.image()).unwrap();
    let text = fs::read_to_string(kit.path("image.toml")).unwrap();
    let mut said = String::new();
    for (from, to) in [
        ("[image]", "[image]\nsize = \"80M\""),
        ("[image]", "[image]\nsector-size = 4096"),
        (
            "type = \"esp\"",
            "type = \"esp\"\npadding-min-bytes = \"1M\"",
        ),
    ] {
        kit.write("image.toml", text.replacen(from, to, 1));
        let compose = kit.compose().args(["update", "image.raw", "image.toml"]);
        said += &compose.fails(1);
        assert!(fs::read(kit.image()).unwrap() == before);
    }
    insta::assert_snapshot!(said);
}

#[test]
fn an_interrupted_update_leaves_a_table_and_the_next_one_finishes() {
    let kit = kit();
    let length = fs::metadata(kit.image()).unwrap().len();
    // The process dies at the first write behind so many KiB.
    for (round, limit) in [1024, 34 * 1024, length / 1024 - 16, length / 1024 - 1]
        .into_iter()
        .enumerate()
    {
        kit.write("tree/kernel", noise(10 + round, 200_000));
        kit.write("blocks", noise(20 + round, 1 << 20));
        let compose = binary::built("compose");
        let script = format!(
            "ulimit -f {limit}; exec '{}' update -q image.raw image.toml",
            compose.display()
        );
        let bash = Peer::host("bash").dir(kit.root()).args(["-c", &script]);
        assert!(!bash.run().status.success(), "{limit}");
        kit.compose().args(["inspect", "image.raw"]).ok();
        let said = update(&kit);
        assert!(said.contains("wrote the partition table"), "{said}");
        is_as_new(&kit);
    }
}

/// What is added is compared first, and counts as done when it is there.
#[test]
fn progress_ends_where_it_said_it_would() {
    let kit = kit();
    let more = "[[partition]]\ntype = \"esp\"\n[[partition]]\ntype = \"home\"\n\
        copy-blocks = \"blocks\"\nsize-min-bytes = \"3M\"\nsize-max-bytes = \"3M\"\n";
    kit.describe("", more);
    let compose = kit
        .compose()
        .args(["--empty", "refuse", "--progress", "json"]);
    let output = compose.args(["--json", "image.toml"]).run();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = report["layout"]["partitions"].as_array().unwrap();
    let numbers = told.iter().map(|it| it["partno"].as_u64().unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4]);
    let said = String::from_utf8(output.stderr).unwrap();
    let line: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&line["done"], &line["total"]),
        (&(3 << 20).into(), &(3 << 20).into())
    );
}

#[test]
fn what_only_new_images_can_be_is_refused() {
    let kit = kit();
    let before = fs::read(kit.image()).unwrap();
    for options in [
        ["--empty", "force"],
        ["--format", "raw"],
        ["--compress", "xz"],
    ] {
        let compose = kit.compose().args(["update", "image.raw", "image.toml"]);
        let said = compose.args(options).fails(1);
        assert!(said.contains("`image.raw` is updated as it is"), "{said}");
    }
    assert!(fs::read(kit.image()).unwrap() == before);
}

#[test]
fn an_image_that_another_process_writes_to_is_left_alone() {
    let kit = kit();
    let before = fs::read(kit.image()).unwrap();
    kit.write("tree/kernel", noise(10, 200_000));
    let held = |arguments: &[&str]| {
        let flock = Peer::host("flock").dir(kit.root()).arg("image.raw");
        flock.arg(binary::built("compose")).args(arguments).fails(1)
    };
    let said = held(&["update", "image.raw", "image.toml"]);
    let reason = "error: output `image.raw` is being written to by another process\n";
    assert!(said.starts_with(reason), "{said}");
    kit.describe("", "[[partition]]\ntype = \"home\"\n");
    let added = held(&["--empty", "refuse", "image.toml"]);
    assert!(added.contains(reason), "{added}");
    assert!(fs::read(kit.image()).unwrap() == before);
}
