//! What a TPM will have measured when an image was started.
//!
//! A register (PCR) is in every bank, that is, for every hash algorithm. It begins as
//! zeros, and each event replaces it by the digest of itself and the event's digest.
//!
//! - [`uki`]: register 11, where systemd-stub measures what an image holds.
//! - [`boot`]: register 4, where firmware measures the images that it starts.
//! - [`policy`]: signatures by which a TPM accepts values of a register.
//!
//! Specifications: TCG PC Client Platform Firmware Profile;
//! <https://uapi-group.org/specifications/specs/linux_tpm_pcr_registry/>.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::{HashAlgorithm, Hasher, hex};

pub mod boot;
pub mod policy;
pub mod uki;

/// The banks of a TPM that are asked for.
pub type Banks = BTreeSet<HashAlgorithm>;

/// The digests of the same bytes, one a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests(BTreeMap<HashAlgorithm, Vec<u8>>);

impl Digests {
    /// The digests of bytes.
    #[must_use]
    pub fn of(banks: &Banks, bytes: &[u8]) -> Self {
        let digests = banks.iter().map(|bank| (*bank, bank.digest(bytes)));
        Self(digests.collect())
    }

    /// Each bank and its digest, the weakest first.
    pub fn iter(&self) -> impl Iterator<Item = (HashAlgorithm, &[u8])> {
        self.0
            .iter()
            .map(|(bank, digest)| (*bank, digest.as_slice()))
    }

    /// Each bank's name and its digest in hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> BTreeMap<&'static str, String> {
        let digests = self.iter();
        digests
            .map(|(bank, digest)| (bank.name(), hex(digest)))
            .collect()
    }
}

/// The digests of bytes that come piece by piece.
#[derive(Debug, Clone)]
pub struct Hashers(Vec<(HashAlgorithm, Hasher)>);

impl Hashers {
    /// Digests of no bytes yet.
    #[must_use]
    pub fn new(banks: &Banks) -> Self {
        Self(banks.iter().map(|bank| (*bank, bank.hasher())).collect())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for (_, hasher) in &mut self.0 {
            hasher.update(bytes);
        }
    }

    /// The digests of all that was added.
    #[must_use]
    pub fn finish(self) -> Digests {
        let digests = self.0.into_iter();
        Digests(
            digests
                .map(|(bank, hasher)| (bank, hasher.finish()))
                .collect(),
        )
    }
}

/// A register of a TPM, in some of its banks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register(Digests);

impl Register {
    /// A register that nothing was measured into.
    #[must_use]
    pub fn zero(banks: &Banks) -> Self {
        let zeros = banks.iter().map(|bank| (*bank, vec![0; bank.length()]));
        Self(Digests(zeros.collect()))
    }

    /// Adds an event whose digests are known. Banks that it does not have stay.
    pub fn extend(&mut self, event: &Digests) {
        for (bank, value) in &mut self.0.0 {
            let Some(digest) = event.0.get(bank) else {
                continue;
            };
            let mut hasher = bank.hasher();
            hasher.update(value);
            hasher.update(digest);
            *value = hasher.finish();
        }
    }

    /// Adds the event of these bytes.
    pub fn measure(&mut self, bytes: &[u8]) {
        let banks = self.0.0.keys().copied().collect();
        self.extend(&Digests::of(&banks, bytes));
    }

    /// The value in each bank.
    #[must_use]
    pub fn values(&self) -> &Digests {
        &self.0
    }
}

#[cfg(test)]
mod tests;
