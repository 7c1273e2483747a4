//! Reads what root hashes are signed with.
#![expect(clippy::disallowed_methods, reason = "reads keys and certificates")]

use std::path::{Path, PathBuf};

use composer::Error;
use composer::protect::Signing;
use secure_boot::certificate::Certificate;
use secure_boot::key::PrivateKey;

use crate::cli::SigningRequest;

/// The key and the signatures that the command line names.
///
/// # Errors
/// When one cannot be read, or holds something else.
pub fn load(request: &SigningRequest) -> Result<Signing, Error> {
    let key = match (&request.private_key, &request.certificate) {
        (Some(key), Some(certificate)) => Some((
            parse(key, PrivateKey::parse)?,
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
