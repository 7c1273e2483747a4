use std::fs;

use integration_tests::{BootOptions, boot, lab};

use crate::kit::{Kit, noise, partitions};

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
