//! Has files belong to root that a user copies into file systems.
#![expect(clippy::disallowed_methods, reason = "runs programs")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::{ImageConfig, PartitionConfig};
use crate::error::{self, Error};
use crate::mkfs;

/// Programs that run another one so that files belong to root, the best first: to the
/// second, files of other users belong to nobody.
const WAYS: [&[&str]; 2] = [&["fakeroot", "--"], &["unshare", "--map-root-user", "--"]];

/// The words to put before a program that copies files of a description; none where root
/// runs it, or no file system knows owners. `folder` was made by this process.
///
/// # Errors
/// When there is no such program.
pub fn way(config: &ImageConfig, folder: &Path) -> Result<&'static [&'static str], Error> {
    let has_owners = |partition: &PartitionConfig| {
        partition.has_files() && partition.format.is_some_and(mkfs::is_made)
    };
    let metadata = fs::metadata(folder).map_err(error::read(folder))?;
    if metadata.uid() == 0 || !config.partitions.iter().any(has_owners) {
        return Ok(&[]);
    }
    let works = |way: &&&[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg("true").stdin(Stdio::null());
        command.output().is_ok_and(|said| said.status.success())
    };
    let way = WAYS.iter().find(works);
    way.copied().ok_or(Error::NoProgram {
        program: "fakeroot".into(),
        purpose: "has files in an image belong to root",
        package: "fakeroot",
    })
}
