//! What becomes of a disk that is there already.

use schemars::JsonSchema;
use serde::Deserialize;

/// What becomes of an image that is there already: the words of systemd-repart's
/// `--empty=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// There must be none.
    Create,
    /// Whatever it is, a new image of at least its size takes its place.
    Force,
    /// As `force`, but it must have no partition table.
    Require,
    /// Partitions are added to it; it must have a partition table.
    Refuse,
    /// Partitions are added to it, or a new image takes its place where it has no
    /// partition table.
    Allow,
}

impl Empty {
    /// The word for it in descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Force => "force",
            Self::Require => "require",
            Self::Refuse => "refuse",
            Self::Allow => "allow",
        }
    }
}
