//! Unified Kernel Images of a tree: which entries share one, and what each is made of.
//!
//! A generation is an image, and its specialisations are profiles of it as long as they
//! have its kernel and its initial RAM disks: these are stored once. A specialisation with
//! others is an image of its own, which more may share. What an image cannot hold stays a
//! Type #1 entry: a hypervisor, and initial RAM disks that somebody else puts on the
//! partition.
//!
//! Boot loaders list an image by itself, or Type #1 entries name it and its profiles.

use std::path::PathBuf;

use bootloaders::bls::Starts;
use bootloaders::loader_version::{Feature, LoaderVersion};
use bootloaders::uki::{FirstProfile, Profile, os_release};
use bootloaders::{
    Arch, BootEntry, BootFile, BootLoader, EntryFileName, EntryNaming, Line, systemd_boot,
};
use tree_manifest::{Sha256, TreePath};

use crate::assembled::Assembled;
use crate::error::{Error, LoaderError};
use crate::generation::{describe_entry, whole};
use crate::loader::LoaderBinary;
use crate::settings::{Layout, Settings};
use crate::source::{DIRECTORY, Sources};
use crate::uki::{self, Parts, ProfileInput, SectionInput, UkiInput};

mod companions;
mod stubs;

pub use companions::Companion;
use stubs::Stubs;

/// The most entries of one image. Each takes up to three sections; the header of a stub
/// has room for some eighty.
const MOST_ENTRIES: usize = 16;

/// The images of a tree.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// The images; none with Type #1 entries.
    pub images: Vec<Image>,
    /// What lies beside each of them.
    pub companions: Vec<Companion>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Where it lies.
    pub home: Home,
    /// The entries that it stands for, by their places in the menu: the image's own, then
    /// its profiles.
    pub entries: Vec<usize>,
    /// Where its bytes come from.
    pub content: Assembled,
}

/// Where an image lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// Where boot loaders list it by themselves.
    Listed {
        /// Its file name, without a boot counter.
        name: EntryFileName,
        /// What each of its entries is called.
        called: Vec<Line>,
    },
    /// Where only Type #1 entries name it: at a place after its content, so that no entry
    /// ever finds the image of another.
    Named(TreePath),
}

impl Image {
    /// What boot loaders call an entry that the image itself is.
    #[must_use]
    pub fn called(&self, entry: usize) -> Option<&Line> {
        let Home::Listed { called, .. } = &self.home else {
            return None;
        };
        let place = self.entries.iter().position(|index| *index == entry)?;
        called.get(place)
    }

    /// What a Type #1 entry starts that names the image: one of its profiles.
    pub(crate) fn starts(&self, path: &TreePath, entry: usize) -> Starts {
        let profile = self.entries.iter().position(|index| *index == entry);
        let profile = profile.and_then(|place| u32::try_from(place).ok());
        Starts::Uki {
            image: path.clone(),
            // The first is there when none is asked for.
            profile: profile.filter(|number| *number > 0),
        }
    }
}

/// What images are made for.
#[derive(Debug, Clone, Copy)]
pub struct Menu<'a> {
    /// The entries, by generation.
    pub entries: &'a [BootEntry],
    /// The toplevels of the entries' systems, in the same order; none for a kernel without
    /// a generation.
    pub toplevels: &'a [PathBuf],
    /// Which of the entries starts by itself.
    pub default: usize,
    /// The boot loaders.
    pub loaders: &'a [LoaderBinary],
}

/// Finds the images of a menu. Stubs and the heads of kernels are read.
///
/// # Errors
/// When a stub is missing or is none, when there can be no such image, or when a boot
/// loader is too old for what names it.
pub fn find(menu: &Menu<'_>, settings: &Settings, sources: &mut Sources) -> Result<Images, Error> {
    let of_profiles = match settings.layout {
        Layout::Type1 => return Ok(Images::default()),
        Layout::Uki => Feature::Profiles,
        Layout::Type1Uki => Feature::ProfileEntries,
    };
    if settings.layout == Layout::Type1Uki {
        check_loaders(menu.loaders)?;
    }
    let mut parts = Parts::default();
    let stubs = Stubs::find(menu, &settings.images.stubs, sources)?;
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, entry) in menu.entries.iter().enumerate() {
        let Some(stub) = stubs.of(index) else {
            continue;
        };
        let mut of_generation = groups.iter_mut().rev().take_while(|group| {
            let first = menu.entries[group[0]].generation().map(whole);
            first.is_some() && first == entry.generation().map(whole)
        });
        let shared = of_generation
            .find(|group| group.len() < MOST_ENTRIES && share(&menu.entries[group[0]], entry));
        match shared {
            Some(group)
                if all_offer(of_profiles, menu, entry.arch)
                    && starts_profiles(&mut parts, stub)? =>
            {
                group.push(index);
            }
            _ => groups.push(vec![index]),
        }
    }
    let mut images = Vec::with_capacity(groups.len());
    for group in groups {
        let Some(stub) = stubs.of(group[0]) else {
            unreachable!("only entries with a stub are in groups");
        };
        let entries: Vec<_> = group.iter().map(|index| &menu.entries[*index]).collect();
        images.push(Image {
            content: assemble(&entries, stub, &mut parts)?,
            home: if settings.layout == Layout::Type1Uki {
                Home::named(&entries, stub)
            } else {
                Home::listed(&entries, stub, settings.entry_names)
            },
            entries: group,
        });
    }
    Ok(Images {
        images,
        companions: companions::find(settings.images.companions.as_deref(), sources)?,
    })
}

/// Whether an image can hold all that an entry boots.
fn fits(entry: &BootEntry) -> bool {
    entry.hypervisor.is_none() && entry.extra_initrds.is_empty()
}

/// Whether two entries of a generation differ in nothing but what a profile may override.
fn share(first: &BootEntry, other: &BootEntry) -> bool {
    let secret = |entry: &BootEntry| entry.secrets.as_ref().map(|it| it.content.clone());
    first.kernel == other.kernel
        && first.initrds == other.initrds
        && first.devicetree == other.devicetree
        && secret(first) == secret(other)
}

/// Refuses boot loaders that pass over entries with an image. Those that do not say what
/// they are, may be such.
fn check_loaders(loaders: &[LoaderBinary]) -> Result<(), Error> {
    let mut own = loaders
        .iter()
        .filter(|loader| loader.name == BootLoader::SystemdBoot);
    let Some(old) = own.find(|loader| !knows(loader, Feature::UkiEntries)) else {
        return Ok(());
    };
    Err(Error::Loader(LoaderError::OldLoader {
        path: old.file.clone(),
        info: old.info.clone(),
    }))
}

fn knows(loader: &LoaderBinary, feature: Feature) -> bool {
    let version = loader.info.as_deref().and_then(LoaderVersion::from_info);
    version.is_some_and(|version| version.has(feature))
}

/// Whether all boot loaders can offer something. Those that do not say what they are,
/// cannot.
fn all_offer(feature: Feature, menu: &Menu<'_>, arch: Arch) -> bool {
    let own = menu.loaders.iter().filter(|loader| loader.arch == arch);
    let mut own = own.filter(|loader| loader.name == BootLoader::SystemdBoot);
    own.all(|loader| knows(loader, feature))
}

/// Whether a stub can start a profile. One that does not say what it is, cannot.
fn starts_profiles(parts: &mut Parts, stub: &BootFile) -> Result<bool, Error> {
    let (stub, _) = parts.stub(&stub.source)?;
    let version = stub.info().and_then(LoaderVersion::from_stub_info);
    Ok(version.is_some_and(|version| version.has(Feature::Profiles)))
}

impl Home {
    /// That of an image which is the entry of a menu.
    fn listed(entries: &[&BootEntry], stub: &BootFile, naming: EntryNaming) -> Self {
        let text = text(entries, stub);
        let name = systemd_boot::name_entry(naming, &entries[0].id, &text).of_image();
        let own = name.id();
        let of_profile = |entry: &&BootEntry| systemd_boot::profile_id(&own, &profile(entry));
        let profiles: Vec<_> = entries[1..].iter().map(of_profile).collect();
        Self::Listed {
            called: std::iter::once(own).chain(profiles).collect(),
            name,
        }
    }

    /// That of an image which entries name.
    fn named(entries: &[&BootEntry], stub: &BootFile) -> Self {
        let digest = Sha256::of(text(entries, stub).as_bytes()).to_string();
        let path = TreePath::new(format!("{DIRECTORY}/{}-uki.efi", &digest[..32]));
        Self::Named(path.unwrap_or_else(|error| unreachable!("a path of digits: {error}")))
    }
}

/// The image of entries that share one.
fn assemble(
    entries: &[&BootEntry],
    stub: &BootFile,
    parts: &mut Parts,
) -> Result<Assembled, Error> {
    let first = entries[0];
    let made = uki::assemble(&input(entries, stub), parts).map_err(|error| match error {
        Error::Uki(refusal) => Error::Unfit {
            whose: describe_entry(first),
            what: "kernel",
            path: first.kernel.source.clone(),
            reason: format!("cannot be in an image: {refusal}"),
        },
        other => other,
    });
    // A release that is not known is one section less, which nothing needs to boot.
    Ok(made?.0)
}

/// What an image is made of, as far as no file needs to be read for it.
fn input(entries: &[&BootEntry], stub: &BootFile) -> UkiInput {
    let first = entries[0];
    let shown = os_release::render(first, &first.title);
    let of_profile = |entry: &&BootEntry| {
        let own = os_release::render(entry, &base_title(entry));
        ProfileInput {
            profile: profile(entry),
            cmdline: entry.cmdline.clone(),
            os_release: (own != shown).then_some(SectionInput::Text(own)),
        }
    };
    let profiles = entries[1..].iter().map(of_profile).collect();
    let source = |file: &BootFile| file.source.clone();
    UkiInput {
        kernel: Some(source(&first.kernel)),
        initrds: first.initrds.iter().map(source).collect(),
        secret: first.secrets.as_ref().map(|it| it.content.clone()),
        cmdline: first.cmdline.clone(),
        os_release: Some(SectionInput::Text(shown.clone())),
        dtb: first.devicetree.as_ref().map(source),
        profile: FirstProfile::Nameless,
        profiles,
        stub: Some(stub.source.clone()),
        ..UkiInput::default()
    }
}

fn profile(entry: &BootEntry) -> Profile {
    Profile::of_specialisation(specialisation(entry).unwrap_or_default())
}

/// What tells images apart that are named after their content: their entries as texts, in
/// which kernels and the like have names of their content, and the stub.
fn text(entries: &[&BootEntry], stub: &BootFile) -> String {
    let text = |entry: &&BootEntry| systemd_boot::type1(entry, None, false).render();
    let texts: String = entries.iter().map(text).collect();
    format!("{texts}stub /{}\n", stub.path)
}

fn specialisation(entry: &BootEntry) -> Option<&str> {
    entry.generation()?.specialisation.as_deref()
}

/// The title without the specialisation, which a menu adds to it.
fn base_title(entry: &BootEntry) -> Line {
    let added = specialisation(entry).map(|name| format!(" ({name})"));
    let base = added.and_then(|added| entry.title.as_str().strip_suffix(added.as_str()));
    base.and_then(|base| Line::new(base).ok())
        .unwrap_or_else(|| entry.title.clone())
}

#[cfg(test)]
mod tests;
