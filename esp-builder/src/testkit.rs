//! Makes generations for tests: a root directory with a small store in it.
#![expect(clippy::disallowed_methods, reason = "tests make their own inputs")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tree_manifest::Sha256;

use crate::error::Error;
use crate::settings::{GenerationInput, Input, NumberedPath, Settings};

/// The x64 machine type of a PE image.
pub(crate) const X64: u16 = 0x8664;
/// The aa64 machine type of a PE image.
pub(crate) const AA64: u16 = 0xaa64;

/// A root directory with a store.
pub(crate) struct Kit {
    directory: TempDir,
}

impl Kit {
    /// A root whose store holds two kernels, an initrd, a device tree, a systemd
    /// and the toplevel `/nix/store/sys1-nixos`.
    pub(crate) fn new() -> Self {
        let kit = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        kit.write("nix/store/k1-linux-6.12/bzImage", pe(X64, "kernel 1"));
        kit.write("nix/store/k2-linux-6.18/bzImage", pe(X64, "kernel 2"));
        kit.write("nix/store/ka-linux-6.18/Image", pe(AA64, "kernel a"));
        kit.write("nix/store/i1-initrd/initrd", "initrd 1");
        kit.write("nix/store/d1-dtbs/vendor/board.dtb", "device tree");
        for (arch, machine) in [("x64", X64), ("aa64", AA64)] {
            let binary = pe(machine, "#### LoaderInfo: systemd-boot 260 ####");
            let name = format!("systemd-boot{arch}.efi");
            kit.write(
                &format!("nix/store/s1-systemd/lib/systemd/boot/efi/{name}"),
                binary,
            );
            let name = format!("linux{arch}.efi.stub");
            kit.write(
                &format!("nix/store/s1-systemd/lib/systemd/boot/efi/{name}"),
                stub(machine, "260"),
            );
        }
        kit.link("/nix/store/s1-systemd", "nix/store/sys1-nixos/systemd");
        kit.link(
            "/nix/store/k1-linux-6.12/bzImage",
            "nix/store/sys1-nixos/kernel",
        );
        kit
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Settings to boot these documents, which get the numbers 1, 2, ….
    pub(crate) fn settings(&self, documents: &[Value]) -> Settings {
        let documents = documents.iter().zip(1..).map(|(document, number)| {
            let text = document.to_string();
            let digest = Sha256::of(text.as_bytes()).to_string();
            let path = self.write(&format!("boot-{}.json", &digest[..8]), text);
            NumberedPath {
                number: Some(number),
                path,
            }
        });
        Settings {
            root: Some(self.root().into()),
            ..Settings::new(Input::Generations(GenerationInput {
                bootspecs: documents.collect(),
                ..GenerationInput::default()
            }))
        }
    }

    /// A text with the kit's directory replaced, to be compared.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        let canonical = fs::canonicalize(self.root()).unwrap();
        let text = text.replace(canonical.to_str().unwrap(), "ROOT");
        text.replace(self.root().to_str().unwrap(), "ROOT")
    }
}

/// An error as the program prints it.
pub(crate) fn describe_error(kit: &Kit, error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes = causes.map(|cause| format!("  caused by: {cause}\n"));
    let hint = error.hint().map(|hint| format!("hint: {hint}\n"));
    let text: String = std::iter::once(format!("error: {error}\n"))
        .chain(causes)
        .chain(hint)
        .collect();
    kit.anonymous(&text)
}

/// A bootspec document of the kit's first system.
pub(crate) fn document() -> Value {
    json!({
        "org.nixos.bootspec.v1": {
            "system": "x86_64-linux",
            "label": "26.05",
            "toplevel": "/nix/store/sys1-nixos",
            "init": "/nix/store/sys1-nixos/init",
            "kernel": "/nix/store/sys1-nixos/kernel",
            "initrd": "/nix/store/i1-initrd/initrd",
            "kernelParams": ["quiet", "loglevel=4"],
        },
        "org.nixos.specialisation.v1": {},
    })
}

/// [`document`] with one value of its bootspec changed; `null` removes it.
pub(crate) fn with(key: &str, value: Value) -> Value {
    let mut document = document();
    let spec = document["org.nixos.bootspec.v1"].as_object_mut().unwrap();
    match value {
        Value::Null => spec.remove(key),
        value => spec.insert(key.to_owned(), value),
    };
    document
}

/// [`document`] with an extension.
pub(crate) fn with_extension(name: &str, value: Value) -> Value {
    let mut document = document();
    document[name] = value;
    document
}

/// A PE image of an EFI application; its only section, `.sdmagic`, holds a text.
pub(crate) fn pe(machine: u16, text: &str) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let mut put = |offset: usize, value: &[u8]| {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    };
    let size = u32::try_from(text.len()).unwrap().to_le_bytes();
    put(0, b"MZ");
    put(0x3c, &[0x40]);
    put(0x40, b"PE\0\0");
    put(0x44, &machine.to_le_bytes());
    put(0x46, &[1]);
    put(0x54, &[240]);
    put(0x58, &0x20b_u16.to_le_bytes());
    put(0x58 + 68, &[10]);
    put(0x58 + 108, &[16]);
    put(0x58 + 240, b".sdmagic");
    put(0x58 + 240 + 8, &size);
    put(0x58 + 240 + 16, &size);
    put(0x58 + 240 + 20, &512_u32.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A PE image as `grub-mkimage` makes it, that looks for its menu in a directory.
pub(crate) fn grub(machine: u16, prefix: &str) -> Vec<u8> {
    let length = 12 + 8 + prefix.len() + 1;
    let numbers = [12, length, 3, length - 12].map(|number| u32::try_from(number).unwrap());
    let mut list = b"mimg".to_vec();
    list.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    list.extend(prefix.as_bytes());
    list.push(0);
    let mut bytes = pe(machine, &String::from_utf8(list).unwrap());
    bytes[0x58 + 240..0x58 + 248].copy_from_slice(b"mods\0\0\0\0");
    bytes
}

/// A stub of this version, with room for sections: headers of 4096 bytes, then `.sdmagic`.
pub(crate) fn stub(machine: u16, version: &str) -> Vec<u8> {
    const HEADERS: u32 = 4096;
    let mut bytes = pe(
        machine,
        &format!("#### LoaderInfo: systemd-stub {version} ####"),
    );
    let text = bytes.split_off(512);
    bytes.resize(HEADERS as usize, 0);
    let mut put = |offset: usize, value: u32| {
        bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(0x58 + 32, 4096);
    put(0x58 + 36, 512);
    put(0x58 + 60, HEADERS);
    let section = 0x58 + 240;
    put(section + 12, HEADERS);
    put(section + 16, 512);
    put(section + 20, HEADERS);
    bytes.extend(text);
    bytes.resize(HEADERS as usize + 512, 0);
    bytes
}
