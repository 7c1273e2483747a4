//! Closures in a store of Nix: which paths, and what is registered of them.
//!
//! Specification: what `nix-store --load-db` reads (`decodeValidPathInfo` in Nix). Of
//! each path there are its name, the hash and the length of its archive, the derivation
//! it comes from, if known, and the paths it refers to. `nix-store --dump-db` writes the
//! hash as bare hexadecimal digits, closureInfo of nixpkgs as `sha256:` in base 32.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where stores are, from the root of a system.
pub const DEFAULT_PREFIX: &str = "/nix/store";

/// The file in the root of a partition that says what is registered; NixOS loads it
/// when it boots for the first time.
pub const REGISTRATION: &str = "nix-path-registration";

/// The letters of base 32 as Nix writes it.
const BASE_32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The most bytes the name of a store object may have behind its digest.
const MAX_NAME: usize = 211;

/// A path of an object in a store: absolute, with a name as Nix gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StorePath(String);

impl StorePath {
    /// Checks a path.
    ///
    /// # Errors
    /// With a sentence about the rule it breaks.
    pub fn new(text: &str) -> Result<Self, String> {
        let refuse = |reason: &str| format!("`{}` {reason}", text.escape_debug());
        let (store, name) = text
            .rsplit_once('/')
            .ok_or_else(|| refuse("is no absolute path"))?;
        if !store.starts_with('/') || store.split('/').any(|part| part == "." || part == "..") {
            return Err(refuse("is no path of an object in a store"));
        }
        let is_named = name.split_once('-').is_some_and(|(digest, rest)| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
            digest.len() == 32
                && digest.bytes().all(|byte| BASE_32.contains(&byte))
                && (1..=MAX_NAME).contains(&rest.len())
                && rest.bytes().all(fits)
        });
        if !is_named {
            return Err(refuse("has no name of a store object, `DIGEST-NAME`"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The directory it is in.
    #[must_use]
    pub fn store(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(store, _)| store)
    }

    /// Its name in that directory.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the paths of a closure, which are all in one store.
///
/// # Errors
/// With a sentence about the first that is none, or is elsewhere.
pub fn paths<'a>(lines: impl Iterator<Item = &'a str>) -> Result<BTreeSet<StorePath>, String> {
    let mut paths = BTreeSet::new();
    for line in lines.filter(|line| !line.is_empty()) {
        paths.insert(StorePath::new(line)?);
    }
    let Some(first) = paths.first() else {
        return Err("there are no store paths".to_owned());
    };
    let store = first.store();
    match paths.iter().find(|path| path.store() != store) {
        Some(other) => Err(format!("`{other}` is not in the store `{store}`")),
        None => Ok(paths),
    }
}

/// Checks that a registration is one that Nix loads: of all of `closure`, where that is
/// known, and of nothing else; and that what is referred to is registered too.
///
/// # Errors
/// With a sentence that names the line or the path.
pub fn check_registration(text: &str, closure: Option<&BTreeSet<StorePath>>) -> Result<(), String> {
    let records = records(text)?;
    for (path, references) in &records {
        if closure.is_some_and(|closure| !closure.contains(path)) {
            return Err(format!("it registers `{path}`, which is not copied"));
        }
        if let Some(unknown) = references.iter().find(|path| !records.contains_key(path)) {
            return Err(format!(
                "`{path}` refers to `{unknown}`, which it does not register"
            ));
        }
    }
    let mut closure = closure.into_iter().flatten();
    match closure.find(|path| !records.contains_key(path)) {
        Some(missing) => Err(format!("it does not register `{missing}`")),
        None => Ok(()),
    }
}

/// The references of each registered path.
fn records(text: &str) -> Result<BTreeMap<StorePath, Vec<StorePath>>, String> {
    // Nix takes the last line for missing when nothing ends it.
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("its last line has no end".to_owned());
    }
    let mut lines = (1_usize..).zip(text.lines());
    let mut records = BTreeMap::new();
    while let Some((number, line)) = lines.next() {
        let at = |number: usize| move |message: String| format!("line {number}: {message}");
        let mut next = || {
            let line = lines.next();
            line.ok_or_else(|| format!("it ends within what line {number} begins"))
        };
        let path = StorePath::new(line).map_err(at(number))?;
        let (number, hash) = next()?;
        check_hash(hash).map_err(at(number))?;
        let (number, length) = next()?;
        count(length).map_err(at(number))?;
        let (number, deriver) = next()?;
        if !deriver.is_empty() {
            StorePath::new(deriver).map_err(at(number))?;
        }
        let (number, references) = next()?;
        let mut paths = Vec::new();
        for _ in 0..count(references).map_err(at(number))? {
            let (number, line) = next()?;
            paths.push(StorePath::new(line).map_err(at(number))?);
        }
        if records.contains_key(&path) {
            return Err(format!("it registers `{path}` twice"));
        }
        records.insert(path, paths);
    }
    Ok(records)
}

fn count(text: &str) -> Result<u64, String> {
    let number = text.parse();
    number.map_err(|_| format!("`{}` is no number", text.escape_debug()))
}

fn check_hash(text: &str) -> Result<(), String> {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hash = match bare.len() {
        64 => bare.bytes().all(|byte| byte.is_ascii_hexdigit()),
        52 => bare.bytes().all(|byte| BASE_32.contains(&byte)),
        _ => false,
    };
    if is_hash {
        return Ok(());
    }
    Err(format!("`{}` is no SHA-256", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letter: char, name: &str) -> String {
        format!("/nix/store/{}-{name}", letter.to_string().repeat(32))
    }

    fn record(path: &str, hash: &str, deriver: &str, references: &[String]) -> String {
        let count = references.len();
        let record = format!("{path}\n{hash}\n120\n{deriver}\n{count}\n");
        references
            .iter()
            .fold(record, |text, path| text + path + "\n")
    }

    #[test]
    fn both_dialects_of_registrations_are_read() {
        let (one, two) = (path('a', "one"), path('b', "two-1.0"));
        let closure = paths([one.as_str(), two.as_str()].into_iter()).unwrap();
        let hex = "0123456789abcdef".repeat(4);
        let base_32 = format!("sha256:{}", "0z".repeat(26));
        let of_dump = record(
            &one,
            &hex,
            &path('c', "one.drv"),
            &[one.clone(), two.clone()],
        );
        let of_closure_info = record(&two, &base_32, "", &[]);
        let text = of_dump + &of_closure_info;
        assert_eq!(check_registration(&text, Some(&closure)), Ok(()));
        assert_eq!(check_registration(&text, None), Ok(()));
    }

    #[test]
    fn registrations_that_nix_would_not_load_are_refused() {
        let (one, two) = (path('a', "one"), path('b', "two"));
        let hex = "0".repeat(64);
        let good = record(&one, &hex, "", &[]);
        let closure = paths([one.as_str(), two.as_str()].into_iter()).unwrap();
        let texts = [
            good.trim_end().to_owned(),
            good.clone() + &good,
            record(&one, "sha1:0", "", &[]),
            record(&one, &hex, "drv", &[]),
            record(&one, &hex, "", std::slice::from_ref(&two)),
            record("/nix/store/x", &hex, "", &[]),
            good.replace("120", "-1"),
            good.replace("\n0\n", "\n9\n"),
            good.clone(),
            good + &record(&path('c', "three"), &hex, "", &[]),
        ];
        let errors = texts.map(|text| check_registration(&text, Some(&closure)).unwrap_err());
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn what_is_no_closure_is_refused() {
        let one = path('a', "one");
        let elsewhere = one.replace("/nix", "/gnu");
        let cases: [&[&str]; 8] = [
            &[],
            &["one"],
            &["/nix/store"],
            &["/nix/store/../store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x"],
            &["/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-x"],
            &["/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-"],
            &["/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a b"],
            &[&one, &elsewhere],
        ];
        let errors = cases.map(|lines| paths(lines.iter().copied()).unwrap_err());
        insta::assert_snapshot!(errors.join("\n"));
    }
}
