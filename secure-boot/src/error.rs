//! What can be wrong with images, keys, certificates and signatures.

use std::io;

/// Why a value was refused, or could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A PE image that cannot be signed or checked.
    #[error("{field} at offset {offset:#x} {reason}")]
    Image {
        /// The field, by its name in the PE specification.
        field: &'static str,
        /// Where the field is, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The reader of an image failed.
    #[error("reading at offset {offset:#x} failed: {source}")]
    Read {
        /// Where, in bytes from the start of the file.
        offset: u64,
        /// What the reader says.
        source: io::Error,
    },
    /// Bytes that are not the DER structure they should be.
    #[error("{what} is damaged: {reason}")]
    Der {
        /// The structure.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A text that should hold PEM and does not.
    #[error("the PEM text {0}")]
    Pem(String),
    /// A private key that a passphrase protects.
    #[error("the private key is encrypted")]
    EncryptedKey,
    /// A private key that cannot be used.
    #[error("the private key {0}")]
    Key(String),
    /// A certificate that cannot be used.
    #[error("the certificate of `{subject}` {reason}")]
    Certificate {
        /// Whose it is.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A signature that does not hold.
    #[error("signature {number}: {reason}")]
    Signature {
        /// Which one of the image, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Signed data that is no signature of an image.
    #[error("the signature {0}")]
    SignedData(String),
    /// A name that no bank of a TPM has.
    #[error("`{}` is none of sha1, sha256, sha384 and sha512", .0.escape_debug())]
    Bank(String),
    /// A text that is no path of boot phases.
    #[error("`{}` is no path of boot phases, words joined by `:`", .0.escape_debug())]
    PhasePath(String),
}

impl Error {
    /// What to do about it, when there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::EncryptedKey => Some(
                "decrypt it into memory (`openssl pkey`) and name that file, or keep it \
                 where it is and use --sign-command",
            ),
            Self::Signature { .. } => Some(
                "what was changed after it was signed, or is damaged, has to be taken from its \
                 source again and signed",
            ),
            Self::Pem(_) => Some("keys and certificates are PEM or DER files"),
            _ => None,
        }
    }
}
