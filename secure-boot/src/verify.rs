//! Checking the signatures of an image.
//!
//! Decided as EDK2 decides (`AuthenticodeVerify`): the digest is that of the image, the
//! signer's key made the signature, and the signer or somebody that issued its
//! certificate is trusted. Dates and purposes play no part.

use crate::authenticode::Measured;
use crate::certificate::Certificate;
use crate::cms::SignedData;
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::sign::stated_digest;

/// How many certificates may lead from a signer to one that is trusted.
const LONGEST_CHAIN: usize = 8;

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub signer: Certificate,
    /// The one of the trusted certificates that it leads to, if any does.
    pub trusted: Option<Certificate>,
}

/// Checks every signature of an image.
///
/// # Errors
/// When one does not hold, whoever made it; nothing is said of whether there is one.
pub fn signatures(image: &Measured, trusted: &[Certificate]) -> Result<Vec<Signature>, Error> {
    let all = image.signatures()?.into_iter();
    all.zip(1..)
        .map(|(signature, number)| {
            check(signature, image, trusted).map_err(|error| Error::Signature {
                number,
                reason: error.to_string(),
            })
        })
        .collect()
}

/// Whether the image has a signature that holds and leads to this certificate.
#[must_use]
pub fn is_signed_by(image: &Measured, certificate: &Certificate) -> bool {
    let trusted = std::slice::from_ref(certificate);
    let leads = |signature| check(signature, image, trusted).is_ok_and(|it| it.trusted.is_some());
    image
        .signatures()
        .is_ok_and(|signatures| signatures.into_iter().any(leads))
}

/// Whether a signature says that the owner of the first of these certificates made it,
/// and comes with all of them and no other. Whether it holds is another question.
#[must_use]
pub fn is_by(pkcs7: &[u8], certificates: &[Certificate]) -> bool {
    SignedData::parse(pkcs7).is_ok_and(|data| data.is_by(certificates))
}

/// Whether a signature is of this image and holds, whoever made it.
#[must_use]
pub fn holds(pkcs7: &[u8], image: &Measured) -> bool {
    check(pkcs7, image, &[]).is_ok()
}

fn check(pkcs7: &[u8], image: &Measured, trusted: &[Certificate]) -> Result<Signature, Error> {
    let data = SignedData::parse(pkcs7)?;
    let Some(content) = data.content() else {
        return Err(Error::SignedData("has no content".to_owned()));
    };
    let stated = stated_digest(content)?;
    if stated.0 != Some(HashAlgorithm::Sha256) {
        let reason = "states a digest that is not of SHA-256";
        return Err(Error::SignedData(reason.to_owned()));
    }
    if stated.1 != image.sha256 {
        let reason = "is of an image with another digest: this one was changed";
        return Err(Error::SignedData(reason.to_owned()));
    }
    let signer = data.signer_of(content)?;
    Ok(Signature {
        trusted: chain(signer, data.certificates(), trusted),
        signer: signer.clone(),
    })
}

/// The trusted certificate that a signer leads to.
fn chain(
    signer: &Certificate,
    between: &[Certificate],
    trusted: &[Certificate],
) -> Option<Certificate> {
    let mut current = signer;
    for _ in 0..LONGEST_CHAIN {
        let known = |root: &&Certificate| *root == current || current.is_issued_by(root);
        if let Some(root) = trusted.iter().find(known) {
            return Some(root.clone());
        }
        current = between
            .iter()
            .find(|issuer| *issuer != current && current.is_issued_by(issuer))?;
    }
    None
}
