//! Private keys in files, which nobody else may have.
#![expect(clippy::disallowed_methods, reason = "keys are files")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secure_boot::key::{self, PrivateKey};

use crate::error::{Error, SigningError, read_error, write_error};
use crate::publish::stage;
use crate::signing::refused;

/// The store that everybody reads, wherever another one is configured.
const STORE: &str = "/nix/store";
/// The most bytes of a file with a key.
const LONGEST: u64 = 64 * 1024;

/// Reads a private key.
///
/// # Errors
/// [`SigningError::ExposedKey`] when it lies in a store or others than its owner have a
/// right to it; and when it cannot be read or used.
pub fn load(path: &Path, store_dir: &Path) -> Result<PrivateKey, Error> {
    let read = read_error(path);
    let exposed = |reason: String| {
        Error::from(SigningError::ExposedKey {
            path: path.into(),
            reason,
        })
    };
    let resolved = fs::canonicalize(path).map_err(read)?;
    let given = std::path::absolute(path).map_err(read)?;
    for store in [Path::new(STORE), store_dir] {
        // One that is not there holds nothing.
        let canonical = fs::canonicalize(store);
        let is_in = |path: &Path| {
            path.starts_with(store)
                || canonical
                    .as_ref()
                    .is_ok_and(|store| path.starts_with(store))
        };
        if is_in(&resolved) || is_in(&given) {
            let store = store.display();
            return Err(exposed(format!(
                "is in the store `{store}`, which everybody reads"
            )));
        }
    }
    let file = File::open(&resolved).map_err(read)?;
    if let Some(reason) = key::exposure(file.metadata().map_err(read)?.mode()) {
        return Err(exposed(reason));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(read)?;
    PrivateKey::parse(&bytes).map_err(refused(path))
}

/// Writes a new file with a private key, for its owner alone, or none at all.
pub(crate) fn create(path: &Path, key: &PrivateKey) -> Result<(), Error> {
    let text = key.to_pem().map_err(refused(path))?;
    let mut staged = stage(path, 0o600)?;
    let file = staged.as_file_mut();
    let written = file.write_all(text.as_bytes());
    written
        .and_then(|()| file.sync_all())
        .map_err(write_error(path))?;
    match staged.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(write_error(path)(error.error)),
    }
}
