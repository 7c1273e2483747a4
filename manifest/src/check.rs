//! Compares a tree on disk with its manifest.
#![expect(clippy::disallowed_methods, reason = "checking reads the tree")]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Sha256;
use crate::error::Error;
use crate::model::{Entry, File, Manifest, Tree};
use crate::path::TreePath;

/// Reads a manifest file.
///
/// # Errors
/// When the file cannot be read or [`Manifest::parse`] refuses it.
pub fn load(path: &Path) -> Result<Manifest, Error> {
    let text = fs::read_to_string(path).map_err(read_error(path))?;
    Manifest::parse(&text)
}

/// One way in which a directory is not the tree of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The manifest has it, the directory does not.
    Missing(TreePath),
    /// The directory has it, the manifest does not.
    Foreign(String),
    /// It is not of the type the manifest says.
    Type(TreePath),
    /// Its length differs; in bytes.
    Size {
        /// The file.
        path: TreePath,
        /// What the manifest says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// Its length is right and its bytes are not.
    Content(TreePath),
    /// Its length is right, and the manifest does not say what its bytes are.
    Unknown(TreePath),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "`{path}` is missing"),
            Self::Foreign(path) => write!(f, "`{path}` is not in the manifest"),
            Self::Type(path) => write!(f, "`{path}` is of another type"),
            Self::Size {
                path,
                expected,
                found,
            } => {
                write!(f, "`{path}` has {found} bytes instead of {expected}")
            }
            Self::Content(path) => write!(f, "`{path}` has other content"),
            Self::Unknown(path) => write!(f, "`{path}` has no digest in the manifest"),
        }
    }
}

/// Lists every difference between a tree and the directory that should hold it:
/// first what the manifest names, in path order, then what it does not.
///
/// Every file is read and hashed.
///
/// # Errors
/// When something that is there cannot be read.
pub fn differences(tree: &Tree, root: &Path) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    for (path, entry) in tree {
        differences.extend(entry_difference(path, entry, root)?);
    }
    let directories: BTreeSet<TreePath> = tree.keys().flat_map(TreePath::ancestors).collect();
    let known = |path: &str| tree.contains_key(path) || directories.contains(path);
    let mut foreign = Vec::new();
    list_foreign(root, "", &known, &mut foreign)?;
    foreign.sort_unstable();
    differences.extend(foreign.into_iter().map(Difference::Foreign));
    Ok(differences)
}

fn entry_difference(
    path: &TreePath,
    entry: &Entry,
    root: &Path,
) -> Result<Option<Difference>, Error> {
    let on_disk = path.on(root);
    let found = match fs::symlink_metadata(&on_disk) {
        Ok(found) => found,
        Err(error) if is_absence(&error) => return Ok(Some(Difference::Missing(path.clone()))),
        Err(error) => return Err(read_error(&on_disk)(error)),
    };
    match entry {
        Entry::File(file) if found.is_file() => file_difference(path, file, &on_disk, found.len()),
        Entry::Directory { .. } if found.is_dir() => Ok(None),
        Entry::Symlink { target } if found.is_symlink() => {
            let actual = fs::read_link(&on_disk).map_err(read_error(&on_disk))?;
            let same = actual == Path::new(target);
            Ok((!same).then(|| Difference::Content(path.clone())))
        }
        _ => Ok(Some(Difference::Type(path.clone()))),
    }
}

fn file_difference(
    path: &TreePath,
    file: &File,
    on_disk: &Path,
    found: u64,
) -> Result<Option<Difference>, Error> {
    if found != file.size {
        let (path, expected) = (path.clone(), file.size);
        return Ok(Some(Difference::Size {
            path,
            expected,
            found,
        }));
    }
    let Some(sha256) = file.sha256 else {
        return Ok(Some(Difference::Unknown(path.clone())));
    };
    let content = fs::File::open(on_disk).map_err(read_error(on_disk))?;
    let (digest, _) = Sha256::of_reader(content).map_err(read_error(on_disk))?;
    Ok((digest != sha256).then(|| Difference::Content(path.clone())))
}

/// Walks a directory and notes what `known` does not know. A foreign directory
/// is named once, not file by file.
fn list_foreign(
    directory: &Path,
    prefix: &str,
    known: &dyn Fn(&str) -> bool,
    foreign: &mut Vec<String>,
) -> Result<(), Error> {
    for item in fs::read_dir(directory).map_err(read_error(directory))? {
        let item = item.map_err(read_error(directory))?;
        let name = item.file_name();
        let path = format!("{prefix}{}", name.to_string_lossy());
        if !known(&path) {
            foreign.push(path);
        } else if item.file_type().map_err(read_error(&item.path()))?.is_dir() {
            list_foreign(&item.path(), &format!("{path}/"), known, foreign)?;
        }
    }
    Ok(())
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = PathBuf::from(path);
    move |source| Error::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn lists_every_kind_of_difference() {
        let root = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::default();
        let tree = manifest.tree_mut(Role::esp());
        for name in ["same", "gone", "longer", "other", "was-a-file", "unknown"] {
            let path = TreePath::new(format!("EFI/{name}")).unwrap();
            let mut file = File::from_text("text");
            file.sha256 = file.sha256.filter(|_| name != "unknown");
            tree.insert(path, Entry::File(file));
        }
        fs::create_dir_all(root.path().join("EFI/was-a-file")).unwrap();
        for (name, text) in [
            ("EFI/same", "text"),
            ("EFI/longer", "text!"),
            ("EFI/other", "TEXT"),
            ("EFI/unknown", "TEXT"),
            ("EFI/foreign", ""),
            ("stray", ""),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        let found = differences(tree, root.path()).unwrap();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "`EFI/gone` is missing",
                "`EFI/longer` has 5 bytes instead of 4",
                "`EFI/other` has other content",
                "`EFI/unknown` has no digest in the manifest",
                "`EFI/was-a-file` is of another type",
                "`EFI/foreign` is not in the manifest",
                "`stray` is not in the manifest",
            ]
        );
    }
}
