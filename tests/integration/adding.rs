use std::fmt::Write;
use std::fs;
use std::os::unix::fs::FileExt;

use integration_tests::{Peer, binary};

use crate::kit::{Kit, SEED, judge_table, noise, partitions};

/// Images that are there, in short: the size, then what sfdisk makes of it; definitions
/// as in `placement`; and options of both programs behind `@`.
const SETS: [(&str, &str, &str); 20] = [
    (
        "64M",
        "size=10M,type=home",
        "Type=home;SizeMaxBytes=10M|Type=srv",
    ),
    ("64M", "size=10M,type=home", "Type=srv;SizeMaxBytes=12M"),
    (
        "64M",
        "size=11M,type=home\nsize=10M,type=home",
        "Type=home;SizeMaxBytes=11M|Type=home;SizeMaxBytes=10M|Type=home",
    ),
    (
        "64M",
        "size=11M,type=home\nsize=10M,type=home",
        "Type=srv|Type=home;SizeMaxBytes=11M",
    ),
    // One that is there grows, and shares by weight with new ones.
    ("64M", "size=11M,type=home", "Type=home"),
    (
        "64M",
        "size=11M,type=home",
        "Type=home;Weight=333|Type=srv;Weight=667|Type=var;Weight=1",
    ),
    (
        "64M",
        "size=11M,type=home",
        "Type=srv|Type=home;SizeMaxBytes=20M;PaddingMinBytes=3M",
    ),
    (
        "64M",
        "size=5M,type=home",
        "Type=home;SizeMinBytes=7M|Type=srv;SizeMinBytes=40M",
    ),
    (
        "64M",
        "size=10M,type=home",
        "Type=home;Weight=0|Type=srv@--size=150M",
    ),
    (
        "64M",
        "size=10M,type=home",
        "Type=home;SizeMaxBytes=10M|Type=srv;SizeMaxBytes=90M@--size=auto",
    ),
    (
        "32M",
        "size=30M,type=home",
        "Type=home|Type=srv;SizeMaxBytes=20M|Type=var@--size=auto",
    ),
    // Others are between, unaligned, named, numbered with gaps.
    (
        "64M",
        "first-lba: 40\nstart=10M,size=10M,type=home\nsize=1M,type=linux\nstart=50M,size=11M,type=home",
        "Type=home|Type=home|Type=srv;SizeMaxBytes=10M|Type=var",
    ),
    (
        "64M",
        "start=4097,size=20481,type=home\nstart=50001,size=2001,type=linux",
        "Type=home;SizeMaxBytes=12M|Type=srv|Type=tmp",
    ),
    (
        "64M",
        "2 : start=20M,size=10M,type=home,name=mine,attrs=\"LegacyBIOSBootable,GUID:60\"\n5 : size=10M,type=swap",
        "Type=home;Label=other;UUID=99999999-5cd9-4c7a-9d2c-7a6b5ea8220b|Type=swap;NoAuto=yes|Type=srv|Type=srv|Type=srv",
    ),
    (
        "64M",
        "size=10M,type=home,name=srv",
        "Type=srv|Type=home;SizeMaxBytes=10M|Type=srv",
    ),
    (
        "64M",
        "table-length: 128\nlabel-id: 11111111-5cd9-4c7a-9d2c-7a6b5ea8220b\nsize=20M,type=linux",
        "Type=linux-generic;SizeMinBytes=25M|Type=esp;SizeMinBytes=30M",
    ),
    // Too little room for all. (One without a name that cannot grow stops systemd-repart.)
    (
        "40M",
        "size=10M,type=home",
        "Type=home;SizeMaxBytes=10M|Type=srv;Priority=2|Type=var|Type=tmp;Priority=1@--size=40M",
    ),
    (
        "40M",
        "size=10M,type=home,name=one\nsize=5M,type=linux,name=two",
        "Type=home;Priority=3;SizeMinBytes=15M|Type=srv|Type=var@--size=40M",
    ),
    // Sectors.
    (
        "64M",
        "sector-size: 4096\nsize=10M,type=home",
        "Type=home;SizeMaxBytes=10M|Type=srv@--sector-size=4096",
    ),
    (
        "64M",
        "sector-size: 4096\nstart=16M,size=10M,type=home",
        "Type=srv;SizeMaxBytes=11M|Type=home@--sector-size=4096 --size=80M",
    ),
];

/// Adds to a copy of each image by systemd-repart, and dumps the tables of both.
const SCRIPT: &str = "set -e
for set in */; do
  options=$(cat $set/options)
  systemd-repart --dry-run=no --offline=yes --seed=$1 --empty=refuse \\
    --definitions=$set/repart.d $options $set/theirs.raw >$set/said 2>&1 ||
    { echo \"$set: systemd-repart failed:\"; cat $set/said; exit 1; }
  sector=512
  case $options in *4096*) sector=4096 ;; esac
  for image in theirs ours; do
    sfdisk --sector-size $sector -d $set/$image.raw | sed \"s,$set/$image.raw,disk,\" >$set/$image.dump
    sfdisk --sector-size $sector -V $set/$image.raw >$set/$image.said
  done
done";

/// Writes an image as sfdisk makes it, with content in its partitions and behind the
/// table; returns where they are.
fn make(kit: &Kit, name: &str, size: &str, script: &str) -> Vec<(u64, Vec<u8>)> {
    let path = kit.path(name);
    let sector = if script.contains("4096") { 4096 } else { 512 };
    let script = script.replace("sector-size: 4096\n", "");
    let (head, parts): (Vec<&str>, Vec<&str>) = script
        .lines()
        .partition(|line| line.contains(": ") && !line.contains('='));
    let script = format!("label: gpt\n{}\n\n{}\n", head.join("\n"), parts.join("\n"));
    Peer::host("truncate").args(["-s", size]).arg(&path).ok();
    let sfdisk = Peer::sid("sfdisk").args(["-q", "--sector-size", &sector.to_string()]);
    sfdisk.arg(&path).input(script).ok();
    let file = fs::File::options().write(true).open(&path).unwrap();
    // Code of a boot loader.
    file.write_all_at(&[0xeb; 440], 0).unwrap();
    let mut content = vec![(0, vec![0xeb; 440])];
    for (seed, found) in partitions(&path, sector).iter().enumerate() {
        let bytes = noise(seed, usize::try_from(found.size.min(3 << 20)).unwrap());
        file.write_all_at(&bytes, found.start).unwrap();
        content.push((found.start, bytes));
    }
    content
}

/// Checks that what was there is there.
fn is_untouched(kit: &Kit, name: &str, content: &[(u64, Vec<u8>)]) {
    let file = fs::File::open(kit.path(name)).unwrap();
    for (start, bytes) in content {
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, *start).unwrap();
        assert!(found == *bytes, "{name}: what is at {start} has changed");
    }
}

#[test]
fn partitions_are_added_as_systemd_repart_adds_them() {
    let kit = Kit::empty();
    for (number, (size, script, set)) in SETS.iter().enumerate() {
        let name = format!("{number:02}");
        let (definitions, options) = set.split_once('@').unwrap_or((set, ""));
        for (index, partition) in definitions.split('|').enumerate() {
            let text = format!("[Partition]\n{}\n", partition.replace(';', "\n"));
            kit.write(&format!("{name}/repart.d/{index}.conf"), text);
        }
        kit.write(&format!("{name}/options"), options);
        let ours = format!("{name}/ours.raw");
        let content = make(&kit, &ours, size, script);
        fs::copy(kit.path(&ours), kit.path(&format!("{name}/theirs.raw"))).unwrap();
        let compose = kit.compose().args(["-q", "--seed", SEED, "--empty=refuse"]);
        let definitions = kit.path(&format!("{name}/repart.d"));
        let compose = compose
            .args(["--architecture", "x86-64"])
            .arg("--definitions")
            .arg(definitions);
        let compose = compose.args(options.split_whitespace()).arg("-o");
        compose.arg(kit.path(&ours)).ok();
        is_untouched(&kit, &ours, &content);
    }
    let script = Peer::sid("bash").dir(kit.root());
    script.args(["-c", SCRIPT, "add", SEED]).ok();
    let mut differences = String::new();
    for (number, set) in SETS.iter().enumerate() {
        let read =
            |name: &str| fs::read_to_string(kit.path(&format!("{number:02}/{name}"))).unwrap();
        let (ours, theirs) = (read("ours.dump"), read("theirs.dump"));
        if ours != theirs {
            write!(
                differences,
                "=== {set:?}\n--- ours\n{ours}--- theirs\n{theirs}"
            )
            .unwrap();
        }
        assert!(
            read("ours.said").contains("No errors"),
            "{set:?}: {}",
            read("ours.said")
        );
    }
    assert!(differences.is_empty(), "{differences}");
}

/// A disk of 64 MiB with a home of 10 MiB and something of others, and a description that
/// adds an ESP.
fn kit() -> (Kit, Vec<(u64, Vec<u8>)>) {
    let kit = Kit::with_tree();
    let content = make(
        &kit,
        "image.raw",
        "64M",
        "size=10M,type=home\nsize=1M,type=linux",
    );
    let home = "[[partition]]\ntype = \"home\"\nsize-max-bytes = \"10M\"\n";
    let esp = "[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\ntree = \"tree\"\n";
    kit.describe(
        "empty = \"refuse\"",
        &format!("{home}{esp}size-max-bytes = \"40M\"\n"),
    );
    (kit, content)
}

fn tree_is_there(kit: &Kit) {
    kit.compose()
        .args(["extract", "image.raw", "-o", "found"])
        .ok();
    Peer::host("diff")
        .dir(kit.root())
        .args(["-r", "tree", "found"])
        .ok();
    fs::remove_dir_all(kit.path("found")).unwrap();
}

#[test]
fn what_is_added_has_its_files_and_adding_again_changes_nothing() {
    let (kit, content) = kit();
    let said = kit.compose().arg("image.toml").ok();
    assert!(said.contains("as it is"), "{said}");
    is_untouched(&kit, "image.raw", &content);
    judge_table(&kit.image(), 512);
    tree_is_there(&kit);
    let before = fs::read(kit.image()).unwrap();
    // All is there now, and content of what is there is not looked at.
    kit.write("tree/loader/more", "more");
    kit.compose().args(["-q", "image.toml"]).ok();
    assert!(fs::read(kit.image()).unwrap() == before);
}

#[test]
fn an_addition_that_is_interrupted_leaves_what_was_there() {
    let size = 64 * 1024;
    // The process dies at the first write behind so many KiB.
    for (grown, limit) in [
        ("", 13 * 1024),
        ("", size - 17),
        ("", size - 1),
        ("80M", 80 * 1024 - 1),
    ] {
        let (kit, content) = kit();
        let options = if grown.is_empty() {
            String::new()
        } else {
            format!("--size={grown}")
        };
        let compose = binary::built("compose");
        let script = format!(
            "ulimit -f {limit}; exec '{}' -q image.toml {options}",
            compose.display()
        );
        let bash = Peer::host("bash").dir(kit.root()).args(["-c", &script]);
        assert!(!bash.run().status.success(), "{limit}");
        let said = kit.compose().args(["inspect", "image.raw"]).ok();
        assert!(said.contains("home"), "{said}");
        kit.compose().args(["-q", "image.toml"]).ok();
        is_untouched(&kit, "image.raw", &content);
        judge_table(&kit.image(), 512);
        tree_is_there(&kit);
    }
}

#[test]
fn damaged_tables_are_healed_before_anything_is_added() {
    for at in [512 + 16, (64 << 20) - 512 + 16, 1030] {
        let (kit, content) = kit();
        let file = fs::OpenOptions::new().write(true).open(kit.image());
        file.unwrap().write_all_at(b"damage", at).unwrap();
        kit.compose().args(["-q", "image.toml", "--size=80M"]).ok();
        is_untouched(&kit, "image.raw", &content);
        judge_table(&kit.image(), 512);
        tree_is_there(&kit);
    }
}

#[test]
fn a_disk_that_is_not_as_demanded_is_refused() {
    let (kit, _) = kit();
    let text = fs::read_to_string(kit.path("image.toml")).unwrap();
    kit.write("zeros.raw", vec![0; 64 << 20]);
    make(&kit, "other.raw", "64M", "size=10M,type=home");
    Peer::host("sfdisk")
        .args(["-q", "--label", "dos"])
        .arg(kit.path("other.raw"))
        .input("size=5M\n")
        .ok();
    let mut said = String::new();
    for (image, options) in [
        ("image.raw", "--empty=create"),
        ("image.raw", "--empty=require"),
        ("zeros.raw", "--empty=refuse"),
        ("other.raw", "--empty=allow"),
        ("other.raw", "--empty=require"),
        ("none.raw", "--empty=allow"),
        ("image.raw", "--empty=allow --sector-size=4096"),
        ("image.raw", "--empty=allow --format=qcow2"),
        ("image.raw", "--empty=allow --split"),
        ("image.raw", "--size=20M --minimum-sizes=repart"),
    ] {
        let compose = kit.compose().args(["image.toml", "-o", image]);
        said += &compose.args(options.split(' ')).fails(1);
    }
    let half = "[[partition]]\ntype = \"home\"\nverity = \"data\"\nverity-match-key = \"a\"\n\
        [[partition]]\ntype = \"home\"\nverity = \"hash\"\nverity-match-key = \"a\"\n";
    kit.write(
        "image.toml",
        format!("{text}{half}").replacen("type = \"home\"", "type = \"srv\"", 1),
    );
    said += &kit.compose().arg("image.toml").fails(1);
    insta::assert_snapshot!(said);
}

#[test]
fn a_new_image_takes_the_place_of_what_was_there_with_its_size() {
    let (kit, _) = kit();
    for (image, empty) in [
        ("image.raw", "force"),
        ("zeros.raw", "require"),
        ("zeros2.raw", "allow"),
    ] {
        if image.starts_with('z') {
            kit.write(image, vec![0; 64 << 20]);
        }
        let option = format!("--empty={empty}");
        kit.compose()
            .args(["-q", "image.toml", &option, "-o", image])
            .ok();
        assert_eq!(fs::metadata(kit.path(image)).unwrap().len(), 64 << 20);
        let found = partitions(&kit.path(image), 512);
        assert_eq!((found.len(), found[0].start), (2, 1 << 20));
        judge_table(&kit.path(image), 512);
    }
}

/// The checksum of partition tables.
fn crc32(bytes: &[u8]) -> [u8; 4] {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    });
    (!sum).to_le_bytes()
}

/// Free space behind the one that ends first is in the other.
#[test]
fn nothing_is_added_where_partitions_lie_over_each_other() {
    let kit = Kit::empty();
    let partition = "[[partition]]\ntype = \"home\"\nsize-min-bytes = \"1M\"\n";
    kit.describe("size = \"16M\"", &partition.repeat(2).replace("min", "max"));
    kit.compose().args(["-q", "image.toml"]).ok();
    let mut image = fs::read(kit.image()).unwrap();
    let end = image.len();
    for (header, entries) in [(512, 1024), (end - 512, end - 512 - 128 * 128)] {
        // The first ends where the second does, and the second a sector before.
        let last = entries + 128 + 40;
        let second: [u8; 8] = image[last..last + 8].try_into().unwrap();
        image[entries + 40..entries + 48].copy_from_slice(&second);
        image[last] -= 1;
        let sum = crc32(&image[entries..entries + 128 * 128]);
        image[header + 88..header + 92].copy_from_slice(&sum);
        image[header + 16..header + 20].fill(0);
        let sum = crc32(&image[header..header + 92]);
        image[header + 16..header + 20].copy_from_slice(&sum);
    }
    fs::write(kit.image(), &image).unwrap();
    kit.describe("", "[[partition]]\ntype = \"srv\"\n");
    let compose = kit.compose().args(["--empty", "refuse", "image.toml"]);
    let said = compose.fails(1);
    assert!(said.contains("partitions 1 and 2 overlap"), "{said}");
    assert!(fs::read(kit.image()).unwrap() == image);
}
