//! The programs that do what is not done here, and where they are.
//!
//! One whose place nobody names is found in `PATH`. Programs that descriptions name
//! ([`crate::tree_command`]) are none of them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::{self, Error};

/// A program that is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Has files belong to root.
    Fakeroot,
    /// Makes btrfs.
    MkfsBtrfs,
    /// Makes EROFS that is compressed.
    MkfsErofs,
    /// Makes XFS.
    MkfsXfs,
    /// Makes `SquashFS`.
    Mksquashfs,
    /// The engine `repart`.
    Repart,
    /// Has files belong to root, where there is no other.
    Unshare,
    /// Compresses.
    Xz,
    /// Compresses.
    Zstd,
}

impl Tool {
    /// All, by name.
    pub const ALL: [Self; 9] = [
        Self::Fakeroot,
        Self::MkfsBtrfs,
        Self::MkfsErofs,
        Self::MkfsXfs,
        Self::Mksquashfs,
        Self::Repart,
        Self::Unshare,
        Self::Xz,
        Self::Zstd,
    ];

    /// The name by which it is found in `PATH`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fakeroot => "fakeroot",
            Self::MkfsBtrfs => "mkfs.btrfs",
            Self::MkfsErofs => "mkfs.erofs",
            Self::MkfsXfs => "mkfs.xfs",
            Self::Mksquashfs => "mksquashfs",
            Self::Repart => "systemd-repart",
            Self::Unshare => "unshare",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// The package that has it, as Debian names it.
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Self::MkfsBtrfs => "btrfs-progs",
            Self::MkfsErofs => "erofs-utils",
            Self::MkfsXfs => "xfsprogs",
            Self::Mksquashfs => "squashfs-tools",
            Self::Unshare => "util-linux",
            Self::Xz => "xz-utils",
            Self::Fakeroot | Self::Repart | Self::Zstd => self.name(),
        }
    }

    /// What it does, behind "which".
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Fakeroot | Self::Unshare => "has files in an image belong to root",
            Self::Repart => "the engine `repart` runs",
            Self::Xz | Self::Zstd => "compresses the output",
            Self::MkfsBtrfs | Self::MkfsErofs | Self::MkfsXfs | Self::Mksquashfs => {
                "makes this file system"
            }
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }
}

/// Where programs are.
#[derive(Debug, Clone, Default)]
pub struct Tools(BTreeMap<Tool, OsString>);

impl Tools {
    /// Has this run, a path or a name in `PATH`, in the place of a program.
    pub fn place(&mut self, tool: Tool, program: OsString) {
        self.0.insert(tool, program);
    }

    /// What is run.
    #[must_use]
    pub fn program(&self, tool: Tool) -> &OsStr {
        let placed = self.0.get(&tool).map(OsString::as_os_str);
        placed.unwrap_or(OsStr::new(tool.name()))
    }

    /// Why a program was not started.
    pub(crate) fn not_started(&self, tool: Tool, error: io::Error) -> Error {
        let program = Path::new(self.program(tool));
        match error.kind() {
            ErrorKind::NotFound => Error::NoProgram {
                program: program.to_owned(),
                tool,
            },
            _ => error::read(program)(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_found_by_its_name_and_where_it_was_placed() {
        let mut tools = Tools::default();
        for tool in Tool::ALL {
            assert_eq!(Tool::named(tool.name()), Some(tool));
            assert_eq!(tools.program(tool), tool.name());
        }
        tools.place(Tool::Xz, "/opt/xz".into());
        assert_eq!(tools.program(Tool::Xz), "/opt/xz");
        assert_eq!(tools.program(Tool::Zstd), "zstd");
        assert!(Tool::ALL.is_sorted_by_key(|tool| tool.name()));
    }
}
