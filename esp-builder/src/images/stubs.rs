//! Which stub an image gets.
//!
//! That of its own system: an image that is there stays as it is when another system brings
//! another stub.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use bootloaders::pe::PeImage;
use bootloaders::{Arch, BootFile, systemd_boot};

use super::{Menu, fits};
use crate::error::Error;
use crate::loader;
use crate::source::{Need, Sources};

/// Who needs stubs, in messages.
const NEED: Need<'static> = Need {
    whose: "images",
    what: "stub",
};

/// The stubs of entries.
pub(super) struct Stubs(Vec<Option<BootFile>>);

impl Stubs {
    /// Finds the stubs of all entries that can be in images: the one that is given for
    /// their architecture, else that of their system, of the default system, of the host.
    pub(super) fn find(
        menu: &Menu<'_>,
        given: &[PathBuf],
        sources: &mut Sources,
    ) -> Result<Self, Error> {
        let given = by_architecture(given, sources)?;
        let default = menu.toplevels.get(menu.default).map(PathBuf::as_path);
        let mut found: BTreeMap<(Arch, Option<&Path>), BootFile> = BTreeMap::new();
        let mut stubs = Vec::with_capacity(menu.entries.len());
        for (index, entry) in menu.entries.iter().enumerate() {
            if !fits(entry) {
                stubs.push(None);
                continue;
            }
            if let Some(stub) = given.get(&entry.arch) {
                stubs.push(Some(stub.clone()));
                continue;
            }
            let own = menu.toplevels.get(index).map(PathBuf::as_path);
            let stub = match found.entry((entry.arch, own)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(search(entry.arch, [own, default], sources)?),
            };
            stubs.push(Some(stub.clone()));
        }
        Ok(Self(stubs))
    }

    /// The stub of an entry; `None` when no image can hold it.
    pub(super) fn of(&self, entry: usize) -> Option<&BootFile> {
        self.0[entry].as_ref()
    }
}

fn by_architecture(
    given: &[PathBuf],
    sources: &mut Sources,
) -> Result<BTreeMap<Arch, BootFile>, Error> {
    let mut stubs: BTreeMap<Arch, BootFile> = BTreeMap::new();
    for path in given {
        let stub = sources.host_file(path, NEED)?;
        let refuse = |reason: String| Error::NotAStub {
            path: path.clone(),
            reason,
        };
        let arch = sources.image(&stub).and_then(PeImage::arch);
        let arch =
            arch.ok_or_else(|| refuse("it is no PE image for a known architecture".to_owned()))?;
        if let Some(first) = stubs.insert(arch, stub) {
            let first = first.source.display();
            return Err(refuse(format!("`{first}` is the one for {arch} already")));
        }
    }
    Ok(stubs)
}

fn search(
    arch: Arch,
    toplevels: [Option<&Path>; 2],
    sources: &mut Sources,
) -> Result<BootFile, Error> {
    let name = systemd_boot::stub_name(arch, false);
    let names = std::slice::from_ref(&name);
    let places = loader::search(names, sources, toplevels.into_iter().flatten());
    match places.iter().find_map(|place| place.file.as_ref()) {
        Some(file) => sources.host_file(file, NEED),
        None => Err(Error::NoStub {
            name,
            searched: places.into_iter().map(|place| place.path).collect(),
        }),
    }
}
