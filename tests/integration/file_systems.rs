use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::Peer;

use crate::kit::{Kit, file_system_programs, judge_table, noise, partitions};

/// A kit with a tree of all that a root file system may have, what is expected of it,
/// and the programs of the sid chroot.
pub fn kit() -> Kit {
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
        kit.write(&format!("{root}/etc/system-a\\x2db.slice"), "[Slice]\n");
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

pub fn describe(kit: &Kit, image: &str, format: &str, keys: &str) {
    let partition = format!(
        "[[partition]]\ntype = \"linux-generic\"\nlabel = \"store\"\nformat = \"{format}\"\n\
         copy-files = [\"tree:/\", \"more:/usr/share\"]\nexclude-files = [\"tree/secret\"]\n\
         make-directories = [\"/run/lock\"]\nmake-symlinks = [\"/lib:usr/lib\"]\n{keys}\n"
    );
    kit.describe(image, &partition);
}

/// Takes the file system out of the image: checks it, and unpacks it to `out`.
pub fn unpack(kit: &Kit, check: &str) {
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

pub const EXT4: &str = "e2fsck -fn volume
mkdir out; debugfs -R 'rdump / out' volume; rmdir out/lost+found
debugfs -R 'stat /bin/program' volume | grep -q 'User: *0 *Group: *0'
debugfs -R 'stat /bin/program' volume | grep -q 'mtime: 0x00000001'";
pub const EROFS: &str = "fsck.erofs --extract=out --preserve volume
dump.erofs --path=/bin/program volume | grep -q 'Uid: 0 *Gid: 0'";
pub const SQUASHFS: &str = "unsquashfs -quiet -no-progress -d out volume
unsquashfs -lln volume | grep 'squashfs-root/bin/program' | grep -q '0/0 *300001 1970-01-01 00:00'";

const XFS: &str = "xfs_repair -n volume
mkdir out; xfs_db -r -c 'rdump / out' volume
xfs_db -r -c 'path /bin/program' -c p volume > inode
grep -q 'core.uid = 0' inode; grep -q 'core.mtime.sec = Thu Jan  1 00:00:01 1970' inode";
pub const BTRFS: &str = "btrfs check --check-data-csum volume
mkdir out; btrfs restore -mS volume out
btrfs inspect-internal dump-tree -t 5 volume > dump
! grep -A9 'INODE_ITEM 0) itemoff' dump | grep -e 'uid [1-9]' -e 'gid [1-9]'
! grep -e '[acmo]time ' dump | grep -v 'time 1.0 '";

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
        ("xfs", "", XFS),
        ("xfs", "size-min-bytes = \"1G\"", XFS),
        ("btrfs", "", BTRFS),
        (
            "btrfs",
            "compression = \"zstd\"\ncompression-level = \"9\"",
            BTRFS,
        ),
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
        ["ext4", "erofs", "squashfs", "xfs", "btrfs"].map(|format| {
            let keys = match format {
                "btrfs" => "subvolumes = [\"/etc\", \"/bin:ro\", \"/new/one\"]",
                _ => "",
            };
            describe(&kit, "", format, keys);
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
fn hard_links_stay_and_a_whole_folder_is_read_in_place() {
    let kit = kit();
    for root in ["tree", "expected"] {
        let program = kit.path(&format!("{root}/bin/program"));
        fs::hard_link(program, kit.path(&format!("{root}/bin/same"))).unwrap();
    }
    // Together with something else, and alone.
    let erofs = "dump.erofs --path=/bin/same volume | grep -q 'Links: 2'";
    for (format, check) in [
        ("erofs", format!("{EROFS}\n{erofs}")),
        (
            "ext4",
            format!("{EXT4}\ndebugfs -R 'stat /bin/same' volume | grep -q 'Links: 2'"),
        ),
        (
            "squashfs",
            format!("{SQUASHFS}\ntest out/bin/same -ef out/bin/program"),
        ),
        ("btrfs", format!("{BTRFS}\ngrep -q 'links 2 ' dump")),
    ] {
        describe(&kit, "", format, "");
        kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        unpack(&kit, &check);
    }
    fs::set_permissions(kit.path("expected"), fs::Permissions::from_mode(0o755)).unwrap();
    kit.link("expected", "link");
    let squashfs = "test out/bin/same -ef out/bin/program";
    for (format, compression, check) in [
        ("erofs", "", format!("{EROFS}\n{erofs}")),
        ("erofs", "lz4", format!("{EROFS}\n{erofs}")),
        ("squashfs", "zstd", format!("{SQUASHFS}\n{squashfs}")),
        ("btrfs", "", format!("{BTRFS}\ngrep -q 'links 2 ' dump")),
    ] {
        let images = ["expected", "expected/.", "link"].map(|tree| {
            let mut partition = format!(
                "[[partition]]\ntype = \"linux-generic\"\nlabel = \"store\"\n\
                 format = \"{format}\"\ntree = \"{tree}\"\n"
            );
            if !compression.is_empty() {
                partition += &format!("compression = \"{compression}\"\n");
            }
            kit.describe("", &partition);
            kit.compose_with_programs().args(["-q", "image.toml"]).ok();
            unpack(&kit, &check);
            fs::read(kit.image()).unwrap()
        });
        assert!(images[0] == images[1] && images[0] == images[2], "{format}");
    }
}

#[test]
fn several_are_made_side_by_side_and_told_of() {
    let kit = kit();
    let partition = |format: &str, label: &str| {
        format!(
            "[[partition]]\ntype = \"linux-generic\"\nlabel = \"{label}\"\nformat = \"{format}\"\n\
             copy-files = [\"tree:/\"]\n"
        )
    };
    let formats = ["erofs", "ext4", "squashfs", "erofs", "ext4"];
    let labels = ["a", "b", "c", "d", "e"];
    let all: String = formats
        .iter()
        .zip(labels)
        .map(|(format, label)| partition(format, label))
        .collect();
    kit.describe("", &all);
    let said = kit
        .compose_with_programs()
        .args(["-q", "--progress=json", "image.toml"])
        .run();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    for (format, label) in formats.iter().zip(labels) {
        let told = |event: &str| {
            said.find(&format!(
                "{{\"event\":\"{event}\",\"name\":\"{format} `{label}`\"}}"
            ))
        };
        assert!(told("making").unwrap() < told("made").unwrap(), "{said}");
    }
    let first = fs::read(kit.image()).unwrap();
    // One after the other.
    let compose = integration_tests::binary::built("compose");
    let taskset = Peer::host("taskset").dir(kit.root()).env(
        "PATH",
        format!("{}:/usr/bin:/bin", kit.path("sid").display()),
    );
    taskset
        .args(["-c", "0"])
        .arg(compose)
        .args(["-q", "image.toml"])
        .ok();
    assert!(first == fs::read(kit.image()).unwrap());
}

#[test]
fn btrfs_has_its_subvolumes() {
    let kit = kit();
    let keys = "subvolumes = [\"/etc\", \"/bin:ro\", \"/new/one:nodatacow\"]\n\
                default-subvolume = \"/etc\"";
    describe(&kit, "", "btrfs", keys);
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    fs::create_dir_all(kit.path("expected/new/one")).unwrap();
    unpack(&kit, &BTRFS.replace("restore -mS", "restore -mSs"));
    let script = "btrfs inspect-internal dump-tree -t root volume";
    let script = format!("{script}; btrfs inspect-internal dump-tree -t uuid volume");
    let said = Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
    assert_eq!(said.matches("ROOT_BACKREF").count(), 3, "{said}");
    assert_eq!(said.matches("flags 0x1(RDONLY)").count(), 1, "{said}");
    // The tree of identifiers lists those of the subvolumes and of the root.
    assert_eq!(said.matches("UUID_KEY_SUBVOL").count(), 4, "{said}");
    let etc = said.split("name etc").next().unwrap();
    let (_, etc) = etc.rsplit_once("ROOT_REF ").unwrap();
    let (etc, _) = etc.split_once(')').unwrap();
    let default = format!("location key ({etc} ROOT_ITEM 0) type DIR");
    assert!(said.contains(&default), "{default}\n{said}");
}

#[test]
fn what_mkfs_xfs_cannot_be_told_is_refused() {
    let kit = kit();
    for (keys, expected) in [
        (
            "make-symlinks = [\"/x:with blank\"]",
            "`x`: mkfs.xfs makes no link to a name",
        ),
        (
            "make-directories = [\"/$\"]",
            "can make no file of this name",
        ),
    ] {
        let partition = "[[partition]]\ntype = \"root\"\nformat = \"xfs\"\n";
        kit.describe("", &format!("{partition}{keys}"));
        let said = kit.compose_with_programs().arg("image.toml").fails(1);
        assert!(said.contains(expected), "{said}");
    }
    let places: Vec<String> = kit.names();
    assert!(!places.iter().any(|name| name.starts_with(".compose")));
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let kit = kit();
    describe(&kit, "", "erofs", "compression = \"lz4\"");
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
