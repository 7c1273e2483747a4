use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::Peer;

use crate::kit::{Kit, file_system_programs, judge_table, noise, partitions};

/// A kit with a tree of all that a root file system may have, what is expected of it,
/// and the programs of the sid chroot.
fn kit() -> Kit {
    let kit = Kit::empty();
    for root in ["tree", "expected"] {
        let deep = format!(
            "{root}/{}/{}",
            "directory-".repeat(12),
            "long-name-".repeat(20)
        );
        kit.write(&deep, "deep");
        kit.write(&format!("{root}/bin/program"), noise(1, 300_001));
        kit.write(&format!("{root}/etc/empty"), "");
        kit.write(&format!("{root}/etc/ünï ' \"quoted\""), "x");
        kit.write(&format!("{root}/big"), noise(2, 1 << 20));
        kit.link("../bin/program", &format!("{root}/etc/link"));
        kit.link(&"/nowhere".repeat(30), &format!("{root}/etc/long link"));
        kit.link("/", &format!("{root}/up"));
        fs::set_permissions(
            kit.path(&format!("{root}/bin/program")),
            fs::Permissions::from_mode(0o751),
        )
        .unwrap();
        fs::set_permissions(
            kit.path(&format!("{root}/etc/empty")),
            fs::Permissions::from_mode(0o600),
        )
        .unwrap();
    }
    kit.write("tree/secret/key", "1");
    kit.write("more/file", "2");
    kit.write("expected/usr/share/file", "2");
    kit.write("expected/run/lock/.keep", "");
    fs::remove_file(kit.path("expected/run/lock/.keep")).unwrap();
    kit.link("usr/lib", "expected/lib");
    file_system_programs(&kit);
    kit
}

fn describe(kit: &Kit, image: &str, format: &str, keys: &str) {
    let partition = format!(
        "[[partition]]\ntype = \"linux-generic\"\nlabel = \"store\"\nformat = \"{format}\"\n\
         copy-files = [\"tree:/\", \"more:/usr/share\"]\nexclude-files = [\"tree/secret\"]\n\
         make-directories = [\"/run/lock\"]\nmake-symlinks = [\"/lib:usr/lib\"]\n{keys}\n"
    );
    kit.describe(image, &partition);
}

/// Takes the file system out of the image: checks it, and unpacks it to `out`.
fn unpack(kit: &Kit, check: &str) {
    let found = &partitions(&kit.image(), 512)[0];
    let script = format!(
        "set -e; rm -rf out volume; dd if=image.raw of=volume bs=4096 skip={} count={} status=none conv=sparse\n{check}",
        found.start / 4096,
        found.size / 4096
    );
    Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
    Peer::host("diff")
        .dir(kit.root())
        .args(["-r", "--no-dereference", "expected", "out"])
        .ok();
    // Names, permissions and owners, which `diff` does not see.
    let list = |folder: &str| {
        let find = "find . -mindepth 1 ! -name lost+found -printf '%p %y %m %l\\n' | sort";
        Peer::host("sh")
            .dir(kit.path(folder))
            .args(["-c", find])
            .ok()
    };
    assert_eq!(list("out"), list("expected"));
}

const EXT4: &str = "e2fsck -fn volume
mkdir out; debugfs -R 'rdump / out' volume; rmdir out/lost+found
debugfs -R 'stat /bin/program' volume | grep -q 'User: *0 *Group: *0'
debugfs -R 'stat /bin/program' volume | grep -q 'mtime: 0x00000001'";
const EROFS: &str = "fsck.erofs --extract=out --preserve volume
dump.erofs --path=/bin/program volume | grep -q 'Uid: 0 *Gid: 0'";
const SQUASHFS: &str = "unsquashfs -quiet -no-progress -d out volume
unsquashfs -lln volume | grep 'squashfs-root/bin/program' | grep -q '0/0 *300001 1970-01-01 00:00'";

#[test]
fn file_systems_satisfy_their_checkers() {
    let kit = kit();
    for (format, keys, check) in [
        ("ext4", "", EXT4),
        ("ext4", "size-min-bytes = \"300M\"", EXT4),
        ("erofs", "", EROFS),
        (
            "erofs",
            "compression = \"zstd\"\ncompression-level = \"3\"",
            EROFS,
        ),
        (
            "squashfs",
            "compression = \"zstd\"\ncompression-level = \"2\"",
            SQUASHFS,
        ),
        ("squashfs", "size-min-bytes = \"64M\"", SQUASHFS),
    ] {
        describe(&kit, "", format, keys);
        kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        judge_table(&kit.image(), 512);
        unpack(&kit, check);
        let before: Vec<String> = kit.names();
        assert!(
            !before.iter().any(|name| name.starts_with(".compose")),
            "{before:?}"
        );
    }
}

#[test]
fn the_same_files_give_the_same_file_systems() {
    let images = [kit(), kit()].map(|kit| {
        ["ext4", "erofs", "squashfs"].map(|format| {
            describe(&kit, "", format, "");
            kit.compose_with_programs().args(["-q", "image.toml"]).ok();
            fs::read(kit.image()).unwrap()
        })
    });
    assert!(images[0] == images[1]);
}

#[test]
fn file_systems_have_the_names_that_systemd_repart_gives() {
    let kit = kit();
    fs::remove_dir_all(kit.path("tree")).unwrap();
    kit.write("tree/etc/file", "1");
    describe(&kit, "", "ext4", "");
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    let repart = kit.sid_program("repart-262", "systemd-repart");
    let theirs = kit
        .compose_with_programs()
        .args(["-q", "--engine", "repart", "--repart", &repart]);
    theirs.args(["image.toml", "-o", "theirs.raw"]).ok();
    let names = |image: &str| {
        let at = partitions(&kit.path(image), 512)[0].start;
        let peer = Peer::sid("blkid")
            .dir(kit.root())
            .args(["-p", "-O", &at.to_string()]);
        let peer = peer.args(["-s", "UUID", "-s", "LABEL", "-s", "TYPE", "-o", "export"]);
        let said = peer.arg(image).ok();
        let names = said.lines().filter(|line| !line.starts_with("DEVNAME"));
        names.collect::<Vec<_>>().join("\n")
    };
    let ours = names("image.raw");
    assert!(
        ours.contains("LABEL=store") && ours.contains("TYPE=ext4"),
        "{ours}"
    );
    assert_eq!(ours, names("theirs.raw"));
}

#[test]
fn ext4_is_large_enough_for_every_tree() {
    let kit = kit();
    for (count, size) in [(0, 0), (1, 40 << 20), (3000, 10), (700, 5000)] {
        kit.write("many/file", "");
        for number in 0..count {
            kit.write(
                &format!("many/{}/a name of some length {number}", number % 7),
                vec![7; size],
            );
        }
        let partition = "[[partition]]\ntype = \"root\"\nformat = \"ext4\"\ntree = \"many\"\n";
        kit.describe("", partition);
        kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        let content = count * size;
        let found = partitions(&kit.image(), 512)[0].size;
        let limit = 14 << 20;
        assert!(
            found < (content + content / 8 + count * 5000 + limit) as u64,
            "{found} for {content}"
        );
        fs::remove_dir_all(kit.path("many")).unwrap();
    }
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let kit = kit();
    describe(&kit, "", "erofs", "");
    let said = kit
        .compose()
        .env("PATH", kit.root())
        .arg("image.toml")
        .fails(1);
    assert!(
        said.contains("`mkfs.erofs` is not there") && said.contains("install `erofs-utils`"),
        "{said}"
    );
    describe(&kit, "", "ext4", "size-max-bytes = \"1M\"");
    let said = kit.compose_with_programs().arg("image.toml").fails(1);
    assert!(
        said.contains("it needs 1") && said.contains("`size-max-bytes` is 1 MiB"),
        "{said}"
    );
    assert!(!kit.image().exists());
}
