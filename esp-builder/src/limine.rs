//! What Limine checks: the digests of files in its menu, and of the menu in its binary.
#![expect(clippy::disallowed_methods, reason = "reads what Limine is to check")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use blake2::{Blake2b512, Digest};
use bootloaders::BootLoader;
use bootloaders::limine::{CONFIG_DIGEST_MARKER, Digests};
use bootloaders::menu::{Item, Language};
use extents::ExtentMap;
use secure_boot::hex;
use tree_manifest::{Kind, Role};

use crate::assembled::{Assembled, Piece, Pieces};
use crate::error::{Error, LoaderError, read_error};
use crate::loader::LoaderBinary;
use crate::plan::{Recipe, TreePlan};

/// How many hexadecimal digits a digest has.
const DIGITS: u64 = 128;

/// How much is read and hashed at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Makes a plan's menu check what it names, and its binaries the menu if that is wanted.
///
/// # Errors
/// When a file cannot be read, or when a binary has no place for the digest of the menu.
pub(crate) fn secure(
    plan: &mut TreePlan,
    loaders: &[LoaderBinary],
    is_menu_fixed: bool,
) -> Result<(), Error> {
    add_digests(plan)?;
    if is_menu_fixed {
        let binaries = loaders.iter();
        let binaries = binaries.filter(|loader| loader.name == BootLoader::Limine);
        fix_menu(
            plan,
            &binaries.map(|loader| loader.file.as_path()).collect(),
        )?;
    }
    Ok(())
}

/// Writes the menu again with the digest of each file that it names.
fn add_digests(plan: &mut TreePlan) -> Result<(), Error> {
    let Some(planned) = &plan.menu else {
        return Ok(());
    };
    let Some(tree) = planned
        .places
        .first()
        .and_then(|(role, _)| plan.trees.get(role))
    else {
        return Ok(());
    };
    let lines = planned.menu.items.iter();
    let lines = lines.flat_map(|item| std::iter::once(item).chain(&item.children));
    let mut known = BTreeMap::new();
    let mut digests = Digests::new();
    for path in lines.flat_map(Item::files) {
        // What somebody else put there is not in the plan.
        let Some(file) = tree.get(path).filter(|_| !digests.contains_key(path)) else {
            continue;
        };
        if let Some(digest) = digest_of(&file.recipe, &mut known)? {
            digests.insert(path.clone(), digest);
        }
    }
    plan.rewrite_menu(|planned| planned.language = Language::Limine(digests));
    Ok(())
}

/// Has the binaries accept this menu alone; what comes before them, as shim, stays as it is.
fn fix_menu(plan: &mut TreePlan, binaries: &BTreeSet<&Path>) -> Result<(), Error> {
    let Some(planned) = &plan.menu else {
        return Ok(());
    };
    let text = planned.language.write(&planned.menu);
    let digest = hex(Blake2b512::digest(text.as_bytes()).as_slice());
    let files = plan.trees.get_mut(&Role::esp());
    let loaders = files.into_iter().flat_map(BTreeMap::values_mut);
    for file in loaders.filter(|file| file.provenance.kind == Kind::Loader) {
        if let Recipe::Copy { from, size } = &file.recipe
            && binaries.contains(from.as_path())
        {
            let recipe = with_digest(from, *size, &digest)?;
            file.recipe = recipe.ok_or_else(|| LoaderError::NotALoader {
                what: BootLoader::Limine.name(),
                path: from.clone(),
                reason: "it has no place for the digest of its settings".to_owned(),
            })?;
        }
    }
    Ok(())
}

/// A binary with the digest in its place; `None` when it has no such place.
fn with_digest(path: &Path, size: u64, digest: &str) -> Result<Option<Recipe>, Error> {
    let bytes = fs::read(path).map_err(read_error(path))?;
    let marker = CONFIG_DIGEST_MARKER;
    let Some(start) = bytes
        .windows(marker.len())
        .position(|window| window == marker)
    else {
        return Ok(None);
    };
    let place = (start + marker.len()) as u64;
    let end = place + DIGITS;
    if bytes.len() as u64 != size || end > size {
        return Ok(None);
    }
    let mut sources = Pieces::default();
    let source = sources.add(Piece::file(path, Some(size)));
    let mut map = ExtentMap::hole(size);
    map.push_slice(0, place, source, 0);
    map.push_bytes(place, digest.as_bytes().to_vec());
    map.push_slice(end, size - end, source, end);
    Ok(Some(Recipe::Assembled(Assembled { map, sources })))
}

/// The digest of a file of the plan; none of what is put together.
fn digest_of(
    recipe: &Recipe,
    known: &mut BTreeMap<PathBuf, String>,
) -> Result<Option<String>, Error> {
    Ok(Some(match recipe {
        Recipe::Text(text) => hex(Blake2b512::digest(text.as_bytes()).as_slice()),
        Recipe::Secret(secret) => hex(Blake2b512::digest(secret.bytes()).as_slice()),
        Recipe::Assembled(_) => return Ok(None),
        Recipe::Copy { from, .. } => {
            if let Some(digest) = known.get(from) {
                return Ok(Some(digest.clone()));
            }
            let digest = of_file(from).map_err(read_error(from))?;
            known.insert(from.clone(), digest.clone());
            digest
        }
    }))
}

fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Blake2b512::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(hasher.finalize().as_slice())),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
