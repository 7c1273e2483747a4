//! Signed policies: which values of a register somebody vouches for.
//!
//! A TPM that was told a public key gives a secret away when a register has a value that
//! the key's owner signed. The texts are those of `systemd-measure sign` 262, joined as
//! ukify does for the section `.pcrsig`; readers are systemd-cryptenroll, -cryptsetup and
//! -creds. Specification: TPM 2.0 library, part 3, 23.7 (`TPM2_PolicyPCR`).

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};

use super::Register;
use crate::error::Error;
use crate::hash::{HashAlgorithm, hex};
use crate::key::PrivateKey;

/// `TPM_CC_PolicyPCR`.
const POLICY_PCR: u32 = 0x17f;
/// How many bytes the bit mask of registers has.
const MASK: u8 = 3;

/// Signed policies, by bank.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<HashAlgorithm, Vec<Policy>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    register: u32,
    key: String,
    digest: String,
    signature: String,
}

impl Policies {
    /// Signs the value of a register in each of its banks. What was signed before is
    /// not added again.
    ///
    /// # Errors
    /// When the key does not work.
    pub fn sign(&mut self, key: &PrivateKey, number: u32, value: &Register) -> Result<(), Error> {
        let fingerprint = HashAlgorithm::Sha256.digest(&key.public().to_pkcs1());
        for (bank, value) in value.values().iter() {
            let digest = digest(bank, number, value);
            let policy = Policy {
                register: number,
                key: hex(&fingerprint),
                signature: Base64::encode_string(&key.sign(&digest)?),
                digest: hex(&digest),
            };
            let policies = self.0.entry(bank).or_default();
            if !policies.contains(&policy) {
                policies.push(policy);
            }
        }
        Ok(())
    }

    /// The text of `.pcrsig`, in JSON. There is nothing to escape in it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let banks = self.0.iter().map(|(bank, policies)| {
            let policies: Vec<_> = policies.iter().map(Policy::to_json).collect();
            format!("\"{}\": [{}]", bank.name(), policies.join(", "))
        });
        format!("{{{}}}", banks.collect::<Vec<_>>().join(", "))
    }
}

impl Policy {
    fn to_json(&self) -> String {
        let Self {
            register,
            key,
            digest,
            signature,
        } = self;
        format!(
            "{{\"pcrs\": [{register}], \"pkfp\": \"{key}\", \"pol\": \"{digest}\", \
             \"sig\": \"{signature}\"}}"
        )
    }
}

/// The digest of the policy that a register of a bank has a value. It is always one of
/// SHA-256, whatever the bank.
#[must_use]
pub fn digest(bank: HashAlgorithm, number: u32, value: &[u8]) -> Vec<u8> {
    let sha256 = HashAlgorithm::Sha256;
    let mut mask = [0; MASK as usize];
    if let Some(byte) = mask.get_mut(number as usize / 8) {
        *byte = 1_u8 << (number % 8);
    }
    let mut hasher = sha256.hasher();
    // No policy came before.
    hasher.update(&vec![0; sha256.length()]);
    hasher.update(&POLICY_PCR.to_be_bytes());
    // A list of one bank, with the registers of it.
    hasher.update(&1_u32.to_be_bytes());
    hasher.update(&bank.tpm_algorithm().to_be_bytes());
    hasher.update(&[MASK]);
    hasher.update(&mask);
    hasher.update(&sha256.digest(value));
    hasher.finish()
}
