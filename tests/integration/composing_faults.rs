use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::{Mounted, Peer, binary};

use crate::faults::{CHANGES, strike_everywhere, struck};
use crate::kit::{Kit, SEED, esp, file_system_programs, judge_table, noise};

/// A partition of a tree with a folder more, so that no program reads it in place.
fn partition(format: &str) -> String {
    format!(
        "[[partition]]\ntype = \"root\"\nformat = \"{format}\"\ncopy-files = [\"tree:/\"]\n\
         make-directories = [\"/more\"]\n"
    )
}

const BLOCKS: &str = "[[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"tree/blocks\"\n";

#[test]
fn programs_that_run_out_of_room_are_quoted_with_numbers_and_leave_nothing() {
    let kit = Kit::empty();
    file_system_programs(&kit);
    kit.write("tree/blocks", noise(1, 12 << 20));
    let disk = Mounted::small(4);
    let image = disk.path().join("image");
    let formats = ["btrfs", "erofs", "xfs", "squashfs"];
    let mut cases: Vec<_> = formats.map(|format| ("", partition(format))).into();
    // No program makes one without.
    cases[1].1 += "compression = \"lz4\"\n";
    for compressor in ["compress = \"zstd:1\"", "compress = \"xz:1\""] {
        cases.push((compressor, BLOCKS.to_owned()));
    }
    for (keys, partition) in cases {
        kit.describe(keys, &partition);
        let compose = kit.compose_with_programs().args(["image.toml", "-o"]);
        let said = compose.arg(&image).fails(1);
        for expected in [
            "lies on a file system that had 4 MiB (4194304 bytes) free",
            "o space left on device",
            "\nhint: free space",
        ] {
            assert!(said.contains(expected), "{keys}{partition}{said}");
        }
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "{said}");
    }
}

#[test]
fn a_source_that_cannot_be_read_is_named() {
    let kit = Kit::empty();
    file_system_programs(&kit);
    let programs = format!("{}:/usr/bin:/bin", kit.path("sid").display());
    kit.write("tree/blocks", noise(1, 3 << 20));
    let source = kit.path("tree/blocks");
    let calls = "read,pread64,copy_file_range";
    for (keys, partitions, has_many_reads) in [
        ("", BLOCKS.to_owned(), false),
        ("compress = \"zstd:1\"", BLOCKS.to_owned(), true),
        ("format = \"qcow2\"", esp(""), false),
        ("", partition("erofs"), false),
        ("", partition("ext4"), false),
        ("", partition("squashfs"), true),
    ] {
        kit.describe(keys, &partitions);
        let before = kit.names();
        // The first call, and one in the middle of the file.
        for number in ["1+100", "2+100"] {
            let compose = Peer::host("strace")
                .dir(kit.root())
                .env("PATH", &programs)
                .args(["-f", "-qqq", "-o", "/dev/null", "-P"])
                .arg(&source)
                .args(["-e", &format!("trace={calls}")])
                .args(["-e", &format!("inject={calls}:error=EIO:when={number}")])
                .arg(binary::built("compose"))
                .args(["-q", "image.toml"]);
            let output = compose.run();
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                assert!(number == "2+100" && !has_many_reads, "{number} {keys}");
                fs::remove_file(kit.image()).unwrap();
                continue;
            }
            assert!(
                said.contains("tree/blocks`") && said.contains("Input/output error"),
                "{number} {keys}{said}"
            );
            assert_eq!(kit.names(), before, "{said}");
        }
    }
}

/// Who reads a pipe may not see how `compose` ended.
#[test]
fn a_compressed_stream_that_was_cut_short_does_not_look_complete() {
    let kit = Kit::empty();
    kit.write("tree/blocks", noise(1, 3 << 20));
    kit.describe("compress = \"xz:1\"", BLOCKS);
    let output = Peer::host("strace")
        .dir(kit.root())
        .args(["-f", "-qqq", "-o", "/dev/null", "-P"])
        .arg(kit.path("tree/blocks"))
        .args(["-e", "trace=pread64", "-e"])
        .arg("inject=pread64:error=EIO:when=3")
        .arg(binary::built("compose"))
        .args(["-q", "image.toml", "-o", "-"])
        .run();
    assert_eq!(output.status.code(), Some(1));
    kit.write("cut.xz", output.stdout);
    Peer::host("xz").arg("-t").arg(kit.path("cut.xz")).fails(1);
}

/// Programs take a part of their input, do something to the source, and take the rest.
#[test]
fn a_source_that_changes_while_it_is_read_spoils_nothing() {
    let kit = Kit::empty();
    let blocks = noise(1, 8 << 20);
    kit.write("tool", "");
    fs::set_permissions(kit.path("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    for change in [
        "truncate -s 5M tree/blocks",
        "echo more >>tree/blocks",
        "cp -p tree/blocks tree/copy; echo >tree/blocks",
        "printf x | dd of=tree/blocks conv=notrunc status=none",
    ] {
        kit.write("tree/blocks", &blocks);
        let script = "head -c 100000 >/dev/null\n";
        let folder = kit.root().display();
        let script = format!("#!/bin/sh\n{script}cd '{folder}'; {change}\ncat >/dev/null\n");
        kit.write("tool", script);
        for (keys, partition, tool) in [
            ("compress = \"zstd\"", BLOCKS.to_owned(), "zstd"),
            ("", partition("squashfs"), "mksquashfs"),
        ] {
            kit.write("tree/blocks", &blocks);
            kit.describe(keys, &partition);
            let before = kit.names();
            let compose = kit.compose().args(["image.toml", "--tool"]);
            let said = compose.arg(format!("{tool}=./tool")).fails(1);
            assert!(
                said.contains("tree/blocks` changed while it was copied"),
                "{change}: {said}"
            );
            assert_eq!(kit.names(), before, "{change}: {said}");
        }
        let _ = fs::remove_file(kit.path("tree/copy"));
    }
}

/// The bytes of each partition of an image of [`updates`].
fn parts(image: &[u8]) -> [&[u8]; 2] {
    let end = image.len() - (20 << 10);
    let second = end - (1 << 20);
    [&image[1 << 20..second], &image[second..end]]
}

/// An image and what becomes of it: its partitions and their table differ.
fn updates() -> (Kit, Vec<u8>, Vec<u8>) {
    let kit = Kit::empty();
    let images = [1, 2].map(|version| {
        kit.write("tree/kernel", noise(version, 90_000 * version));
        kit.write("blocks", noise(version + 2, 1 << 20));
        let more = format!(
            "[[partition]]\ntype = \"linux-generic\"\nlabel = \"data_{version}\"\n\
             copy-blocks = \"blocks\"\n"
        );
        kit.describe("", &(esp("size-min-bytes = \"3M\"") + &more));
        kit.compose().args(["-q", "image.toml"]).ok();
        fs::read(kit.image()).unwrap()
    });
    let [old, new] = images;
    assert!(
        fs::read_to_string(kit.path("image.toml"))
            .unwrap()
            .contains(SEED)
    );
    (kit, old, new)
}

#[test]
fn a_killed_update_leaves_a_table_and_whole_partitions_but_one() {
    let (kit, old, new) = updates();
    for (fault, step) in [
        ("signal=SIGKILL", 1),
        ("signal=SIGINT", 3),
        ("error=EIO", 2),
    ] {
        let count = strike_everywhere(step, |number| {
            fs::write(kit.image(), &old).unwrap();
            let compose = struck(&kit, "compose", CHANGES, fault, number);
            let output = compose
                .args(["update", "-q", "image.raw", "image.toml"])
                .run();
            let found = fs::read(kit.image()).unwrap();
            assert_eq!(found.len(), old.len());
            let states = parts(&found).into_iter().zip(parts(&old)).zip(parts(&new));
            let between = states.filter(|((found, old), new)| found != old && found != new);
            assert!(between.count() <= 1, "{fault} {number}");
            let said = kit.compose().args(["inspect", "image.raw"]).ok();
            let label = said.contains("data_1") || said.contains("data_2");
            assert!(label, "{fault} {number}: {said}");
            // No partition is called new before all of it is.
            if said.contains("data_2") {
                assert!(parts(&found) == parts(&new), "{fault} {number}");
            }
            let update = kit.compose().args(["update", "-q", "image.raw"]);
            update.arg("image.toml").ok();
            assert!(fs::read(kit.image()).unwrap() == new, "{fault} {number}");
            output
        });
        assert!(count >= 3, "{fault} {count}");
    }
    judge_table(&kit.image(), 512);
}
