//! Extra files that come as a whole directory: themes, icons, fonts, device trees.
//!
//! The directory may be anybody's. What a symbolic link leads to is taken if it is in the
//! directory as well, or in the store, whose files everybody can read.
#![expect(clippy::disallowed_methods, reason = "looks into directories")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::source::Need;

/// Directories in directories.
const MAX_DEPTH: usize = 32;

/// The most files and directories. The device trees of all boards are some two thousand.
const MOST_ITEMS: usize = 10_000;

/// Who needs the files, in messages.
const NEED: Need<'static> = Need {
    whose: "extra files",
    what: "directory",
};

/// What would do.
const HINT: &str = "leave it out, or copy what it leads to; links into the store are followed";

/// The files of a directory, by their paths in it, which have `/` between names; sorted.
///
/// # Errors
/// When something in it cannot be read, has a name that is no text, leads out of it, or when
/// there is too much.
pub(super) fn files(directory: &Path, store_dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |source| NEED.missing(directory, source);
    let mut walk = Walk {
        // A store that is not there has no files.
        homes: [
            Some(fs::canonicalize(directory).map_err(failed)?),
            fs::canonicalize(store_dir).ok(),
        ],
        items: 0,
        files: Vec::new(),
    };
    walk.enter(directory, "", 0)?;
    walk.files.sort();
    Ok(walk.files)
}

struct Walk {
    /// Where files may be.
    homes: [Option<PathBuf>; 2],
    items: usize,
    files: Vec<(String, PathBuf)>,
}

impl Walk {
    fn enter(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        let failed = |source| NEED.missing(directory, source);
        if depth == MAX_DEPTH {
            return Err(unfit(
                directory,
                "it is too deep, or its links turn in circles",
            ));
        }
        for item in fs::read_dir(directory).map_err(failed)? {
            let path = item.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| Error::NotUtf8(path.clone()))?;
            let inside = format!("{prefix}{name}");
            let failed = |source| NEED.missing(&path, source);
            let found = fs::canonicalize(&path).map_err(failed)?;
            let mut homes = self.homes.iter().flatten();
            if !homes.any(|home| found.starts_with(home)) {
                let reason = format!("it leads out of the directory, to `{}`", found.display());
                return Err(unfit(&path, &reason));
            }
            self.items += 1;
            if self.items > MOST_ITEMS {
                let reason = format!("there are more than {MOST_ITEMS} files and directories");
                return Err(unfit(directory, &reason));
            }
            if found.is_dir() {
                self.enter(&path, &format!("{inside}/"), depth + 1)?;
            } else {
                self.files.push((inside, path));
            }
        }
        Ok(())
    }
}

fn unfit(path: &Path, reason: &str) -> Error {
    super::refuse("directory", &path.display().to_string(), reason, HINT)
}
