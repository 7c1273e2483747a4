use std::fs;

use integration_tests::Peer;
use serde_json::Value;

use crate::kit::{Kit, SEED, noise, partitions};

/// Definitions of data, its hashes and a signature, in short as in `placement`.
const SETS: [&str; 4] = [
    "SizeMinBytes=1M@--size=auto",
    "Minimize=best@--size=auto",
    "Minimize=best@--size=50M",
    "SizeMinBytes=3M;VerityHashBlockSizeBytes=1024;VerityDataBlockSizeBytes=512@--size=45M",
];

/// A kit with a key, its certificate and 5 MB.
fn kit() -> Kit {
    let kit = Kit::empty();
    kit.write("blocks", noise(1, 1221 * 4096));
    kit.make_key();
    kit
}

const KEYS: [&str; 4] = [
    "--private-key",
    "key.pem",
    "--certificate",
    "certificate.pem",
];

#[test]
fn hashes_and_signatures_are_those_of_systemd_repart() {
    let kit = kit();
    let blocks = kit.path("blocks").display().to_string();
    for (number, set) in SETS.into_iter().enumerate() {
        let (keys, size) = set.split_once('@').unwrap();
        let definitions = format!("{number}.repart.d");
        let keys = keys.replace(';', "\n");
        for (part, role, text) in [
            ("", "data", format!("CopyBlocks={blocks}")),
            ("-verity", "hash", keys),
            ("-verity-sig", "signature", String::new()),
        ] {
            kit.write(
                &format!("{definitions}/{role}.conf"),
                format!(
                    "[Partition]\nType=root-x86-64{part}\nVerity={role}\nVerityMatchKey=root\n{text}\n"
                ),
            );
        }
        let theirs = format!("{number}.theirs");
        Peer::sid("systemd-repart")
            .dir(kit.root())
            .args(["--empty=create", "--dry-run=no", "--offline=yes", size])
            .args(["--seed", SEED, "--definitions", &definitions])
            .args(KEYS)
            .arg(&theirs)
            .ok();
        let compose = kit
            .compose()
            .args(["-q", "--seed", SEED, size, "-o", "ours"]);
        compose
            .args(["--definitions", &definitions])
            .args(KEYS)
            .ok();
        // The same places, and there the same data, hashes and signature.
        let [ours, theirs] = ["ours", &theirs].map(|name| {
            let bytes = fs::read(kit.path(name)).unwrap();
            let places = partitions(&kit.path(name), 512).into_iter();
            let places: Vec<_> = places.map(|found| (found.start, found.size)).collect();
            let range = |(start, size): (u64, u64)| {
                let start = usize::try_from(start).unwrap();
                start..start + usize::try_from(size).unwrap()
            };
            let contents = places.iter().map(|place| bytes[range(*place)].to_vec());
            (contents.collect::<Vec<_>>(), places)
        });
        assert_eq!(ours.1, theirs.1, "{set}");
        assert!(ours.0 == theirs.0, "{set}");
    }
}

/// A description of a file system with these keys, its hashes, and more.
fn describe(kit: &Kit, image: &str, data: &str, more: &str) {
    let partitions = format!(
        "[[partition]]\ntype = \"usr-x86-64\"\nverity = \"data\"\nverity-match-key = \"usr\"\n\
         {data}\n[[partition]]\ntype = \"usr-x86-64-verity\"\nverity = \"hash\"\n\
         verity-match-key = \"usr\"\n{more}"
    );
    kit.describe(image, &partitions);
}

const SIGNATURE: &str = "[[partition]]\ntype = \"usr-x86-64-verity-sig\"\n\
    verity = \"signature\"\nverity-match-key = \"usr\"\n";

/// Makes the image; the root hash that the report tells.
fn root_hash(kit: &Kit, arguments: &[&str]) -> String {
    let compose = kit.compose().args(["--json", "image.toml"]);
    let said = compose.args(arguments).ok();
    let said: Value = serde_json::from_str(&said).unwrap();
    let partitions = &said["layout"]["partitions"];
    assert_eq!(partitions[0]["roothash"], partitions[1]["roothash"]);
    partitions[0]["roothash"].as_str().unwrap().to_owned()
}

#[test]
fn veritysetup_finds_the_data_as_the_root_hash_says() {
    let kit = kit();
    kit.write("tree/file", noise(2, 70_001));
    let made = "format = \"vfat\"\ncopy-files = [\"tree:/\"]";
    for (image, data) in [
        ("", "copy-blocks = \"blocks\""),
        ("size = \"64M\"", "copy-blocks = \"blocks\""),
        ("size = \"64M\"", made),
        ("", "size-min-bytes = 4096\nsize-max-bytes = 4096"),
    ] {
        describe(&kit, image, data, "");
        let root_hash = root_hash(&kit, &[]);
        let found = partitions(&kit.image(), 512);
        let script = format!(
            "set -e; dd if=image.raw of=data bs=4096 skip={} count={} status=none conv=sparse
             dd if=image.raw of=hash bs=4096 skip={} count={} status=none conv=sparse
             veritysetup verify data hash {root_hash}
             printf x | dd of=data bs=1 seek=4000 conv=notrunc status=none
             ! veritysetup verify data hash {root_hash} 2>/dev/null",
            found[0].start / 4096,
            found[0].size / 4096,
            found[1].start / 4096,
            found[1].size / 4096
        );
        Peer::sid("bash").dir(kit.root()).args(["-c", &script]).ok();
        let halves = uuid(&kit, "1") + &uuid(&kit, "2");
        assert_eq!(halves.replace('-', "").to_lowercase(), root_hash);
    }
}

fn uuid(kit: &Kit, number: &str) -> String {
    let peer = Peer::host("sfdisk").dir(kit.root());
    let said = peer.args(["--part-uuid", "image.raw", number]).ok();
    said.trim().to_owned()
}

#[test]
fn a_signature_may_be_made_elsewhere_and_systemd_accepts_the_image() {
    let kit = kit();
    describe(&kit, "", "copy-blocks = \"blocks\"", SIGNATURE);
    let said = kit.compose().arg("image.toml").fails(1);
    let hint = said.split("--verity-signature ").nth(1).unwrap();
    let root_hash = hint.split(':').next().unwrap().to_owned();
    assert!(!kit.image().exists());
    let script = format!(
        "printf %s {root_hash} | openssl smime -sign -binary -noattr -outform der \
         -inkey key.pem -signer certificate.pem >signature"
    );
    Peer::host("sh").dir(kit.root()).args(["-c", &script]).ok();
    let signature = format!("{root_hash}:signature");
    assert_eq!(
        self::root_hash(&kit, &["--verity-signature", &signature]),
        root_hash
    );
    let elsewhere = fs::read(kit.image()).unwrap();
    Peer::sid("systemd-dissect")
        .args(["--validate"])
        .arg(kit.image())
        .ok();
    assert_eq!(self::root_hash(&kit, &KEYS), root_hash);
    let here = fs::read(kit.image()).unwrap();
    // The same signature; only its certificate is named beside it.
    let signed = |image: &[u8]| {
        let at = usize::try_from(partitions(&kit.image(), 512)[2].start).unwrap();
        let text = image[at..].split(|byte| *byte == 0).next().unwrap();
        serde_json::from_slice::<Value>(text).unwrap()
    };
    assert_eq!(signed(&here)["signature"], signed(&elsewhere)["signature"]);
    assert!(signed(&here)["certificateFingerprint"].is_string());
}

#[test]
fn sets_that_lack_a_part_are_refused() {
    let kit = kit();
    kit.describe("", SIGNATURE);
    let said = kit.compose().arg("image.toml").fails(1);
    assert!(said.contains("`verity = \"data\"`"), "{said}");
    describe(&kit, "", "copy-blocks = \"blocks\"", "");
    let text = fs::read_to_string(kit.path("image.toml")).unwrap();
    kit.write(
        "image.toml",
        text.clone() + &text[text.find("[[").unwrap()..],
    );
    let said = kit.compose().arg("image.toml").fails(1);
    assert!(said.contains("two partitions"), "{said}");
}
