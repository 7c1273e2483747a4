//! The commands that make keys and signatures.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::texts;

/// What can be done for Secure Boot.
#[derive(Debug, Subcommand)]
pub(crate) enum SigningCommand {
    /// Make keys for Secure Boot
    #[command(subcommand, after_help = texts::KEYS)]
    Keys(KeysCommand),
    /// Sign an EFI image, unless the certificate's owner has signed it
    #[command(after_help = texts::SIGN)]
    Sign(SignArgs),
    /// List the signatures of an EFI image and check them
    #[command(after_help = texts::SIGNATURES)]
    Signatures {
        /// The image
        image: PathBuf,
        /// Exit with 3 unless a signature leads to a certificate of this file;
        /// repeatable
        #[arg(long, value_name = "FILE")]
        certificate: Vec<PathBuf>,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print what must be signed of the images in a tree, for signing elsewhere
    #[command(after_help = texts::DIGESTS)]
    Digests {
        /// The directory that holds the manifest
        out: PathBuf,
        /// Write the bytes to sign too: TREE/PATH.tbs for RSA keys, TREE/PATH.content
        /// for CMS tools
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Put signatures that were made elsewhere into a tree
    #[command(after_help = texts::ATTACH)]
    Attach {
        /// The directory that holds the manifest
        out: PathBuf,
        /// Where the signatures are: TREE/PATH.p7 (PKCS#7), or TREE/PATH.sig (RSA)
        signatures: PathBuf,
        /// The signer's certificate, and those between it and one that firmware knows
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make PK, KEK and db: keys, certificates, signature lists and signed updates
    #[command(after_help = texts::KEYS)]
    Generate(KeysArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// The directory to make; it is for its owner alone
    pub(crate) directory: PathBuf,
    /// Whose keys they are [default: derived from the keys]
    #[arg(long, value_name = "GUID")]
    pub(crate) owner: Option<Uuid>,
    /// What the certificates' names begin with
    #[arg(long, value_name = "NAME", default_value = "Secure Boot")]
    pub(crate) common_name: String,
    /// The length of the keys: 2048 to 4096
    #[arg(
        long,
        value_name = "BITS",
        default_value = "2048",
        value_parser = RangedU64ValueParser::<usize>::new().range(2048..=4096)
    )]
    pub(crate) bits: usize,
    /// How long the certificates are valid; firmware does not look
    #[arg(long, value_name = "DAYS", default_value = "3650")]
    pub(crate) days: u32,
    /// The time of the updates, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timestamp: Option<u64>,
    /// Trust the images of others too, such as Microsoft's; repeatable
    #[arg(long, value_name = "CERTIFICATE")]
    pub(crate) add_db: Vec<PathBuf>,
    /// Let others change db too; repeatable
    #[arg(long, value_name = "CERTIFICATE")]
    pub(crate) add_kek: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The image
    pub(crate) image: PathBuf,
    /// Where to write the signed image; it may be the same file
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The private key: an RSA key in PEM or DER
    #[arg(long, value_name = "FILE", required_unless_present = "sign_command")]
    pub(crate) key: Option<PathBuf>,
    /// A shell command that reads bytes and prints their RSA signature, in place of a
    /// key
    #[arg(long, value_name = "COMMAND", conflicts_with = "key")]
    pub(crate) sign_command: Option<String>,
    /// The key's certificate, and after it those that lead to one that firmware knows
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// Refuse keys of this store too
    #[arg(long, value_name = "DIR", default_value = "/nix/store")]
    pub(crate) store_dir: PathBuf,
    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
