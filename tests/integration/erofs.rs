use std::fs;
use std::os::unix::fs::FileExt;

use integration_tests::{Peer, guest, lab};
use tree_manifest::Sha256;

use crate::kit::{Kit, judge_table, partitions, settle};
use crate::trouble::{
    self, CUT, LIST, LOOK, compose, cut, judge_dry_run, judge_look, set_attributes, write_any_tree,
};

fn describe(kit: &Kit, keys: &str) {
    let head = "[[partition]]\ntype = \"linux-generic\"\nlabel = \"store\"\nformat = \"erofs\"\n";
    kit.describe("", &format!("{head}tree = \"tree\"\n{keys}"));
}

#[test]
fn a_volume_is_as_mkfs_erofs_makes_it() {
    let kit = trouble::kit();
    kit.write("list.py", LIST);
    set_attributes(&kit);
    describe(&kit, "");
    compose(&kit);
    judge_table(&kit.image(), 512);
    let check = "fsck.erofs volume
        fsck.erofs --extract=out --preserve --xattrs volume
        mkfs.erofs --quiet --all-root -T1 theirs tree
        fsck.erofs --extract=expected --preserve --xattrs theirs
        python3 list.py out > ours.list; python3 list.py expected > theirs.list
        diff theirs.list ours.list
        blkid -p -s TYPE -s LABEL -s UUID -o export volume
        dump.erofs -s volume";
    let peer = Peer::sid("bash").dir(kit.root());
    let said = peer.args(["-c", &(cut(&kit, 1) + check)]).ok();
    for expected in [
        "LABEL=store",
        "TYPE=erofs",
        "sb_csum",
        "Thu Jan  1 00:00:01 1970",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    let listed = fs::read_to_string(kit.path("ours.list")).unwrap();
    assert!(listed.lines().count() > 3000, "{listed}");
    // Not larger than theirs, and as sparse as the sources.
    let size = |name| fs::metadata(kit.path(name)).unwrap().len();
    assert!(size("volume") <= size("theirs") + 64 * 1024);
    let taken = Peer::host("du")
        .dir(kit.root())
        .args(["-k", "image.raw"])
        .ok();
    let taken: u64 = taken.split_whitespace().next().unwrap().parse().unwrap();
    assert!(taken < 4000, "{taken} KiB");
}

/// Looks at the second partition in a guest.
fn look() -> String {
    format!(
        "mkdir /data && mount -t erofs -o ro /dev/vda2 /data && cd /data || exit 1\n\
         {LOOK}cd / && umount /data\n"
    )
}

#[test]
fn a_kernel_reads_every_file_and_link() {
    let kit = trouble::kit();
    let initrd = kit.path("initrd");
    lab::guest_initrd_with(&[], &["erofs"], &initrd);
    kit.write("boot/run.sh", look());
    let head = "[[partition]]\ntype = \"esp\"\ntree = \"boot\"\n\
        [[partition]]\ntype = \"linux-generic\"\nformat = \"erofs\"\ntree = \"tree\"\n";
    kit.describe("", head);
    compose(&kit);
    let report = guest::run_inside(&kit.image(), &initrd, "vda1/run.sh");
    judge_look(&report, &kit);
    assert_eq!(report.get("folders"), Some("755 7 1777 2"));
}

#[test]
fn a_volume_from_more_files_than_may_be_open_is_hashed_streamed_and_updated() {
    let kit = trouble::kit();
    let set = "verity = \"data\"\nverity-match-key = \"one\"\n[[partition]]\n\
        type = \"linux-generic\"\nverity = \"hash\"\nverity-match-key = \"one\"\n";
    describe(&kit, set);
    let text = fs::read_to_string(kit.path("image.toml")).unwrap();
    let text = text.replacen("linux-generic", "usr-x86-64", 1);
    kit.write(
        "image.toml",
        text.replacen("linux-generic", "usr-x86-64-verity", 1),
    );
    let compose = |words: &str| {
        let program = integration_tests::binary::built("compose");
        let script = format!("ulimit -n 200; exec '{}' {words}", program.display());
        Peer::host("bash")
            .dir(kit.root())
            .args(["-c", &script])
            .ok()
    };
    compose("-q image.toml");
    let first = fs::read(kit.image()).unwrap();
    compose("-q image.toml -o - >streamed");
    assert!(fs::read(kit.path("streamed")).unwrap() == first);
    compose("-q image.toml --format qcow2 -o image.qcow2");
    let convert = Peer::sid("qemu-img").dir(kit.root());
    convert
        .args(["convert", "-O", "raw", "image.qcow2", "converted"])
        .ok();
    assert!(fs::read(kit.path("converted")).unwrap() == first);
    let said = compose("update image.raw image.toml");
    assert_eq!(said, "nothing differs\n");
    settle();
    // The end of a file, which follows its inode.
    let file = fs::File::options()
        .write(true)
        .open(kit.path("tree/sizes/4097"));
    file.unwrap().write_all_at(b"?", 4096).unwrap();
    let said = compose("update image.raw image.toml");
    assert!(
        said.contains("wrote partition 1\nwrote partition 2\n"),
        "{said}"
    );
    let updated = fs::read(kit.image()).unwrap();
    compose("-q image.toml");
    assert!(fs::read(kit.image()).unwrap() == updated && updated != first);
    judge_hashes(&kit);
}

/// Asks veritysetup whether the hashes are those of the data; the UUIDs of both partitions are
/// the root hash.
fn judge_hashes(kit: &Kit) {
    let uuid = |number| {
        let peer = Peer::host("sfdisk").dir(kit.root());
        peer.args(["--part-uuid", "image.raw", number]).ok()
    };
    let mut root_hash = (uuid("1") + &uuid("2")).to_lowercase();
    root_hash.retain(|character| character.is_ascii_hexdigit());
    let mut script = "set -e\n".to_owned();
    for (name, place) in ["data", "hash"].iter().zip(partitions(&kit.image(), 512)) {
        let (start, size) = (place.start / 4096, place.size / 4096);
        script +=
            &format!("dd if=image.raw of={name} bs=4096 skip={start} count={size} status=none\n");
    }
    script += &format!("veritysetup verify data hash {root_hash}");
    Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
}

#[test]
fn trees_of_any_shape_satisfy_fsck() {
    let kit = Kit::empty();
    let mut script = "set -e\n".to_owned();
    for seed in 0..16 {
        write_any_tree(&kit, &format!("{seed}/tree"), seed);
        let head = "[[partition]]\ntype = \"linux-generic\"\nformat = \"erofs\"\n";
        kit.describe("", &format!("{head}tree = \"{seed}/tree\"\n"));
        compose(&kit);
        let found = &partitions(&kit.image(), 512)[0];
        let (start, size) = (found.start / 4096, found.size / 4096);
        fs::rename(kit.image(), kit.path(&format!("{seed}/image.raw"))).unwrap();
        script += &format!(
            "cd {seed}; {CUT} skip={start} count={size}; fsck.erofs --extract=out volume; cd ..\n"
        );
    }
    Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
    for seed in 0..16 {
        let diff = Peer::host("diff").dir(kit.path(&seed.to_string()));
        diff.args(["-r", "--no-dereference", "tree", "out"]).ok();
    }
}

#[test]
fn a_dry_run_tells_the_size_and_makes_nothing() {
    let kit = trouble::kit();
    describe(&kit, "");
    judge_dry_run(&kit);
}

#[test]
fn what_erofs_cannot_hold_is_refused_before_anything_is_written() {
    let kit = trouble::kit();
    describe(
        &kit,
        &format!("make-symlinks = [\"/far:{}\"]\n", "/x".repeat(3000)),
    );
    let said = kit.compose().arg("image.toml").fails(1);
    assert!(
        said.contains("`far`: a link leads at most 4095 bytes far"),
        "{said}"
    );
    describe(&kit, "size-max-bytes = \"1M\"\n");
    let said = kit.compose().arg("image.toml").fails(1);
    assert!(said.contains("`size-max-bytes` is 1 MiB"), "{said}");
    assert!(!kit.image().exists());
}

#[test]
fn a_reference_volume_keeps_its_digest() {
    let kit = trouble::kit();
    describe(&kit, "");
    compose(&kit);
    // A change here changes every image of every user. If it is meant, say so in
    // CHANGELOG.md under Formats.
    insta::assert_snapshot!(Sha256::of(&fs::read(kit.image()).unwrap()).to_string());
}
