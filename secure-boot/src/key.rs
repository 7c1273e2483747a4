//! RSA keys: what signs, and what signatures are checked with.
//!
//! Specifications: RFC 8017 (PKCS#1 v1.5 signatures, `RSAPrivateKey`), RFC 5958 (PKCS#8).
//! This is the only module that names the `rsa` crate.

use std::fmt;

use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::rand_core::TryCryptoRng;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, sha2};

use crate::asn1::{self, Values, oid, tag};
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::pem;

/// The shortest key that signs, in bits.
pub const SHORTEST: usize = 2048;
/// The longest key that signs, in bits; EDK2 takes no longer ones.
pub const LONGEST: usize = 4096;

/// A private key. What it prints of itself is not secret.
#[derive(Clone)]
pub struct PrivateKey(rsa::PrivateKey);

/// The permissions of the group and of others.
const OTHERS: u32 = 0o077;

/// What is wrong with the permissions of a file that holds a private key: somebody else
/// than its owner has a right to it.
#[must_use]
pub fn exposure(mode: u32) -> Option<String> {
    let mode = mode & 0o7777;
    (mode & OTHERS != 0)
        .then(|| format!("has mode {mode:04o}: its group or others have a right to it"))
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.public()).finish()
    }
}

impl PrivateKey {
    /// Makes a key from random numbers.
    ///
    /// # Errors
    /// When the length is not allowed, or there are no random numbers.
    pub fn generate(random: &mut impl TryCryptoRng, bits: usize) -> Result<Self, Error> {
        check_length(bits)?;
        let key = rsa::PrivateKey::new(random, bits);
        key.map(Self)
            .map_err(|error| Error::Key(format!("cannot be made: {error}")))
    }

    /// Reads a file: PEM or DER, PKCS#8 or PKCS#1, without a passphrase.
    ///
    /// # Errors
    /// When it is encrypted, damaged, too short, or no RSA key.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if !pem::is_pem(file) {
            return Self::from_der(file);
        }
        let text = std::str::from_utf8(file).map_err(|_| Error::Pem("is not UTF-8".to_owned()))?;
        let block = pem::parse(text)?
            .into_iter()
            .find(|block| block.label.ends_with("PRIVATE KEY"))
            .ok_or_else(|| Error::Pem("holds no private key".to_owned()))?;
        if block.encrypted {
            return Err(Error::EncryptedKey);
        }
        Self::from_der(&block.der)
    }

    fn from_der(der: &[u8]) -> Result<Self, Error> {
        let mut values = Values::of_sequence(der, "the private key")?;
        let version = values.unsigned();
        if version.is_err() {
            // EncryptedPrivateKeyInfo begins with an algorithm.
            return Err(Error::EncryptedKey);
        }
        let Some(algorithm) = values.optional(tag::SEQUENCE)? else {
            return Self::from_pkcs1(values);
        };
        if algorithm.values()?.object()? != oid::RSA {
            return Err(Error::Key("is no RSA key".to_owned()));
        }
        let mut inner = Values::of_sequence(values.octets()?, "the private key")?;
        inner.unsigned()?;
        Self::from_pkcs1(inner)
    }

    /// The rest of an `RSAPrivateKey`, after its version.
    fn from_pkcs1(mut values: Values<'_>) -> Result<Self, Error> {
        let mut number = || values.unsigned().map(BoxedUint::from_be_slice_vartime);
        let (modulus, exponent, secret) = (number()?, number()?, number()?);
        let primes = vec![number()?, number()?];
        let key = rsa::PrivateKey::from_components(modulus, exponent, secret, primes)
            .map_err(|error| Error::Key(format!("cannot be used: {error}")))?;
        check_length(usize::try_from(key.n().bit_width()).unwrap_or(0))?;
        Ok(Self(key))
    }

    /// The key as a PKCS#8 PEM text. It is secret.
    ///
    /// # Errors
    /// When the key lacks a part.
    pub fn to_pem(&self) -> Result<String, Error> {
        let lacking = || Error::Key("lacks a part".to_owned());
        let secret = |number: &BoxedUint| asn1::unsigned(&number.to_be_bytes());
        let key = &self.0;
        let [p, q] = key.primes() else {
            return Err(lacking());
        };
        let coefficient = key.crt_coefficient().ok_or_else(lacking)?;
        let pkcs1 = asn1::sequence(&[
            &asn1::unsigned(&[0]),
            &asn1::unsigned(&key.n_bytes()),
            &asn1::unsigned(&key.e_bytes()),
            &secret(key.d()),
            &secret(p),
            &secret(q),
            &secret(key.dp().ok_or_else(lacking)?),
            &secret(key.dq().ok_or_else(lacking)?),
            &secret(&coefficient),
        ]);
        let pkcs8 = asn1::sequence(&[
            &asn1::unsigned(&[0]),
            &asn1::algorithm(oid::RSA),
            &asn1::value(tag::OCTET_STRING, &[&pkcs1]),
        ]);
        Ok(pem::render("PRIVATE KEY", &pkcs8))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.to_public_key())
    }

    /// Signs bytes: PKCS#1 v1.5 with SHA-256. The same bytes give the same signature.
    ///
    /// # Errors
    /// When the key does not work.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.0
            .pkcs1v15_sign::<sha2::Sha256>(bytes)
            .map_err(|error| Error::Key(format!("does not sign: {error}")))
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(rsa::PublicKey);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bits)", self.0.n().bit_width())
    }
}

impl PublicKey {
    /// Reads the content of a `SubjectPublicKeyInfo`.
    pub(crate) fn parse(info: &[u8]) -> Result<Self, Error> {
        let mut values = Values::of_sequence(info, "the public key")?;
        if values.algorithm()? != oid::RSA {
            return Err(values.refuse("it is no RSA key"));
        }
        let mut key = Values::of_sequence(values.bits()?, "the public key")?;
        let modulus = BoxedUint::from_be_slice_vartime(key.unsigned()?);
        let exponent = BoxedUint::from_be_slice_vartime(key.unsigned()?);
        match rsa::PublicKey::new(modulus, exponent) {
            Ok(public) => Ok(Self(public)),
            Err(error) => Err(key.refuse(&error.to_string())),
        }
    }

    /// The `RSAPublicKey`, as it stands in a bit string.
    pub(crate) fn to_pkcs1(&self) -> Vec<u8> {
        asn1::sequence(&[
            &asn1::unsigned(&self.0.n_bytes()),
            &asn1::unsigned(&self.0.e_bytes()),
        ])
    }

    /// The `SubjectPublicKeyInfo`, in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        asn1::sequence(&[&asn1::algorithm(oid::RSA), &asn1::bits(&self.to_pkcs1())])
    }

    /// The `SubjectPublicKeyInfo` as a PEM text.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::render("PUBLIC KEY", &self.to_der())
    }

    /// Whether a file holds this key, in PEM or DER.
    ///
    /// # Errors
    /// When it holds no RSA key.
    pub fn is_in(&self, file: &[u8]) -> Result<bool, Error> {
        let found = pem::or_der(file, "PUBLIC KEY")?;
        found
            .first()
            .map_or(Ok(false), |der| Ok(Self::parse(der)? == *self))
    }

    /// Whether a PKCS#1 v1.5 signature of bytes is this key's.
    #[must_use]
    pub fn verifies(&self, hash: HashAlgorithm, bytes: &[u8], signature: &[u8]) -> bool {
        let scheme = match hash {
            HashAlgorithm::Sha1 => return false,
            HashAlgorithm::Sha256 => Pkcs1v15Sign::new::<sha2::Sha256>(),
            HashAlgorithm::Sha384 => Pkcs1v15Sign::new::<sha2::Sha384>(),
            HashAlgorithm::Sha512 => Pkcs1v15Sign::new::<sha2::Sha512>(),
        };
        let digest = hash.digest(bytes);
        self.0.verify(scheme, &digest, signature).is_ok()
    }
}

fn check_length(bits: usize) -> Result<(), Error> {
    if (SHORTEST..=LONGEST).contains(&bits) {
        return Ok(());
    }
    let reason = format!("has {bits} bits; firmware takes {SHORTEST} to {LONGEST}");
    Err(Error::Key(reason))
}

#[cfg(test)]
mod tests;
