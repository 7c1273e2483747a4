//! Predicts what a TPM will hold when an image has been started.
//!
//! How registers come about, `secure-boot` knows. Here images are read: their digests as
//! firmware measures them, and the sections of Unified Kernel Images, each once.
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::path::Path;

use bootloaders::pe::{self, PeImage};
use secure_boot::HashAlgorithm;
use secure_boot::authenticode::Image;
use secure_boot::measure::boot;
use secure_boot::measure::uki::{self, PhasePath, Variant};
use secure_boot::measure::{Banks, Digests, Hashers, Register};
use serde::Serialize;

use crate::assembled::Assembled;
use crate::content::Reader;
use crate::error::{Error, SigningError, read_error};
use crate::signing::{refused, whole_file};

pub mod tree;

/// The section that makes an image a Unified Kernel Image.
const LINUX: &str = ".linux";
/// The section that names a profile.
const PROFILE: &str = ".profile";

/// How much is read at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// The most zeros that an image may have in memory beyond what is in the file, in bytes.
const MOST_ZEROS: u64 = 16 << 20;
/// The longest text of a profile that is looked at, in bytes.
const LONGEST_PROFILE: u32 = 4096;

/// What is wanted of a prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// In which banks.
    pub banks: Banks,
    /// After which phases; sorted, as `systemd-measure` does.
    pub phases: Vec<PhasePath>,
}

impl Wanted {
    /// These banks and paths, and all usual ones where there are none.
    #[must_use]
    pub fn new(banks: &[HashAlgorithm], phases: &[PhasePath]) -> Self {
        let mut wanted = Self {
            banks: banks.iter().copied().collect(),
            phases: phases.to_vec(),
        };
        if banks.is_empty() {
            wanted.banks.extend(HashAlgorithm::ALL);
        }
        if phases.is_empty() {
            wanted.phases = PhasePath::usual();
        }
        wanted.phases.sort_by_key(PhasePath::to_string);
        wanted.phases.dedup();
        wanted
    }
}

/// What is predicted of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageMeasurement {
    /// Its digests as firmware measures them, by bank.
    pub authenticode: ByBank,
    /// Register 4 when it is started after those that start it.
    #[serde(rename = "pcr-4")]
    pub boot: ByBank,
    /// What a Unified Kernel Image measures into register 11; nothing of other images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<ProfileMeasurement>,
}

/// Digests in hexadecimal digits, by bank.
pub type ByBank = BTreeMap<&'static str, String>;

/// What one profile measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProfileMeasurement {
    /// Its number, from 0.
    pub profile: usize,
    /// Its name, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which device tree the machine takes, from 0, where it has a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devicetree: Option<usize>,
    /// Register 11, after each path of phases.
    #[serde(rename = "pcr-11")]
    pub register: Vec<PhaseMeasurement>,
}

/// A register after some phases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseMeasurement {
    /// The path of phases, joined by `:`.
    pub phases: String,
    /// The register's value.
    #[serde(flatten)]
    pub value: ByBank,
}

/// The digests of an image as firmware measures them.
///
/// # Errors
/// When the file cannot be read or is no image.
pub fn authenticode(path: &Path, banks: &Banks) -> Result<Digests, Error> {
    let image = whole_file(path)?;
    let mut open = open(&image, path)?;
    open.authenticode(banks)
}

/// Predicts what starting an image measures, after those that were started before it.
///
/// # Errors
/// When the file cannot be read or is no EFI image.
pub fn of_image(
    path: &Path,
    before: &[Digests],
    wanted: &Wanted,
) -> Result<ImageMeasurement, Error> {
    let image = whole_file(path)?;
    let mut open = open(&image, path)?;
    open.measure(before, wanted)
}

/// An image that is open to be read, and what messages call it.
struct Open<'a> {
    reader: Reader<'a>,
    name: &'a Path,
}

fn open<'a>(image: &'a Assembled, name: &'a Path) -> Result<Open<'a>, Error> {
    let reader = Reader::open(image).map_err(|failure| failure.into_error(name))?;
    Ok(Open { reader, name })
}

impl Open<'_> {
    fn measure(&mut self, before: &[Digests], wanted: &Wanted) -> Result<ImageMeasurement, Error> {
        let image = self.head()?;
        let digests = self.authenticode(&wanted.banks)?;
        let started = before.iter().chain([&digests]);
        let boot = boot::predict(&wanted.banks, started);
        let mut sections = Sections {
            image: &image,
            reader: &self.reader,
            banks: &wanted.banks,
            digests: BTreeMap::new(),
        };
        let mut profiles = Vec::new();
        if image.sections.iter().any(|section| section.name == LINUX) {
            check_zeros(&image, self.name)?;
            for variant in uki::variants(&sections.names()) {
                let measured = sections.measure(&variant, &wanted.phases);
                profiles.push(measured.map_err(|source| self.unreadable(source))?);
            }
        }
        Ok(ImageMeasurement {
            authenticode: digests.to_hex(),
            boot: boot.values().to_hex(),
            profiles,
        })
    }

    fn head(&mut self) -> Result<PeImage, Error> {
        let mut head = Vec::new();
        let start = self.reader.rewind();
        let mut reader = (&mut self.reader).take(pe::HEAD as u64);
        let read = start.and_then(|()| reader.read_to_end(&mut head));
        read.map_err(|source| self.unreadable(source))?;
        PeImage::parse(&head).map_err(|error| {
            let (path, reason) = (self.name.into(), error.to_string());
            SigningError::Unmeasured { path, reason }.into()
        })
    }

    fn authenticode(&mut self, banks: &Banks) -> Result<Digests, Error> {
        let image = Image::read(&mut self.reader).map_err(refused(self.name))?;
        let digests = image.digests(&mut self.reader, banks);
        digests.map_err(refused(self.name))
    }

    fn unreadable(&self, source: io::Error) -> Error {
        read_error(self.name)(source)
    }
}

/// Refuses images that are mostly not there: a small file may ask for gigabytes.
fn check_zeros(image: &PeImage, path: &Path) -> Result<(), Error> {
    let missing = |section: &pe::Section| u64::from(section.mapped - section.size);
    let zeros: u64 = image.sections.iter().map(missing).sum();
    if zeros <= MOST_ZEROS {
        return Ok(());
    }
    let reason = format!("its sections have {zeros} bytes that are not in the file");
    let path = path.into();
    Err(SigningError::Unmeasured { path, reason }.into())
}

/// The register of a variant, from the digests of its sections.
pub(crate) fn register<E>(
    banks: &Banks,
    variant: &Variant,
    mut digests: impl FnMut(usize) -> Result<Digests, E>,
) -> Result<Register, E> {
    let mut register = Register::zero(banks);
    for (name, index) in &variant.sections {
        uki::add_section(&mut register, name, &digests(*index)?);
    }
    Ok(register)
}

/// The sections of an image, and their digests as they become known.
struct Sections<'a> {
    image: &'a PeImage,
    reader: &'a Reader<'a>,
    banks: &'a Banks,
    digests: BTreeMap<usize, Digests>,
}

impl<'a> Sections<'a> {
    /// The names; what is empty is not there.
    fn names(&self) -> Vec<&'a str> {
        let name = |section: &'a pe::Section| match section.mapped {
            0 => "",
            _ => section.name.as_str(),
        };
        self.image.sections.iter().map(name).collect()
    }

    fn measure(
        &mut self,
        variant: &Variant,
        phases: &[PhasePath],
    ) -> io::Result<ProfileMeasurement> {
        let start = register(self.banks, variant, |index| self.digests(index))?;
        let after = |phases: &PhasePath| PhaseMeasurement {
            phases: phases.to_string(),
            value: uki::after(&start, phases).values().to_hex(),
        };
        let is_choice = |section: &&pe::Section| section.name == ".dtbauto";
        let devicetree = variant.devicetree.map(|index| {
            let before = self.image.sections[..index].iter();
            before.filter(is_choice).count()
        });
        let marker = variant.sections.iter().find(|(name, _)| *name == PROFILE);
        let id = marker.map(|(_, index)| self.id(*index)).transpose()?;
        Ok(ProfileMeasurement {
            profile: variant.profile,
            id: id.flatten(),
            devicetree,
            register: phases.iter().map(after).collect(),
        })
    }

    /// The name in the text of a profile.
    fn id(&self, index: usize) -> io::Result<Option<String>> {
        let section = &self.image.sections[index];
        let mut text = vec![0; section.size.min(LONGEST_PROFILE) as usize];
        self.reader
            .read_exact_at(&mut text, u64::from(section.offset))?;
        let text = String::from_utf8_lossy(&text);
        let id = text.lines().find_map(|line| line.strip_prefix("ID="));
        Ok(id.map(|id| id.trim_matches('"').to_owned()))
    }

    fn digests(&mut self, index: usize) -> io::Result<Digests> {
        if let Some(digests) = self.digests.get(&index) {
            return Ok(digests.clone());
        }
        let section = &self.image.sections[index];
        let mut hashers = Hashers::new(self.banks);
        let mut buffer = vec![0; CHUNK];
        let (mut offset, end) = (0, u64::from(section.size));
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(CHUNK).min(CHUNK);
            let piece = &mut buffer[..left];
            let at = u64::from(section.offset) + offset;
            self.reader.read_exact_at(piece, at)?;
            hashers.update(piece);
            offset += left as u64;
        }
        buffer.fill(0);
        let mut zeros = (section.mapped - section.size) as usize;
        while zeros > 0 {
            let count = zeros.min(CHUNK);
            hashers.update(&buffer[..count]);
            zeros -= count;
        }
        let digests = hashers.finish();
        self.digests.insert(index, digests.clone());
        Ok(digests)
    }
}
