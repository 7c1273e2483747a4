//! What UEFI firmware checks before it starts an image, what it is told to trust, and
//! what it measures.
//!
//! Values only: files come in as readers, signatures go out as a recipe of bytes to
//! replace and to append ([`Amendment`]), so that a signed copy of a large
//! image can share its blocks with the original. There is no file access, no clock
//! and no environment here. The one thing drawn at random is what
//! [`key::PrivateKey::generate`] is handed, and the blinding of private-key
//! operations, which no output depends on.
//!
//! - [`authenticode`]: the layout of an image as signatures see it, and its digest.
//! - [`certificate`], [`key`], [`pem`]: X.509 certificates and RSA keys.
//! - [`cms`]: the signed data of PKCS#7, as far as firmware reads it.
//! - [`sign`], [`verify`]: signatures of images, made and checked.
//! - [`measure`]: registers of a TPM, predicted, and signed policies for them.
//! - [`variable`]: signature lists and authenticated updates of PK, KEK and db.
//!
//! ```
//! use secure_boot::pem;
//!
//! let text = pem::render("CERTIFICATE", &[0x30, 0x00]);
//! assert_eq!(text, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
//! let blocks = pem::parse(&text)?;
//! assert_eq!(blocks[0].der, [0x30, 0x00]);
//! # Ok::<(), secure_boot::Error>(())
//! ```

mod asn1;
pub mod authenticode;
pub mod certificate;
mod certificate_table;
mod checksum;
pub mod cms;
mod error;
mod hash;
pub mod key;
pub mod measure;
pub mod pem;
pub mod sign;
#[cfg(test)]
mod testkit;
pub mod variable;
pub mod verify;

pub use certificate_table::Amendment;
pub use error::Error;
pub use hash::{HashAlgorithm, hex};
