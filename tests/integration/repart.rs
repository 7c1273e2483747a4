use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration_tests::{Peer, binary, lab};

use crate::kit::{Kit, SEED, judge_fat, judge_table, partitions};

/// Partitions that both engines can make, with sizes systemd-repart has no floor above.
const PARTITIONS: &str = "[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\ntree = \"tree\"\n\
    make-directories = [\"/loader/keys\"]\nexclude-files = [\"tree/loader/entries/\"]\n\
    [[partition]]\ntype = \"root\"\nsize-min-bytes = \"1M\"\nsize-max-bytes = \"5M\"\n\
    [[partition]]\ntype = \"swap\"\nsize-max-bytes = \"3M\"\nsize-min-bytes = \"3M\"\n\
    [[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"tree/NO-EXT\"\npadding-min-bytes = \"1M\"\n";

fn table(kit: &Kit, name: &str) -> String {
    let dump = Peer::host("sfdisk").arg("-d").arg(kit.path(name)).ok();
    dump.replace(&kit.path(name).display().to_string(), "disk")
}

/// A kit with sources that both engines can read, and this description.
fn kit(image: &str) -> Kit {
    let kit = Kit::with_tree();
    kit.write("tree/NO-EXT", vec![5; 512 * 2000]);
    // Too long for mtools, and a name it gives back in another encoding.
    fs::remove_dir_all(kit.path("tree/EFI/nixos")).unwrap();
    kit.describe(
        &format!("architecture = \"x86-64\"\nminimum-sizes = \"repart\"\n{image}"),
        PARTITIONS,
    );
    kit
}

#[test]
fn both_engines_make_the_same_image() {
    for image in ["", "size = \"256M\""] {
        let kit = kit(image);
        let repart = kit.sid_program("repart-262", "systemd-repart");
        kit.compose().args(["-q", "image.toml"]).ok();
        let said = kit
            .compose()
            .args([
                "--engine",
                "repart",
                "--json",
                "image.toml",
                "-o",
                "theirs.raw",
            ])
            .args(["--repart", &repart])
            .ok();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["layout"]["partitions"][1]["type"], "root-x86-64");
        assert_eq!(table(&kit, "image.raw"), table(&kit, "theirs.raw"));
        let swap = |name: &str| {
            let at = partitions(&kit.path(name), 512)[2].start;
            let at = usize::try_from(at).unwrap();
            fs::read(kit.path(name)).unwrap()[at..at + 4096].to_vec()
        };
        assert!(
            swap("image.raw") == swap("theirs.raw"),
            "mkswap writes another header"
        );
        fs::remove_dir_all(kit.path("tree/loader/entries")).unwrap();
        for name in ["tree/loader/entries", "tree/loader/keys"] {
            fs::create_dir_all(kit.path(name)).unwrap();
        }
        for name in ["image.raw", "theirs.raw"] {
            judge_table(&kit.path(name), 512);
            let volume = &partitions(&kit.path(name), 512)[0];
            judge_fat(&kit.path(name), volume, &kit.path("tree"));
        }
    }
}

#[test]
fn definitions_are_written_that_make_the_image() {
    let kit = kit("");
    kit.compose().args(["-q", "image.toml"]).ok();
    let said = kit
        .compose()
        .args(["repart", "image.toml", "-o", "repart.d"])
        .ok();
    assert!(said.contains(SEED), "{said}");
    let mut words: Vec<&str> = said.split_whitespace().collect();
    words.pop();
    Peer::sid(words[0])
        .dir(kit.root())
        .args(&words[1..])
        .arg("theirs.raw")
        .ok();
    assert_eq!(table(&kit, "image.raw"), table(&kit, "theirs.raw"));
    let compose = kit
        .compose()
        .args(["-q", "--definitions", "repart.d", "--seed", SEED]);
    compose.args(["-o", "again.raw"]).ok();
    assert!(fs::read(kit.image()).unwrap() == fs::read(kit.path("again.raw")).unwrap());
}

/// systemd-repart would take every definition of the folder for part of the image.
#[test]
fn definitions_are_not_written_among_others_or_through_links() {
    let kit = Kit::empty();
    kit.describe("format = \"qcow2\"", "[[partition]]\ntype = \"home\"\n");
    let repart = || kit.compose().args(["repart", "image.toml", "-o", "out.d"]);
    kit.write("victim", "as it was");
    kit.link("../victim", "out.d/001-home.conf");
    let said = repart().ok();
    assert!(said.ends_with("--definitions=out.d image.raw\n"), "{said}");
    assert_eq!(fs::read_to_string(kit.path("victim")).unwrap(), "as it was");
    let written = fs::read_to_string(kit.path("out.d/001-home.conf")).unwrap();
    assert!(written.starts_with("[Partition]\nType=home\n"), "{written}");
    kit.describe("", "[[partition]]\ntype = \"srv\"\n");
    let said = repart().fails(1);
    assert_eq!(
        said,
        "error: output `out.d/001-home.conf` is a definition that is not of this description; \
         remove it, or choose another directory\n"
    );
}

/// Whatever engine the description names: systemd-repart will read what is written.
#[test]
fn definitions_say_all_of_a_description_or_are_not_written() {
    let kit = Kit::empty();
    let repart = |keys: &str| {
        kit.describe("", &format!("[[partition]]\ntype = \"home\"\n{keys}\n"));
        kit.compose().args(["repart", "image.toml", "-o", "out.d"])
    };
    repart("encrypt = \"key-file\"").ok();
    let written = fs::read_to_string(kit.path("out.d/001-home.conf")).unwrap();
    assert!(written.contains("\nEncrypt=key-file\n"), "{written}");
    for (keys, key) in [
        ("format = \"vfat\"\nfat-type = \"fat16\"", "`fat-type`"),
        ("format = \"ext4\"\nvolume-label = \"x\"", "`volume-label`"),
    ] {
        let said = repart(keys).fails(1);
        assert!(said.contains(key) && said.contains("`repart`"), "{said}");
    }
}

#[test]
fn what_systemd_repart_cannot_do_is_told() {
    let kit = kit("engine = \"repart\"");
    let said = kit
        .compose()
        .args(["--repart", "no-such-repart", "image.toml"])
        .fails(1);
    assert!(
        said.contains("`no-such-repart` is not there") && said.contains("install `systemd-repart`"),
        "{said}"
    );
    let old = kit.sid_program("old", "echo systemd 256 '(256.7)' #");
    let more = "[[partition]]\ntype = \"root\"\nmake-symlinks = [\"/a:b\"]\n";
    kit.describe("engine = \"repart\"", more);
    let said = kit
        .compose()
        .args(["--repart", &old, "image.toml"])
        .fails(1);
    assert!(
        said.contains("is of version 256, and `make-symlinks` needs 257"),
        "{said}"
    );
    kit.describe(
        "engine = \"repart\"\nsize = \"8M\"",
        "[[partition]]\ntype = \"home\"\n",
    );
    let repart = kit.sid_program("repart-262", "systemd-repart");
    let before = kit.names();
    let said = kit
        .compose()
        .args(["--repart", &repart, "image.toml"])
        .fails(1);
    assert!(
        said.contains("repart-262` failed (exit status: 1)"),
        "{said}"
    );
    assert_eq!(kit.names(), before, "something was left behind");
}

#[test]
fn the_types_are_those_of_systemd() {
    let kit = Kit::empty();
    let listed = Peer::sid("systemd-id128").arg("show").ok();
    let listed: Vec<(&str, &str)> = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(char::is_whitespace))
        .collect();
    assert!(
        listed.len() > 200,
        "systemd-id128 lists {} types",
        listed.len()
    );
    for types in listed.chunks(100) {
        let mut partitions = String::new();
        for (name, _) in types {
            partitions += &format!(
                "[[partition]]\ntype = \"{name}\"\nsize-min-bytes = \"40K\"\nsize-max-bytes = \"40K\"\n"
            );
        }
        kit.describe("architecture = \"x86-64\"", &partitions);
        kit.compose().args(["-q", "image.toml"]).ok();
        let table = table(&kit, "image.raw");
        let found = table
            .lines()
            .filter_map(|line| line.split_once("type=")?.1.get(..36));
        let found: Vec<_> = found
            .map(|guid| guid.replace('-', "").to_lowercase())
            .collect();
        let wanted: Vec<_> = types.iter().map(|(_, guid)| guid.trim()).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn what_systemd_repart_makes_is_written_in_every_format() {
    let kit = kit("engine = \"repart\"");
    let repart = kit.sid_program("repart-262", "systemd-repart");
    let compose = || {
        kit.compose()
            .env("SYSTEMD_REPART", &repart)
            // Its files have the time of their copy otherwise.
            .env("SOURCE_DATE_EPOCH", "1")
            .arg("image.toml")
    };
    compose().args(["-q", "-o", "plain.raw"]).ok();
    let qcow2 = [
        "-q",
        "-o",
        "disk.qcow2",
        "--format",
        "qcow2",
        "--split",
        "--sums",
    ];
    compose().args(qcow2).ok();
    let compare = Peer::host("qemu-img").dir(kit.root());
    let words = ["compare", "-f", "raw", "-F", "qcow2"];
    compare.args(words).args(["plain.raw", "disk.qcow2"]).ok();
    let sums = Peer::host("sha256sum").dir(kit.root());
    let said = sums.args(["--check", "--strict", "SHA256SUMS"]).ok();
    assert!(said.contains("disk.swap.raw: OK"), "{said}");
    let plain = fs::read(kit.path("plain.raw")).unwrap();
    let found = &partitions(&kit.path("plain.raw"), 512)[0];
    let at = |place: u64| usize::try_from(place).unwrap();
    let esp = &plain[at(found.start)..at(found.start + found.size)];
    assert!(fs::read(kit.path("disk.esp.raw")).unwrap() == esp);
    let script = format!(
        "'{}' image.toml -o - --compress zstd:1 | zstd -d | cmp - plain.raw",
        binary::built("compose").display()
    );
    let bash = Peer::host("bash").dir(kit.root());
    let bash = bash.env("SYSTEMD_REPART", &repart);
    let bash = bash.env("SOURCE_DATE_EPOCH", "1");
    bash.args(["-o", "pipefail", "-c", &script]).ok();
    // Added to a copy, which takes the place of what was there.
    kit.describe(
        "engine = \"repart\"\nempty = \"refuse\"\nminimum-sizes = \"repart\"",
        &format!("{PARTITIONS}[[partition]]\ntype = \"srv\"\n"),
    );
    compose().args(["-q", "-o", "plain.raw"]).ok();
    let grown = fs::read(kit.path("plain.raw")).unwrap();
    assert!(grown[at(found.start)..at(found.start + found.size)] == *esp);
    assert_eq!(partitions(&kit.path("plain.raw"), 512).len(), 5);
    assert!(!kit.names().iter().any(|name| name.starts_with(".compose")));
}

#[test]
fn files_belong_to_root_whoever_runs_systemd_repart() {
    let kit = Kit::empty();
    kit.write("tree/file", "content");
    kit.describe(
        "engine = \"repart\"",
        "[[partition]]\ntype = \"root\"\nformat = \"ext4\"\ntree = \"tree\"\n",
    );
    // Without a chroot, which a user has not.
    let root = lab::sid();
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let script = format!(
        "#!/bin/sh\nexec {0}/usr/lib64/ld-linux-x86-64.so.2 --library-path {1}:{1}/systemd \\\n\
         {0}/usr/bin/systemd-repart \"$@\"\n",
        root.display(),
        libraries.display()
    );
    kit.write("repart-262", script);
    let repart = kit.path("repart-262");
    fs::set_permissions(&repart, fs::Permissions::from_mode(0o755)).unwrap();
    let user = |path: &str| {
        let user = Peer::host("unshare").dir(kit.root()).env("PATH", path);
        let user = user.env("SYSTEMD_REPART", &repart);
        let user = user.args(["--map-user=1000", "--map-group=1000"]);
        user.arg(binary::built("compose")).arg("image.toml")
    };
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let output = user(path).run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("systemd-repart ran in fakeroot"), "{said}");
    let at = partitions(&kit.image(), 512)[0].start;
    let debugfs = Peer::host("debugfs")
        .dir(kit.root())
        .args(["-R", "stat /file"]);
    let said = debugfs.arg(format!("image.raw?offset={at}")).ok();
    let words: Vec<&str> = said.split_whitespace().collect();
    assert!(words.join(" ").contains("User: 0 Group: 0"), "{said}");
    fs::create_dir(kit.path("bin")).unwrap();
    let unshare = fs::canonicalize("/usr/bin/unshare").unwrap();
    let said = Peer::host(&unshare)
        .dir(kit.root())
        .env("PATH", kit.path("bin"));
    let said = said.env("SYSTEMD_REPART", &repart);
    let said = said.args(["--map-user=1000", "--map-group=1000"]);
    let said = said
        .arg(binary::built("compose"))
        .arg("image.toml")
        .fails(1);
    assert!(said.contains("install `fakeroot`"), "{said}");
}

/// The keys of a partition whose tree has a Unified Kernel Image of a real kernel.
fn tree_command(kit: &Kit) -> String {
    // What lies in the chroot itself, systemd-repart does not see there, and leaves out.
    fs::copy(lab::systemd_boot(), kit.path("loader.efi")).unwrap();
    let words = [
        binary::built("esp-builder"),
        lab::vmlinuz(),
        lab::guest_initrd(),
        lab::systemd_stub(),
        kit.path("loader.efi"),
    ];
    let [program, kernel, initrd, stub, loader] = words.map(|path| path.display().to_string());
    format!(
        "tree-command = [{program:?}, \"--by-reference\", \"--layout=uki\", \"--kernel\", {kernel:?}, \
         \"--initrd\", {initrd:?}, \"--stub\", {stub:?}, \"--systemd-boot\", {loader:?}, \"{{out}}\"]\n\
         tree = \"{{out}}/manifest.json#esp\"\n"
    )
}

#[test]
fn definitions_of_a_tree_with_images_put_together_make_the_same_esp() {
    let kit = Kit::empty();
    let command = tree_command(&kit);
    let partition = "[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\n\
        size-max-bytes = \"300M\"\nsize-min-bytes = \"300M\"\n";
    kit.describe("", &format!("{partition}{command}"));
    kit.compose().args(["-q", "image.toml"]).ok();
    let extract = |image: &str, out: &str| {
        kit.compose().args(["extract", image, "-o", out]).ok();
    };
    extract("image.raw", "ours");
    for round in 0..2 {
        // The second time, what the first one wrote is replaced.
        let said = kit
            .compose()
            .args(["repart", "image.toml", "-o", "repart.d"])
            .ok();
        let mut words: Vec<&str> = said.split_whitespace().collect();
        words.pop();
        let theirs = format!("theirs-{round}");
        let peer = Peer::sid(words[0]).dir(kit.root()).args(&words[1..]);
        peer.arg(format!("{theirs}.raw")).ok();
        extract(&format!("{theirs}.raw"), &theirs);
        Peer::host("diff")
            .dir(kit.root())
            .args(["-r", "ours", &theirs])
            .ok();
    }
    // The same by the engine, and of the manifest that the command made.
    let repart = kit.sid_program("repart-262", "systemd-repart");
    let made = "tree = \"repart.d/001-esp.made/manifest.json#esp\"\n";
    for (tree, out) in [(command.as_str(), "by-engine"), (made, "by-manifest")] {
        kit.describe("engine = \"repart\"", &format!("{partition}{tree}"));
        let compose = kit
            .compose()
            .args(["-q", "image.toml", "--repart", &repart]);
        compose.ok();
        extract("image.raw", out);
        Peer::host("diff")
            .dir(kit.root())
            .args(["-r", "ours", out])
            .ok();
    }
    kit.describe(
        "engine = \"repart\"",
        &format!("{partition}tree-command = [\"x\", \"{{out}}\", \"{{usrhash}}\"]\n"),
    );
    let said = kit
        .compose()
        .args(["image.toml", "--repart", &repart])
        .fails(1);
    assert!(said.contains("`{usrhash}` stands for nothing"), "{said}");
}
