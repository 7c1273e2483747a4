use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use integration_tests::{Peer, guest};
use tree_manifest::Sha256;

use crate::kit::{Kit, SEED, esp, judge_fat, judge_table, manifest, noise, partitions, settle};

/// Composes a tree with these keys, and lets all the referees judge.
fn compose_and_judge(image: &str, keys: &str, sector: u64) -> Kit {
    let kit = Kit::with_tree();
    kit.describe(image, &esp(keys));
    kit.compose().arg("image.toml").ok();
    judge_table(&kit.image(), sector);
    judge_esp(&kit, sector);
    kit.compose().args(["verify", "image.raw"]).ok();
    kit
}

/// The judges of the first partition of the image, which has all of `tree`.
fn judge_esp(kit: &Kit, sector: u64) {
    let esp = &partitions(&kit.image(), sector)[0];
    judge_fat(&kit.image(), esp, &kit.path("tree"));
}

#[test]
fn files_are_put_together_from_pieces() {
    let kit = Kit::empty();
    let content = noise(3, 100_000);
    kit.write("kernel", &content);
    settle();
    let whole = [b"MZ\0", &[0; 4093][..], &content[4096..90_000], b"quiet"].concat();
    let pieces = format!(
        r#"{{"pieces":[{{"hex":"4d5a00"}},{{"zeros":4093}},{{"path":"{}","offset":4096,"length":85904}},{{"text":"quiet"}}]}}"#,
        kit.path("kernel").display()
    );
    let text = manifest("EFI/image.efi", &whole);
    let text = text.replace(r#"{"path":"esp/EFI/image.efi"}"#, &pieces);
    kit.write("manifest.json", &text);
    settle();
    kit.describe("", &esp("").replace("\"tree\"", "\"manifest.json#esp\""));
    kit.compose().args(["-q", "image.toml"]).ok();
    let out = kit.path("out");
    let extract = kit
        .compose()
        .args(["extract", "image.raw", "EFI/image.efi"]);
    extract.arg("-o").arg(&out).ok();
    assert!(fs::read(out.join("image.efi")).unwrap() == whole);
    // Another kernel of the same length is not what the manifest promised.
    kit.write("kernel", noise(4, 100_000));
    let said = kit.compose().args(["-q", "image.toml"]).fails(1);
    assert!(
        said.contains("`EFI/image.efi` changed its content"),
        "{said}"
    );
    kit.write("kernel", noise(4, 80_000));
    let said = kit.compose().args(["-q", "image.toml"]).fails(1);
    assert!(
        said.contains("shrank to 80000 bytes, of which 90000 are needed"),
        "{said}"
    );
}

#[test]
fn fat12_fat16_and_fat32_satisfy_the_referees() {
    for (size, fat_type) in [
        ("8M", "fat12"),
        ("8M", "fat16"),
        ("64M", "fat16"),
        ("64M", "fat32"),
    ] {
        let keys = format!(
            "size-min-bytes = \"{size}\"\nsize-max-bytes = \"{size}\"\nfat-type = \"{fat_type}\""
        );
        let cluster = if fat_type == "fat12" {
            "\ncluster-size = 4096"
        } else {
            ""
        };
        compose_and_judge("", &(keys + cluster), 512);
    }
}

#[test]
fn the_default_size_is_that_of_the_content() {
    let kit = compose_and_judge("", "", 512);
    let size = partitions(&kit.image(), 512)[0].size;
    assert_eq!(
        size,
        33 << 20,
        "the smallest with FAT32, which UEFI asks for"
    );
    let on_disk = fs::metadata(kit.image()).unwrap().blocks() * 512;
    assert!(
        on_disk < 5 << 20,
        "{on_disk} bytes are allocated: holes are missing"
    );
}

#[test]
fn sectors_of_4096_bytes_satisfy_the_referees() {
    for keys in ["size-min-bytes = \"8M\"", ""] {
        compose_and_judge("sector-size = 4096", keys, 4096);
    }
}

#[test]
fn a_kernel_reads_every_file() {
    let kit = compose_and_judge("", "", 512);
    let found = guest::list(&kit.image(), "vda1");
    let mut expected = BTreeMap::new();
    let paths = Peer::host("find").args(["-type", "f", "-printf", "%P\\n"]);
    for path in paths.dir(kit.path("tree")).ok().lines() {
        let content = fs::read(kit.path("tree").join(path)).unwrap();
        expected.insert(path.to_owned(), Sha256::of(&content).to_string());
    }
    assert_eq!(found, expected);
}

#[test]
fn cluster_counts_around_the_borders_satisfy_fsck() {
    let kit = Kit::empty();
    kit.write("tree/EFI/file", noise(1, 5000));
    // Volumes whose numbers of clusters go through 4085 and 65525.
    let sizes = (2072..2132).step_by(4).chain((33_200..33_300).step_by(4));
    for kib in sizes {
        kit.describe(
            "",
            &esp(&format!(
                "size-min-bytes = \"{kib}K\"\nsize-max-bytes = \"{kib}K\""
            )),
        );
        kit.compose().args(["-q", "image.toml"]).ok();
        judge_esp(&kit, 512);
    }
}

#[test]
fn thousands_of_files_in_a_directory_satisfy_the_referees() {
    let kit = Kit::empty();
    for number in 0..3000 {
        kit.write(
            &format!("tree/many/generation number {number}.conf"),
            number.to_string(),
        );
    }
    kit.describe("", &esp(""));
    kit.compose().args(["-q", "image.toml"]).ok();
    judge_esp(&kit, 512);
}

#[test]
fn partitions_of_every_kind_lie_side_by_side() {
    let kit = Kit::with_tree();
    kit.write("blocks.bin", noise(7, 1_000_448));
    let more = "[[partition]]\ntype = \"xbootldr\"\nformat = \"vfat\"\nlabel = \"boot\"\n\
        copy-files = [\"tree/EFI:/EFI\", \"tree/NO-EXT:/one file\"]\nmake-directories = [\"/loader/keys\"]\n\
        [[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"blocks.bin\"\nread-only = true\n\
        [[partition]]\ntype = \"swap\"\nsize-min-bytes = \"3M\"\nsize-max-bytes = \"3M\"\n";
    kit.describe(
        "size = \"128M\"",
        &(esp("weight = 3000\nsize-max-bytes = \"200M\"") + more),
    );
    kit.compose().arg("image.toml").ok();
    judge_table(&kit.image(), 512);
    let found = partitions(&kit.image(), 512);
    assert_eq!(found.len(), 4);
    judge_fat(&kit.image(), &found[0], &kit.path("tree"));
    let image = fs::read(kit.image()).unwrap();
    let start = usize::try_from(found[2].start).unwrap();
    assert!(
        image[start..].starts_with(&noise(7, 1_000_448)),
        "the blocks are not there"
    );
    let listed = kit.compose().args(["ls", "-R", "image.raw", "boot:/"]).ok();
    assert!(
        listed.contains("/EFI/nixos/kernel.efi") && listed.contains("/loader/keys/"),
        "{listed}"
    );
    assert_eq!(image.len(), 128 << 20);
    assert!(found[0].size > found[1].size, "weights are ignored");
}

#[test]
fn identifiers_are_those_of_systemd_repart() {
    let kit = Kit::empty();
    kit.write("blocks.bin", noise(1, 512 * 24_000));
    let kinds = ["esp", "linux-generic", "linux-generic", "swap"];
    let mut partitions = String::new();
    for (index, kind) in kinds.iter().enumerate() {
        partitions += &format!("[[partition]]\ntype = \"{kind}\"\ncopy-blocks = \"blocks.bin\"\n");
        let blocks = kit.path("blocks.bin");
        let text = format!(
            "[Partition]\nType={kind}\nCopyBlocks={}\n",
            blocks.display()
        );
        kit.write(&format!("repart.d/{index}.conf"), text);
    }
    kit.describe("", &partitions);
    kit.compose().args(["-q", "image.toml"]).ok();
    Peer::sid("systemd-repart")
        .args([
            "--empty=create",
            "--size=auto",
            "--dry-run=no",
            "--offline=yes",
        ])
        .arg(format!("--seed={SEED}"))
        .arg(format!("--definitions={}", kit.path("repart.d").display()))
        .arg(kit.path("theirs.raw"))
        .ok();
    let table = |name: &str| {
        let dump = Peer::host("sfdisk").arg("-d").arg(kit.path(name)).ok();
        dump.replace(&kit.path(name).display().to_string(), "disk")
    };
    assert_eq!(table("image.raw"), table("theirs.raw"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let digest = |kit: &Kit| Sha256::of(&fs::read(kit.image()).unwrap());
    let one = compose_and_judge("", "", 512);
    let other = compose_and_judge("", "", 512);
    assert_eq!(digest(&one), digest(&other), "two folders give two images");
    let kit = Kit::with_tree();
    kit.describe("name = \"other\"", &esp(""));
    kit.write(
        "image.toml",
        fs::read_to_string(kit.path("image.toml"))
            .unwrap()
            .replace(SEED, "99999999-5cd9-4c7a-9d2c-7a6b5ea8220b"),
    );
    kit.compose().args(["-q", "image.toml"]).ok();
    assert_ne!(digest(&one), digest(&kit), "the seed changes nothing");
}

#[test]
fn reference_images_keep_their_digests() {
    let digests = [("", "8M"), ("", "40M"), ("sector-size = 4096", "8M")].map(|(image, size)| {
        let kit = Kit::with_tree();
        kit.describe(
            image,
            &esp(&format!(
                "size-min-bytes = \"{size}\"\nsize-max-bytes = \"{size}\""
            )),
        );
        kit.compose().args(["-q", "image.toml"]).ok();
        format!(
            "{size} {image}: {}",
            Sha256::of(&fs::read(kit.image()).unwrap())
        )
    });
    // A change here changes every image of every user. If it is meant, say so in
    // CHANGELOG.md under Formats.
    insta::assert_snapshot!(digests.join("\n"));
}
