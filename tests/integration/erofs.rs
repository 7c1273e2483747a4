use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use integration_tests::{Peer, guest, lab};
use tree_manifest::Sha256;

use crate::kit::{Kit, judge_table, noise, partitions, settle};

/// Sizes around those of blocks, and of what fits into one behind an inode.
const SIZES: [usize; 13] = [
    0, 1, 2911, 2912, 4063, 4064, 4065, 4095, 4096, 4097, 8191, 12_289, 300_001,
];

/// A kit with a tree of all that EROFS may have a trouble with.
fn kit() -> Kit {
    let kit = Kit::empty();
    for (seed, size) in SIZES.into_iter().enumerate() {
        kit.write(&format!("tree/sizes/{size}"), noise(seed, size));
    }
    for number in 0..3000 {
        kit.write(&format!("tree/crowd/number {number}"), number.to_string());
    }
    let deep = "directory-".repeat(20);
    kit.write(&format!("tree/{deep}/{deep}/{deep}/file"), "deep");
    let names = ["!", "-", " ", ".hidden", "..", "~", "ünï 中文", "a\\x2db"];
    for name in names {
        kit.write(&format!("tree/names/{}", name.replace("..", "..a")), name);
    }
    kit.write(&format!("tree/names/{}", "x".repeat(255)), "long");
    kit.link("../sizes/4097", "tree/names/link");
    kit.link(&"/nowhere".repeat(511), "tree/names/long link");
    fs::hard_link(kit.path("tree/sizes/4097"), kit.path("tree/same")).unwrap();
    fs::create_dir(kit.path("tree/empty")).unwrap();
    let sparse = fs::File::create(kit.path("tree/sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    sparse.write_all_at(&noise(9, 5000), 3 << 20).unwrap();
    let chmod = Peer::host("chmod").dir(kit.root());
    chmod.args(["-R", "u=rwX,go=rX", "tree"]).ok();
    for (name, mode) in [("sizes/1", 0o6751), ("sizes/0", 0o600), ("empty", 0o1777)] {
        let permissions = Permissions::from_mode(mode);
        fs::set_permissions(kit.path("tree").join(name), permissions).unwrap();
    }
    kit
}

fn describe(kit: &Kit, keys: &str) {
    let head = "[[partition]]\ntype = \"linux-generic\"\nlabel = \"store\"\nformat = \"erofs\"\n";
    kit.describe("", &format!("{head}tree = \"tree\"\n{keys}"));
}

/// Composes where no program can be found.
fn compose(kit: &Kit) {
    let compose = kit.compose().env("PATH", kit.path("nothing"));
    compose.args(["-q", "image.toml"]).ok();
}

/// Copies a partition out of the image, to `volume`.
const CUT: &str = "dd if=image.raw of=volume bs=4096 status=none conv=sparse";

fn cut(kit: &Kit, number: usize) -> String {
    let found = &partitions(&kit.image(), 512)[number - 1];
    let (start, size) = (found.start / 4096, found.size / 4096);
    format!("set -e\n{CUT} skip={start} count={size}\n")
}

/// Gives a program a capability, and attributes of users to others.
const ATTRIBUTES: &str = "import os
os.setxattr('tree/sizes/4097', 'security.capability', bytes.fromhex('0100000200040000' + '00' * 12))
os.setxattr('tree/sizes/300001', 'user.note', b'a\\n\\0b')
os.setxattr('tree/sizes/300001', 'user.other', b'')
os.setxattr('tree/crowd', 'user.folder', b'x' * 1000)";

/// Everything that is seen of a folder.
const LIST: &str = "import os, sys, hashlib
os.chdir(sys.argv[1])
for place, folders, files in os.walk('.'):
    folders.sort()
    for name in sorted(folders + files) + ['.']:
        path = os.path.join(place, name)
        found = os.lstat(path)
        kind = found.st_mode & 0o170000
        is_link, is_file = kind == 0o120000, kind == 0o100000
        said = os.readlink(path) if is_link else ''
        if is_file:
            said = hashlib.sha256(open(path, 'rb').read()).hexdigest()
        names = [] if is_link else sorted(os.listxattr(path))
        names = [name for name in names if name.startswith(('user.', 'security.cap'))]
        attributes = [(name, os.getxattr(path, name)) for name in names]
        size = 0 if kind == 0o040000 else found.st_size
        links = found.st_nlink if is_file else 0
        print(repr(path), oct(found.st_mode), links, found.st_uid, found.st_gid,
              int(found.st_mtime), size, said, attributes)
";

#[test]
fn a_volume_is_as_mkfs_erofs_makes_it() {
    let kit = kit();
    kit.write("list.py", LIST);
    let python = Peer::sid("python3").dir(kit.root());
    python.args(["-c", ATTRIBUTES]).ok();
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

/// What the guest says of the volume on its second partition: the digest of each file, what
/// one lookup in a large folder finds, links, permissions and owners.
const LOOK: &str = "mkdir /data && mount -t erofs -o ro /dev/vda2 /data && cd /data || exit 1
find . -type f -exec sha256sum {} + | sort -k 2 | sed 's|^\\([0-9a-f]*\\) *\\./\\(.*\\)|file.\\2=\\1|'
echo \"lookup=$(cat 'crowd/number 2718')\"
[ -e 'crowd/number 3000' ] || echo 'missing=yes'
echo \"long=$(readlink 'names/long link' | wc -c)\"
echo \"through=$(cat names/link | sha256sum | cut -c-64)\"
echo \"links=$(stat -c %h same) $(stat -c %i same) $(stat -c %i sizes/4097)\"
echo \"program=$(stat -c '%a %u %g %Y %s' sizes/1)\"
echo \"folders=$(stat -c '%a %h' .) $(stat -c '%a %h' empty)\"
cd / && umount /data
";

#[test]
fn a_kernel_reads_every_file_and_link() {
    let kit = kit();
    let initrd = kit.path("initrd");
    lab::guest_initrd_with(&[], &["erofs"], &initrd);
    kit.write("boot/run.sh", LOOK);
    let head = "[[partition]]\ntype = \"esp\"\ntree = \"boot\"\n\
        [[partition]]\ntype = \"linux-generic\"\nformat = \"erofs\"\ntree = \"tree\"\n";
    kit.describe("", head);
    compose(&kit);
    let report = guest::run_inside(&kit.image(), &initrd, "vda1/run.sh");
    let mut expected = BTreeMap::new();
    let paths = Peer::host("find").args(["-type", "f", "-printf", "%P\\n"]);
    for path in paths.dir(kit.path("tree")).ok().lines() {
        let content = fs::read(kit.path("tree").join(path)).unwrap();
        expected.insert(format!("file.{path}"), Sha256::of(&content).to_string());
    }
    assert!(expected.len() > 3000);
    for (key, digest) in &expected {
        // A report has no names with backslashes, and splits at the first `=`.
        assert_eq!(report.get(key), Some(&**digest), "{key}");
    }
    for (key, value) in [
        ("lookup", "2718"),
        ("missing", "yes"),
        // With a line break.
        ("long", "4089"),
        ("through", &expected["file.sizes/4097"]),
        ("program", "6751 0 0 1 1"),
        ("folders", "755 7 1777 2"),
    ] {
        assert_eq!(report.get(key), Some(value), "{key}");
    }
    let links: Vec<&str> = report.get("links").unwrap().split(' ').collect();
    assert_eq!(links[0], "2");
    assert_eq!(links[1], links[2]);
}

#[test]
fn a_volume_from_more_files_than_may_be_open_is_hashed_streamed_and_updated() {
    let kit = kit();
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

/// Numbers without a pattern, the same for the same seed.
struct Numbers(Vec<u8>);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        let bytes = [(); 4].map(|()| self.0.pop().unwrap());
        u32::from_le_bytes(bytes) as usize % end
    }
}

/// Writes a tree of some hundred files to a folder.
fn write_any_tree(kit: &Kit, folder: &str, seed: usize) {
    let mut numbers = Numbers(noise(seed, 64_000));
    let mut folders = vec![folder.to_owned()];
    for number in 0..300 {
        let above = folders[numbers.below(folders.len())].clone();
        let longest = if number % 3 == 0 { 240 } else { 12 };
        let filler = ["a", "-", " ", "~", "ü"][numbers.below(5)];
        let filler = filler.repeat(numbers.below(longest) / filler.len());
        let place = format!("{above}/{filler}{number}");
        match numbers.below(8) {
            0 if place.len() < 2000 => {
                fs::create_dir_all(kit.path(&place)).unwrap();
                folders.push(place);
            }
            1 => kit.link(&"x".repeat(1 + numbers.below(4000)), &place),
            2 => kit.write(&place, noise(number, numbers.below(200_000))),
            // Around the ends of blocks, with and without an inode before.
            3 => kit.write(
                &place,
                noise(number, 4096 * numbers.below(4) + 4030 + numbers.below(80)),
            ),
            4 => kit.write(&place, ""),
            _ => kit.write(&place, noise(number, numbers.below(6000))),
        }
    }
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
    let kit = kit();
    describe(&kit, "");
    let before = kit.names();
    let dry = kit
        .compose()
        .env("PATH", "")
        .args(["--dry-run", "--json", "image.toml"]);
    let dry: serde_json::Value = serde_json::from_str(&dry.ok()).unwrap();
    assert_eq!(kit.names(), before);
    compose(&kit);
    let size = partitions(&kit.image(), 512)[0].size;
    let told = &dry["layout"]["partitions"][0]["raw-size"];
    assert_eq!(told.as_u64(), Some(size), "{dry}");
}

#[test]
fn what_erofs_cannot_hold_is_refused_before_anything_is_written() {
    let kit = kit();
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
    let kit = kit();
    describe(&kit, "");
    compose(&kit);
    // A change here changes every image of every user. If it is meant, say so in
    // CHANGELOG.md under Formats.
    insta::assert_snapshot!(Sha256::of(&fs::read(kit.image()).unwrap()).to_string());
}
