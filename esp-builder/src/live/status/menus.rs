//! The lines of menus in one file, as far as what was written down tells about them.

use std::collections::{BTreeMap, BTreeSet};

use bootloaders::boot_counting::State;
use bootloaders::menu::{Shown, shown};
use tree_manifest::{ByteSize, Entry, GenerationId, Kind, Manifest, Role, TreePath};

use super::MenuEntry;
use crate::error::{Error, read_error};
use crate::generation::whole;
use crate::live::changes::recorded;
use crate::live::execute::Mounts;
use crate::live::inventory::Inventory;
use crate::source::read_at_most;

/// The most that is read of a menu, in bytes. A line has some hundred.
const LONGEST: u64 = 4 << 20;

/// The lines of the menus that boot loaders read in one file, in their order there.
///
/// # Errors
/// When one cannot be read.
pub(super) fn lines(
    state: &Manifest,
    exclusive: &BTreeMap<GenerationId, u64>,
    mounts: &Mounts,
    inventories: &[(&Role, Inventory)],
) -> Result<Vec<MenuEntry>, Error> {
    let mut texts = BTreeSet::new();
    let mut entries = Vec::new();
    for (role, inventory) in inventories {
        let files = inventory.files().filter(|found| {
            let recorded = recorded(state, &((*role).clone(), found.path.clone()));
            let why = recorded.and_then(|file| file.provenance.as_ref());
            why.is_some_and(|why| why.kind == Kind::Menu)
        });
        for found in files {
            let path = found.path.on(&mounts[*role]);
            let bytes = read_at_most(&path, LONGEST);
            let bytes = bytes.map_err(read_error(&path))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines = shown(found.path.name(), &text);
            // Of rEFInd there are two, one beside each binary.
            if texts.insert(text) {
                let of_line = |line: Shown| MenuEntry {
                    exclusive: generation_of(&line, state)
                        .map(|id| ByteSize(exclusive.get(&id).copied().unwrap_or_default())),
                    ..of_line(role, &found.path, line, inventories)
                };
                entries.extend(lines.into_iter().map(of_line));
            }
        }
    }
    Ok(entries)
}

fn of_line(
    role: &Role,
    menu: &TreePath,
    line: Shown,
    inventories: &[(&Role, Inventory)],
) -> MenuEntry {
    let size = |path: &TreePath| {
        let mut partitions = inventories.iter();
        partitions.find_map(|(_, there)| there.file(path).map(|found| found.size))
    };
    MenuEntry {
        role: role.clone(),
        name: menu.to_string(),
        profile: None,
        title: line.title,
        version: None,
        size: ByteSize(line.files.iter().filter_map(size).sum()),
        exclusive: None,
        counter: None,
        state: State::Good,
        is_booted: false,
        is_default: line.is_default,
        missing: line
            .files
            .into_iter()
            .filter(|path| size(path).is_none())
            .collect(),
    }
}

/// The generation that a line stands for: the one that needs all of its files or, of several
/// that share them, the one that its title names.
fn generation_of(line: &Shown, state: &Manifest) -> Option<GenerationId> {
    let mut files = line.files.iter().map(|path| owners(path, state));
    let mut needing = files.next()?;
    for owners in files {
        needing.retain(|id| owners.contains(id));
    }
    if needing.len() > 1 {
        needing.retain(|id| names(&line.title, id));
    }
    let id = needing.pop_first();
    id.filter(|_| needing.is_empty())
}

/// The generations that need a file, as they were written down.
fn owners(path: &TreePath, state: &Manifest) -> BTreeSet<GenerationId> {
    let entries = state.trees.values().filter_map(|tree| tree.get(path));
    let why = entries.filter_map(|entry| match entry {
        Entry::File(file) => file.provenance.as_ref(),
        _ => None,
    });
    why.flat_map(|why| &why.generations).map(whole).collect()
}

/// Whether a title is that of a generation, or of one of its specialisations.
fn names(title: &str, id: &GenerationId) -> bool {
    let number = format!("Generation {}", id.number);
    let mut rests = title.split(&number).skip(1);
    let is_number = rests.any(|rest| rest.starts_with([' ', ',', ')']));
    let is_profile = match &id.profile {
        Some(profile) => title.contains(&format!("[{profile}]")),
        None => !title.contains('['),
    };
    is_number && is_profile
}

#[cfg(test)]
mod tests {
    use tree_manifest::{File, Provenance};

    use super::*;

    fn id(profile: Option<&str>, number: u64, specialisation: Option<&str>) -> GenerationId {
        GenerationId {
            profile: profile.map(str::to_owned),
            number,
            specialisation: specialisation.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_is_of_the_generation_that_needs_its_files_and_that_its_title_names() {
        let shared = [
            id(None, 1, None),
            id(None, 12, Some("gnome")),
            id(Some("work"), 1, None),
        ];
        let mut state = Manifest::default();
        for (path, generations) in [
            ("linux", &shared[..]),
            ("initrd-1", &shared[..1]),
            ("initrd-12", &shared[1..2]),
            ("rescue.efi", &[]),
        ] {
            let mut file = File::from_text("text");
            file.provenance = Some(Provenance {
                kind: Kind::Initrd,
                generations: generations.to_vec(),
                signature: None,
            });
            let tree = state.tree_mut(Role::esp());
            tree.insert(TreePath::new(path).unwrap(), Entry::File(file));
        }
        let found = |title: &str, files: &[&str]| {
            let line = Shown {
                title: title.to_owned(),
                files: files.iter().map(|it| TreePath::new(*it).unwrap()).collect(),
                is_default: false,
            };
            generation_of(&line, &state)
        };
        let [one, twelve, work] = [
            Some(id(None, 1, None)),
            Some(id(None, 12, None)),
            Some(id(Some("work"), 1, None)),
        ];
        for (title, files, expected) in [
            ("any", &["linux", "initrd-1"][..], &one),
            ("any", &["initrd-12", "linux"], &twelve),
            ("NixOS (Generation 1 26.05)", &["linux"], &one),
            ("NixOS (gnome) (Generation 12)", &["linux"], &twelve),
            ("NixOS [work] (Generation 1, built)", &["linux"], &work),
            ("any", &["linux"], &None),
            ("NixOS (Generation 1)", &["rescue.efi"], &None),
            ("NixOS (Generation 1)", &["initrd-1", "not-ours"], &None),
            ("NixOS (Generation 1)", &[], &None),
        ] {
            assert_eq!(found(title, files), *expected, "{title} {files:?}");
        }
    }
}
