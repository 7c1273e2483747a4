//! What users can do about errors.

use std::io;
use std::path::Path;

use super::Error;

/// What helps where a file system is full.
const FREE_SPACE: &str = "free space, or write the image to another file system";

/// What to do with a private key that others may use.
const EXPOSED: &str = "`chmod 600`, or sign elsewhere: --verity-signature";

/// What systemd-sysupdate needs.
const NAMES: &str = "set `version`, and labels such as `NAME_VERSION`, by which \
    systemd-sysupdate knows what is installed";

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Partition { source, .. } => return source.hint(),
            Self::Manifest { source, .. } => return source.hint().map(ToOwned::to_owned),
            Self::Read { .. } => "check that it exists and is readable".to_owned(),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                FREE_SPACE.to_owned()
            }
            Self::Collision { .. } => "FAT ignores case: rename one of the two".to_owned(),
            Self::NotForFileSystem { path, .. } if path != "/" => {
                "leave it out (`exclude-files`), or choose another `format`".to_owned()
            }
            Self::Twice { .. } => "name each place in a partition once".to_owned(),
            Self::NoProgram { tool, .. } => format!(
                "install `{}`, or say where it is: `--tool {}=PATH`",
                tool.package(),
                tool.name()
            ),
            Self::NoSignature { root_hash } => format!(
                "name `--private-key` and `--certificate`, or sign these 64 digits as a detached PKCS#7 and name it with `--verity-signature {root_hash}:FILE`"
            ),
            Self::ExposedKey { .. } => EXPOSED.to_owned(),
            Self::NoTransfer => NAMES.to_owned(),
            Self::Occupied { .. } => {
                "`--empty` says what becomes of an image that is there: `allow` adds partitions to a GPT, `force` makes a new one".to_owned()
            }
            Self::Unlike { .. } => "compose it anew; an update moves nothing".to_owned(),
            Self::NotATime { .. } => "write seconds since 1970, or unset it".to_owned(),
            Self::OldProgram { since, .. } => {
                format!("use systemd {since} or newer, or leave the key out")
            }
            Self::DirectoryFull { .. } => "spread the files over several directories".to_owned(),
            Self::NotAsManifest { .. } => {
                "build the tree again, or take it as it is: --digests never".to_owned()
            }
            Self::NoSource(_) => {
                "build a tree with `esp-builder OUT` and take its manifest".to_owned()
            }
            Self::NotInImage { path, .. } => what_it_has(path),
            Self::Changed { .. } => "run again when nothing writes to it".to_owned(),
            _ => return self.hint_for_size(),
        })
    }

    /// What to do where something is too large or too small.
    fn hint_for_size(&self) -> Option<String> {
        Some(match self {
            Self::DiskFull { .. } | Self::UsedUp { .. } => FREE_SPACE.to_owned(),
            Self::VolumeFull { least, .. } => format!(
                "set `size-min-bytes = \"{}M\"` or more, or leave the sizes out",
                least.bytes() >> 20
            ),
            Self::TooLarge { needed, .. } => {
                format!(
                    "set `size-max-bytes` to {} or more, or leave it out",
                    needed.bytes()
                )
            }
            Self::Outgrown { needed, .. } => {
                format!("set `size-min-bytes` to {} or more", needed.bytes())
            }
            Self::ImageFull { needed, .. } => return large_enough(needed.bytes()),
            Self::Resized => {
                "set `size = \"auto\"`, or the `size-max-bytes` of this partition, or the `size-min-bytes` of that with `tree-command`".to_owned()
            }
            Self::NoGeometry { .. } => {
                "leave `fat-type` and `cluster-size` out, or choose another size".to_owned()
            }
            _ => return None,
        })
    }
}

fn large_enough(bytes: u64) -> Option<String> {
    // No file is longer.
    let is_possible = i64::try_from(bytes).is_ok();
    is_possible.then(|| format!("set `size = {bytes}` or more, or `size = \"auto\"`"))
}

fn what_it_has(image: &Path) -> String {
    let image = image.display();
    format!("`compose inspect {image}` and `compose ls -R {image}` say what it has")
}
