//! The command that makes one Unified Kernel Image or addon.

use std::path::PathBuf;
use std::str::FromStr;

use bootloaders::uki::{FirstProfile, Profile, SectionName};
use bootloaders::{Arch, CommandLine, Line};
use clap::Args;
use esp_builder::uki::{PcrPolicy, ProfileInput, SectionInput, UkiInput};

use super::measure::PolicyArgs;

const EXAMPLES: &str = "\
Examples:
  esp-builder uki --kernel bzImage --initrd initrd --cmdline root=/dev/vda2 \\
    --os-release /etc/os-release -o linux.efi
  esp-builder uki --kernel bzImage --initrd initrd --cmdline quiet \\
    --profile 'debug:For debugging=debug loglevel=7' -o linux.efi
  esp-builder uki --addon --arch x64 --cmdline console=ttyS0 -o serial.addon.efi

Without --stub, the one of the kernel's architecture is searched for below
/usr/lib/systemd/boot/efi and /run/current-system/sw.";

/// What the image or addon holds. See docs/uki.md for the sections.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UkiArgs {
    /// The kernel, which must be an EFI application
    #[arg(long, value_name = "FILE", required_unless_present = "addon")]
    kernel: Option<PathBuf>,
    /// An initial RAM disk; repeatable
    #[arg(long, value_name = "FILE")]
    initrd: Vec<PathBuf>,
    /// The kernel command line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    cmdline: CommandLine,
    /// What the system says of itself; menus show it
    #[arg(long, value_name = "FILE")]
    os_release: Option<PathBuf>,
    /// The kernel's release [default: what the kernel says]
    #[arg(long, value_name = "TEXT")]
    uname: Option<Line>,
    /// A picture, in the BMP format
    #[arg(long, value_name = "FILE")]
    splash: Option<PathBuf>,
    /// A device tree
    #[arg(long, value_name = "FILE")]
    dtb: Option<PathBuf>,
    /// A device tree for some machines; repeatable
    #[arg(long, value_name = "FILE")]
    dtbauto: Vec<PathBuf>,
    /// Descriptions of machines, in JSON
    #[arg(long, value_name = "DIR")]
    hwids: Option<PathBuf>,
    /// A directory with a firmware, named as --hwids names it; repeatable
    #[arg(long, value_name = "DIR")]
    efifw: Vec<PathBuf>,
    /// Microcode updates, as an uncompressed initial RAM disk
    #[arg(long, value_name = "FILE", visible_alias = "ucode")]
    microcode: Option<PathBuf>,
    /// The public key of signed PCR policies
    #[arg(long, value_name = "FILE")]
    pcrpkey: Option<PathBuf>,
    /// Signed PCR policies, in JSON
    #[arg(long, value_name = "FILE")]
    pcrsig: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Generations of revocable parts, instead of the usual ones; repeatable
    #[arg(long, value_name = "FILE")]
    sbat: Vec<PathBuf>,
    /// Any other section; repeatable
    #[arg(long, value_name = "NAME:TEXT|@FILE")]
    section: Vec<SectionArg>,
    /// What boots when no profile is asked for [default, with profiles: main]
    #[arg(long, value_name = "ID[:TITLE]", value_parser = parse_profile)]
    base_profile: Option<Profile>,
    /// Another command line to choose; repeatable
    #[arg(long, value_name = "ID[:TITLE]=CMDLINE")]
    profile: Vec<ProfileArg>,
    /// Make an addon, which has no kernel
    #[arg(long, conflicts_with = "kernel")]
    addon: bool,
    /// The executable that gets the sections
    #[arg(long, value_name = "FILE")]
    stub: Option<PathBuf>,
    /// What an addon is for, to find its stub
    #[arg(
        long,
        value_name = "ARCH",
        conflicts_with = "kernel",
        required_unless_present_any = ["kernel", "stub"]
    )]
    arch: Option<Arch>,
    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// The file to make; one that is there is replaced
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

impl UkiArgs {
    /// What the flags stand for.
    pub(crate) fn input(&self) -> UkiInput {
        let given = self.clone();
        let sections = given.section.into_iter();
        let profiles = given.profile.into_iter();
        UkiInput {
            kernel: given.kernel,
            initrds: given.initrd,
            secret: None,
            cmdline: given.cmdline,
            os_release: given.os_release.map(SectionInput::File),
            uname: given.uname,
            splash: given.splash,
            dtb: given.dtb,
            dtbauto: given.dtbauto,
            hwids: given.hwids,
            efifw: given.efifw,
            microcode: given.microcode,
            pcrpkey: given.pcrpkey,
            pcrsig: given.pcrsig,
            policy: PcrPolicy::default(),
            sbat: given.sbat,
            sections: sections
                .map(|section| (section.name, section.input))
                .collect(),
            profile: given
                .base_profile
                .map_or(FirstProfile::Usual, FirstProfile::Named),
            profiles: profiles
                .map(|other| ProfileInput {
                    profile: other.profile,
                    cmdline: other.cmdline,
                    os_release: None,
                })
                .collect(),
            stub: given.stub,
            arch: given.arch,
        }
    }
}

/// A section as `NAME:TEXT` or `NAME:@FILE`.
#[derive(Debug, Clone)]
struct SectionArg {
    name: SectionName,
    input: SectionInput,
}

impl FromStr for SectionArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, content) = text
            .split_once(':')
            .ok_or("expected NAME:TEXT or NAME:@FILE")?;
        let name = name
            .parse()
            .map_err(|error: bootloaders::Error| error.to_string())?;
        let input = match content.strip_prefix('@') {
            Some(path) => SectionInput::File(path.into()),
            None => SectionInput::Text(content.to_owned()),
        };
        Ok(Self { name, input })
    }
}

/// A profile as `ID[:TITLE]=CMDLINE`.
#[derive(Debug, Clone)]
struct ProfileArg {
    profile: Profile,
    cmdline: CommandLine,
}

impl FromStr for ProfileArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (profile, cmdline) = text.split_once('=').ok_or("expected ID[:TITLE]=CMDLINE")?;
        let cmdline = cmdline.parse();
        Ok(Self {
            profile: parse_profile(profile)?,
            cmdline: cmdline.map_err(|error: bootloaders::Error| error.to_string())?,
        })
    }
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    let (id, title) = match text.split_once(':') {
        Some((id, title)) => (id, Some(Line::new(title))),
        None => (text, None),
    };
    let title = title.transpose();
    let profile = title.and_then(|title| Profile::new(id, title));
    profile.map_err(|error| error.to_string())
}
