//! Pages as files of a directory.
#![expect(
    clippy::disallowed_methods,
    reason = "this module writes what the others have rendered"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A page, or its directory, that could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// Which one.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

/// Writes each page to its file in a directory, which is made when it is not there.
///
/// # Errors
/// When one cannot be written.
pub fn write(pages: &BTreeMap<String, String>, directory: &Path) -> Result<(), WriteError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteError { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for (name, text) in pages {
        let path = directory.join(name);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    Ok(())
}
