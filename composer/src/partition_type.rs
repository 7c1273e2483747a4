//! Partition types by name.
//!
//! Specification: UAPI.2 Discoverable Partitions,
//! <https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>.
//! The names are those of `Type=` in repart.d.

use std::fmt;
use std::str::FromStr;

use uuid::{Uuid, uuid};

/// The types that have a name here.
const NAMED: [(&str, Uuid); 9] = [
    ("esp", ESP),
    ("xbootldr", XBOOTLDR),
    ("swap", uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")),
    ("home", uuid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915")),
    ("srv", uuid!("3b8f8425-20e0-4f3b-907f-1a25a76f98e8")),
    ("var", uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d")),
    ("tmp", uuid!("7ec6f557-3bc5-4aca-b293-16ef5df639d1")),
    (
        "linux-generic",
        uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    ),
    ("user-home", uuid!("773f91ef-66d4-49b5-bd83-d683bf40ad16")),
];

const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
const XBOOTLDR: Uuid = uuid!("bc13c2ff-59e6-4262-a352-b275fd6f7172");

/// The type of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionType(pub Uuid);

impl PartitionType {
    /// The EFI System Partition.
    pub const ESP: Self = Self(ESP);
    /// The Extended Boot Loader Partition.
    pub const XBOOTLDR: Self = Self(XBOOTLDR);

    /// The name of the type, if it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMED
            .iter()
            .find(|(_, uuid)| *uuid == self.0)
            .map(|(name, _)| *name)
    }

    /// Whether firmware or a boot loader reads it, so that it must be FAT.
    #[must_use]
    pub fn is_boot(self) -> bool {
        self == Self::ESP || self == Self::XBOOTLDR
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&self.0.to_string()),
        }
    }
}

/// The text names no partition type.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not a partition type: write a GUID or one of {}", .0.escape_debug(), names())]
pub struct NotAType(String);

fn names() -> String {
    NAMED.map(|(name, _)| name).join(", ")
}

impl FromStr for PartitionType {
    type Err = NotAType;

    fn from_str(text: &str) -> Result<Self, NotAType> {
        let named = NAMED
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, uuid)| *uuid);
        let uuid = named.or_else(|| Uuid::try_parse(text).ok());
        uuid.map(Self)
            .ok_or_else(|| NotAType(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_guids_agree() {
        for (name, uuid) in NAMED {
            assert_eq!(name.parse::<PartitionType>().unwrap().0, uuid);
            assert_eq!(PartitionType(uuid).to_string(), name);
        }
        let own = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(own.parse::<PartitionType>().unwrap().to_string(), own);
        assert!("ESP".parse::<PartitionType>().is_err());
    }
}
