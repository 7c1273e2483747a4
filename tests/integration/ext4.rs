use std::fs;

use integration_tests::Peer;
use tree_manifest::Sha256;

use crate::kit::{Kit, judge_table, partitions};
use crate::trouble::{self, LIST, compose, cut, judge_dry_run, set_attributes, write_any_tree};

/// How many names there are in the folder that has two levels of index.
pub const NAMES: usize = 20_000;

/// A kit with a tree of all that a file system may have a trouble with, and so many names in a
/// folder that its index has two levels.
pub fn kit() -> Kit {
    let kit = trouble::kit();
    set_attributes(&kit);
    write_large_folder(&kit, "tree");
    kit.write("list.py", LIST);
    kit
}

/// Gives a tree a folder of many names with letters of all kinds, all of one file.
pub fn write_large_folder(kit: &Kit, tree: &str) {
    let file = kit.path(tree).join("large/0");
    kit.write(&format!("{tree}/large/0"), "large");
    for number in 1..NAMES {
        let name = large_name(number);
        fs::hard_link(&file, kit.path(tree).join("large").join(name)).unwrap();
    }
}

pub fn large_name(number: usize) -> String {
    format!("{number} {}", "ünï 中文".repeat(number % 20))
}

pub fn describe(kit: &Kit, tree: &str, keys: &str) {
    let head = "[[partition]]\ntype = \"linux-generic\"\nlabel = \"store\"\nformat = \"ext4\"\n";
    kit.describe("", &format!("{head}tree = \"{tree}\"\n{keys}"));
}

/// The keys for a size.
pub fn of_size(size: &str) -> String {
    format!("size-min-bytes = \"{size}\"\nsize-max-bytes = \"{size}\"\n")
}

/// Runs a script of the sid chroot with `volume`, the first partition of the image. It has a
/// command that lists what the kernel sees in a volume.
pub fn judge(kit: &Kit, script: &str) -> String {
    let peer = Peer::sid("bash").dir(kit.root());
    peer.args(["-c", &(cut(kit, 1) + SEE + script)]).ok()
}

/// `see VOLUME` mounts one, which the kernel then finds every name in, and lists all.
const SEE: &str = "see() {
  mkdir -p at; mount -o ro,loop \"$1\" at; python3 list.py at; umount at
}
";

/// Nothing but the names of passes, of e2fsck or resize2fs, and what a volume has.
pub fn judge_passes(said: &str) {
    for line in said.lines().filter(|line| !line.is_empty()) {
        let is_usual = line.starts_with("Pass ")
            || line.contains("% non-contiguous), ")
            || line.contains("FILE SYSTEM WAS MODIFIED");
        assert!(is_usual, "{line}\n{said}");
    }
}

/// A volume of mke2fs of the same name, from the same files. It takes owners and times as they
/// are.
const THEIRS: &str = "cp -a --no-preserve=ownership tree copy
find copy -exec touch --no-dereference --date=@1 {} +
export SOURCE_DATE_EPOCH=1
uuid=$(blkid -p -s UUID -o value volume)
make() {
  mke2fs -q -t ext4 -b 4096 -I 256 -m 0 -L store -U $uuid -E root_owner=0:0,hash_seed=$uuid \
    -O ^metadata_csum_seed,^orphan_file -d copy \"$@\"
}
";

/// What may differ in the superblock. The hashes of mke2fs are those of the processor that it
/// runs on, its inodes are for all bytes instead of free ones; the others follow from each other.
const DIFFERING: &str = "-e ^Inode.[cb] -e ^Inodes -e ^Free.inodes: -e ^Free.blocks: -e ^Overhead -e ^Reserved.GDT -e ^Lifetime -e ^Checksum: \
     -e ^Filesystem.flags:";

#[test]
fn a_volume_is_as_mke2fs_makes_it() {
    let kit = kit();
    describe(&kit, "tree", &of_size("600M"));
    compose(&kit);
    judge_table(&kit.image(), 512);
    judge_passes(&judge(&kit, "e2fsck -fn volume"));
    let check = "make theirs 600M
        see volume > ours.list; see theirs > theirs.list
        diff theirs.list ours.list
        for which in volume theirs; do dumpe2fs -h $which | grep -v DIFFERING > $which.told; done
        diff theirs.told volume.told
        blkid -p -s TYPE -s LABEL -s UUID -o export volume
        debugfs -R 'stat /sparse' volume";
    let said = judge(
        &kit,
        &(THEIRS.to_owned() + &check.replace("DIFFERING", DIFFERING)),
    );
    for expected in [
        "LABEL=store",
        "TYPE=ext4",
        "UUID=f5fef9bb-eba6-4a62-8429-7f818a063e6b",
        "Links: 1   Blockcount: 16\n",
        "crtime: 0x00000001:00000000",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    let listed = fs::read_to_string(kit.path("ours.list")).unwrap();
    assert!(listed.lines().count() > NAMES + 3000, "{listed}");
}

#[test]
fn the_least_volume_is_smaller_than_one_of_mke2fs() {
    let kit = kit();
    describe(&kit, "tree", "");
    compose(&kit);
    let size = partitions(&kit.image(), 512)[0].size;
    let make = format!("if make theirs {} 2>&1; then exit 1; fi", size / 4096);
    let said = judge(&kit, &(THEIRS.to_owned() + "e2fsck -fn volume\n" + &make));
    assert!(said.contains("Could not allocate block"), "{said}");
    let taken = Peer::host("du").dir(kit.root()).args(["-k", "image.raw"]);
    let taken = taken.ok();
    let taken: u64 = taken.split_whitespace().next().unwrap().parse().unwrap();
    assert!(taken * 1024 < size, "{taken} KiB of {size} bytes");
}

#[test]
fn volumes_of_any_size_satisfy_e2fsck() {
    let kit = trouble::kit();
    kit.write("tiny/file", "1");
    let mut script = "set -e\n".to_owned();
    let tiny = ["", "1M", "2M", "7M", "8M", "9M", "3T"];
    let large = [
        "", "127M", "128M", "129M", "130M", "300M", "2047M", "2049M", "5G", "70G",
    ];
    let tiny = tiny.map(|size| ("tiny", size));
    for (tree, size) in large.map(|size| ("tree", size)).into_iter().chain(tiny) {
        let keys = Some(size).filter(|size| !size.is_empty()).map(of_size);
        describe(&kit, tree, &keys.unwrap_or_default());
        let image = format!("{tree}{size}.raw");
        kit.compose()
            .env("PATH", "")
            .args(["-q", "image.toml", "-o", &image])
            .ok();
        script += &format!("e2fsck -fn '{image}?offset=1048576'\n");
    }
    let said = Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
    judge_passes(&said);
    assert_eq!(said.matches("Pass 5: ").count(), 17, "{said}");
}

#[test]
fn the_index_of_a_large_folder_is_whole() {
    let kit = kit();
    describe(&kit, "tree", &of_size("64M"));
    compose(&kit);
    let said = judge(&kit, "debugfs -R 'htree_dump /large' volume");
    assert!(said.contains("Indirect levels: 1"), "{said}");
    assert!(said.contains(&large_name(NAMES - 1)), "{said}");
    // Checked, and then made anew.
    let check = "see volume > before
        e2fsck -fyD volume || [ $? = 1 ]
        e2fsck -fn volume
        see volume > after
        diff before after >&2";
    judge_passes(&judge(&kit, check));
}

#[test]
fn trees_of_any_shape_satisfy_e2fsck() {
    let kit = Kit::empty();
    let mut script = "set -e\nmkdir at\n".to_owned();
    for seed in 0..16 {
        let tree = format!("{seed}/tree");
        write_any_tree(&kit, &tree, seed);
        describe(&kit, &tree, "");
        let image = format!("{seed}.raw");
        kit.compose()
            .env("PATH", "")
            .args(["-q", "image.toml", "-o", &image])
            .ok();
        script += &format!(
            "e2fsck -fn '{image}?offset=1048576'
            mount -o ro,loop,offset=1048576 {image} at
            diff -r --no-dereference -x lost+found {tree} at
            umount at\n"
        );
    }
    judge_passes(&Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok());
}

#[test]
fn sectors_of_4096_bytes_make_no_difference() {
    let kit = kit();
    let volumes = [512_u64, 4096].map(|sector| {
        describe(&kit, "tree", "");
        let text = fs::read_to_string(kit.path("image.toml")).unwrap();
        let size = format!("[image]\nsector-size = {sector}");
        kit.write("image.toml", text.replace("[image]", &size));
        compose(&kit);
        judge_table(&kit.image(), sector);
        let found = &partitions(&kit.image(), sector)[0];
        let image = fs::read(kit.image()).unwrap();
        let start = usize::try_from(found.start).unwrap();
        let size = usize::try_from(found.size).unwrap();
        image[start..start + size].to_vec()
    });
    assert!(volumes[0] == volumes[1]);
    kit.write("volume", &volumes[1]);
    let mount = "losetup -f --show -b 4096 volume > device
        mkdir at; mount -o ro $(cat device) at && diff -r --no-dereference -x lost+found tree at
        status=$?; umount at; losetup -d $(cat device); exit $status";
    Peer::sid("bash").dir(kit.root()).args(["-c", mount]).ok();
}

#[test]
fn grubs_own_reader_finds_files() {
    let kit = kit();
    describe(&kit, "tree", "");
    compose(&kit);
    judge_passes(&judge(&kit, "e2fsck -fn volume"));
    let grub = |words: [&str; 2]| {
        let peer = Peer::host("grub-fstest").dir(kit.root());
        peer.arg("volume").args(words).run().stdout
    };
    let large = format!("large/{}", large_name(NAMES - 1));
    for name in [
        "crowd/number 2718",
        "same",
        "names/link",
        "sizes/300001",
        &large,
    ] {
        let read = grub(["cat", &format!("(loop0)/{name}")]);
        assert!(
            read == fs::read(kit.path("tree").join(name)).unwrap(),
            "{name}"
        );
    }
    let listed = String::from_utf8(grub(["ls", "(loop0)/"])).unwrap();
    assert!(
        listed.contains("crowd/ ") && listed.contains("lost+found/ "),
        "{listed}"
    );
    let listed = String::from_utf8(grub(["ls", "(loop0)/large/"])).unwrap();
    assert_eq!(listed.matches("中文 ").count(), NAMES / 20 * 19);
}

#[test]
fn a_dry_run_tells_the_size_and_makes_nothing() {
    let kit = trouble::kit();
    describe(&kit, "tree", "");
    judge_dry_run(&kit);
}

#[test]
fn a_reference_volume_keeps_its_digest() {
    let kit = trouble::kit();
    describe(&kit, "tree", "");
    compose(&kit);
    // A change here changes every image of every user. If it is meant, say so in
    // CHANGELOG.md under Formats.
    insta::assert_snapshot!(Sha256::of(&fs::read(kit.image()).unwrap()).to_string());
}
