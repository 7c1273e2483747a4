//! Making a signature of an image, by a key at hand or in two steps.
//!
//! Specification: Microsoft's "Windows Authenticode Portable Executable Signature
//! Format"; the constants in it are those that `sbsign` writes. There is no signing
//! time, so that the same image, key and certificates give the same bytes.

use crate::asn1::{self, oid, tag};
use crate::certificate::Certificate;
use crate::cms::{self, SignedData};
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::key::PrivateKey;

/// The file name that an image is said to have: a relic, as UTF-16 in network order.
const OBSOLETE: &str = "<<<Obsolete>>>";

/// What has to be signed to sign an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToBeSigned {
    content: Vec<u8>,
    attributes: Vec<u8>,
}

impl ToBeSigned {
    /// For an image with this digest; see [`crate::authenticode::Measured::sha256`].
    #[must_use]
    pub fn of(sha256: &[u8; 32]) -> Self {
        let content = indirect_data(sha256);
        let digest = HashAlgorithm::Sha256.digest(&content);
        Self {
            attributes: cms::attributes(oid::SPC_INDIRECT_DATA, &digest),
            content,
        }
    }

    /// What an RSA key signs, with SHA-256 and the padding of PKCS#1 v1.5: the signed
    /// attributes.
    #[must_use]
    pub fn attributes(&self) -> &[u8] {
        &self.attributes
    }

    /// What a CMS tool signs, detached, as content of the type
    /// `1.3.6.1.4.1.311.2.1.4`: the inside of an `SpcIndirectDataContent`.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Signs. The first certificate is the key's own; others lead from it to one that
    /// firmware knows.
    ///
    /// # Errors
    /// When there is no certificate or it is of another key.
    pub fn sign(&self, key: &PrivateKey, certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
        self.join(&key.sign(&self.attributes)?, certificates)
    }

    /// Makes the PKCS#7 of an RSA signature of the attributes, which was made
    /// elsewhere. The first certificate is the signer's.
    ///
    /// # Errors
    /// When there is no certificate or the signature is not its owner's.
    pub fn join(&self, signature: &[u8], certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
        let Some(certificate) = certificates.first() else {
            return Err(Error::SignedData("needs a certificate".to_owned()));
        };
        let hash = HashAlgorithm::Sha256;
        if !certificate
            .key()
            .verifies(hash, &self.attributes, signature)
        {
            return Err(Error::Certificate {
                subject: certificate.subject(),
                reason: "is not of the key that signed".to_owned(),
            });
        }
        let signer = cms::signer_info(certificate, &self.attributes, signature);
        let content = asn1::sequence(&[&self.content]);
        let info = asn1::sequence(&[
            &asn1::object(oid::SPC_INDIRECT_DATA),
            &asn1::value(tag::CONTEXT_0_CONSTRUCTED, &[&content]),
        ]);
        Ok(cms::wrap(&cms::render(
            oid::SHA256,
            &info,
            certificates,
            &signer,
        )))
    }

    /// Makes the PKCS#7 for the image of one that was made elsewhere: of a detached
    /// one, by putting its content in. `certificates` are added to it.
    ///
    /// # Errors
    /// When it is damaged, is of something else, or does not hold.
    pub fn complete(&self, pkcs7: &[u8], certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
        let mut signed = SignedData::parse(pkcs7)?;
        signed.add_certificates(certificates);
        if signed.content_type() != oid::SPC_INDIRECT_DATA {
            let reason = "is not of an image: its content type is not 1.3.6.1.4.1.311.2.1.4";
            return Err(Error::SignedData(reason.to_owned()));
        }
        // Tools differ in the relic, so the content that came is kept, once it is
        // known to state the same digest.
        let content = signed.content().unwrap_or(&self.content);
        if stated_digest(content)? != stated_digest(&self.content)? {
            let reason = "is of an image with another digest";
            return Err(Error::SignedData(reason.to_owned()));
        }
        signed.signer_of(content)?;
        Ok(signed.to_der(content))
    }
}

/// The inside of an `SpcIndirectDataContent`: what kind of thing has which digest.
fn indirect_data(sha256: &[u8; 32]) -> Vec<u8> {
    let name: Vec<u8> = OBSOLETE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let name = asn1::value(tag::CONTEXT_0, &[&name]);
    let file = asn1::value(tag::CONTEXT_2_CONSTRUCTED, &[&name]);
    let file = asn1::value(tag::CONTEXT_0_CONSTRUCTED, &[&file]);
    let image = asn1::sequence(&[&asn1::value(tag::BIT_STRING, &[&[0]]), &file]);
    let kind = asn1::sequence(&[&asn1::object(oid::SPC_PE_IMAGE_DATA), &image]);
    let digest = asn1::sequence(&[
        &asn1::algorithm(oid::SHA256),
        &asn1::value(tag::OCTET_STRING, &[sha256]),
    ]);
    [kind, digest].concat()
}

/// The digest that the inside of an `SpcIndirectDataContent` states, and its
/// algorithm. `None` is an algorithm that nothing is believed of.
pub(crate) fn stated_digest(content: &[u8]) -> Result<(Option<HashAlgorithm>, Vec<u8>), Error> {
    let mut values = asn1::Values::new(content, "the SpcIndirectDataContent")?;
    let kind = values.sequence()?.object()?;
    if kind != oid::SPC_PE_IMAGE_DATA {
        return Err(values.refuse("it is not of a PE image"));
    }
    let mut digest = values.sequence()?;
    let algorithm = digest.algorithm()?;
    Ok((
        HashAlgorithm::of_signature(algorithm),
        digest.octets()?.to_vec(),
    ))
}

#[cfg(test)]
mod tests;
