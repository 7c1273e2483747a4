//! What the user should know although the build goes on.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use bootloaders::loader_conf::LoaderConf;
use bootloaders::loader_version::LoaderVersion;
use bootloaders::{Arch, BootEntry, BootLoader, systemd_boot, xen};

use crate::generation::describe_entry;
use crate::images::Images;
use crate::loader::LoaderBinary;

/// Something worth a line on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Secrets are appended by a program of the generation, on its own machine.
    InitrdSecrets {
        /// The generation, as a message names it.
        whose: String,
    },
    /// The program of an older generation failed.
    OldSecrets {
        /// The generation, as a message names it.
        whose: String,
        /// Why.
        reason: String,
        /// Whether those of an earlier run stay.
        are_kept: bool,
    },
    /// Everybody can read the secrets on a partition.
    ReadableSecrets {
        /// Its mount point.
        path: PathBuf,
    },
    /// Specialisations of a specialisation have no entries.
    NestedSpecialisations {
        /// The specialisation, as a message names it.
        whose: String,
    },
    /// A generation that is passed over.
    Skipped {
        /// The generation, as a message names it.
        whose: String,
        /// Its link.
        link: String,
        /// Why.
        reason: String,
    },
    /// A profile that was asked for and has no links.
    EmptyProfile {
        /// The profile.
        path: String,
    },
    /// The default is kept although the limit leaves it out.
    BeyondLimit {
        /// The generation, as a message names it.
        whose: String,
    },
    /// The hypervisor is there in no form that UEFI starts.
    Xen {
        /// The generation, as a message names it.
        whose: String,
    },
    /// The hypervisor hands one initial RAM disk to the kernel, and the entry has more.
    XenInitrds {
        /// The generation, as a message names it.
        whose: String,
    },
    /// The boot loader hands over one initial RAM disk, and some of the entry's are not here
    /// to be joined with the others.
    ForeignInitrds {
        /// The generation, as a message names it.
        whose: String,
    },
    /// The kernel will drop the end of its command line.
    LongCommandLine {
        /// The entry, as a message names it.
        whose: String,
        /// The length in bytes, with what systemd-boot adds for each initrd.
        length: usize,
        /// The architecture whose kernels keep less.
        arch: Arch,
    },
    /// A setting that the boot loader is too old to know.
    SettingTooNew {
        /// The setting.
        key: &'static str,
        /// What the boot loader says of itself.
        loader: String,
    },
    /// A kernel that does not tell its release, so that its image has no `.uname`.
    UnknownRelease {
        /// The kernel.
        path: PathBuf,
    },
    /// An image that menus do not list.
    NoOsRelease,
    /// A boot loader binary that does not say what it is.
    UnknownLoader {
        /// The binary, as a message names it.
        path: String,
    },
}

impl Warning {
    /// Warns of command lines that the entries' kernels would cut. In images, nothing is
    /// added to them.
    pub(crate) fn of_command_lines(entries: &[BootEntry], images: &Images) -> Vec<Self> {
        let held = images.images.iter().flat_map(|image| &image.entries);
        let held: BTreeSet<&usize> = held.collect();
        let of_entry = |(index, entry): (usize, &BootEntry)| {
            let length = if held.contains(&index) {
                entry.cmdline.as_str().len()
            } else {
                systemd_boot::command_line_length(entry)
            };
            (length > entry.arch.longest_command_line()).then(|| Self::LongCommandLine {
                whose: describe_entry(entry),
                length,
                arch: entry.arch,
            })
        };
        entries.iter().enumerate().filter_map(of_entry).collect()
    }

    /// Warns of initial RAM disks that a hypervisor leaves out.
    pub(crate) fn of_hypervisor(entry: &BootEntry) -> Option<Self> {
        let is_short = entry.hypervisor.is_some() && entry.initrd_paths().count() > xen::INITRDS;
        is_short.then(|| Self::XenInitrds {
            whose: describe_entry(entry),
        })
    }

    /// Warns of initial RAM disks that a boot loader leaves out which takes one alone.
    pub(crate) fn of_initrds(entry: &BootEntry, name: BootLoader) -> Option<Self> {
        let is_short = name == BootLoader::Extlinux && !entry.extra_initrds.is_empty();
        is_short.then(|| Self::ForeignInitrds {
            whose: describe_entry(entry),
        })
    }

    /// Warns of settings of the menu that a boot loader does not know.
    pub(crate) fn of_settings(menu: &LoaderConf, loader: &LoaderBinary) -> Vec<Self> {
        let info = loader.info.clone().unwrap_or_default();
        let Some(version) = LoaderVersion::from_info(&info) else {
            return Vec::new();
        };
        let unknown = menu.unknown_to(&version).into_iter();
        let warning = |key| Self::SettingTooNew {
            key,
            loader: info.clone(),
        };
        unknown.map(warning).collect()
    }

    /// What an entry boots without.
    fn without(&self) -> &'static str {
        match self {
            Self::XenInitrds { .. } => {
                "under Xen it boots with its first initrd alone, without secrets and others"
            }
            _ => {
                "extlinux hands over one initrd, without those that somebody else puts on the \
                 partition"
            }
        }
    }

    fn fmt_of_image(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRelease { path } => write!(
                f,
                "kernel `{}` does not tell its release; --uname does",
                path.display()
            ),
            _ => f.write_str(
                "boot menus do not list an image without an os-release; --os-release gives one",
            ),
        }
    }

    /// Warns of a binary that may not be systemd-boot.
    pub(crate) fn of_loader(loader: &LoaderBinary) -> Option<Self> {
        let is_silent = loader.name == BootLoader::SystemdBoot && loader.info.is_none();
        is_silent.then(|| Self::UnknownLoader {
            path: loader.file.display().to_string(),
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InitrdSecrets { whose } => write!(
                f,
                "{whose}: initrd secrets are not in the tree: only the system itself can append them"
            ),
            Self::OldSecrets {
                whose,
                reason,
                are_kept,
            } => write!(
                f,
                "{whose}: no initrd secrets were made ({reason}); {}",
                outcome(*are_kept)
            ),
            Self::ReadableSecrets { path } => write!(
                f,
                "everybody can read the initrd secrets on `{}`: mount it with umask=0077",
                path.display()
            ),
            Self::NestedSpecialisations { whose } => {
                write!(f, "{whose}: its own specialisations get no entries")
            }
            Self::Skipped {
                whose,
                link,
                reason,
            } => write!(f, "{whose} is left out: `{link}` {reason}"),
            Self::EmptyProfile { path } => write!(f, "profile `{path}` has no generations"),
            Self::BeyondLimit { whose } => {
                write!(f, "{whose} is kept beyond the limit: it is the default")
            }
            Self::Xen { whose } => write!(
                f,
                "{whose}: its entry starts Linux without Xen, which has no `efiPath`"
            ),
            Self::LongCommandLine {
                whose,
                length,
                arch,
            } => write!(
                f,
                "{whose}: the command line has {length} bytes with its initrds; {arch} kernels drop what comes after {}",
                arch.longest_command_line()
            ),
            Self::SettingTooNew { key, loader } => {
                write!(f, "`{key}` in loader.conf is passed over by {loader}")
            }
            Self::XenInitrds { whose } | Self::ForeignInitrds { whose } => {
                write!(f, "{whose}: {}", self.without())
            }
            Self::UnknownRelease { .. } | Self::NoOsRelease => self.fmt_of_image(f),
            Self::UnknownLoader { path } => write!(
                f,
                "`{path}` has no systemd-boot version in it; it is installed as it is"
            ),
        }
    }
}

/// What becomes of secrets that could not be made.
fn outcome(are_kept: bool) -> &'static str {
    if are_kept {
        "those of an earlier run are kept"
    } else {
        "its entry boots without them"
    }
}
