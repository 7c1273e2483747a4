use std::fs;

use integration_tests::Peer;

use crate::kit::{Kit, noise, partitions};

/// A kit with an image of version 1, with room for another version beside it.
fn kit() -> Kit {
    let kit = Kit::empty();
    compose(&kit, 1, "");
    kit
}

/// Composes a version, with all that goes along.
fn compose(kit: &Kit, version: usize, image: &str) {
    kit.write("usr", noise(version, 1 << 20));
    let text = format!(
        "[image]\nname = \"app\"\nversion = \"{version}.0\"\n\
         seed = \"0867da16-5cd9-4c7a-9d2c-7a6b5ea8220{version}\"\n{image}\n\
         [[partition]]\ntype = \"usr-x86-64\"\nlabel = \"app_{version}.0\"\n\
         copy-blocks = \"usr\"\nverity = \"data\"\nverity-match-key = \"a\"\n\
         split-name = \"usr.%U\"\n\
         [[partition]]\ntype = \"usr-x86-64-verity\"\nlabel = \"app_{version}.0\"\n\
         verity = \"hash\"\nverity-match-key = \"a\"\nsplit-name = \"usr-verity.%U\"\n\
         [[partition]]\ntype = \"usr-x86-64\"\nformat = \"empty\"\nsplit-name = \"-\"\n\
         [[partition]]\ntype = \"usr-x86-64-verity\"\nformat = \"empty\"\nsplit-name = \"-\"\n"
    );
    kit.write("image.toml", text);
    let output = format!("release/app_{version}.0.raw");
    fs::create_dir_all(kit.path("release")).unwrap();
    let release = kit.path("release");
    kit.compose()
        .args(["-q", "image.toml", "-o", &output, "--sums"])
        .args(["--sysupdate", "sysupdate.d", "--sysupdate-source"])
        .arg(&release)
        .ok();
}

fn dump(kit: &Kit, image: &str) -> String {
    let sfdisk = Peer::host("sfdisk").args(["-d", "--", image]);
    sfdisk.dir(kit.root()).ok()
}

#[test]
fn systemd_sysupdate_brings_a_machine_to_the_next_version() {
    let kit = kit();
    fs::copy(kit.path("release/app_1.0.raw"), kit.path("machine.raw")).unwrap();
    compose(&kit, 2, "");
    // A machine finds its own disk; here it is a file.
    let machine = format!("Path={}", kit.path("machine.raw").display());
    for item in fs::read_dir(kit.path("sysupdate.d")).unwrap() {
        let path = item.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("Path=auto", &machine)).unwrap();
    }
    let sysupdate = |verb: &str| {
        let peer = Peer::sid("systemd-sysupdate").arg("--definitions");
        peer.arg(kit.path("sysupdate.d"))
            .args(["--verify=no", verb])
            .ok()
    };
    assert_eq!(sysupdate("check-new").trim(), "2.0");
    sysupdate("update");
    let (table, new) = (dump(&kit, "machine.raw"), dump(&kit, "release/app_2.0.raw"));
    let machine = fs::read(kit.path("machine.raw")).unwrap();
    let release = fs::read(kit.path("release/app_2.0.raw")).unwrap();
    let [old, fresh] =
        ["machine.raw", "release/app_2.0.raw"].map(|name| partitions(&kit.path(name), 512));
    for (from, to) in [(0, 2), (1, 3)] {
        // Root hashes travel as UUIDs.
        let line = new.lines().filter(|line| line.contains("uuid=")).nth(from);
        let uuid = line.unwrap().split("uuid=").nth(1).unwrap();
        let uuid = uuid.split(',').next().unwrap();
        let line = table.lines().find(|line| line.contains(uuid)).unwrap();
        assert!(line.contains("name=\"app_2.0\""), "{line}");
        assert!(line.ends_with("attrs=\"GUID:60\""), "{line}");
        let range = |start: u64, size: u64| {
            usize::try_from(start).unwrap()..usize::try_from(start + size).unwrap()
        };
        let size = fresh[from].size;
        assert!(
            machine[range(old[to].start, size)] == release[range(fresh[from].start, size)],
            "partition {to} has another content"
        );
    }
}

#[test]
fn every_file_is_in_the_list_of_digests() {
    let kit = kit();
    compose(&kit, 2, "compress = \"zstd:1\"");
    let peer = Peer::host("sha256sum").dir(kit.path("release"));
    let said = peer.args(["--check", "--strict", "SHA256SUMS"]).ok();
    let files = fs::read_dir(kit.path("release")).unwrap().count();
    assert_eq!((said.lines().count(), files), (6, 7), "{said}");
    assert!(said.contains(".raw.zst: OK"), "{said}");
}

#[test]
fn digests_of_images_that_are_made_at_once_are_all_there() {
    let kit = Kit::empty();
    kit.describe("", "[[partition]]\ntype = \"home\"\n");
    std::thread::scope(|scope| {
        for number in 0..6 {
            let compose = kit.compose().args(["-q", "image.toml", "--sums", "-o"]);
            scope.spawn(move || compose.arg(format!("{number}.raw")).ok());
        }
    });
    let sums = Peer::host("sha256sum").dir(kit.root());
    let said = sums.args(["-c", "SHA256SUMS"]).ok();
    assert_eq!(said.lines().count(), 6, "{said}");
}

#[test]
fn partitions_have_files_of_the_names_that_systemd_repart_gives() {
    let kit = Kit::empty();
    kit.write("repart.d/1.conf", "[Partition]\nType=home\n");
    kit.write(
        "repart.d/2.conf",
        "[Partition]\nType=root-x86-64\nSplitName=%n.%t.%T.%U.%%\n",
    );
    kit.write("repart.d/3.conf", "[Partition]\nType=home\nSplitName=-\n");
    let seed = ["--seed", crate::kit::SEED];
    Peer::sid("systemd-repart")
        .dir(kit.root())
        .args(["--empty=create", "--dry-run=no", "--offline=yes"])
        .args(["--size=auto", "--definitions=repart.d", "--split=yes"])
        .args(seed)
        .arg("theirs.raw")
        .ok();
    let compose = kit
        .compose()
        .args(["-q", "--definitions", "repart.d", "--split"]);
    compose.args(seed).args(["-o", "ours.raw"]).ok();
    let names = |whose: &str| -> Vec<(String, u64)> {
        let names = kit.names().into_iter();
        let names = names.filter_map(|name| {
            let rest = name.strip_prefix(whose)?.to_owned();
            Some((rest, fs::metadata(kit.path(&name)).unwrap().len()))
        });
        names.filter(|(name, _)| name != ".raw").collect()
    };
    assert_eq!(names("ours"), names("theirs"));
    assert_eq!(names("ours").len(), 2);
}

#[test]
fn names_and_labels_that_cannot_serve_are_refused() {
    let kit = Kit::empty();
    let mut said = String::new();
    for (keys, options) in [
        (
            "split-name = \"a\"\n[[partition]]\ntype = \"srv\"\nsplit-name = \"a\"",
            "--split",
        ),
        ("split-name = \"%x\"", "--split"),
        ("split-name = \"../x\"", "--split"),
        ("", "--sysupdate=s --sysupdate-source=/srv"),
        (
            "label = \"home_7\"",
            "--sysupdate=s --sysupdate-source=/srv",
        ),
        ("", "--split -o -"),
    ] {
        kit.describe(
            "version = \"7\"",
            &format!("[[partition]]\ntype = \"home\"\n{keys}\n"),
        );
        let compose = kit.compose().arg("image.toml");
        said += &compose.args(options.split(' ')).fails(1);
    }
    insta::assert_snapshot!(said);
    assert!(!kit.image().exists());
}
