//! What the system says of a file, with its path.

use std::io;
use std::path::Path;

use super::Error;

/// The error of a file that cannot be read.
pub(crate) fn read_error(path: &Path) -> impl Fn(io::Error) -> Error + Copy {
    move |source| Error::Read {
        path: path.into(),
        source,
    }
}

/// The error of a file that cannot be written.
pub(crate) fn write_error(path: &Path) -> impl Fn(io::Error) -> Error + Copy {
    move |source| Error::Write {
        path: path.into(),
        source,
    }
}
