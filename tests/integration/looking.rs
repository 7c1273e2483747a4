use std::fs;

use integration_tests::Peer;

use crate::kit::{Kit, esp, file_system_programs};

fn composed() -> Kit {
    let kit = Kit::with_tree();
    kit.describe("", &esp(""));
    kit.compose().args(["-q", "image.toml"]).ok();
    kit
}

#[test]
fn inspect_draws_the_layout() {
    let kit = composed();
    insta::assert_snapshot!(kit.compose().args(["inspect", "image.raw"]).ok());
    let json = kit.compose().args(["inspect", "--json", "image.raw"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["partitions"][0]["vfat"]["fat-type"], "FAT32");
}

#[test]
fn inspect_goes_on_where_a_table_cannot_be_read() {
    let kit = Kit::with_tree();
    let empty = "[[partition]]\ntype = \"xbootldr\"\nformat = \"vfat\"\n";
    kit.describe("", &(esp("fat-type = \"fat16\"") + empty));
    kit.compose().args(["-q", "image.toml"]).ok();
    let mut image = fs::read(kit.image()).unwrap();
    // A table of one sector is too short for the clusters that there are.
    let sectors_of_table = (1 << 20) + 22;
    image[sectors_of_table..sectors_of_table + 2].copy_from_slice(&[1, 0]);
    fs::write(kit.image(), image).unwrap();
    let said = kit.compose().args(["inspect", "image.raw"]).ok();
    assert!(
        said.contains("     damaged: file allocation table: "),
        "{said}"
    );
    assert!(said.contains("     FAT32 `XBOOTLDR` "), "{said}");
    let said = kit.compose().args(["inspect", "--json", "image.raw"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(said["partitions"][0]["damage"][0].is_string(), "{said}");
    assert_eq!(said["partitions"][1]["vfat"]["label"], "XBOOTLDR");
}

/// What `blkid` calls a partition of a layout: type, label, UUID.
fn named_by_blkid(kit: &Kit, partition: &serde_json::Value) -> [Option<String>; 3] {
    let place = |key: &str| partition[key].as_u64().unwrap().to_string();
    let blkid = Peer::sid("blkid").dir(kit.root());
    let said = blkid
        .args([
            "--probe",
            "--output",
            "export",
            "--usages",
            "filesystem,other,crypto",
        ])
        .args(["--offset", &place("offset"), "--size", &place("raw-size")])
        .arg("image.raw")
        .ok();
    ["TYPE=", "LABEL=", "UUID="].map(|key| {
        let value = said.lines().find_map(|line| line.strip_prefix(key));
        value.map(str::to_owned)
    })
}

#[test]
fn inspect_names_file_systems_as_blkid_does() {
    let kit = Kit::with_tree();
    file_system_programs(&kit);
    let formats = ["erofs", "ext4", "xfs", "btrfs", "squashfs", "swap"];
    let mut partitions = String::new();
    for format in formats {
        let content = if format == "swap" {
            "type = \"swap\"\nsize-max-bytes = \"10M\"\n".to_owned()
        } else {
            format!("type = \"linux-generic\"\nformat = \"{format}\"\ntree = \"tree\"\n")
        };
        partitions += &format!("[[partition]]\nlabel = \"the-{format}\"\n{content}");
    }
    partitions += "[[partition]]\ntype = \"linux-generic\"\nsize-max-bytes = \"10M\"\n";
    kit.describe("", &partitions);
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    let said = kit.compose().args(["inspect", "--json", "image.raw"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let found = said["partitions"].as_array().unwrap();
    for (format, partition) in formats.into_iter().zip(found) {
        let own = ["format", "label", "uuid"]
            .map(|key| partition["file-system"][key].as_str().map(str::to_owned));
        assert_eq!(own[0].as_deref(), Some(format));
        assert_eq!(own, named_by_blkid(&kit, partition), "{format}");
    }
    let said = kit.compose().args(["inspect", "image.raw"]).ok();
    assert!(said.contains("     erofs `the-erofs`, UUID "), "{said}");
    assert!(said.contains("     no known file system\n"), "{said}");
    assert!(
        said.lines().all(|line| line.chars().count() <= 80),
        "{said}"
    );
}

#[test]
fn files_are_listed_shown_and_extracted() {
    let kit = composed();
    let listed = kit
        .compose()
        .args(["ls", "image.raw", "esp:/EFI/nixos"])
        .ok();
    insta::assert_snapshot!(listed);
    let path = "/efi/NIXOS/ünïcode-中文.bin";
    let shown = kit.compose().args(["cat", "image.raw", path]).run();
    let expected = fs::read(kit.path("tree/EFI/nixos/ünïcode-中文.bin")).unwrap();
    assert!(shown.status.success() && shown.stdout == expected);
    kit.compose()
        .args(["extract", "image.raw", "-o", "copy"])
        .ok();
    Peer::host("diff")
        .arg("-r")
        .arg(kit.path("tree"))
        .arg(kit.path("copy"))
        .ok();
    kit.compose()
        .args(["extract", "image.raw", "1:/EFI/BOOT", "-o", "part"])
        .ok();
    assert!(kit.path("part/BOOT/BOOTX64.EFI").exists());
    let again = kit
        .compose()
        .args(["extract", "image.raw", "-o", "copy"])
        .fails(1);
    assert!(again.contains("File exists"), "{again}");
}

#[test]
fn what_is_not_there_is_named() {
    let kit = composed();
    let call = |arguments: &[&str]| kit.compose().args(arguments).fails(1);
    kit.write("no-image", "text");
    let said = [
        call(&["ls", "image.raw", "/nowhere"]),
        call(&["cat", "image.raw", "/EFI"]),
        call(&["ls", "image.raw", "swap:/"]),
        call(&["ls", "image.raw", "7:/"]),
        call(&["inspect", "no-image"]),
        call(&["inspect", "nowhere"]),
    ];
    insta::assert_snapshot!(said.concat());
}

#[test]
fn verify_finds_damage() {
    let kit = composed();
    assert_eq!(
        kit.compose().args(["verify", "image.raw"]).ok(),
        "image.raw: sound\n"
    );
    let sound = fs::read(kit.image()).unwrap();
    let mut said = String::new();
    let first_table = (1 << 20) + 40 * 512;
    for place in [
        512 + 40,
        1024 + 3,
        sound.len() - 512 + 8,
        first_table + 30,
        (1 << 20) + 510,
    ] {
        let mut damaged = sound.clone();
        damaged[place] ^= 0x55;
        fs::write(kit.image(), damaged).unwrap();
        let output = kit.compose().args(["verify", "image.raw"]).run();
        assert_eq!(output.status.code(), Some(3), "byte {place}");
        said += &String::from_utf8(output.stdout).unwrap();
    }
    insta::assert_snapshot!(said);
}

#[test]
fn verify_compares_files_with_the_manifest() {
    let kit = Kit::with_manifest();
    kit.compose().args(["-q", "image.toml"]).ok();
    let verify = || {
        kit.compose()
            .args(["verify", "image.raw", "--config", "image.toml"])
    };
    verify().ok();
    let mut image = fs::read(kit.image()).unwrap();
    let place = image
        .windows(7)
        .position(|bytes| bytes == b"content")
        .unwrap();
    image[place] = b'C';
    fs::write(kit.image(), image).unwrap();
    let output = verify().run();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        "image.raw: partition 1: `EFI/file` has other content\n"
    );
}

/// What no manifest tells of is not compared, and partitions are found by their GUIDs.
#[test]
fn verify_compares_what_manifests_tell_of() {
    let kit = Kit::with_manifest();
    let optional = "[[partition]]\ntype = \"home\"\npriority = 1\nsize-min-bytes = \"1G\"\n";
    let made = "[[partition]]\ntype = \"xbootldr\"\ntree = \"{out}/manifest.json#xbootldr\"\n\
        tree-command = [\"false\", \"{out}\"]\n";
    let text = fs::read_to_string(kit.path("image.toml")).unwrap();
    let (image, esp) = text.split_once("[[partition]]").unwrap();
    let esp = format!("[[partition]]{esp}");
    kit.write(
        "image.toml",
        format!("{image}size = \"40M\"\n{optional}{esp}"),
    );
    let said = kit.compose().arg("image.toml").ok();
    assert!(said.contains("no room for `home`"), "{said}");
    kit.write("image.toml", format!("{image}{optional}{esp}{made}"));
    let verify = kit.compose().args(["verify", "image.raw", "--config"]);
    assert_eq!(verify.arg("image.toml").ok(), "image.raw: sound\n");
}

/// Whoever made an image may have meant harm to the terminal of those who look.
#[test]
fn names_in_images_do_nothing_to_a_terminal() {
    let kit = composed();
    let mut image = fs::read(kit.image()).unwrap();
    let mut replace = |from: &[u8], to: &[u8]| {
        let is_there = |bytes: &[u8]| bytes == from;
        let at = image.windows(from.len()).position(is_there).unwrap();
        image[at..at + to.len()].copy_from_slice(to);
    };
    // The label in the root directory, and a file in it that is a directory now.
    replace(b"ESP        \x08", b"\x1b[31mX");
    replace(b"NO-EXT     \x20", b"\x1b[2JX");
    fs::write(kit.image(), image).unwrap();
    for arguments in [
        &["inspect", "image.raw"][..],
        &["ls", "image.raw"],
        &["verify", "image.raw"],
        &["cat", "image.raw", "/\u{1b}[2J"],
    ] {
        let output = kit.compose().args(arguments).run();
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.contains(&0x1b), "{arguments:?}");
    }
}

/// The label is sought to the end of the root directory.
#[test]
fn a_root_directory_without_an_end_is_left() {
    let kit = Kit::empty();
    kit.write("tree/FILE", "text");
    kit.describe("", &esp(""));
    kit.compose().args(["-q", "image.toml"]).ok();
    let mut image = fs::read(kit.image()).unwrap();
    let volume = &mut image[1 << 20..];
    let field = |at: usize| usize::from(u16::from_le_bytes([volume[at], volume[at + 1]]));
    let (sector, cluster) = (field(11), field(11) * usize::from(volume[13]));
    let (table, length) = (field(14) * sector, field(36) * sector);
    // The first cluster of the directory comes after itself, and has no free entry.
    volume[table + 8..table + 12].copy_from_slice(&2_u32.to_le_bytes());
    let root = table + 2 * length;
    let entry = volume[root + 32..root + 64].to_vec();
    volume[root..root + cluster].copy_from_slice(&entry.repeat(cluster / 32));
    fs::write(kit.image(), image).unwrap();
    let said = kit.compose().args(["inspect", "image.raw"]).ok();
    assert!(said.contains("FAT32 `` "), "{said}");
}

#[test]
fn a_directory_that_leads_back_into_itself_is_noticed() {
    let kit = Kit::empty();
    kit.write("tree/A/B/FILE", "text");
    kit.describe("", &esp(""));
    kit.compose().args(["-q", "image.toml"]).ok();
    let mut image = fs::read(kit.image()).unwrap();
    // The entries of both directories; then B is made to be A.
    let place = |image: &[u8], name: &[u8]| {
        let entry = [name, b"          \x10"].concat();
        image.windows(12).position(|bytes| bytes == entry).unwrap()
    };
    let (a, b) = (place(&image, b"A"), place(&image, b"B"));
    image.copy_within(a + 26..a + 28, b + 26);
    fs::write(kit.image(), image).unwrap();
    for command in [
        &["ls", "-R", "image.raw"][..],
        &["extract", "image.raw", "-o", "out"],
    ] {
        let said = kit.compose().args(command).fails(1);
        assert!(said.contains("it loops"), "{said}");
    }
    let output = kit.compose().args(["verify", "image.raw"]).run();
    assert_eq!(output.status.code(), Some(3));
}
