use std::fmt::Write;
use std::fs;

use integration_tests::Peer;

use crate::kit::{Kit, SEED};

/// Partitions of the sets, in short: definitions are separated by `|`, keys by `;`.
/// Behind `@` come options of both programs.
///
/// Left out is what is meant to differ: `GrowFileSystem=no`, which systemd-repart
/// ignores; attributes of types that do not know them, which it ignores too; and
/// images of at most 4 MiB, whose first partition it puts before 1 MiB.
const SETS: [&str; 46] = [
    // Identifiers, labels and attributes by type.
    "Type=home",
    "Type=esp|Type=xbootldr|Type=home|Type=srv|Type=var|Type=tmp|Type=user-home",
    "Type=root|Type=root-verity|Type=root-verity-sig;SizeMaxBytes=16K|Type=usr-arm64",
    "Type=root-secondary|Type=usr-secondary-verity|Type=root-riscv64|Type=usr-s390x",
    "Type=home|Type=home|Type=home",
    "Type=home|Type=srv|Type=home;Label=home|Type=home",
    "Type=home;Label=home-2|Type=home|Type=home|Type=home",
    "Type=01234567-89ab-cdef-0123-456789abcdef|Type=01234567-89ab-cdef-0123-456789abcdee",
    "Type=home;UUID=99999999-5cd9-4c7a-9d2c-7a6b5ea8220b|Type=home",
    "Type=home;UUID=null",
    "Type=home;Label=",
    "Type=home;Label=ünï 中文 with blanks",
    "Type=home;Format=empty|Type=home;Format=empty|Type=esp;Format=empty",
    "Type=home;Format=empty;Label=spare;NoAuto=no",
    "Type=home;ReadOnly=yes|Type=srv;NoAuto=yes|Type=var;ReadOnly=yes;GrowFileSystem=yes",
    "Type=home;Flags=0x1000000000000|Type=swap;NoAuto=yes",
    "Type=usr-verity;ReadOnly=no|Type=usr;ReadOnly=no",
    "Type=swap|Type=swap;SizeMinBytes=1M;SizeMaxBytes=1M",
    // Sizes.
    "Type=home;SizeMinBytes=20M|Type=srv;SizeMaxBytes=3M",
    "Type=home;SizeMinBytes=5000|Type=srv;SizeMaxBytes=5000000|Type=var;SizeMinBytes=4M;SizeMaxBytes=4M",
    "Type=home;SizeMaxBytes=1M;SizeMinBytes=1000|Type=srv;SizeMinBytes=11M",
    "Type=home;SizeMinBytes=1.5M;SizeMaxBytes=1.5M|Type=srv;SizeMinBytes=8M 4K",
    "Type=esp;Format=vfat",
    "Type=esp;Format=vfat;SizeMaxBytes=32M|Type=xbootldr;Format=vfat;SizeMinBytes=120M",
    "Type=linux-generic;CopyBlocks=BLOCKS",
    "Type=linux-generic;CopyBlocks=BLOCKS;SizeMinBytes=4096",
    "Type=linux-generic;CopyBlocks=BLOCKS;SizeMinBytes=64M|Type=home",
    // Padding.
    "Type=home;PaddingMinBytes=3M|Type=srv",
    "Type=home;PaddingMinBytes=5000|Type=srv;PaddingMinBytes=1M;PaddingMaxBytes=2M|Type=var",
    "Type=home;PaddingWeight=500|Type=srv@--size=64M",
    "Type=home;PaddingWeight=1000;PaddingMaxBytes=7M|Type=srv@--size=100M",
    "Type=home;SizeMaxBytes=12M;PaddingWeight=333|Type=srv;SizeMaxBytes=15M@--size=101M",
    // Weights.
    "Type=home|Type=srv@--size=100M",
    "Type=home;Weight=333|Type=srv;Weight=667|Type=var;Weight=1@--size=123457K",
    "Type=home;Weight=0|Type=srv@--size=100M",
    "Type=home;Weight=0|Type=srv;Weight=0@--size=100M",
    "Type=home;SizeMaxBytes=11M|Type=srv;SizeMinBytes=40M|Type=var@--size=100M",
    "Type=home;SizeMaxBytes=11M|Type=srv;SizeMaxBytes=30M@--size=100M",
    "Type=home;Weight=1|Type=srv;Weight=1000000|Type=var;Weight=77@--size=12345678K",
    "Type=home;Weight=500;SizeMinBytes=30M|Type=srv;Weight=200|Type=var;SizeMaxBytes=21M@--size=99999K",
    // Priorities.
    "Type=home;Priority=1|Type=srv|Type=var;Priority=2@--size=32M",
    "Type=home;Priority=1|Type=home;Priority=3|Type=home;Priority=2|Type=home@--size=24M",
    "Type=home;Priority=1|Type=srv;Priority=1|Type=var;Priority=-5@--size=25M",
    // Sectors.
    "Type=home|Type=srv;SizeMinBytes=11M@--size=100M --sector-size=4096",
    "Type=esp;Format=vfat|Type=swap|Type=home;PaddingMinBytes=1M@--sector-size=4096",
    "Type=home;SizeMaxBytes=5M;Weight=3|Type=srv;Weight=5@--size=70M --sector-size=4096",
];

/// Makes the image of a set with both programs, in one go.
const SCRIPT: &str = "set -e
for set in */; do
  options=$(cat $set/options)
  systemd-repart --empty=create --dry-run=no --offline=yes --seed=$1 \\
    --definitions=$set/repart.d $options $set/theirs.raw >$set/said 2>&1 ||
    { echo \"$set: systemd-repart failed:\"; cat $set/said; exit 1; }
  sector=${options##*--sector-size=}
  sector=${sector%% *}
  for image in theirs ours; do
    sfdisk --sector-size $sector -d $set/$image.raw >$set/$image.dump
    sed -i \"s,$set/$image.raw,disk,\" $set/$image.dump
  done
  rm -f $set/*.raw
done";

#[test]
fn tables_are_those_of_systemd_repart() {
    let kit = Kit::empty();
    kit.write("blocks", vec![7; 5_000_192]);
    let blocks = kit.path("blocks").display().to_string();
    let mut names = Vec::new();
    for (number, set) in SETS.iter().enumerate() {
        let (partitions, options) = set.split_once('@').unwrap_or((set, ""));
        let name = format!("{number:02}");
        for (index, partition) in partitions.split('|').enumerate() {
            let keys = partition.replace(';', "\n").replace("BLOCKS", &blocks);
            kit.write(
                &format!("{name}/repart.d/{index}.conf"),
                format!("[Partition]\n{keys}\n"),
            );
        }
        let mut options = options.to_owned();
        for default in ["--size=auto", "--sector-size=512"] {
            let option = default.split('=').next().unwrap();
            if !options.contains(option) {
                write!(options, " {default}").unwrap();
            }
        }
        kit.write(&format!("{name}/options"), &options);
        let compose = kit
            .compose()
            .args(["-q", "--seed", SEED, "--architecture", "x86-64"]);
        let compose = compose
            .arg("--definitions")
            .arg(kit.path(&format!("{name}/repart.d")));
        let compose = compose.args(options.split_whitespace()).arg("-o");
        compose.arg(kit.path(&format!("{name}/ours.raw"))).ok();
        names.push(name);
    }
    Peer::sid("bash")
        .dir(kit.root())
        .args(["-c", SCRIPT, "make", SEED])
        .ok();
    let mut differences = String::new();
    for (name, set) in names.iter().zip(SETS) {
        let dump = |program: &str| {
            fs::read_to_string(kit.path(&format!("{name}/{program}.dump"))).unwrap()
        };
        let (ours, theirs) = (dump("ours"), dump("theirs"));
        if ours != theirs {
            differences += &format!("=== {set}\n--- ours\n{ours}--- theirs\n{theirs}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn extreme_sizes_are_placed_or_refused() {
    let kit = Kit::empty();
    let home = |keys: &str| format!("[[partition]]\ntype = \"home\"\n{keys}\n");
    kit.describe(
        "size = \"64M\"",
        &home("padding-min-bytes = 1\npadding-max-bytes = 2"),
    );
    kit.compose().args(["-q", "image.toml"]).ok();
    let huge = "size-min-bytes = \"15E\"\npadding-min-bytes = \"15E\"";
    for image in [
        "",
        "size = \"64M\"",
        "size = \"16T\"\nminimum-sizes = \"repart\"",
    ] {
        kit.describe(image, &(home(huge) + &home(huge)));
        let said = kit.compose().args(["--dry-run", "image.toml"]).fails(1);
        assert!(
            said.starts_with("error: ") && said.contains("EiB"),
            "{said}"
        );
    }
}
