//! The command that predicts registers of a TPM.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use esp_builder::measurement::Wanted;
use secure_boot::HashAlgorithm;
use secure_boot::measure::uki::PhasePath;

const EXAMPLES: &str = "\
Examples:
  esp-builder measure linux.efi
  esp-builder measure out/
  esp-builder measure --bank sha256 --phase enter-initrd linux.efi
  esp-builder measure --through systemd-bootx64.efi --json --phase : linux.efi";

/// Of any image, what goes into PCR 4; of a Unified Kernel Image, PCR 11.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MeasureArgs {
    /// The image; or an output with its manifest, in which measurements.json is written
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) moments: Moments,
    /// What starts the image, such as a boot loader, in order; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) through: Vec<PathBuf>,
    /// Only this profile, by number or name
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which values of registers are wanted.
#[derive(Debug, Args)]
pub(crate) struct Moments {
    /// In this bank: sha1, sha256, sha384 or sha512; repeatable [default: all]
    #[arg(long, value_name = "BANK")]
    bank: Vec<HashAlgorithm>,
    /// After these phases, joined by `:`; `:` is when the kernel starts. Repeatable
    /// [default: enter-initrd, and on from there until ready]
    #[arg(long, value_name = "PATH")]
    phase: Vec<PhasePath>,
}

impl Moments {
    /// What is wanted.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted::new(&self.bank, &self.phase)
    }
}

/// Policies that are signed for an image.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyArgs {
    /// Sign PCR policies with this RSA key; repeatable
    #[arg(
        long,
        value_name = "FILE",
        requires = "kernel",
        conflicts_with = "pcrsig"
    )]
    pub(crate) pcr_private_key: Vec<PathBuf>,
    /// The public key of the PCR key at the same place [default: made of it]
    #[arg(long, value_name = "FILE", requires = "pcr_private_key")]
    pub(crate) pcr_public_key: Vec<PathBuf>,
    /// Until when the PCR key at the same place vouches, as in
    /// 'enter-initrd enter-initrd:leave-initrd' [default: as `measure`]
    #[arg(long, value_name = "PATHS", requires = "pcr_private_key")]
    pub(crate) phases: Vec<PhasePaths>,
    /// A bank that PCR policies are for; repeatable [default: all]
    #[arg(long, value_name = "BANK", requires = "pcr_private_key")]
    pub(crate) pcr_bank: Vec<HashAlgorithm>,
    /// Refuse keys of this store too
    #[arg(long, value_name = "DIR", default_value = "/nix/store")]
    pub(crate) store_dir: PathBuf,
}

/// Paths of phases between blanks or commas.
#[derive(Debug, Clone)]
pub(crate) struct PhasePaths(pub(crate) Vec<PhasePath>);

impl FromStr for PhasePaths {
    type Err = secure_boot::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split([' ', '\n', '\t', ',']);
        let paths = words.filter(|word| !word.is_empty()).map(str::parse);
        paths.collect::<Result<_, _>>().map(Self)
    }
}
