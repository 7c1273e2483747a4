//! Which name of a tree belongs to whom: files and the directories above them, each as
//! FAT compares it.

use tree_manifest::{Role, TreePath, fat};

use super::{PlannedFile, TreePlan};
use crate::error::Error;

/// A name of a tree that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    path: TreePath,
    origin: String,
    is_directory: bool,
}

impl TreePlan {
    /// A path in the spelling of the directories that are there: nixpkgs' options
    /// have `efi/…`, which FAT finds in `EFI`.
    pub(super) fn spelled(&self, role: &Role, path: &TreePath) -> TreePath {
        let there = path.ancestors().find_map(|directory| {
            let claim = self
                .names
                .get(&(role.clone(), fat::fold(directory.as_str())))?;
            claim.is_directory.then_some(&claim.path)
        });
        let Some(there) = there else {
            return path.clone();
        };
        let rest = path.components().skip(there.components().count());
        let spelled: Vec<_> = there.components().chain(rest).collect();
        TreePath::new(spelled.join("/")).unwrap_or_else(|_| path.clone())
    }

    /// Puts a file into a tree. A file that is there already with the same bytes is
    /// shared: its provenance then lists the generations of both.
    pub(super) fn add(
        &mut self,
        role: &Role,
        path: TreePath,
        file: PlannedFile,
        origin: &str,
    ) -> Result<(), Error> {
        check_fat(role, &path, &file, origin)?;
        let tree = self.trees.entry(role.clone()).or_default();
        if let Some(there) = tree.get_mut(&path)
            && there.recipe == file.recipe
            && there.provenance.kind == file.provenance.kind
        {
            let generations = &mut there.provenance.generations;
            generations.extend(file.provenance.generations);
            generations.sort_unstable();
            generations.dedup();
            return Ok(());
        }
        for directory in path.ancestors() {
            // So are all that are above it.
            if self.is_directory(role, &directory) {
                break;
            }
            self.claim(role, directory, origin, true)?;
        }
        self.claim(role, path.clone(), origin, false)?;
        self.trees
            .entry(role.clone())
            .or_default()
            .insert(path, file);
        Ok(())
    }

    /// Whether a directory was taken in this spelling.
    fn is_directory(&self, role: &Role, path: &TreePath) -> bool {
        let claim = self.names.get(&(role.clone(), fat::fold(path.as_str())));
        claim.is_some_and(|claim| claim.is_directory && claim.path == *path)
    }

    /// Takes a name.
    pub(super) fn claim(
        &mut self,
        role: &Role,
        path: TreePath,
        origin: &str,
        is_directory: bool,
    ) -> Result<(), Error> {
        let key = (role.clone(), fat::fold(path.as_str()));
        let Some(first) = self.names.get(&key) else {
            let origin = origin.to_owned();
            self.names.insert(
                key,
                Claim {
                    path,
                    origin,
                    is_directory,
                },
            );
            return Ok(());
        };
        Err(Error::Collision {
            role: role.clone(),
            first: first.path.clone(),
            first_origin: first.origin.clone(),
            second: path,
            second_origin: origin.to_owned(),
        })
    }
}

/// Refuses what no FAT file system can hold, long before there is one.
fn check_fat(role: &Role, path: &TreePath, file: &PlannedFile, origin: &str) -> Result<(), Error> {
    let (size, limit) = (file.recipe.size(), fat::MAX_FILE_SIZE);
    let name = path
        .components()
        .find_map(|name| fat::check_name(name).err());
    let reason = match name {
        Some(reason) => reason.to_owned(),
        None if size > limit => {
            format!("{size} bytes are more than the {limit} a FAT file can have")
        }
        None => return Ok(()),
    };
    Err(Error::NotForFat {
        role: role.clone(),
        path: path.clone(),
        origin: origin.to_owned(),
        reason,
    })
}
