//! Partition types by name.
//!
//! Specification: UAPI.2 Discoverable Partitions,
//! <https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>.
//! The names are those of `Type=` in repart.d.

mod architecture;

use std::fmt;
use std::str::FromStr;

use tree_manifest::spelling;
use uuid::{Uuid, uuid};

use architecture::{ARCHITECTURES, ROLES};

/// The types that belong to no architecture.
const NAMED: [(&str, Uuid); 9] = [
    ("esp", ESP),
    ("xbootldr", XBOOTLDR),
    ("swap", SWAP),
    ("home", uuid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915")),
    ("srv", uuid!("3b8f8425-20e0-4f3b-907f-1a25a76f98e8")),
    ("var", uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d")),
    ("tmp", uuid!("7ec6f557-3bc5-4aca-b293-16ef5df639d1")),
    ("user-home", uuid!("773f91ef-66d4-49b5-bd83-d683bf40ad16")),
    (
        "linux-generic",
        uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    ),
];

const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
const XBOOTLDR: Uuid = uuid!("bc13c2ff-59e6-4262-a352-b275fd6f7172");
const SWAP: Uuid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");

/// Types whose file system is grown when it is mounted, where nothing else is said.
const GROWING: [&str; 5] = ["xbootldr", "home", "srv", "var", "tmp"];

/// The type of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionType(pub Uuid);

impl PartitionType {
    /// The EFI System Partition.
    pub const ESP: Self = Self(ESP);
    /// The Extended Boot Loader Partition.
    pub const XBOOTLDR: Self = Self(XBOOTLDR);
    /// Swap space.
    pub const SWAP: Self = Self(SWAP);

    /// The name of the type, if it has one.
    #[must_use]
    pub fn name(self) -> Option<String> {
        let alone = NAMED.iter().find(|(_, uuid)| *uuid == self.0);
        if let Some((name, _)) = alone {
            return Some((*name).to_owned());
        }
        let (names, role) = self.of_architecture()?;
        let (before, behind) = ROLES[role];
        Some(format!("{before}-{}{behind}", names[0]))
    }

    /// Whether firmware or a boot loader reads it, so that it must be FAT.
    #[must_use]
    pub fn is_boot(self) -> bool {
        self == Self::ESP || self == Self::XBOOTLDR
    }

    /// Whether it holds hashes or signatures of another partition.
    #[must_use]
    pub fn is_verity(self) -> bool {
        let role = self.of_architecture().map(|(_, role)| ROLES[role].1);
        role.is_some_and(|behind| !behind.is_empty())
    }

    /// Whether it holds the signature of a root hash.
    #[must_use]
    pub fn is_verity_signature(self) -> bool {
        let role = self.of_architecture().map(|(_, role)| ROLES[role].1);
        role == Some("-verity-sig")
    }

    /// Whether bit 59, to grow the file system, means something for it.
    #[must_use]
    pub fn knows_growing(self) -> bool {
        let grows = |(name, uuid): &(&str, Uuid)| *uuid == self.0 && GROWING.contains(name);
        NAMED.iter().any(grows) || (self.of_architecture().is_some() && !self.is_verity())
    }

    /// Whether bit 63, not to be mounted automatically, means something for it.
    #[must_use]
    pub fn knows_no_auto(self) -> bool {
        self.knows_growing() || self.is_verity() || self == Self::SWAP
    }

    /// Whether bit 60, to be mounted read-only, means something for it.
    #[must_use]
    pub fn knows_read_only(self) -> bool {
        self.knows_growing() || self.is_verity()
    }

    /// Reads a name, where those that name no architecture, such as `root` and
    /// `usr-verity`, mean `architecture`.
    ///
    /// # Errors
    /// When neither names something.
    pub fn parse_for(text: &str, architecture: &str) -> Result<Self, NotAType> {
        let names = [architecture, secondary(architecture).unwrap_or_default()];
        for (infix, architecture) in ["", "-secondary"].into_iter().zip(names) {
            for (role, (before, behind)) in ROLES.into_iter().enumerate() {
                if text == format!("{before}{infix}{behind}") {
                    let found = of_name(architecture).map(|types| Self(types[role]));
                    return found.ok_or_else(|| refuse(text));
                }
            }
        }
        text.parse()
    }

    /// The names of its architecture, and its role among the types of that.
    fn of_architecture(self) -> Option<(&'static [&'static str], usize)> {
        ARCHITECTURES.iter().find_map(|architecture| {
            let role = architecture.types.iter().position(|uuid| *uuid == self.0)?;
            Some((architecture.names, role))
        })
    }
}

/// Whether there are partition types of an architecture.
#[must_use]
pub fn is_architecture(name: &str) -> bool {
    of_name(name).is_some()
}

fn of_name(name: &str) -> Option<&'static [Uuid; 6]> {
    let known = |architecture: &&architecture::Architecture| architecture.names.contains(&name);
    ARCHITECTURES
        .iter()
        .find(known)
        .map(|architecture| &architecture.types)
}

/// The architecture whose programs another one runs too.
fn secondary(architecture: &str) -> Option<&'static str> {
    Some(match architecture {
        "x86-64" | "x86_64" | "amd64" => "x86",
        "arm64" | "aarch64" => "arm",
        "mips64-le" | "mips64el" => "mips-le",
        "mips64" => "mips",
        "ppc64" => "ppc",
        "s390x" => "s390",
        _ => return None,
    })
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(&name),
            None => f.pad(&self.0.to_string()),
        }
    }
}

/// The text names no partition type.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not a partition type{}", .0.escape_debug(), way_out(.0))]
pub struct NotAType(String);

fn way_out(text: &str) -> String {
    let known = NAMED.iter().map(|(name, _)| *name).chain(["root", "usr"]);
    if let Some(name) = spelling::nearest(text, known) {
        return format!("; did you mean `{name}`?");
    }
    format!(
        ": write a GUID or one of {}, or `root`, `usr`, `root-ARCHITECTURE`, `usr-ARCHITECTURE`, each also with `-verity` and `-verity-sig`",
        NAMED.map(|(name, _)| name).join(", ")
    )
}

fn refuse(text: &str) -> NotAType {
    NotAType(text.chars().take(80).collect())
}

impl FromStr for PartitionType {
    type Err = NotAType;

    fn from_str(text: &str) -> Result<Self, NotAType> {
        let named = NAMED.iter().find(|(name, _)| *name == text);
        let named = named.map(|(_, uuid)| *uuid);
        let uuid = named
            .or_else(|| Uuid::try_parse(text).ok())
            .or_else(|| of_architecture_name(text));
        uuid.map(Self).ok_or_else(|| refuse(text))
    }
}

/// The type of a name such as `usr-arm64-verity`.
fn of_architecture_name(text: &str) -> Option<Uuid> {
    // Longer endings first: every name ends in nothing.
    ROLES
        .into_iter()
        .enumerate()
        .rev()
        .find_map(|(role, (before, behind))| {
            let name = text.strip_prefix(before)?.strip_prefix('-')?;
            Some(of_name(name.strip_suffix(behind)?)?[role])
        })
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
        for architecture in ARCHITECTURES {
            for uuid in architecture.types {
                let name = PartitionType(uuid).to_string();
                assert_eq!(name.parse::<PartitionType>().unwrap().0, uuid, "{name}");
            }
        }
        let own = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(own.parse::<PartitionType>().unwrap().to_string(), own);
        for text in ["ESP", "root-", "root-pdp11", "root", "usr-verity"] {
            assert!(text.parse::<PartitionType>().is_err(), "{text}");
        }
    }

    #[test]
    fn types_without_an_architecture_mean_the_given_one() {
        for (text, architecture, name) in [
            ("root", "x86-64", "root-x86-64"),
            ("usr-verity-sig", "aarch64", "usr-arm64-verity-sig"),
            ("root-secondary-verity", "x86_64", "root-x86-verity"),
            ("root-riscv64", "x86_64", "root-riscv64"),
            ("home", "x86_64", "home"),
        ] {
            let found = PartitionType::parse_for(text, architecture).unwrap();
            assert_eq!(found.to_string(), name);
        }
        assert!(PartitionType::parse_for("root-secondary", "ia64").is_err());
    }

    #[test]
    fn attributes_belong_to_types() {
        for (name, growing, no_auto, read_only) in [
            ("esp", false, false, false),
            ("swap", false, true, false),
            ("xbootldr", true, true, true),
            ("root-arm64", true, true, true),
            ("usr-arm64-verity", false, true, true),
            ("linux-generic", false, false, false),
        ] {
            let kind: PartitionType = name.parse().unwrap();
            let known = (
                kind.knows_growing(),
                kind.knows_no_auto(),
                kind.knows_read_only(),
            );
            assert_eq!(known, (growing, no_auto, read_only), "{name}");
        }
    }
}
