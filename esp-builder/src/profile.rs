//! Nix profiles: directories of links with numbers in their names.
//!
//! A profile `system` is a link to the newest of `system-1-link`, `system-2-link`, …
//! beside it. The [other profiles of the system][profiles] are in
//! `system-profiles` beside those. Only names are read here; where the links lead
//! is for others.
//!
//! [profiles]: https://nix.dev/manual/nix/latest/command-ref/files/profiles
#![expect(clippy::disallowed_methods, reason = "profiles are directories")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::generation_list::check_profile;
use crate::source::Sources;

/// The profile that generations belong to when nothing else is said.
const SYSTEM: &str = "system";

/// The directory with the other profiles of the system.
const OTHERS: &str = "system-profiles";

/// A profile that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name; `None` for the system profile.
    pub name: Option<String>,
    /// Where it is, inside the root and free of links but the last.
    pub path: PathBuf,
    /// The numbers of its links.
    pub numbers: BTreeSet<u64>,
}

impl Profile {
    /// The link of a generation; a path inside the root.
    #[must_use]
    pub fn link(&self, number: u64) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!("-{number}-link"));
        self.path.with_file_name(name)
    }
}

/// Finds a profile, and with the system profile those of `system-profiles`, which
/// come after it by name.
///
/// # Errors
/// When a directory cannot be read, or when the path has no name that a menu can
/// show.
pub fn find(path: &Path, sources: &Sources) -> Result<Vec<Profile>, Error> {
    let path = sources.inside(path);
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name.filter(|name| check_profile(name).is_ok()) else {
        return Err(Error::NotAProfile(path));
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let read_error = |source| Error::Profile {
        path: sources.on_host(directory),
        source,
    };
    let directory = sources.resolve(directory).map_err(read_error)?;
    let mut links = Links::read(&directory, sources).map_err(read_error)?;
    let mut profiles = vec![Profile {
        name: (name != SYSTEM).then(|| name.to_owned()),
        path: directory.join(name),
        numbers: links.numbers.remove(name).unwrap_or_default(),
    }];
    if name == SYSTEM {
        profiles.extend(others(&directory.join(OTHERS), sources)?);
    }
    Ok(profiles)
}

/// Every profile of a directory; none when it is not there.
fn others(directory: &Path, sources: &Sources) -> Result<Vec<Profile>, Error> {
    let links = sources
        .resolve(directory)
        .and_then(|directory| Ok((Links::read(&directory, sources)?, directory)));
    let (mut links, directory) = match links {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            let path = sources.on_host(directory);
            return Err(Error::Profile { path, source });
        }
    };
    let named = links.others.into_iter().filter_map(|name| {
        let numbers = links.numbers.remove(&name)?;
        check_profile(&name).is_ok().then(|| Profile {
            path: directory.join(&name),
            name: Some(name),
            numbers,
        })
    });
    Ok(named.collect())
}

/// The names of a directory of profiles.
#[derive(Default)]
struct Links {
    /// What links are numbered for.
    numbers: BTreeMap<String, BTreeSet<u64>>,
    /// Names that are not those of numbered links.
    others: BTreeSet<String>,
}

impl Links {
    fn read(directory: &Path, sources: &Sources) -> io::Result<Self> {
        let mut links = Self::default();
        for item in fs::read_dir(sources.on_host(directory))? {
            // A name that is not UTF-8 is none of NixOS'.
            let Ok(name) = item?.file_name().into_string() else {
                continue;
            };
            if let Some((profile, number)) = numbered(&name) {
                let numbers = links.numbers.entry(profile.to_owned()).or_default();
                numbers.insert(number);
            } else if !name.ends_with("-link") {
                links.others.insert(name);
            }
        }
        Ok(links)
    }
}

/// Takes `PROFILE-NUMBER-link` apart.
fn numbered(name: &str) -> Option<(&str, u64)> {
    let (profile, number) = name.strip_suffix("-link")?.rsplit_once('-')?;
    // As Nix writes it: another spelling would be a second name for one number.
    let plain = number.bytes().all(|byte| byte.is_ascii_digit())
        && (number == "0" || !number.starts_with('0'));
    Some((profile, number.parse().ok().filter(|_| plain)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_taken_apart_from_their_end() {
        for (name, taken) in [
            ("system-42-link", Some(("system", 42))),
            ("a-b-7-link", Some(("a-b", 7))),
            ("a-1-link-2-link", Some(("a-1-link", 2))),
            ("system-0-link", Some(("system", 0))),
            ("system-042-link", None),
            ("system-+4-link", None),
            ("system--4-link", Some(("system-", 4))),
            ("system-link", None),
            ("system--link", None),
            ("42-link", None),
            ("system-99999999999999999999-link", None),
            ("system-4-link.lock", None),
            ("system", None),
        ] {
            assert_eq!(numbered(name), taken, "{name}");
        }
    }
}
