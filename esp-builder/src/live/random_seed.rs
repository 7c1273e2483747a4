//! The boot loader's random seed, which it hands to Linux and replaces at every boot
//! (<https://systemd.io/RANDOM_SEEDS>).
//!
//! It is a secret, and no two machines may have the same: it is made where a system
//! lives, never in a tree or for an image, and is not written down as ours. One that
//! is there is neither read nor replaced.
#![expect(clippy::disallowed_methods, reason = "writes a file")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::steps::temporary;
use crate::error::{Error, read_error};
use crate::plan::random_seed_path;

/// What the boot loader takes, in bytes; it passes over less.
const LENGTH: usize = 32;

/// Where the kernel gives randomness to everybody.
const SOURCE: &str = "/dev/urandom";

/// Writes a seed to an ESP that has none, and says whether it did. An installation
/// comes first: it makes the directory, and removes what an earlier call left.
///
/// It appears complete or not at all, readable by its owner alone where the file
/// system knows owners.
///
/// # Errors
/// When the ESP cannot be looked at or written to, or when there is no randomness.
pub fn write_if_absent(esp: &Path) -> Result<bool, Error> {
    let path = random_seed_path().on(esp);
    let unfinished = temporary(&random_seed_path()).on(esp);
    match fs::symlink_metadata(&path) {
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(read_error(&path)(error)),
    }
    let seed = draw().map_err(read_error(Path::new(SOURCE)))?;
    if let Err(source) = write(&seed, &unfinished, &path) {
        // What was not renamed is of no use; the first error is the one that counts.
        let _ = fs::remove_file(&unfinished);
        return Err(Error::Write { path, source });
    }
    Ok(true)
}

fn draw() -> io::Result<[u8; LENGTH]> {
    let mut seed = [0; LENGTH];
    File::open(SOURCE)?.read_exact(&mut seed)?;
    Ok(seed)
}

fn write(seed: &[u8], unfinished: &Path, path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)?;
    file.write_all(seed)?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_seed_is_written_once_and_for_its_owner_alone() {
        let esp = tempfile::tempdir().unwrap();
        fs::create_dir(esp.path().join("loader")).unwrap();
        assert!(write_if_absent(esp.path()).unwrap());
        let path = esp.path().join("loader/random-seed");
        let seed = fs::read(&path).unwrap();
        assert_eq!(seed.len(), LENGTH);
        assert_ne!(seed, [0; LENGTH]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!write_if_absent(esp.path()).unwrap());
        assert_eq!(fs::read(&path).unwrap(), seed);
        assert_eq!(fs::read_dir(esp.path().join("loader")).unwrap().count(), 1);
    }

    #[test]
    fn one_that_is_there_stays_whatever_it_is() {
        let esp = tempfile::tempdir().unwrap();
        let path = esp.path().join("loader/random-seed");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        assert!(!write_if_absent(esp.path()).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_seed_that_cannot_be_written_leaves_nothing() {
        let esp = tempfile::tempdir().unwrap();
        let error = write_if_absent(esp.path()).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
        assert_eq!(fs::read_dir(esp.path()).unwrap().count(), 0);
    }
}
