//! Unified Kernel Images of a tree: which entries share one, and what each is made of.
//!
//! A generation is an image, and its specialisations are profiles of it as long as they
//! have its kernel and its initial RAM disks: these are stored once. A specialisation with
//! others is an image of its own, which more may share. What an image cannot hold stays a
//! Type #1 entry: a hypervisor, and initial RAM disks that somebody else puts on the
//! partition.

use std::path::PathBuf;

use bootloaders::loader_version::{Feature, LoaderVersion};
use bootloaders::uki::{FirstProfile, Profile, os_release};
use bootloaders::{Arch, BootEntry, BootFile, EntryFileName, EntryNaming, Line, systemd_boot};

use crate::assembled::Assembled;
use crate::error::Error;
use crate::generation::{describe_entry, whole};
use crate::loader::LoaderBinary;
use crate::settings::{Layout, Settings};
use crate::source::Sources;
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
    /// Its file name, without a boot counter.
    pub name: EntryFileName,
    /// The entries that it stands for, by their places in the menu, and what each is
    /// called: the image's own, then its profiles.
    pub entries: Vec<(usize, Line)>,
    /// Where its bytes come from.
    pub content: Assembled,
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
/// When a stub is missing or is none, or when there can be no such image.
pub fn find(menu: &Menu<'_>, settings: &Settings, sources: &mut Sources) -> Result<Images, Error> {
    if settings.layout == Layout::Type1 {
        return Ok(Images::default());
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
            Some(group) if has_profiles(&mut parts, stub, menu, entry.arch)? => group.push(index),
            _ => groups.push(vec![index]),
        }
    }
    let mut images = Vec::with_capacity(groups.len());
    for group in groups {
        let Some(stub) = stubs.of(group[0]) else {
            unreachable!("only entries with a stub are in groups");
        };
        let entries: Vec<_> = group.iter().map(|index| &menu.entries[*index]).collect();
        let made_of = Ingredients::new(&entries, stub, settings.entry_names);
        images.push(Image {
            content: made_of.assemble(entries[0], &mut parts)?,
            entries: group.into_iter().zip(made_of.called).collect(),
            name: made_of.name,
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

/// Whether the stub can start a profile, and all boot loaders can offer it. Those that do
/// not say what they are, cannot.
fn has_profiles(
    parts: &mut Parts,
    stub: &BootFile,
    menu: &Menu<'_>,
    arch: Arch,
) -> Result<bool, Error> {
    let (stub, _) = parts.stub(&stub.source)?;
    let version = stub.info().and_then(LoaderVersion::from_stub_info);
    let knows = |version: LoaderVersion| version.has(Feature::Profiles);
    let mut loaders = menu.loaders.iter().filter(|loader| loader.arch == arch);
    Ok(version.is_some_and(knows)
        && loaders.all(|loader| {
            let version = loader.info.as_deref().and_then(LoaderVersion::from_info);
            version.is_some_and(knows)
        }))
}

/// An image as far as no file needs to be read for it.
struct Ingredients {
    name: EntryFileName,
    called: Vec<Line>,
    input: UkiInput,
}

impl Ingredients {
    fn new(entries: &[&BootEntry], stub: &BootFile, naming: EntryNaming) -> Self {
        let first = entries[0];
        let shown = os_release::render(first, &first.title);
        let name = systemd_boot::name_entry(naming, &first.id, &text(entries, stub)).of_image();
        let mut called = vec![name.id()];
        let mut profiles = Vec::new();
        for entry in &entries[1..] {
            let name = specialisation(entry).unwrap_or_default();
            let profile = Profile::of_specialisation(name);
            let own = os_release::render(entry, &base_title(entry));
            called.push(systemd_boot::profile_id(&called[0], &profile));
            profiles.push(ProfileInput {
                profile,
                cmdline: entry.cmdline.clone(),
                os_release: (own != shown).then_some(SectionInput::Text(own)),
            });
        }
        let source = |file: &BootFile| file.source.clone();
        let input = UkiInput {
            kernel: Some(source(&first.kernel)),
            initrds: first.initrds.iter().map(source).collect(),
            secret: first.secrets.as_ref().map(|it| it.content.clone()),
            cmdline: first.cmdline.clone(),
            os_release: Some(SectionInput::Text(shown)),
            dtb: first.devicetree.as_ref().map(source),
            profile: FirstProfile::Nameless,
            profiles,
            stub: Some(stub.source.clone()),
            ..UkiInput::default()
        };
        Self {
            name,
            called,
            input,
        }
    }

    fn assemble(&self, entry: &BootEntry, parts: &mut Parts) -> Result<Assembled, Error> {
        let made = uki::assemble(&self.input, parts);
        let made = made.map_err(|error| match error {
            Error::Uki(refusal) => Error::Unfit {
                whose: describe_entry(entry),
                what: "kernel",
                path: entry.kernel.source.clone(),
                reason: format!("cannot be in an image: {refusal}"),
            },
            other => other,
        });
        // A release that is not known is one section less, which nothing needs to boot.
        Ok(made?.0)
    }
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
