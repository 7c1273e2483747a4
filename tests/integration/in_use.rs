use std::fs;
use std::path::Path;

use integration_tests::{BootOptions, binary, boot, lab, run_inside};
use serde_json::json;

use crate::kit::Kit;

/// Makes secrets as the program of a NixOS system does.
const APPEND: &str = "#!/bin/busybox sh
set -e
mkdir -p /tmp/root
cd /tmp/root
echo of the machine > secret
find . | cpio -o -H newc | gzip >> \"$1\"
";

/// What the guest does before the first boot: two installations, of which the second
/// is the one that counts.
const SCRIPT: &str = "
mkdir /esp && mount -t vfat -o umask=0077 /dev/vda2 /esp || exit 1
install() {
  esp-builder install -q --esp /esp --no-variables --timeout 0 --store-dir /mnt/store \\
    --systemd-boot /mnt/systemd-bootx64.efi --bootspec 1=/mnt/1.json \"$@\"
}
install && install --bootspec 2=/mnt/2.json --bootspec 3=/mnt/3.json --default 2 || exit 1
esp-builder verify --esp /esp | sed s/^/verify=/
umount /esp
";

/// What the guest needs on its first partition: three generations, and what to do.
fn tools(kit: &Kit) {
    let copy =
        |from: &Path, name: &str| kit.write(&format!("tools/{name}"), fs::read(from).unwrap());
    copy(&lab::systemd_boot(), "systemd-bootx64.efi");
    copy(&lab::vmlinuz(), "store/linux/bzImage");
    copy(&lab::guest_initrd(), "store/initrd/initrd");
    kit.write("tools/store/append", APPEND);
    kit.write("tools/run.sh", SCRIPT);
    kit.write("tools/look.sh", "echo secret=$(cat /secret)\n");
    for number in 1..=3 {
        let document = json!({
            "org.nixos.bootspec.v1": {
                "system": "x86_64-linux",
                "label": "26.05",
                "kernel": "/mnt/store/linux/bzImage",
                "initrd": "/mnt/store/initrd/initrd",
                "initrdSecrets": "/mnt/store/append",
                "init": format!("/mnt/store/system-{number}/init"),
                "toplevel": format!("/mnt/store/system-{number}"),
                "kernelParams": ["console=ttyS0", "quiet", "guest.sh=vda1/look.sh"],
            },
            "org.nixos.specialisation.v1": {},
        });
        kit.write(&format!("tools/{number}.json"), document.to_string());
    }
}

/// The kernel's own FAT driver, real firmware, the middle one of three generations.
#[test]
fn what_is_installed_on_a_partition_in_use_boots() {
    let kit = Kit::empty();
    tools(&kit);
    kit.describe(
        "",
        "[[partition]]\ntype = \"linux-generic\"\nformat = \"vfat\"\ntree = \"tools\"\n\
         [[partition]]\ntype = \"esp\"\nformat = \"vfat\"\nsize-min-bytes = \"64M\"\n",
    );
    kit.compose().args(["-q", "image.toml"]).ok();
    let initrd = kit.path("initrd");
    lab::guest_initrd_with(&[&binary::built("esp-builder")], &[], &initrd);
    let report = run_inside(&kit.image(), &initrd, "vda1/run.sh");
    assert_eq!(
        report.get("verify"),
        Some("/esp: as it was written down"),
        "{report:?}"
    );

    let report = boot(&kit.image(), &BootOptions::default());
    let entries = report.efi("LoaderEntries").unwrap();
    for number in 1..=3 {
        let name = format!("nixos-generation-{number}.conf");
        assert!(entries.contains(&name), "{entries}");
    }
    let selected = report.efi("LoaderEntrySelected");
    assert_eq!(selected, Some("nixos-generation-2.conf"));
    assert!(
        report.cmdline().contains("init=/mnt/store/system-2/init"),
        "{report:?}"
    );
    assert_eq!(report.get("secret"), Some("of the machine"), "{report:?}");
}
