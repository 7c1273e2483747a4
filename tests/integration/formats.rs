use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use integration_tests::Peer;

use crate::kit::{Kit, esp, partitions};

/// A tree, a large hole, and a file whose length is a multiple of nothing large.
fn kit() -> Kit {
    let kit = Kit::with_tree();
    kit.write("blocks", vec![5; 512 * 2001]);
    let more = "[[partition]]\ntype = \"linux-generic\"\nsize-min-bytes = \"80M\"\n\
        [[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"blocks\"\n";
    kit.describe("", &(esp("") + more));
    kit
}

fn qemu_img(kit: &Kit, arguments: &str) -> String {
    let peer = Peer::sid("qemu-img").dir(kit.root());
    peer.args(arguments.split_whitespace()).ok()
}

#[test]
fn every_format_holds_the_same_disk() {
    let kit = kit();
    kit.compose().args(["-q", "image.toml"]).ok();
    for (format, name) in [("qcow2", "qcow2"), ("vhd", "vpc"), ("vmdk", "vmdk")] {
        let make = |output: &str| {
            let compose = kit.compose().args(["-q", "image.toml", "--format", format]);
            compose.args(["-o", output]).ok();
        };
        make("image");
        if format != "vhd" {
            let said = qemu_img(&kit, &format!("check -f {name} image"));
            assert!(said.contains("No errors were found"), "{said}");
        }
        let compare = format!("compare -f raw -F {name} image.raw image");
        let said = qemu_img(&kit, &compare);
        assert!(said.contains("identical"), "{format}: {said}");
        let info = qemu_img(&kit, &format!("info --output=json -f {name} image"));
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        let size = fs::metadata(kit.image()).unwrap().len();
        assert_eq!(info["virtual-size"], size, "{format}");
        // As long as its data, or as the disk.
        let length = fs::metadata(kit.path("image")).unwrap().len();
        assert!(length < 8 << 20 || length == size + 512, "{format}");
        let first = fs::read(kit.path("image")).unwrap();
        make("image");
        assert!(first == fs::read(kit.path("image")).unwrap(), "{format}");
    }
}

#[test]
fn an_overlay_has_what_differs_from_its_backing_file() {
    let kit = kit();
    kit.compose()
        .args(["-q", "image.toml", "-o", "old.raw"])
        .ok();
    let size = fs::metadata(kit.path("old.raw")).unwrap().len();
    // More, less and other content; the last partition is gone.
    kit.write("tree/loader/loader.conf", "timeout 3\n");
    kit.write("tree/new", vec![9; 200_000]);
    fs::remove_file(kit.path("tree/EFI/nixos/kernel.efi")).unwrap();
    let more = "[[partition]]\ntype = \"linux-generic\"\nsize-min-bytes = \"90M\"\n";
    kit.describe("", &(esp("") + more));
    kit.compose().args(["-q", "image.toml"]).ok();
    fs::create_dir(kit.path("elsewhere")).unwrap();
    for output in ["new.qcow2", "elsewhere/new.qcow2"] {
        let compose = kit
            .compose()
            .args(["-q", "image.toml", "--format", "qcow2"]);
        compose.args(["--backing", "old.raw", "-o", output]).ok();
        let said = qemu_img(&kit, &format!("check -f qcow2 {output}"));
        assert!(said.contains("No errors were found"), "{said}");
        let said = qemu_img(&kit, &format!("compare -f raw -F qcow2 image.raw {output}"));
        assert!(said.contains("identical"), "{said}");
        let info = qemu_img(&kit, &format!("info --output=json {output}"));
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["backing-filename-format"], "raw");
        let length = fs::metadata(kit.path(output)).unwrap().len();
        assert!(length < size / 50, "{length} of {size}");
    }
    // The same image has nothing beyond itself but what the format takes.
    let same = kit
        .compose()
        .args(["-q", "image.toml", "--format", "qcow2"]);
    same.args(["--backing", "image.raw", "-o", "same"]).ok();
    assert!(fs::metadata(kit.path("same")).unwrap().len() <= 5 << 16);
    let mut said = String::new();
    kit.link(".", "here");
    for (options, output) in [
        ("--format raw --backing old.raw", "x"),
        ("--format qcow2 --backing new.qcow2", "x"),
        ("--format qcow2 --backing old.raw", "old.raw"),
        ("--format qcow2 --backing none", "x"),
        ("--format qcow2 --backing old.raw", "here/old.raw"),
        ("--format vhd --sector-size 4096", "x"),
        ("--backing old.raw --empty refuse", "old.raw"),
        ("--backing old.raw --dry-run", "x"),
    ] {
        let compose = kit.compose().args(["image.toml", "-o", output]);
        said += &compose.args(options.split_whitespace()).fails(1);
    }
    insta::assert_snapshot!(said.replace(&kit.root().display().to_string(), "KIT"));
}

/// Tables are made for what there is.
#[test]
fn a_large_image_of_holes_takes_little_memory() {
    let kit = Kit::empty();
    let blocks = fs::File::create(kit.path("blocks")).unwrap();
    blocks.set_len(2 << 40).unwrap();
    blocks.write_all_at(b"first", 5 << 30).unwrap();
    let partition = "[[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"blocks\"\n";
    kit.describe("", partition);
    for format in ["qcow2", "vmdk"] {
        if format == "vmdk" {
            blocks.set_len(1 << 40).unwrap();
        }
        let compose = integration_tests::binary::built("compose");
        // Programs and libraries take some of it.
        let script = format!(
            "ulimit -v 100000; exec '{}' -q image.toml -o image --format {format}",
            compose.display()
        );
        let bash = Peer::host("bash").dir(kit.root());
        bash.args(["-c", &script]).ok();
        let taken = fs::metadata(kit.path("image")).unwrap().blocks() * 512;
        assert!(taken < 2 << 20, "{format}: {taken}");
        if format == "qcow2" {
            let said = qemu_img(&kit, "check -f qcow2 image");
            assert!(said.contains("No errors were found"), "{said}");
        }
    }
}

#[test]
fn compressed_images_do_not_depend_on_the_number_of_processors() {
    let kit = kit();
    kit.compose().args(["-q", "image.toml"]).ok();
    for (program, how, options) in [
        ("zstd", "zstd:2", "-2 --stream-size=$(stat -c %s image.raw)"),
        ("xz", "xz:1", "-1 --block-size=25165824"),
    ] {
        let compose = kit.compose().args(["-q", "image.toml", "--compress", how]);
        compose.args(["-o", "packed"]).ok();
        let script = format!(
            "{program} -dc <packed | cmp - image.raw && \
             {program} -q -c -T5 {options} <image.raw | cmp - packed"
        );
        Peer::host("sh").dir(kit.root()).args(["-c", &script]).ok();
    }
}

#[test]
fn an_image_goes_to_standard_output_and_its_report_beside() {
    let kit = kit();
    kit.compose().args(["-q", "image.toml"]).ok();
    for (options, name) in [(&[][..], "image.raw"), (&["--compress", "zstd"], "packed")] {
        let compose = || kit.compose().arg("image.toml").args(options);
        compose().args(["-q", "-o", name]).ok();
        let output = compose().args(["-o", "-"]).run();
        assert!(output.status.success());
        assert!(
            output.stdout == fs::read(kit.path(name)).unwrap(),
            "{name} differs"
        );
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("wrote -: "), "{said}");
    }
}

#[test]
fn a_compressor_that_is_not_there_is_named_with_its_package() {
    let kit = kit();
    let compose = kit.compose().env("PATH", kit.root()).arg("image.toml");
    let said = compose.args(["--compress", "xz"]).fails(1);
    assert!(
        said.contains("`xz` is not there") && said.contains("xz-utils"),
        "{said}"
    );
    assert!(!kit.image().exists());
}

/// The same bytes take as little room as their source does.
#[test]
fn holes_of_sources_stay_holes() {
    let kit = Kit::empty();
    // More than most machines that test this have room for.
    let size = 2_u64 << 40;
    let blocks = fs::File::create(kit.path("blocks")).unwrap();
    blocks.set_len(size).unwrap();
    blocks.write_all_at(b"first", 0).unwrap();
    blocks.write_all_at(b"last.", size - 5).unwrap();
    let partition = "[[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"blocks\"\n";
    kit.describe("", partition);
    kit.compose().args(["-q", "image.toml"]).ok();
    let image = fs::File::open(kit.image()).unwrap();
    let found = &partitions(&kit.image(), 512)[0];
    assert_eq!(found.size, size);
    for (at, text) in [(0, b"first"), (size - 5, b"last.")] {
        let mut bytes = [0; 5];
        image.read_exact_at(&mut bytes, found.start + at).unwrap();
        assert_eq!(&bytes, text);
    }
    let taken = image.metadata().unwrap().blocks() * 512;
    assert!(taken < 4 << 20, "the image takes {taken} bytes");
}
