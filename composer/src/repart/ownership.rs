//! Has files belong to root that a user copies into file systems.
#![expect(clippy::disallowed_methods, reason = "runs programs")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::{ImageConfig, PartitionConfig};
use crate::error::{self, Error};
use crate::mkfs;
use crate::tools::{Tool, Tools};

/// A program that runs systemd-repart so that files belong to root.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Which.
    pub tool: Tool,
    arguments: &'static [&'static str],
}

/// The best first: to the second, files of other users belong to nobody.
const WAYS: [Way; 2] = [
    Way {
        tool: Tool::Fakeroot,
        arguments: &["--"],
    },
    Way {
        tool: Tool::Unshare,
        arguments: &["--map-root-user", "--"],
    },
];

impl Way {
    /// Runs systemd-repart.
    pub fn command(self, tools: &Tools) -> Command {
        let mut command = Command::new(tools.program(self.tool));
        command.args(self.arguments);
        command.arg(tools.program(Tool::Repart));
        command
    }

    fn works(self, tools: &Tools) -> bool {
        let mut command = self.command(tools);
        command.arg("--version").stdin(Stdio::null());
        command.output().is_ok_and(|said| said.status.success())
    }
}

/// The way by which files of a description come to belong to root; none where root copies
/// them, or no file system knows owners. `folder` was made by this process.
///
/// # Errors
/// When there is none.
pub fn way(config: &ImageConfig, folder: &Path, tools: &Tools) -> Result<Option<Way>, Error> {
    let has_owners = |partition: &PartitionConfig| {
        partition.has_files() && partition.format.is_some_and(mkfs::is_made)
    };
    let metadata = fs::metadata(folder).map_err(error::read(folder))?;
    if metadata.uid() == 0 || !config.partitions.iter().any(has_owners) {
        return Ok(None);
    }
    let way = WAYS.into_iter().find(|way| way.works(tools));
    way.map(Some).ok_or_else(|| Error::NoProgram {
        program: tools.program(Tool::Fakeroot).into(),
        tool: Tool::Fakeroot,
    })
}
