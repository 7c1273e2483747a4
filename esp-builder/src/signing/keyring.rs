//! A directory with keys for Secure Boot, and the variable updates that enrol them.
//!
//! For each of PK, KEK and db there are `NAME.key` (the private key), `NAME.pem` (its
//! certificate), `NAME.esl` (the signature lists) and `NAME.auth` (the signed update).
#![expect(clippy::disallowed_methods, reason = "keys are files")]

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use secure_boot::certificate::{Certificate, Statement};
use secure_boot::key::PrivateKey;
use secure_boot::variable::{Variable, signature_lists, signed_update};
use tree_manifest::Sha256;
use uuid::Uuid;

use crate::error::{Error, SigningError, write_error};
use crate::publish;
use crate::signing::{key_file, refused};

/// What to make.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// What the certificates' names begin with.
    pub common_name: String,
    /// Whose keys they are; derived from the keys when absent.
    pub owner: Option<Uuid>,
    /// The length of the keys in bits.
    pub bits: usize,
    /// The first second of the certificates and the time of the updates, in seconds
    /// since 1970.
    pub now: u64,
    /// The last second of the certificates.
    pub not_after: u64,
    /// Certificates of others that are enrolled too, by variable.
    pub others: BTreeMap<Variable, Vec<Certificate>>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// Whose keys they are.
    pub owner: Uuid,
    /// The files, in the order of their making.
    pub files: Vec<PathBuf>,
}

/// Makes keys in a directory that is not there yet, or is empty.
///
/// # Errors
/// When something is there, or cannot be made or written.
pub fn generate(directory: &Path, wishes: &Wishes) -> Result<Keyring, Error> {
    make_directory(directory)?;
    let wrong = || refused(directory);
    let mut keys = BTreeMap::new();
    for variable in Variable::ALL {
        let key = PrivateKey::generate(&mut SysRng, wishes.bits).map_err(wrong())?;
        let statement = Statement {
            common_name: format!("{} {}", wishes.common_name, variable.name()),
            not_before: wishes.now,
            not_after: wishes.not_after,
        };
        let certificate = Certificate::self_signed(&key, &statement).map_err(wrong())?;
        keys.insert(variable, (key, certificate));
    }
    let owner = wishes
        .owner
        .unwrap_or_else(|| derived_owner(&keys[&Variable::Pk].1));
    let mut files = Vec::new();
    for (variable, (key, certificate)) in &keys {
        let mut enrolled = vec![certificate.clone()];
        enrolled.extend(wishes.others.get(variable).into_iter().flatten().cloned());
        let lists = signature_lists(owner, &enrolled).map_err(wrong())?;
        let (signing_key, signer) = &keys[&variable.signer()];
        let update = signed_update(*variable, wishes.now, &lists, signing_key, signer);
        let update = update.map_err(wrong())?;
        let path = |ending| directory.join(format!("{}.{ending}", variable.name()));
        key_file::create(&path("key"), key)?;
        files.push(path("key"));
        let public = [
            ("pem", certificate.to_pem().into_bytes()),
            ("esl", lists),
            ("auth", update),
        ];
        for (ending, content) in public {
            let path = path(ending);
            publish::write(&path, &content)?;
            files.push(path);
        }
    }
    Ok(Keyring { owner, files })
}

fn make_directory(directory: &Path) -> Result<(), Error> {
    let refuse = |reason| {
        Error::from(SigningError::NoPlaceForKeys {
            path: directory.into(),
            reason,
        })
    };
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut items = fs::read_dir(directory).map_err(|_| refuse("is no directory"))?;
            if items.next().is_some() {
                return Err(refuse("is not empty"));
            }
            publish::set_mode(directory, 0o700)
        }
        made => made.map_err(write_error(directory)),
    }
}

/// A GUID that nobody else has: of the certificate of PK.
fn derived_owner(certificate: &Certificate) -> Uuid {
    let digest = Sha256::of(certificate.der());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
