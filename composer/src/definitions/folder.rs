//! Finds definitions and their drop-ins in directories, as systemd does.
//!
//! Specification: `man repart.d`, `man systemd.unit` on drop-ins. A file in an earlier
//! directory hides one of the same name in a later one; an empty file, or a link to
//! `/dev/null`, hides it without taking its place.
#![expect(clippy::disallowed_methods, reason = "reads definitions")]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{DefinitionFile, Specifiers};
use crate::config::PartitionConfig;
use crate::error::{self, Error};

/// Reads the definitions of some directories, in the order of their names.
///
/// # Errors
/// When a directory or a definition cannot be read, or a definition is malformed.
pub fn read(
    directories: &[PathBuf],
    specifiers: &Specifiers,
) -> Result<Vec<PartitionConfig>, Error> {
    let mut partitions = Vec::new();
    for directory in directories {
        fs::read_dir(directory).map_err(error::read(directory))?;
    }
    for (name, path) in find(directories)? {
        let mut files = vec![load(path)?];
        let drop_ins: Vec<_> = directories
            .iter()
            .map(|directory| directory.join(format!("{name}.d")))
            .collect();
        for path in find(&drop_ins)?.into_values() {
            files.push(load(path)?);
        }
        let mut partition = super::parse(&files, specifiers)?;
        partition.name = Some(name.trim_end_matches(".conf").to_owned());
        partitions.push(partition);
    }
    Ok(partitions)
}

/// The files `*.conf` that are not hidden, by name. A directory that is not there has
/// none.
fn find(directories: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut found: BTreeMap<String, Option<PathBuf>> = BTreeMap::new();
    for directory in directories {
        let items = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            items => items.map_err(error::read(directory))?,
        };
        for item in items {
            let path = item.map_err(error::read(directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|name| is_definition(name)) else {
                continue;
            };
            if found.contains_key(name) {
                continue;
            }
            let is_hidden = is_mask(&path)?;
            found.insert(name.to_owned(), (!is_hidden).then_some(path));
        }
    }
    let found = found.into_iter();
    Ok(found
        .filter_map(|(name, path)| Some((name, path?)))
        .collect())
}

/// Whether systemd takes a file of this name for a definition; case counts.
pub(crate) fn is_definition(name: &str) -> bool {
    name.strip_suffix(".conf")
        .is_some_and(|stem| !stem.is_empty())
}

/// Whether a file hides others of its name.
fn is_mask(path: &Path) -> Result<bool, Error> {
    let metadata = fs::metadata(path).map_err(error::read(path))?;
    let is_null = fs::canonicalize(path).is_ok_and(|path| path == Path::new("/dev/null"));
    Ok(is_null || metadata.is_file() && metadata.len() == 0)
}

fn load(path: PathBuf) -> Result<DefinitionFile, Error> {
    let text = fs::read_to_string(&path).map_err(error::read(&path))?;
    Ok(DefinitionFile { path, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hide_each_other_by_directory_and_mask() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), text).unwrap();
        };
        write("etc/20-b.conf", "[Partition]\nType=home\nLabel=etc\n");
        write("usr/20-b.conf", "[Partition]\nType=home\nLabel=usr\n");
        write("usr/10-a.conf", "[Partition]\nType=esp\n");
        write("usr/30-c.conf", "[Partition]\nType=srv\n");
        write("etc/30-c.conf", "");
        write("usr/40-d.conf", "[Partition]\nType=var\n");
        std::os::unix::fs::symlink("/dev/null", path("etc/40-d.conf")).unwrap();
        write("usr/note.txt", "not a definition");
        write(
            "usr/20-b.conf.d/x.conf",
            "[Partition]\nWeight=1\nPriority=1\n",
        );
        write("etc/20-b.conf.d/y.conf", "[Partition]\nWeight=2\n");
        write("usr/20-b.conf.d/z.conf", "[Partition]\nWeight=3\n");
        write("etc/20-b.conf.d/z.conf", "");
        let found = read(&[path("etc"), path("usr")], &Specifiers::default()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    one.name.as_deref().unwrap(),
                    one.label.as_deref(),
                    one.weight,
                    one.priority,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("10-a", None, None, None),
                ("20-b", Some("etc"), Some(2), Some(1))
            ]
        );
        assert!(read(&[path("nowhere")], &Specifiers::default()).is_err());
    }
}
