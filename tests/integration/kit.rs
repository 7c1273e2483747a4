use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use integration_tests::{Peer, binary, lab};
use tempfile::TempDir;

/// A folder of its own with a tree in it.
pub struct Kit {
    folder: TempDir,
}

/// The seed of every image here.
pub const SEED: &str = "0867da16-5cd9-4c7a-9d2c-7a6b5ea8220b";

impl Kit {
    /// A kit without a tree.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A kit with a tree `tree` of names that are a trouble to FAT, and of sizes
    /// around those of clusters.
    pub fn with_tree() -> Self {
        let kit = Self::empty();
        let long = format!("loader/{}.conf", "x".repeat(250));
        let sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 70_000, 3_000_001];
        let names = [
            "EFI/BOOT/BOOTX64.EFI",
            "EFI/systemd/systemd-bootx64.efi",
            "EFI/nixos/kernel.efi",
            "EFI/nixos/a long name with spaces, and a comma",
            "EFI/nixos/ünïcode-中文.bin",
            &long,
            "loader/loader.conf",
            "loader/entries.srel",
            "NO-EXT",
            ".hidden",
        ];
        for (seed, (name, size)) in names.into_iter().zip(sizes).enumerate() {
            kit.write(&format!("tree/{name}"), noise(seed, size));
        }
        for number in 0..40 {
            let path = format!("tree/loader/entries/nixos-generation-{number}.conf");
            kit.write(&path, format!("title {number}\n"));
        }
        kit
    }

    /// A kit whose tree has a manifest that was written after it, and a description
    /// that names it.
    pub fn with_manifest() -> Self {
        let kit = Self::empty();
        kit.write("out/esp/EFI/file", "content");
        settle();
        kit.write("out/manifest.json", manifest("EFI/file", b"content"));
        settle();
        let partition = esp("").replace("\"tree\"", "\"out/manifest.json#esp\"");
        kit.describe("", &partition);
        kit
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and makes the directories above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Makes a symbolic link, and the directories above it.
    pub fn link(&self, target: &str, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Writes `image.toml`: a section `[image]` with a seed and these keys, then
    /// these partitions.
    pub fn describe(&self, image: &str, partitions: &str) {
        let output = "output = \"image.raw\"";
        let text = format!("[image]\nseed = \"{SEED}\"\n{output}\n{image}\n{partitions}");
        self.write("image.toml", text);
    }

    /// Makes a key and its certificate: `key.pem` and `certificate.pem`.
    pub fn make_key(&self) {
        Peer::host("openssl")
            .dir(self.root())
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(["-keyout", "key.pem", "-out", "certificate.pem"])
            .args(["-subj", "/CN=images/", "-days", "36500"])
            .ok();
    }

    /// Makes a program that runs a command of the sid chroot; returns its path.
    pub fn sid_program(&self, name: &str, command: &str) -> String {
        let script = lab::script("in-sid");
        let text = format!("#!/bin/sh\nexec '{}' {command} \"$@\"\n", script.display());
        self.write(name, text);
        let path = self.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    pub fn compose(&self) -> Peer {
        binary::compose(self.root())
    }

    /// `compose` with the programs of [`file_system_programs`].
    pub fn compose_with_programs(&self) -> Peer {
        let programs = self.path("sid");
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display());
        self.compose().env("PATH", path)
    }

    pub fn image(&self) -> PathBuf {
        self.path("image.raw")
    }

    /// The names of everything in the folder.
    pub fn names(&self) -> Vec<String> {
        let items = fs::read_dir(self.root()).unwrap();
        let mut names: Vec<_> = items
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Gives a kit the programs of the sid chroot that make file systems.
pub fn file_system_programs(kit: &Kit) {
    for name in ["mkfs.btrfs", "mkfs.erofs", "mkfs.xfs", "mksquashfs"] {
        kit.sid_program(&format!("sid/{name}"), name);
    }
}

/// A manifest of one file in `out/esp`.
pub fn manifest(path: &str, content: &[u8]) -> String {
    let digest = tree_manifest::Sha256::of(content);
    let size = content.len();
    let file = format!(
        r#"{{"type":"file","size":{size},"sha256":"{digest}","source":{{"path":"esp/{path}"}}}}"#
    );
    format!(r#"{{"format":"tree-manifest","version":1,"trees":{{"esp":{{"{path}":{file}}}}}}}"#)
}

/// Lets the clock of the file system go on: what one of its ticks holds has one
/// time, and cannot be told apart.
pub fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// Bytes without a pattern, the same for the same seed.
pub fn noise(seed: usize, size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed as u64 + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(|_| next()).collect()
}

/// A partition with a FAT file system from `tree`, and these keys.
pub fn esp(keys: &str) -> String {
    format!("[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\ntree = \"tree\"\n{keys}\n")
}

/// A partition of an image as `sfdisk` sees it, in bytes.
pub struct Found {
    pub start: u64,
    pub size: u64,
}

/// What a current `sfdisk` finds in the table of an image.
pub fn partitions(image: &Path, sector: u64) -> Vec<Found> {
    let peer = Peer::sid("sfdisk").args(["--json", "--sector-size", &sector.to_string()]);
    let json: serde_json::Value = serde_json::from_str(&peer.arg(image).ok()).unwrap();
    let table = json["partitiontable"]["partitions"].as_array().unwrap();
    let bytes = |value: &serde_json::Value| value.as_u64().unwrap() * sector;
    table
        .iter()
        .map(|part| Found {
            start: bytes(&part["start"]),
            size: bytes(&part["size"]),
        })
        .collect()
}

/// The judges of a partition table.
pub fn judge_table(image: &Path, sector: u64) {
    let said = Peer::sid("sfdisk")
        .args(["--verify", "--sector-size", &sector.to_string()])
        .arg(image)
        .ok();
    assert!(said.contains("No errors detected"), "{said}");
    // sgdisk takes every file for one with sectors of 512 bytes.
    if sector == 512 {
        let said = Peer::host("sgdisk").arg("-v").arg(image).ok();
        assert!(said.contains("No problems found"), "{said}");
    }
}

/// The judges of a FAT file system: fsck finds nothing, and mtools copies the tree
/// out of it again.
pub fn judge_fat(image: &Path, partition: &Found, tree: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("volume");
    let copy = Peer::host("dd").args(["bs=4096", "conv=sparse", "status=none"]);
    copy.arg(format!("if={}", image.display()))
        .arg(format!("of={}", volume.display()))
        .arg(format!("skip={}", partition.start / 4096))
        .arg(format!("count={}", partition.size / 4096))
        .ok();
    let said = Peer::host("fsck.vfat").arg("-nv").arg(&volume).ok();
    assert!(
        !said.contains("differ") && !said.contains("Free cluster"),
        "{said}"
    );
    Peer::host("mdir").args(["-/", "-i"]).arg(&volume).ok();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let mcopy = Peer::host("mcopy").args(["-s", "-n", "-i"]).arg(&volume);
    mcopy.args(["::/*"]).arg(&out).ok();
    Peer::host("diff").arg("-r").arg(tree).arg(&out).ok();
}
