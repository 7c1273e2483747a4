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
