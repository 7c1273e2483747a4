//! Whether a directory is a mounted boot partition.
#![expect(clippy::disallowed_methods, reason = "looks at mount points")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, read_error};

/// The magic number of FAT file systems (`statfs(2)`).
const FAT: u64 = 0x4d44;

/// Refuses a directory that is not the root of a mounted FAT file system: what is
/// written to an empty mount point is lost when the partition is mounted over it.
///
/// # Errors
/// When it is something else, or cannot be looked at.
pub fn check(path: &Path) -> Result<(), Error> {
    let refuse = |what| Error::NotABootPartition {
        path: path.to_owned(),
        what,
    };
    let failed = read_error(path);
    let own = fs::metadata(path).map_err(failed)?;
    if !own.is_dir() {
        return Err(refuse("is not a directory"));
    }
    let above = fs::metadata(path.join("..")).map_err(failed)?;
    if own.dev() == above.dev() {
        return Err(refuse("is not a mount point"));
    }
    let found = rustix::fs::statfs(path).map_err(|errno| failed(errno.into()))?;
    if u64::try_from(found.f_type).is_ok_and(|kind| kind == FAT) {
        return Ok(());
    }
    Err(refuse("is not a FAT file system"))
}
