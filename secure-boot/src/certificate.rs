//! X.509 certificates of RSA keys, as far as firmware looks at them.
//!
//! Specification: RFC 5280. Like firmware, this looks at names, keys and signatures,
//! and not at dates, purposes or constraints.

use std::fmt;

use crate::asn1::{self, DateTime, ObjectIdentifier, Values, oid, tag};
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::key::{PrivateKey, PublicKey};
use crate::pem;

/// A certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// What its issuer signed.
    signed: Vec<u8>,
    /// The serial number, as a whole value.
    pub(crate) serial: Vec<u8>,
    /// The issuer's name, as a whole value.
    pub(crate) issuer: Vec<u8>,
    /// Its owner's name, as a whole value.
    subject: Vec<u8>,
    key: PublicKey,
    hash: Option<HashAlgorithm>,
    signature: Vec<u8>,
}

/// What a self-signed certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose it is.
    pub common_name: String,
    /// Its first second, in seconds since 1970. Firmware does not look.
    pub not_before: u64,
    /// Its last second, likewise.
    pub not_after: u64,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject())
    }
}

impl Certificate {
    /// Reads the certificates of a file: one in DER, or any number in PEM.
    ///
    /// # Errors
    /// When there is none, or one is damaged or not of an RSA key.
    pub fn parse_all(file: &[u8]) -> Result<Vec<Self>, Error> {
        let found = pem::or_der(file, "CERTIFICATE")?;
        found.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is damaged or not of an RSA key.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let mut values = Values::of_sequence(der, "the certificate")?;
        let signed = values.required(tag::SEQUENCE, "sequence")?;
        let algorithm = values.algorithm()?;
        let signature = values.bits()?;
        values.end()?;
        let mut body = signed.values()?;
        body.optional(tag::CONTEXT_0_CONSTRUCTED)?;
        let serial = body.required(tag::INTEGER, "serial number")?;
        body.algorithm()?;
        let issuer = body.required(tag::SEQUENCE, "issuer")?;
        body.required(tag::SEQUENCE, "validity")?;
        let subject = body.required(tag::SEQUENCE, "subject")?;
        let key = body.required(tag::SEQUENCE, "public key")?;
        Ok(Self {
            der: der.to_vec(),
            signed: signed.raw.to_vec(),
            serial: serial.raw.to_vec(),
            issuer: issuer.raw.to_vec(),
            subject: subject.raw.to_vec(),
            key: PublicKey::parse(key.raw)?,
            hash: HashAlgorithm::of_signature(algorithm),
            signature: signature.to_vec(),
        })
    }

    /// Makes a certificate that a key signs for itself. Its serial number is derived
    /// from what it says, so the same key and statement give the same certificate.
    ///
    /// # Errors
    /// When the name is empty or too long, a date cannot be written, or the key does
    /// not sign.
    pub fn self_signed(key: &PrivateKey, statement: &Statement) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Certificate {
            subject: statement.common_name.escape_debug().to_string(),
            reason: reason.to_owned(),
        };
        // RFC 5280 gives names 64 characters.
        if !(1..=64).contains(&statement.common_name.chars().count()) {
            return Err(refuse("has a name that is not of 1 to 64 characters"));
        }
        if statement.not_after < statement.not_before {
            return Err(refuse("would end before it begins"));
        }
        let time = |seconds| time(seconds).ok_or_else(|| refuse("has a date after 9999"));
        let validity = asn1::sequence(&[&time(statement.not_before)?, &time(statement.not_after)?]);
        let common_name = asn1::value(tag::UTF8_STRING, &[statement.common_name.as_bytes()]);
        let attribute = asn1::sequence(&[&asn1::object(oid::COMMON_NAME), &common_name]);
        let name = asn1::sequence(&[&asn1::set_of(vec![attribute])]);
        let public = key.public();
        let info = public.to_der();
        let mut serial = HashAlgorithm::Sha256.digest(&[&name[..], &validity, &info].concat());
        serial.truncate(16);
        let algorithm = asn1::algorithm(oid::SHA256_WITH_RSA);
        let signed = asn1::sequence(&[
            &asn1::value(tag::CONTEXT_0_CONSTRUCTED, &[&asn1::unsigned(&[2])]),
            &asn1::unsigned(&serial),
            &algorithm,
            &name,
            &validity,
            &name,
            &info,
            &asn1::value(tag::CONTEXT_3_CONSTRUCTED, &[&extensions(&public)]),
        ]);
        let signature = asn1::bits(&key.sign(&signed)?);
        Self::from_der(&asn1::sequence(&[&signed, &algorithm, &signature]))
    }

    /// The certificate's DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as a PEM text.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::render("CERTIFICATE", &self.der)
    }

    /// Its owner's public key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its owner's name: the common name, or else every part that is text.
    #[must_use]
    pub fn subject(&self) -> String {
        let parts = name_parts(&self.subject).unwrap_or_default();
        let common = parts.iter().find(|(kind, _)| *kind == oid::COMMON_NAME);
        let text = if let Some((_, text)) = common {
            text.clone()
        } else {
            let all: Vec<_> = parts.into_iter().map(|(_, text)| text).collect();
            all.join(", ")
        };
        text.escape_debug().to_string()
    }

    /// Whether another certificate's owner issued this one.
    #[must_use]
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        let signed = |hash| issuer.key.verifies(hash, &self.signed, &self.signature);
        self.issuer == issuer.subject && self.hash.is_some_and(signed)
    }
}

/// The texts of a name, by what they are.
fn name_parts(name: &[u8]) -> Result<Vec<(ObjectIdentifier, String)>, Error> {
    let mut parts = Vec::new();
    let mut sets = Values::of_sequence(name, "the name")?;
    while !sets.is_empty() {
        let mut set = sets.set()?;
        while !set.is_empty() {
            let mut attribute = set.sequence()?;
            let kind = attribute.object()?;
            if let Some(text) = attribute.item()?.text() {
                parts.push((kind, text.to_owned()));
            }
        }
    }
    Ok(parts)
}

/// Who may have signed, and that it may sign others: openssl wants both of a
/// certificate that is its own issuer.
fn extensions(key: &PublicKey) -> Vec<u8> {
    let identifier = HashAlgorithm::Sha1.digest(&key.to_pkcs1());
    let identifier = asn1::value(tag::OCTET_STRING, &[&identifier]);
    let authority = asn1::value(tag::BOOLEAN, &[&[0xff]]);
    asn1::sequence(&[
        &asn1::sequence(&[
            &asn1::object(oid::SUBJECT_KEY_IDENTIFIER),
            &asn1::value(tag::OCTET_STRING, &[&identifier]),
        ]),
        &asn1::sequence(&[
            &asn1::object(oid::BASIC_CONSTRAINTS),
            &authority,
            &asn1::value(tag::OCTET_STRING, &[&asn1::sequence(&[&authority])]),
        ]),
    ])
}

/// A time as certificates have it: two digits for the year until 2049.
fn time(seconds: u64) -> Option<Vec<u8>> {
    let date = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).ok()?;
    let rest = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        date.month(),
        date.day(),
        date.hour(),
        date.minutes(),
        date.seconds()
    );
    Some(match date.year() {
        year @ ..2050 => asn1::value(
            tag::UTC_TIME,
            &[format!("{:02}{rest}", year % 100).as_bytes()],
        ),
        year => asn1::value(
            tag::GENERALIZED_TIME,
            &[format!("{year:04}{rest}").as_bytes()],
        ),
    })
}
