use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use integration_tests::{BootOptions, boot, lab};

use crate::kit::{Kit, file_system_programs, noise, partitions};

/// An ESP whose tree a command makes, then a protected `/usr`.
fn describe(kit: &Kit, image: &str, command: &[&str], tree: &str) {
    let command: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
    let partitions = format!(
        "[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\ntree = \"{tree}\"\n\
         tree-command = [{}]\n\
         [[partition]]\ntype = \"usr-x86-64\"\nverity = \"data\"\nverity-match-key = \"one\"\n\
         copy-blocks = \"blocks\"\n\
         [[partition]]\ntype = \"usr-x86-64-verity\"\nverity = \"hash\"\n\
         verity-match-key = \"one\"\n",
        command.join(", ")
    );
    kit.write("blocks", noise(3, 1 << 20));
    kit.describe(image, &partitions);
}

/// The root hash, from the UUIDs of the partitions that it protects.
fn root_hash(kit: &Kit) -> String {
    let compose = kit.compose().args(["inspect", "--json", "image.raw"]).ok();
    let found: serde_json::Value = serde_json::from_str(&compose).unwrap();
    let uuid = |index: usize| {
        found["partitions"][index]["uuid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    (uuid(1) + &uuid(2)).replace('-', "")
}

#[test]
fn a_unified_kernel_image_with_the_root_hash_is_made_in_one_run_and_boots() {
    let kit = Kit::empty();
    let esp_builder = integration_tests::binary::built("esp-builder");
    let (kernel, initrd) = (lab::vmlinuz(), lab::guest_initrd());
    let (stub, loader) = (lab::systemd_stub(), lab::systemd_boot());
    let words = [&esp_builder, &kernel, &initrd, &stub, &loader];
    let [esp_builder, kernel, initrd, stub, loader] =
        words.map(|path| path.to_str().unwrap().to_owned());
    let command = [
        esp_builder.as_str(),
        "--layout=uki",
        "--kernel",
        &kernel,
        "--initrd",
        &initrd,
        "--cmdline",
        "console=ttyS0 usrhash={usrhash}",
        "--stub",
        &stub,
        "--systemd-boot",
        &loader,
        "--timeout",
        "0",
        "{out}",
    ];
    describe(&kit, "", &command, "{out}/manifest.json#esp");
    kit.compose().args(["-q", "image.toml"]).ok();
    let report = boot(&kit.image(), &BootOptions::default());
    let expected = format!("usrhash={}", root_hash(&kit));
    assert!(report.cmdline().contains(&expected), "{report:?}");
    let left: Vec<String> = kit.names();
    assert_eq!(left, ["blocks", "image.raw", "image.toml"]);
}

/// Opens the data by the root hash on the command line, without udev, and reads a file of it.
const OPEN: &str = "hash=$(sed 's/.*usrhash=//; s/ .*//' /proc/cmdline)
DM_DISABLE_UDEV=1 veritysetup open /dev/vda2 usr /dev/vda3 \"$hash\" && echo verity.open=yes
mkdir /data && mount -t erofs -o ro /dev/mapper/usr /data && echo verity.mount=yes
sha256sum /data/file >/sum && echo \"verity.file=$(cut -c-64 /sum)\"
umount /data
";

#[test]
fn the_root_hash_on_the_command_line_opens_the_data_and_finds_a_changed_byte() {
    let kit = Kit::empty();
    let initrd = kit.path("initrd");
    let veritysetup = Path::new("/usr/sbin/veritysetup");
    lab::guest_initrd_with(&[veritysetup], &["dm-verity", "erofs"], &initrd);
    let content = noise(5, 1 << 20);
    kit.write("usr/file", &content);
    kit.write("run.sh", OPEN);
    let words = [
        integration_tests::binary::built("esp-builder"),
        lab::vmlinuz(),
        initrd,
        lab::systemd_stub(),
        lab::systemd_boot(),
    ];
    let [program, kernel, initrd, stub, loader] = words.map(|path| path.display().to_string());
    kit.describe(
        "",
        &format!(
            "[[partition]]\ntype = \"esp\"\ntree = \"{{out}}/manifest.json#esp\"\n\
             copy-files = [\"run.sh:/run.sh\"]\n\
             tree-command = [{program:?}, \"--layout=uki\", \"--kernel\", {kernel:?}, \
             \"--initrd\", {initrd:?}, \"--stub\", {stub:?}, \"--systemd-boot\", {loader:?}, \
             \"--timeout=0\", \"--cmdline\", \
             \"console=ttyS0 quiet guest.sh=vda1/run.sh usrhash={{usrhash}}\", \"{{out}}\"]\n\
             [[partition]]\ntype = \"usr-x86-64\"\nformat = \"erofs\"\ncopy-files = [\"usr:/\"]\n\
             verity = \"data\"\nverity-match-key = \"usr\"\n\
             [[partition]]\ntype = \"usr-x86-64-verity\"\nverity = \"hash\"\n\
             verity-match-key = \"usr\"\n"
        ),
    );
    file_system_programs(&kit);
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    let report = boot(&kit.image(), &BootOptions::default());
    let digest = tree_manifest::Sha256::of(&content).to_string();
    assert_eq!(report.get("verity.file"), Some(&*digest), "{report:?}");
    // The last byte of the file.
    let image = fs::read(kit.image()).unwrap();
    let start = usize::try_from(partitions(&kit.image(), 512)[1].start).unwrap();
    let tail = &content[content.len() - 64..];
    let found = image[start..].windows(64).position(|bytes| bytes == tail);
    let at = start + found.unwrap() + 63;
    let file = fs::File::options().write(true).open(kit.image()).unwrap();
    file.write_all_at(&[!image[at]], at as u64).unwrap();
    let report = boot(&kit.image(), &BootOptions::default());
    for key in ["verity.open", "verity.mount"] {
        assert_eq!(report.get(key), Some("yes"), "{report:?}");
    }
    assert_eq!(report.get("verity.file"), None, "{report:?}");
}

/// Writes the root hash, and three megabytes, where it is told.
const SCRIPT: [&str; 6] = [
    "sh",
    "-ec",
    "mkdir $0; echo $1 $2 >$0/hash; head -c 3000000 /dev/zero >$0/zeros",
    "{out}",
    "{usrhash}",
    "{roothash:one}",
];

#[test]
fn what_a_command_makes_takes_its_room_in_the_image() {
    let kit = Kit::empty();
    let wide = "size = \"128M\"";
    for image in ["", "minimum-sizes = \"repart\"", wide] {
        describe(&kit, image, &SCRIPT, "{out}");
        kit.compose().args(["-q", "image.toml"]).ok();
        let said = kit.compose().args(["cat", "image.raw", "/hash"]).ok();
        let hash = root_hash(&kit);
        assert_eq!(said, format!("{hash} {hash}\n"));
        assert_eq!(partitions(&kit.image(), 512).len(), 3);
        let first = fs::read(kit.image()).unwrap();
        kit.compose().args(["-q", "image.toml"]).ok();
        assert!(first == fs::read(kit.image()).unwrap());
    }
}

#[test]
fn commands_that_cannot_work_are_refused() {
    let kit = Kit::empty();
    let mut said = String::new();
    for command in [
        &["sh"][..],
        &["sh", "{out} {roothash}"],
        &["no-such-program", "{out}"],
        &["sh", "-c", "echo no kernel >&2; exit 3", "{out}"],
        &["true", "{out}"],
    ] {
        describe(&kit, "", command, "{out}");
        let errors = kit.compose().args(["image.toml"]).fails(1);
        said += &errors.replace(&kit.root().display().to_string(), "KIT");
    }
    insta::assert_snapshot!(said);
    assert!(!kit.image().exists());
}
