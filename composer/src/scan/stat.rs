//! What `stat` says of sources.
#![expect(clippy::disallowed_methods, reason = "looks at the sources")]

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{self, Error};
use crate::source::Stamp;

/// What `stat` says of a regular file.
pub(crate) fn regular_file(path: &Path) -> Result<Metadata, Error> {
    let metadata = fs::metadata(path).map_err(error::read(path))?;
    if metadata.is_file() {
        return Ok(metadata);
    }
    Err(Error::Unusual {
        path: path.to_owned(),
        what: "not a regular file",
    })
}

/// Which version of a file this is.
pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    let time = |seconds: i64, nanoseconds: i64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    Stamp {
        inode: (metadata.dev(), metadata.ino()),
        modified: time(metadata.mtime(), metadata.mtime_nsec()),
        changed: time(metadata.ctime(), metadata.ctime_nsec()),
    }
}
