//! Reads what root hashes are signed with.
#![expect(clippy::disallowed_methods, reason = "reads keys and certificates")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use composer::Error;
use composer::protect::Signing;
use secure_boot::certificate::Certificate;
use secure_boot::key::{self, PrivateKey};

use crate::cli::SigningRequest;

/// The key and the signatures that the command line names.
///
/// # Errors
/// When one cannot be read, or holds something else.
pub fn load(request: &SigningRequest) -> Result<Signing, Error> {
    let key = match (&request.private_key, &request.certificate) {
        (Some(key), Some(certificate)) => Some((
            private_key(key)?,
            parse(certificate, |bytes| {
                let mut all = Certificate::parse_all(bytes)?;
                // At least one: an empty file is refused.
                Ok(all.swap_remove(0))
            })?,
        )),
        _ => None,
    };
    let made = request.signatures.iter().map(|(root_hash, path)| {
        let signature = parse(path, |bytes| Ok(bytes.to_vec()))?;
        Ok((root_hash.clone(), signature))
    });
    Ok(Signing {
        key,
        made: made.collect::<Result<_, Error>>()?,
    })
}

/// A key that is its owner's alone.
fn private_key(path: &Path) -> Result<PrivateKey, Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::Read {
        path: PathBuf::from(path),
        source,
    })?;
    if let Some(reason) = key::exposure(metadata.mode()) {
        let path = path.to_owned();
        return Err(Error::ExposedKey { path, reason });
    }
    parse(path, PrivateKey::parse)
}

fn parse<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, secure_boot::Error>,
) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: PathBuf::from(path),
        source,
    })?;
    parse(&bytes).map_err(|source| Error::Credential {
        path: PathBuf::from(path),
        source,
    })
}
