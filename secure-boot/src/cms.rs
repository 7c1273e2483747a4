//! The signed data of PKCS#7, as far as firmware reads it.
//!
//! Specifications: RFC 2315 (PKCS#7 1.5), RFC 5652 (CMS), read in DER alone.
//! Certificates of keys that are not RSA, revocation lists and attributes that are
//! not signed are passed over: they play no part in what firmware decides.

use crate::asn1::{self, ObjectIdentifier, Values, oid, tag};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::key::PrivateKey;
use crate::pem;

const WHAT: &str = "the signed data";

/// What was signed, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedData {
    content_type: ObjectIdentifier,
    /// What is inside the content's value; `None` when the signature is detached.
    content: Option<Vec<u8>>,
    /// Certificates that came with it.
    certificates: Vec<Certificate>,
    signer: Signer,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    /// The whole `SignerInfo`.
    raw: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
    algorithm: ObjectIdentifier,
    hash: HashAlgorithm,
    /// The signed attributes, one after another.
    attributes: Option<Vec<u8>>,
    signature: Vec<u8>,
}

impl SignedData {
    /// Reads a signature: PEM or DER, with or without a `ContentInfo` around it. Zeros
    /// after it are the filling of certificate tables.
    ///
    /// # Errors
    /// When it is damaged, or nothing that firmware reads.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if pem::is_pem(file) {
            let blocks = pem::or_der(file, "PKCS7").or_else(|_| pem::or_der(file, "CMS"))?;
            return Self::from_der(&blocks[0]);
        }
        Self::from_der(file)
    }

    fn from_der(der: &[u8]) -> Result<Self, Error> {
        let mut outer = Values::new(der, WHAT)?;
        let mut values = outer.sequence()?;
        if values.peek(tag::OID) {
            if values.object()? != oid::SIGNED_DATA {
                return Err(values.refuse("it is another kind of PKCS#7"));
            }
            let wrapped = values.required(tag::CONTEXT_0_CONSTRUCTED, "content")?;
            values = wrapped.values()?.sequence()?;
        }
        values.unsigned()?;
        values.set()?;
        let mut info = values.sequence()?;
        let content_type = info.object()?;
        let content = match info.optional(tag::CONTEXT_0_CONSTRUCTED)? {
            Some(wrapped) => Some(wrapped.values()?.item()?.content.to_vec()),
            None => None,
        };
        let mut certificates = Vec::new();
        if let Some(set) = values.optional(tag::CONTEXT_0_CONSTRUCTED)? {
            let mut set = set.values()?;
            while !set.is_empty() {
                certificates.extend(Certificate::from_der(set.item()?.raw).ok());
            }
        }
        values.optional(tag::CONTEXT_1_CONSTRUCTED)?;
        let mut signers = values.set()?;
        if signers.is_empty() {
            return Err(signers.refuse("nobody signed it"));
        }
        let signer = signers.item()?;
        if !signers.is_empty() {
            // Each of them would have to hold, and no tool for images makes two.
            return Err(signers.refuse("it has several signers; firmware takes one"));
        }
        Ok(Self {
            content_type,
            content,
            certificates,
            signer: Signer::parse(signer.raw, signer.values()?)?,
        })
    }

    /// The kind of content that was signed.
    pub(crate) fn content_type(&self) -> ObjectIdentifier {
        self.content_type
    }

    /// What was signed: the inside of the content's value. `None` when the signature
    /// is detached.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// The certificates that came with the signature.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Adds certificates that did not come with the signature.
    pub fn add_certificates(&mut self, certificates: &[Certificate]) {
        for certificate in certificates {
            if !self.certificates.contains(certificate) {
                self.certificates.push(certificate.clone());
            }
        }
    }

    /// Whether it names the owner of the first of these certificates as its signer, and
    /// comes with all of them and no other.
    pub(crate) fn is_by(&self, certificates: &[Certificate]) -> bool {
        let names = |certificate: &Certificate| {
            certificate.issuer == self.signer.issuer && certificate.serial == self.signer.serial
        };
        let comes_with = |certificate| self.certificates.contains(certificate);
        certificates.first().is_some_and(names)
            && certificates.iter().all(comes_with)
            && self
                .certificates
                .iter()
                .all(|own| certificates.contains(own))
    }

    /// Whose signature it is, when it holds for this content.
    ///
    /// # Errors
    /// With the reason why it does not hold.
    pub fn signer_of(&self, content: &[u8]) -> Result<&Certificate, Error> {
        let refuse = |reason: &str| Err(Error::SignedData(reason.to_owned()));
        let Signer {
            issuer,
            serial,
            hash,
            attributes,
            signature,
            ..
        } = &self.signer;
        let named = |certificate: &&Certificate| {
            certificate.issuer == *issuer && certificate.serial == *serial
        };
        let Some(certificate) = self.certificates.iter().find(named) else {
            return refuse("comes without the certificate of its signer");
        };
        let signed = match attributes {
            None => content.to_vec(),
            Some(attributes) => {
                let (kind, digest) = required_attributes(attributes)?;
                if kind != self.content_type {
                    return refuse("was made for another kind of content");
                }
                if digest != hash.digest(content) {
                    return refuse("was made for other content");
                }
                asn1::value(tag::SET, &[attributes])
            }
        };
        if !certificate.key().verifies(*hash, &signed, signature) {
            return refuse("does not hold: its signer's key did not make it");
        }
        Ok(certificate)
    }

    /// The signature in DER, with this content in the form that Authenticode wants,
    /// and in a `ContentInfo`.
    pub(crate) fn to_der(&self, content: &[u8]) -> Vec<u8> {
        let content = asn1::sequence(&[content]);
        let content = asn1::value(tag::CONTEXT_0_CONSTRUCTED, &[&content]);
        let info = asn1::sequence(&[&asn1::object(self.content_type), &content]);
        let hash = self.signer.algorithm;
        wrap(&render(hash, &info, &self.certificates, &self.signer.raw))
    }
}

impl Signer {
    fn parse(raw: &[u8], mut values: Values<'_>) -> Result<Self, Error> {
        values.unsigned()?;
        if values.peek(tag::CONTEXT_0) {
            return Err(values.refuse(
                "its signer is named by a key identifier; firmware wants issuer and serial number",
            ));
        }
        let mut name = values.sequence()?;
        let issuer = name.required(tag::SEQUENCE, "issuer")?.raw.to_vec();
        let serial = name.required(tag::INTEGER, "serial number")?.raw.to_vec();
        let digest = values.algorithm()?;
        let Some(hash) = HashAlgorithm::of_signature(digest) else {
            return Err(values.refuse("its digest algorithm is not of the SHA-2 family"));
        };
        let attributes = values.optional(tag::CONTEXT_0_CONSTRUCTED)?;
        let algorithm = values.algorithm()?;
        if algorithm != oid::RSA && HashAlgorithm::of_signature(algorithm) != Some(hash) {
            return Err(values.refuse("it is no RSA signature with padding of PKCS#1 v1.5"));
        }
        Ok(Self {
            raw: raw.to_vec(),
            issuer,
            serial,
            algorithm: digest,
            hash,
            attributes: attributes.map(|item| item.content.to_vec()),
            signature: values.octets()?.to_vec(),
        })
    }
}

/// The content type and the digest that signed attributes state.
fn required_attributes(attributes: &[u8]) -> Result<(ObjectIdentifier, Vec<u8>), Error> {
    let mut values = Values::new(attributes, "the signed attributes")?;
    let (mut kind, mut digest) = (None, None);
    while !values.is_empty() {
        let mut attribute = values.sequence()?;
        match attribute.object()? {
            oid::CONTENT_TYPE => kind = Some(attribute.set()?.object()?),
            oid::MESSAGE_DIGEST => digest = Some(attribute.set()?.octets()?.to_vec()),
            _ => {}
        }
    }
    kind.zip(digest)
        .ok_or_else(|| values.refuse("they lack the content's type or digest"))
}

/// The attributes that are signed in place of a content, as a SET.
pub(crate) fn attributes(content_type: ObjectIdentifier, digest: &[u8]) -> Vec<u8> {
    let attribute =
        |kind, value| asn1::sequence(&[&asn1::object(kind), &asn1::set_of(vec![value])]);
    asn1::set_of(vec![
        attribute(oid::CONTENT_TYPE, asn1::object(content_type)),
        attribute(
            oid::MESSAGE_DIGEST,
            asn1::value(tag::OCTET_STRING, &[digest]),
        ),
    ])
}

/// A `SignerInfo` of an RSA signature with SHA-256. `attributes` is what they are as a
/// SET, or nothing.
pub(crate) fn signer_info(
    certificate: &Certificate,
    attributes: &[u8],
    signature: &[u8],
) -> Vec<u8> {
    let mut attributes = attributes.to_vec();
    if let Some(first) = attributes.first_mut() {
        *first = tag::CONTEXT_0_CONSTRUCTED;
    }
    asn1::sequence(&[
        &asn1::unsigned(&[1]),
        &asn1::sequence(&[&certificate.issuer, &certificate.serial]),
        &asn1::algorithm(oid::SHA256),
        &attributes,
        &asn1::algorithm(oid::RSA),
        &asn1::value(tag::OCTET_STRING, &[signature]),
    ])
}

/// Signs content, which the signature does not hold: PKCS#7 in DER, without signed
/// attributes, with the certificate. The kernel and systemd take root hashes of
/// dm-verity signed like this.
///
/// # Errors
/// When the key is not the certificate's, or does not work.
pub fn sign(content: &[u8], key: &PrivateKey, certificate: &Certificate) -> Result<Vec<u8>, Error> {
    detached(content, key, certificate).map(|signed| wrap(&signed))
}

/// As [`sign`], without a `ContentInfo` around it.
pub(crate) fn detached(
    content: &[u8],
    key: &PrivateKey,
    certificate: &Certificate,
) -> Result<Vec<u8>, Error> {
    if key.public() != *certificate.key() {
        return Err(Error::Certificate {
            subject: certificate.subject(),
            reason: "is not of the key that signs".to_owned(),
        });
    }
    let signer = signer_info(certificate, &[], &key.sign(content)?);
    let info = asn1::sequence(&[&asn1::object(oid::DATA)]);
    let certificates = std::slice::from_ref(certificate);
    Ok(render(oid::SHA256, &info, certificates, &signer))
}

/// A `SignedData` of one signer, without a `ContentInfo` around it.
pub(crate) fn render(
    hash: ObjectIdentifier,
    content_info: &[u8],
    certificates: &[Certificate],
    signer: &[u8],
) -> Vec<u8> {
    let ders = certificates.iter().map(|it| it.der().to_vec());
    // A SET OF, with a tag of its own.
    let mut certificates = asn1::set_of(ders.collect());
    certificates[0] = tag::CONTEXT_0_CONSTRUCTED;
    asn1::sequence(&[
        &asn1::unsigned(&[1]),
        &asn1::set_of(vec![asn1::algorithm(hash)]),
        content_info,
        &certificates,
        &asn1::value(tag::SET, &[signer]),
    ])
}

/// Puts a `ContentInfo` around a `SignedData`.
pub(crate) fn wrap(signed_data: &[u8]) -> Vec<u8> {
    asn1::sequence(&[
        &asn1::object(oid::SIGNED_DATA),
        &asn1::value(tag::CONTEXT_0_CONSTRUCTED, &[signed_data]),
    ])
}
