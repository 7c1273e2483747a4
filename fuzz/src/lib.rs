//! What the fuzz targets share: a place for files, disks and volumes made in memory,
//! names and trees that trouble file systems.
//!
//! A target panics when a promise is broken. What it is handed may be refused; it may
//! not be half believed.

pub mod disk;
pub mod name;
pub mod patch;
pub mod seeds;
pub mod tree;
pub mod volume;

use std::path::PathBuf;
use std::sync::OnceLock;

/// A folder of this process, in memory where there is such a file system. It is removed
/// by whoever started the run, because libFuzzer ends without unwinding.
///
/// # Panics
/// When there is no room for one.
#[must_use]
pub fn scratch() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let base = std::env::var_os("FUZZ_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::Builder::new().prefix("fuzz-").tempdir_in(base);
        folder.expect("a folder for files").keep()
    })
}
