//! What the user can do about each error.

use super::Error;
use super::is_absent;

/// Of a document that is refused, where there is nothing better.
const DOCUMENT: &str = "the build of a system writes its boot.json: change there what it is made \
                        of, or leave the generation out";

/// Of a list that is refused, where there is nothing better.
const LIST: &str = "docs/esp-builder.md says what a list holds, and --generate generations-schema \
                    prints its schema";

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Bootspec { refusal, .. } => refusal.hint.unwrap_or(DOCUMENT),
            Self::ListRefused { refusal, .. } => refusal.hint.unwrap_or(LIST),
            Self::ProfileBootspec { .. } => {
                "delete the generation: nix-env --profile PATH --delete-generations NUMBER"
            }
            Self::Document { .. } => "name the boot.json of a NixOS system",
            Self::Profile { .. } | Self::NotAProfile(_) => {
                "name a profile such as /nix/var/nix/profiles/system; with --root, one below it"
            }
            Self::NoGenerations { .. } => {
                "give --bootspec, --generations or --profile with a generation, or a --kernel"
            }
            Self::DuplicateGeneration { .. } => {
                "in one profile each generation has its own number: --bootspec NUMBER=PATH, or \
                 `number` in the list"
            }
            Self::NumberTooLarge(_) => "give the document a number: --bootspec NUMBER=PATH",
            Self::NoSuchDefault { .. } => "choose [PROFILE/]NUMBER[:SPECIALISATION] from the list",
            Self::NoSuchToplevel(_) => {
                "add its generation to the profile first (nix-env --profile PATH --set TOPLEVEL), \
                 or choose with --default"
            }
            // Documents have absolute ones.
            Self::Missing { source, path, .. } if is_absent(source) && path.is_relative() => {
                "check the path, which begins at the current directory"
            }
            Self::Missing { source, .. } if is_absent(source) => {
                "the store path may be garbage-collected: leave the generation out, or rebuild it; \
                 with a store elsewhere, use --root"
            }
            Self::Missing { .. } | Self::Read { .. } | Self::List { .. } => {
                "it must be a regular file, and readable with the directories above it"
            }
            Self::Secrets { .. } => {
                "run as root where the files of boot.initrd.secrets are; --no-initrd-secrets \
                 boots without them"
            }
            Self::Unfit { .. } | Self::NotForFat { .. } => {
                "rename or shrink the file at its source"
            }
            Self::NotBootable { is_linux: true, .. } => {
                "systemd-boot starts kernels that are built with CONFIG_EFI_STUB"
            }
            Self::NotBootable { .. } => "name a kernel image such as bzImage, Image or vmlinuz.efi",
            Self::WrongArchitecture { .. } => "a kernel boots on one architecture: take its own",
            Self::Text { .. } => "entries are files of lines: remove the character",
            Self::Extra { hint, .. } => hint,
            Self::Collision { .. } => "rename one of the two at its source; FAT ignores case",
            Self::Root { .. } => "--root is the directory that holds nix/store",
            Self::Changed { .. } => "run again when nothing writes to the file",
            Self::NotUtf8(_) => "leave --by-reference out, or rename the file",
            Self::Write { .. } => "the output's directory must exist, be writable and have room",
            Self::OutputExists { .. } => {
                "name a new or empty directory; only an earlier result is replaced"
            }
            _ => {
                return self.later_hint().or_else(|| self.image_hint());
            }
        })
    }

    /// The hints of errors that boot partitions in use, keys and signatures bring with
    /// them.
    fn later_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoMount(_) => "name its mount point",
            Self::Busy(_) => "run again when it has ended",
            Self::NotABootPartition { .. } => {
                "mount the partition there, or say --no-mount-check if it is right as it is"
            }
            Self::NoVariables(_) => {
                "boot the machine with UEFI and mount efivarfs there; without variables, \
                 --no-variables leaves the boot loader to its place in EFI/BOOT"
            }
            Self::NoPartition { .. } => {
                "firmware starts boot loaders from GPT partitions; with --no-variables, add a \
                 boot option by hand, or leave it to EFI/BOOT"
            }
            Self::Variable { .. } => {
                "the boot files are in place: add a boot option in firmware's setup, free some of \
                 its memory, or say --graceful to go on without"
            }
            Self::NoSpace {
                instead: Some(instead),
                ..
            } if instead.is_empty() => {
                "make room: a larger partition, or an XBOOTLDR partition beside it (--boot)"
            }
            Self::NoSpace { .. } => {
                "keep fewer generations: --limit N, or --fit, which leaves out the oldest"
            }
            Self::Signing(error) => return error.hint(),
            Self::Loader(error) => return Some(error.hint()),
            _ => return None,
        })
    }

    /// The hints of errors that Unified Kernel Images bring with them.
    fn image_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Uki(_) => "docs/uki.md lists the sections, and what each may hold",
            Self::NotAStub { .. } => {
                "name linux<arch>.efi.stub, for addons addon<arch>.efi.stub, as systemd installs \
                 it; signatures belong on what is made of it"
            }
            Self::NoStub { .. } => "name it: --stub FILE; or the architecture of an addon: --arch",
            Self::Hwids { .. } => "descriptions are those of systemd's `boot/hwids` directory",
            _ => return None,
        })
    }
}
