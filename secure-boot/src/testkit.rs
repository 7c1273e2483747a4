//! Keys, certificates and images for tests, the same ones in every run.

use std::convert::Infallible;
use std::io::Cursor;
use std::sync::LazyLock;

use integration_tests::{Machine, TinyPe};
use rsa::rand_core::{TryCryptoRng, TryRng};

use crate::authenticode::{Image, Measured};
use crate::certificate::{Certificate, Statement};
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::key::PrivateKey;

/// Numbers that are as good as random and always the same.
struct Sequence {
    seed: &'static str,
    count: u64,
}

impl TryRng for Sequence {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(32) {
            self.count += 1;
            let text = format!("{} {}", self.seed, self.count);
            let random = HashAlgorithm::Sha256.digest(text.as_bytes());
            piece.copy_from_slice(&random[..piece.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Sequence {}

/// A key and its own certificate.
pub(crate) struct Owner {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Certificate,
}

fn owner(name: &'static str) -> Owner {
    let mut random = Sequence {
        seed: name,
        count: 0,
    };
    let key = PrivateKey::generate(&mut random, 2048).unwrap();
    let statement = Statement {
        common_name: name.to_owned(),
        not_before: 1_700_000_000,
        not_after: 3_000_000_000,
    };
    let certificate = Certificate::self_signed(&key, &statement).unwrap();
    Owner { key, certificate }
}

/// The one whose images start.
pub(crate) static ALICE: LazyLock<Owner> = LazyLock::new(|| owner("Alice"));
/// Another one.
pub(crate) static MALLORY: LazyLock<Owner> = LazyLock::new(|| owner("Mallory"));

/// An image of a length that no signature can follow without padding.
pub(crate) fn image() -> Vec<u8> {
    let mut bytes = TinyPe::new(Machine::X86_64, 3000)
        .section(".data", [7; 100])
        .bytes();
    bytes.extend(b"tail!");
    bytes
}

pub(crate) fn measure(bytes: &[u8]) -> Result<Measured, Error> {
    let mut file = Cursor::new(bytes);
    Image::read(&mut file)?.measure(&mut file)
}

pub(crate) fn sha256(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut file = Cursor::new(bytes);
    let algorithms = [HashAlgorithm::Sha256].into();
    let digests = Image::read(&mut file)?.digests(&mut file, &algorithms)?;
    Ok(digests.iter().next().unwrap().1.to_vec())
}
