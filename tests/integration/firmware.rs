use std::fs;
use std::path::Path;

use integration_tests::{BootOptions, GuestReport, binary, boot, lab};

use crate::kit::{Kit, esp};

/// What the guest does at its first boot: makes a boot option with `esp-builder`, has
/// `efibootmgr` make the same, and leaves that of `esp-builder`. Then nothing is left
/// where firmware would look by itself.
const FIRST_BOOT: &str = r#"
[ -e booted ] && exit 0
touch booted
mkdir -p /tmp /dev/shm
variables=/sys/firmware/efi/efivars
global=8be4df61-93ca-11d2-aa0d-00e098032b8c
cp EFI/nixos/*-vmlinuz.efi /tmp/vmlinuz
cp EFI/nixos/*-initrd.efi /tmp/initrd
cp EFI/systemd/systemd-bootx64.efi /tmp
cmdline=$(sed -n 's/^options //p' loader/entries/linux.conf)
install() {
  esp-builder install --esp /mnt --kernel /tmp/vmlinuz --initrd /tmp/initrd --timeout 0 \
    --cmdline "$cmdline" --systemd-boot /tmp/systemd-bootx64.efi "$@" >/tmp/said 2>&1
  echo "installed=$?"
  awk '{ print "said." name NR "=" $0 }' name="$tag" /tmp/said
}
number_of() {
  efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)\* Linux Boot Manager.*/\1/p'
}
tag=add install --reinstall
ours=$(number_of)
cp "$variables/Boot$ours-$global" /tmp/ours
efibootmgr -v | grep "^Boot$ours" | sed 's/^/option=/'
efibootmgr -q -b "$ours" -B
efibootmgr -q --create --disk /dev/vda --part 1 --label 'Linux Boot Manager' \
  --loader '\EFI\systemd\systemd-bootx64.efi'
theirs=$(number_of)
cmp /tmp/ours "$variables/Boot$theirs-$global" && echo 'same=yes'
tag=keep install
efibootmgr -q -b "$theirs" -B
tag=append install
tag=first install --reinstall
efibootmgr | sed -n 's/^BootOrder: /order=/p'
echo "number=$(number_of)"
dead() {
  efibootmgr -q --create --disk /dev/vda --part 1 --label "$1" --loader '\EFI\gone\gone.efi'
}
dead GRUB
dead Somebody
tag=gone install
efibootmgr | sed -n 's/^Boot[0-9A-F]*\* \(GRUB\|Somebody\).*/left=\1/p'
rm -r EFI/BOOT
"#;

#[test]
fn firmware_starts_the_boot_option_that_efibootmgr_would_have_made() {
    let kit = Kit::empty();
    let initrd = kit.path("initrd");
    let own = binary::built("esp-builder");
    lab::guest_initrd_with(&[&own, Path::new("/usr/bin/efibootmgr")], &[], &initrd);
    fs::copy(lab::vmlinuz(), kit.path("vmlinuz")).unwrap();
    kit.write("first-boot.sh", FIRST_BOOT);
    kit.esp_builder()
        .args([
            "--kernel",
            "vmlinuz",
            "--initrd",
            "initrd",
            "--timeout",
            "0",
        ])
        .args([
            "--cmdline",
            "console=ttyS0 quiet guest.sh=vda1/first-boot.sh",
        ])
        .args([
            "--extra-file",
            "first-boot.sh=first-boot.sh",
            "--systemd-boot",
        ])
        .arg(lab::systemd_boot())
        .arg("out")
        .ok();
    let free = "size-min-bytes = \"128M\"";
    let partition = esp(free).replace("\"tree\"", "\"out/manifest.json#esp\"");
    kit.describe("", &partition);
    kit.compose().args(["-q", "image.toml"]).ok();
    let options = BootOptions {
        write: true,
        vars: Some(kit.path("vars.fd")),
        ..BootOptions::default()
    };
    let first = boot(&kit.image(), &options);
    for (key, value) in [
        ("same", "yes"),
        ("said.add5", "  add            160 B  Boot0003"),
        ("said.add6", "  replace          8 B  BootOrder"),
        ("said.keep4", "nothing to do"),
        ("said.append6", "  add            160 B  Boot0003"),
        ("said.first6", "  replace          8 B  BootOrder"),
        ("number", "0003"),
        ("said.gone7", "  remove                Boot0004"),
        ("left", "Somebody"),
        ("order", "0003,0001,0000,0002"),
    ] {
        assert_eq!(first.get(key), Some(value), "{key}: {first:#?}");
    }
    assert_eq!(first.get("said.keep5"), None, "{first:#?}");
    let started = |report: &GuestReport| report.efi("LoaderImageIdentifier").map(str::to_owned);
    let (fallback, own) = (
        r"\EFI\BOOT\BOOTX64.EFI",
        r"\EFI\systemd\systemd-bootx64.efi",
    );
    assert_eq!(started(&first).as_deref(), Some(fallback));
    let second = boot(&kit.image(), &options);
    assert_eq!(started(&second).as_deref(), Some(own), "{second:#?}");
}
