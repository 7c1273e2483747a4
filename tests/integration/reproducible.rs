use std::fs;
use std::path::Path;

use integration_tests::{Peer, binary, lab};

use crate::kit::{Kit, esp, file_system_programs, noise};
use crate::signed_trees;

/// Where, when and by whom something is made.
struct Circumstances {
    /// Where the inputs lie, below a temporary folder.
    folder: &'static str,
    /// A number of a user and of a group.
    user: &'static str,
    umask: &'static str,
    time_zone: &'static str,
    locale: &'static str,
    processors: &'static str,
    /// The clock, and the time of every input.
    now: &'static str,
}

const HERE: Circumstances = Circumstances {
    folder: "here",
    user: "0",
    umask: "022",
    time_zone: "UTC",
    locale: "C.UTF-8",
    processors: "0-1023",
    now: "2026-02-03 04:05:06",
};

/// An `i` is not the small letter of an `I` there, and it is tomorrow already.
const ELSEWHERE: Circumstances = Circumstances {
    folder: "another 'folder'/of somebody/ünlü",
    user: "0",
    umask: "077",
    time_zone: "Pacific/Kiritimati",
    locale: "tr_TR.UTF-8",
    processors: "0",
    now: "2037-12-30 23:59:58",
};

const BY_SOMEBODY_ELSE: Circumstances = Circumstances {
    user: "65534",
    ..ELSEWHERE
};

/// Copies the inputs `$from` to `$to`, as files of `$user` that were written at `$now`.
const LAY_OUT: &str = r#"
cp -r --no-preserve=ownership,timestamps "$from/." "$to"
find "$to" -exec touch --no-dereference --date "$now" {} +
chown -R "$user:$user" "$to"
chmod 755 "$top"
"#;

/// What `$commands` make and say.
const MAKE: &str = r#"
exec setpriv --reuid "$user" --regid "$user" --clear-groups \
  taskset --cpu-list "$processors" faketime "$now" sh -ec "umask $umask; $commands"
"#;

const LOOK: &str = r"
find made -type f -exec sha256sum {} + | sort -k 2
find made -type l -printf '%p -> %l\n' | sort
";

/// Does the same under these circumstances, with a copy of a kit's inputs: what is in `made`
/// then, and what was said.
fn picture(kit: &Kit, circumstances: &Circumstances, commands: &str) -> String {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join(circumstances.folder);
    fs::create_dir_all(&folder).unwrap();
    let programs = ["sid", "programs"].map(|name| folder.join(name).display().to_string());
    let path = programs.join(":") + ":/usr/sbin:/usr/bin:/sbin:/bin";
    let shell = |script: &str| {
        Peer::host("sh")
            .args(["-ec", script])
            .dir(&folder)
            .env("PATH", &path)
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .env("TZ", circumstances.time_zone)
            .env("LC_ALL", circumstances.locale)
            .env("from", kit.root())
            .env("to", &folder)
            .env("top", top.path())
            .env("user", circumstances.user)
            .env("umask", circumstances.umask)
            .env("processors", circumstances.processors)
            .env("now", circumstances.now)
            .env("commands", commands)
            .ok()
    };
    shell(LAY_OUT);
    let said = shell(MAKE);
    format!("{}{said}", shell(LOOK))
}

/// Holds that two pictures are one, and have this many files.
fn compare(kit: &Kit, elsewhere: &Circumstances, commands: &str, files: usize) {
    let here = picture(kit, &HERE, commands);
    assert_eq!(here, picture(kit, elsewhere, commands));
    assert!(here.matches("  made/").count() >= files, "{here}");
}

/// Gives a kit the programs of this project, where another user can run them.
fn with_programs(kit: Kit) -> Kit {
    fs::create_dir(kit.path("programs")).unwrap();
    for name in ["esp-builder", "compose"] {
        copy(&binary::built(name), &kit.path("programs").join(name));
    }
    kit
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

#[test]
fn trees_and_images_depend_on_nothing_but_their_inputs() {
    let kit = with_programs(signed_trees::kit());
    copy(&lab::systemd_stub(), &kit.path("linux.efi.stub"));
    kit.write("blocks", noise(3, 2_000_000));
    let verity = "[[partition]]\ntype = \"usr-x86-64\"\nlabel = \"usr\"\ncopy-blocks = \"blocks\"\n\
        split-name = \"usr\"\nverity = \"data\"\nverity-match-key = \"usr\"\n\
        [[partition]]\ntype = \"usr-x86-64-verity\"\nverity = \"hash\"\n\
        verity-match-key = \"usr\"\nsplit-name = \"hashes\"\n\
        [[partition]]\ntype = \"swap\"\nformat = \"swap\"\nsize-min-bytes = \"10M\"\n";
    let tree = esp("").replace("\"tree\"", "\"made/type1/manifest.json#esp\"");
    kit.describe("", &(tree + verity));
    let commands = r#"
build() {
  esp-builder --root . --bootspec 1=boot.json --bootspec 2=boot.json --quiet "$@"
}
to_image() { compose --quiet --json image.toml "$@"; }
systemd="--systemd-boot systemd-bootx64.efi --efi-driver ext4x64.efi"
signed="--secure-boot-key keys/db.key --secure-boot-certificate keys/db.pem"
mkdir made
build $systemd made/type1
build $systemd $signed made/signed
build $systemd $signed --layout uki --stub linux.efi.stub made/uki
build --bootloader grub --grub-mkimage grub-mkimage made/grub
build --bootloader extlinux made/extlinux
to_image --sums --output made/image.raw
to_image --sector-size 4096 --output made/4096.raw
for format in qcow2 vhd vmdk; do to_image --format $format --output made/image.$format; done
to_image --compress zstd --output made/image.raw.zst
to_image --compress xz --output made/image.raw.xz
"#;
    compare(&kit, &BY_SOMEBODY_ELSE, commands, 40);
}

/// These programs need root to be run in the chroot.
#[test]
fn file_systems_of_other_programs_depend_on_nothing_but_their_inputs() {
    let kit = with_programs(Kit::with_tree());
    file_system_programs(&kit);
    kit.link("EFI/file", "tree/link");
    let partitions = ["btrfs", "erofs", "ext4", "squashfs", "xfs"].map(|format| {
        format!(
            "[[partition]]\ntype = \"linux-generic\"\nformat = \"{format}\"\ntree = \"tree\"\n\
             minimize = \"guess\"\n"
        )
    });
    let compressed = partitions[1].clone() + "compression = \"lz4\"\n";
    kit.describe("", &(partitions.concat() + &compressed));
    let commands = "mkdir made
        compose --quiet --json image.toml --output made/image.raw";
    compare(&kit, &ELSEWHERE, commands, 1);
}
