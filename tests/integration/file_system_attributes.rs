use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::Peer;

use crate::file_systems::{BTRFS, EROFS, EXT4, SQUASHFS, describe, kit, unpack};

/// Gives a program a capability, and attributes that stay on the host or come along. Run as
/// root, by whom the chroot is entered too.
const ATTRIBUTES: &str = "import os
os.setxattr('tree/bin/program', 'security.capability', bytes.fromhex('0100000200040000' + '00' * 12))
os.setxattr('tree/bin/program', 'user.note', b'a\\n\\0b')
os.setxattr('tree/bin', 'user.folder', b'x' * 300)";

#[test]
fn capabilities_and_attributes_of_users_are_kept() {
    let kit = kit();
    let python = Peer::sid("python3").dir(kit.root());
    python.args(["-c", ATTRIBUTES]).ok();
    let ext4 = "debugfs -R 'ea_get -x /bin/program security.capability' volume > found
        grep '01 00 00 02 00 04' found
        debugfs -R 'ea_get -x /bin/program user.note' volume | grep '61 0a 00 62'
        debugfs -R 'ea_get -V /bin user.folder' volume | grep '^x\\{300\\}$'";
    let unpacked = "cd out; python3 -c \"import os
assert os.getxattr('bin/program', 'security.capability').hex() == '0100000200040000' + '00' * 12
assert os.getxattr('bin/program', 'user.note') == b'a\\n\\0b'
assert os.getxattr('bin', 'user.folder') == b'x' * 300\"";
    let erofs = EROFS.replace(
        "--preserve",
        "--preserve-perms --no-preserve-owner --xattrs",
    );
    for (format, check) in [
        ("ext4", format!("{EXT4}\n{ext4}")),
        ("erofs", format!("{erofs}\n{unpacked}")),
        ("squashfs", format!("{SQUASHFS}\n{unpacked}")),
        (
            "btrfs",
            format!(
                "{}\n{unpacked}",
                BTRFS.replace("restore -mS", "restore -mSx")
            ),
        ),
    ] {
        describe(&kit, "", format, "");
        kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        unpack(&kit, &check);
    }
}

/// mkfs.btrfs copies all attributes of a folder that it reads in place.
#[test]
fn attributes_of_the_host_stay_there() {
    let kit = kit();
    fs::set_permissions(kit.path("tree"), fs::Permissions::from_mode(0o755)).unwrap();
    kit.describe(
        "",
        "[[partition]]\ntype = \"root\"\nformat = \"btrfs\"\ntree = \"tree\"\n",
    );
    let images = ["", "tree/bin/program", "tree"].map(|place| {
        if !place.is_empty() {
            let set = format!("import os; os.setxattr('{place}', 'trusted.note', b'x')");
            let python = Peer::sid("python3").dir(kit.root());
            python.args(["-c", &set]).ok();
        }
        kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        fs::read(kit.image()).unwrap()
    });
    let has_note = |image: &[u8]| image.windows(12).any(|bytes| bytes == b"trusted.note");
    assert!(!images.iter().any(|image| has_note(image)));
    assert!(images[0] == images[1] && images[0] == images[2]);
}
