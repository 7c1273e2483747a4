use std::fs;

use integration_tests::{Peer, guest, lab};

use crate::ext4::{
    NAMES, describe, judge, judge_passes, kit, large_name, of_size, write_large_folder,
};
use crate::kit::Kit;
use crate::trouble::{self, LOOK, compose, cut, judge_look};

#[test]
fn volumes_grow_and_shrink() {
    let kit = kit();
    describe(&kit, "tree", &of_size("64M"));
    compose(&kit);
    let check = "see volume > before
        cp --sparse=always volume grown
        truncate -s 3G grown
        cp --sparse=always volume shrunk
        resize2fs grown >&2
        resize2fs -M shrunk >&2
        for volume in grown shrunk; do
            e2fsck -fn $volume
            see $volume > after
            diff before after >&2
        done
        [ $(stat -c %s grown) = $((3 << 30)) ]
        [ $(stat -c %s shrunk) -lt $((32 << 20)) ]";
    judge_passes(&judge(&kit, check));
}

/// Writes to a volume that a kernel has mounted, and waits for one of the files alone. A copy
/// of the volume is what is left when power fails then.
const WRITE: &str = "mkdir at; mount -o loop volume at
python3 -c \"import os
for number in range(500):
    os.mkdir(f'at/large/new {number}')
    os.rename(f'at/crowd/number {number}', f'at/large/{number} of the crowd')
with open('at/file', 'wb') as file:
    file.write(b'synced' * 100000)
    file.flush()
    os.fsync(file)\"
cp --sparse=always volume cut
umount at
";

#[test]
fn the_journal_keeps_what_was_synced_when_power_fails() {
    let kit = kit();
    describe(&kit, "tree", &of_size("64M"));
    compose(&kit);
    let check = "dumpe2fs -h cut | grep needs_recovery
        e2fsck -fy cut || [ $? = 1 ]
        e2fsck -fn cut
        e2fsck -fn volume
        see volume > all; see cut > left
        diff all left >&2";
    let said = judge(&kit, &(WRITE.to_owned() + check));
    assert!(said.contains("recovering journal"), "{said}");
    let listed = fs::read_to_string(kit.path("left")).unwrap();
    assert!(listed.contains("'./large/499 of the crowd'"), "{listed}");
    assert!(listed.contains("'./large/new 499'"), "{listed}");
}

/// What users do with files, in the tree and in the volume. Any shell runs it.
const CHANGE: &str = "number=0
while [ $number -lt 2000 ]; do
    echo $number >\"crowd/ü of the guest $number\"
    echo $number >\"empty/a name of some length $number\"
    number=$((number + 1))
done
rm crowd/number*7 same
mv names moved
ln sizes/8191 third
cat sizes/4097 >>sizes/12289
cat sizes/1 >>sizes/4096
: >sizes/4095
for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do cat sizes/300001; done >copies
printf x | dd of=sparse bs=1 seek=1000000 conv=notrunc 2>/dev/null
";

/// What a guest finds in the folder with two levels of index, and adds to it.
const LARGE: &str = "cd large
ls | wc -l | sed 's/^/names=/'
[ -e NAME ] && [ \"$(cat 0)\" = large ] && echo 'found=yes'
[ -e 20000 ] || echo 'none=yes'
number=0
while [ $number -lt 2000 ]; do
    echo $number >\"new ü $number\"
    number=$((number + 1))
done
cd ..
";

/// A guest: looks at the third partition, lets it grow, changes what is there and unmounts it,
/// and then leaves the second one mounted.
fn guest_script() -> String {
    let name = format!("'{}'", large_name(NAMES - 1));
    let large = LARGE.replace("NAME", &name);
    format!(
        "set -e\nmkdir /data /left\nmount -t ext4 /dev/vda3 /data\ncd /data\n{LOOK}\
         resize2fs /dev/vda3 >/dev/null 2>&1\n{CHANGE}cd /\numount /data\n\
         mount -t ext4 /dev/vda2 /left\ncd /left\n{large}sync\n"
    )
}

#[test]
fn a_kernel_reads_writes_and_grows_a_volume() {
    let kit = trouble::kit();
    write_large_folder(&kit, "other");
    let initrd = kit.path("initrd");
    lab::guest_initrd_with(&["/usr/sbin/resize2fs".as_ref()], &[], &initrd);
    kit.write("boot/run.sh", guest_script());
    let volume = |tree: &str| {
        let head = "[[partition]]\ntype = \"linux-generic\"\nformat = \"ext4\"\n";
        format!("{head}tree = \"{tree}\"\n{}", of_size("64M"))
    };
    let esp = "[[partition]]\ntype = \"esp\"\ntree = \"boot\"\n";
    kit.describe("", &(esp.to_owned() + &volume("other") + &volume("tree")));
    compose(&kit);
    // The last partition grows to 2 GiB, and the kernel is to make use of it.
    let grow = "truncate -s 3G image.raw
        sfdisk -q --relocate gpt-bak-std image.raw
        echo ',2G' | sfdisk -q -N 3 image.raw";
    Peer::sid("bash").dir(kit.root()).args(["-ec", grow]).ok();
    let report = guest::run_inside(&kit.image(), &initrd, "vda1/run.sh");
    judge_look(&report, &kit);
    for (key, value) in [
        ("folders", "755 8 1777 2"),
        ("names", "20000"),
        ("found", "yes"),
        ("none", "yes"),
    ] {
        assert_eq!(report.get(key), Some(value), "{key}");
    }
    judge_what_a_guest_left(&kit);
}

/// The volumes are sound, and have what any other file system would have.
fn judge_what_a_guest_left(kit: &Kit) {
    let change = Peer::host("sh").dir(kit.path("tree"));
    change.args(["-ec", CHANGE]).ok();
    let script = "e2fsck -fn volume
        dumpe2fs -h volume | grep -x 'Block count: *524288'
        mkdir at; mount -o ro,loop volume at
        diff -r --no-dereference -x lost+found tree at
        stat -c '%h' at/third | grep -x 2
        umount at\n";
    let other = "dumpe2fs -h volume 2>/dev/null | grep -q needs_recovery
        e2fsck -fy volume || [ $? = 1 ]
        e2fsck -fn volume
        mount -o ro,loop volume at
        [ $(ls at/large | wc -l) = 22000 ]
        number=0
        while [ $number -lt 2000 ]; do
            [ \"$(cat \"at/large/new ü $number\")\" = $number ]
            number=$((number + 1))
        done
        umount at\n";
    let script = cut(kit, 3) + script + &cut(kit, 2) + other;
    let said = Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
    assert!(said.contains("recovering journal"), "{said}");
}
