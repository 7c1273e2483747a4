//! Seeds that are made in code: executables, a signed one, a manifest, keys and
//! certificates. Those that people can read are in `seeds/`.

use std::convert::Infallible;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use integration_tests::{Machine, TinyPe};
use rand_core::{TryCryptoRng, TryRng};
use secure_boot::authenticode::Image;
use secure_boot::certificate::{Certificate, Statement};
use secure_boot::key::PrivateKey;
use secure_boot::sign::ToBeSigned;
use tree_manifest::{Entry, File, Manifest, Role, TreePath};

/// A name and the bytes.
pub type Seed = (&'static str, Vec<u8>);

/// Writes seeds into the folder that `FUZZ_SEEDS` names, where there is one.
///
/// # Panics
/// When they cannot be written.
pub fn write(seeds: &[Seed]) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else {
        return;
    };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).expect("a folder for seeds");
    for (name, bytes) in seeds {
        fs::write(folder.join(name), bytes).expect("a seed");
    }
}

/// Executables of several kinds.
#[must_use]
pub fn executables() -> Vec<Seed> {
    let mut kernel = pe(Machine::Riscv64).bytes();
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    vec![
        ("stub", stub().bytes()),
        ("arm", pe(Machine::Aarch64).bytes()),
        ("odd-table", stub().certificate([7; 13]).bytes()),
        ("kernel", kernel),
    ]
}

/// A manifest as this program writes it.
#[must_use]
pub fn manifests() -> Vec<Seed> {
    vec![("written", manifest().to_json().into_bytes())]
}

fn pe(machine: Machine) -> TinyPe {
    TinyPe::new(machine, 700)
}

fn stub() -> TinyPe {
    let sbat = "sbat,1,SBAT Version,sbat,1,https://example.org\n";
    let marker = "#### LoaderInfo: systemd-stub 260 ####\0";
    let stub = pe(Machine::X86_64).section(".sbat", sbat);
    stub.section(".sdmagic", marker)
}

fn manifest() -> Manifest {
    let mut manifest = Manifest::default();
    manifest.architectures.insert("x64".to_owned());
    let tree = manifest.tree_mut(Role::esp());
    for (name, text) in [("loader/loader.conf", "timeout 5\n"), ("EFI/a", "")] {
        let path = TreePath::new(name).expect("a path");
        tree.insert(path, Entry::File(File::from_text(text)));
    }
    manifest
}

/// An image with two signatures, and what they were made with.
///
/// # Panics
/// Never: they are the same in every run.
#[must_use]
pub fn signed() -> Vec<Seed> {
    let key = PrivateKey::generate(&mut Sequence(1), 2048).expect("a key");
    let statement = Statement {
        common_name: "Alice".to_owned(),
        not_before: 1_700_000_000,
        not_after: 3_000_000_000,
    };
    let certificate = Certificate::self_signed(&key, &statement).expect("a certificate");
    let bytes = stub().bytes();
    let mut file = Cursor::new(&bytes);
    let layout = Image::read(&mut file).expect("an image");
    let measured = layout.measure(&mut file).expect("an image");
    let certificates = std::slice::from_ref(&certificate);
    let signature = ToBeSigned::of(&measured.sha256).sign(&key, certificates);
    let signature = signature.expect("a signature");
    let amendment = measured.attach(&[signature.clone(), signature.clone()]);
    vec![
        ("signed", amendment.expect("an image").apply(&bytes)),
        ("signed-data.der", signature),
        ("certificate.der", certificate.der().to_vec()),
        ("key.pem", key.to_pem().expect("a key").into_bytes()),
    ]
}

/// Numbers that are the same in every run; no key for anything but seeds.
struct Sequence(u64);

impl TryRng for Sequence {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|value| (value >> 32) as u32)
    }

    /// Sebastiano Vigna's `SplitMix64`.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(value ^ (value >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(8) {
            let value = self.try_next_u64()?.to_le_bytes();
            piece.copy_from_slice(&value[..piece.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Sequence {}
