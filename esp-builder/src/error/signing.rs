//! Why nothing was signed.

use std::path::PathBuf;

/// Why a key or a signature was refused or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// An image, a key, a certificate or a signature that was refused.
    #[error("`{}` is refused", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: secure_boot::Error,
    },
    /// An image of which nothing is predicted.
    #[error("`{}` cannot be measured: {reason}", path.display())]
    Unmeasured {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A directory in which new keys would take the place of something.
    #[error("`{}` {reason}", path.display())]
    NoPlaceForKeys {
        /// The directory.
        path: PathBuf,
        /// What is there.
        reason: &'static str,
    },
    /// A signature that the signer made and that does not hold.
    #[error("nothing was signed")]
    Signer(#[source] secure_boot::Error),
    /// A private key that others could have.
    #[error("private key `{}` {reason}", path.display())]
    ExposedKey {
        /// The file.
        path: PathBuf,
        /// Who has it.
        reason: String,
    },
    /// The command that was to make a signature did not.
    #[error("sign command `{command}` {reason}")]
    Command {
        /// The command.
        command: String,
        /// What became of it.
        reason: String,
    },
    /// A manifest that cannot be used.
    #[error("manifest `{}`", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: tree_manifest::Error,
    },
    /// An image that a manifest says too little of.
    #[error("`{}` has no digest in the manifest: it may not be what was built", .0.display())]
    NoDigest(PathBuf),
    /// A directory in which no signature has the name of an image.
    #[error("`{}` holds no signature of an image that waits for one", .0.display())]
    NoSignatures(PathBuf),
}

impl SigningError {
    /// What the user can do about it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Refused { source, .. } => return source.hint(),
            Self::Signer(source) => source.hint().unwrap_or(
                "the first certificate is that of the key; those after it lead to one that \
                 firmware knows",
            ),
            Self::NoPlaceForKeys { .. } => {
                "name a new or an empty directory: no key takes the place of another"
            }
            Self::ExposedKey { .. } => {
                "keep it elsewhere, `chmod 600`, or sign where it is: --sign-command, or \
                 `esp-builder digests` and `attach`"
            }
            Self::Command { .. } => {
                "it reads the bytes to sign and prints their RSA signature (PKCS#1 v1.5, SHA-256), \
                 as `openssl dgst -sha256 -sign KEY` does"
            }
            Self::Manifest { .. } => "name an output of this program",
            Self::Unmeasured { .. } => "name an EFI image, such as a Unified Kernel Image",
            Self::NoDigest(_) => "build the tree again without `--digests never`",
            Self::NoSignatures(_) => "signatures are named TREE/PATH.p7 or TREE/PATH.sig",
        })
    }
}
