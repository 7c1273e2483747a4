//! What can be wrong with a manifest.

use std::path::PathBuf;

use crate::model::Role;

/// A path no tree can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {reason}", path.escape_debug())]
pub struct PathError {
    /// The path as given.
    pub path: String,
    /// The rule it breaks.
    pub reason: &'static str,
}

/// Why a manifest or the trees it describes were refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The text is not JSON, or not of the manifest's shape.
    #[error("not a tree manifest")]
    Json(#[source] serde_json::Error),
    /// The document says it is something else.
    #[error("`format` is `{0}`, not `{known}`", known = crate::FORMAT)]
    Format(String),
    /// The document is of a version this program does not know.
    #[error("manifest version {0} is not known; this program reads version {known}", known = crate::VERSION)]
    Version(u64),
    /// An entry breaks a rule of its tree.
    #[error("tree `{role}`: `{path}`: {reason}")]
    Entry {
        /// The tree.
        role: Role,
        /// The entry.
        path: String,
        /// The rule it breaks.
        reason: String,
    },
    /// Two entries are one file to FAT.
    #[error("tree `{role}`: `{first}` and `{second}` are one name on a FAT file system")]
    Collision {
        /// The tree.
        role: Role,
        /// One spelling.
        first: String,
        /// The other.
        second: String,
    },
}

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("check that the file exists and is readable"),
            Self::Json(_) | Self::Format(_) => {
                Some("name the manifest.json that esp-builder wrote beside the trees")
            }
            Self::Version(_) => Some("use programs of one release for both stages"),
            Self::Entry { .. } => Some("build the tree again; manifests are not edited by hand"),
            Self::Collision { .. } => Some("FAT ignores case: rename one of the two"),
        }
    }
}
