use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use integration_tests::{Mounted, Peer, binary};

use crate::kit::{Kit, file_system_programs, judge_fat, judge_table, manifest, noise, partitions};

const DESCRIPTION: &str = "[image]\noutput = \"image.raw\"\n\
    [[partition]]\ntype = \"esp\"\nformat = \"vfat\"\ntree = \"tree\"\n";

#[test]
fn blocks_are_shared_where_the_file_system_can() {
    let xfs = Mounted::xfs_with_reflink();
    let tree = xfs.path().join("tree/EFI");
    fs::create_dir_all(&tree).unwrap();
    for (name, size) in [("kernel", 9_000_001), ("initrd", 20_000_000)] {
        fs::write(tree.join(name), noise(size, size)).unwrap();
    }
    fs::write(xfs.path().join("image.toml"), DESCRIPTION).unwrap();
    binary::compose(&xfs.path()).args(["-q", "image.toml"]).ok();
    let image = xfs.path().join("image.raw");
    judge_table(&image, 512);
    judge_fat(
        &image,
        &partitions(&image, 512)[0],
        &xfs.path().join("tree"),
    );
    let shared = shared_bytes(&image);
    assert!(shared > 28_900_000, "only {shared} bytes are shared");
}

#[test]
fn whole_blocks_are_shared_with_other_file_systems_too() {
    let xfs = Mounted::xfs_with_reflink();
    let tree = xfs.path().join("tree/bin");
    fs::create_dir_all(&tree).unwrap();
    for size in [1, 10_000, 16_384, 50_001, 3_000_000, 9_000_001] {
        fs::write(tree.join(size.to_string()), noise(size, size)).unwrap();
    }
    // All but ends of files, and files of less than 16 KiB.
    let sizes: [u64; 4] = [16_384, 50_001, 3_000_000, 9_000_001];
    let blocks: u64 = sizes.map(|size| size / 4096 * 4096).iter().sum();
    for format in ["erofs", "ext4"] {
        let description = DESCRIPTION.replace("vfat", format);
        let description = description.replace("esp", "linux-generic");
        fs::write(xfs.path().join("image.toml"), description).unwrap();
        binary::compose(&xfs.path()).args(["-q", "image.toml"]).ok();
        let shared = shared_bytes(&xfs.path().join("image.raw"));
        assert_eq!(shared, blocks, "{format}");
    }
}

#[test]
fn pieces_of_files_share_blocks_too() {
    let xfs = Mounted::xfs_with_reflink();
    let kernel = noise(9, 9_000_001);
    fs::write(xfs.path().join("kernel"), &kernel).unwrap();
    let whole = [&[1; 100][..], &[0; 3996], &kernel[8192..]].concat();
    let pieces = format!(
        r#"{{"pieces":[{{"hex":"{}"}},{{"zeros":3996}},{{"path":"{}","offset":8192,"length":8991809}}]}}"#,
        "01".repeat(100),
        xfs.path().join("kernel").display()
    );
    let text = manifest("linux.efi", &whole);
    let text = text.replace(r#"{"path":"esp/linux.efi"}"#, &pieces);
    fs::write(xfs.path().join("manifest.json"), text).unwrap();
    let description = DESCRIPTION.replace("\"tree\"", "\"manifest.json#esp\"");
    fs::write(xfs.path().join("image.toml"), description).unwrap();
    binary::compose(&xfs.path()).args(["-q", "image.toml"]).ok();
    let image = xfs.path().join("image.raw");
    let cat = binary::compose(&xfs.path()).args(["cat", "image.raw", "linux.efi"]);
    assert!(cat.run().stdout == whole);
    let shared = shared_bytes(&image);
    assert!(shared >= 8_985_600, "only {shared} bytes are shared");
}

#[test]
fn a_tree_shares_the_blocks_of_its_sources() {
    let xfs = Mounted::xfs_with_reflink();
    let kit = Kit::with_made_up_system();
    let copy = Peer::host("cp").arg("-r").arg(kit.path("nix"));
    copy.arg(xfs.path()).ok();
    let loader = kit.path("systemd-bootx64.efi");
    binary::esp_builder(&xfs.path())
        .args(["--root", ".", "--bootspec"])
        .arg(kit.path("boot.json"))
        .arg("--systemd-boot")
        .arg(loader)
        .arg("out")
        .ok();
    let initrd = xfs.path().join("out/esp/EFI/nixos/1111-initrd-initrd.efi");
    assert!(fs::read(&initrd).unwrap() == vec![7; 70_000]);
    assert!(shared_bytes(&initrd) >= 70_000);
}

/// How many bytes of a file are in blocks that another file has too.
pub fn shared_bytes(file: &Path) -> u64 {
    Peer::host("sync").arg(file).ok();
    let extents = Peer::host("filefrag").args(["-v", "-b4096"]).arg(file).ok();
    let shared = extents.lines().filter(|line| line.contains("shared"));
    let blocks: u64 = shared.map(length_of).sum();
    blocks * 4096
}

/// The length in blocks that `filefrag -v` gives an extent.
fn length_of(line: &str) -> u64 {
    let fields: Vec<&str> = line.split(':').collect();
    fields[3].trim().parse().unwrap()
}

#[test]
fn bytes_are_copied_between_file_systems() {
    let (xfs, ext4) = (Mounted::xfs_with_reflink(), Mounted::ext4());
    let tree = xfs.path().join("tree/EFI");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("kernel"), noise(3, 5_000_001)).unwrap();
    fs::write(xfs.path().join("image.toml"), DESCRIPTION).unwrap();
    let image = ext4.path().join("image.raw");
    let compose = binary::compose(&xfs.path()).args(["-q", "image.toml", "-o"]);
    compose.arg(&image).ok();
    judge_fat(
        &image,
        &partitions(&image, 512)[0],
        &xfs.path().join("tree"),
    );
    assert!(
        fs::metadata(&image).unwrap().blocks() * 512 < 8 << 20,
        "no holes"
    );
}

/// What a program writes is flushed meanwhile where its blocks will be shared.
#[test]
fn what_programs_make_is_the_same_where_blocks_are_shared() {
    let (kit, xfs) = (Kit::empty(), Mounted::xfs_with_reflink());
    file_system_programs(&kit);
    kit.write("tree/file", noise(5, 12_000_001));
    let partition = |format| {
        format!("[[partition]]\ntype = \"root\"\nformat = \"{format}\"\ntree = \"tree\"\n")
    };
    let partitions: String = ["squashfs", "btrfs"].map(partition).concat();
    kit.describe("", &partitions);
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    let image = xfs.path().join("image.raw");
    let compose = kit.compose_with_programs();
    compose.args(["-q", "image.toml", "-o"]).arg(&image).ok();
    assert!(fs::read(kit.image()).unwrap() == fs::read(image).unwrap());
}

#[test]
fn a_full_file_system_leaves_nothing_behind() {
    let ext4 = Mounted::ext4();
    let folder = tempfile::tempdir().unwrap();
    // Not zeros: those would stay holes.
    fs::write(folder.path().join("large"), vec![1; 600 << 20]).unwrap();
    let text = "[[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"large\"\n";
    fs::write(folder.path().join("image.toml"), text).unwrap();
    let image = ext4.path().join("image.raw");
    let compose = binary::compose(folder.path())
        .arg("image.toml")
        .arg("-o")
        .arg(&image);
    let said = compose.fails(1);
    assert!(
        said.contains("takes 600.0 MiB") && said.contains("hint: free space"),
        "{said}"
    );
    let left = Peer::host("ls").arg("-A").arg(ext4.path()).ok();
    assert_eq!(left.trim(), "lost+found");
}
