//! One installation at a time: an advisory lock on the root of each partition.
#![expect(clippy::disallowed_methods, reason = "opens mount points")]

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::execute::Mounts;
use crate::error::{Error, read_error};

/// Holds the partitions of a target as long as it lives.
#[derive(Debug)]
pub struct Locks(#[expect(dead_code, reason = "the files hold the locks")] Vec<File>);

/// Takes the partitions of a target, in the order of their roles.
///
/// # Errors
/// When another process has one of them.
pub fn all(mounts: &Mounts) -> Result<Locks, Error> {
    let mut files = Vec::new();
    for path in mounts.values() {
        let failed = read_error(path);
        let file = File::open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => files.push(file),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy(path.clone())),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    Ok(Locks(files))
}

#[cfg(test)]
mod tests {
    use tree_manifest::Role;

    use super::*;

    #[test]
    fn a_partition_is_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let mounts = Mounts::from([(Role::esp(), directory.path().to_owned())]);
        let first = all(&mounts).unwrap();
        assert!(matches!(all(&mounts), Err(Error::Busy(_))));
        drop(first);
        all(&mounts).unwrap();
    }
}
