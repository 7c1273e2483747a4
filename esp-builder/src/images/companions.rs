//! What lies beside every image, for the stub to take: addons, credentials, extensions.
//!
//! Specification: `systemd-stub(7)`, which says what becomes of each.
#![expect(clippy::disallowed_methods, reason = "looks into a directory")]

use std::fs;
use std::path::Path;

use bootloaders::BootFile;
use tree_manifest::Kind;

use crate::error::Error;
use crate::source::{Need, Sources};

/// Who needs companions, in messages.
const NEED: Need<'static> = Need {
    whose: "images",
    what: "companion",
};

/// What the stub takes from the directory beside an image, by the end of the name.
const TAKEN: [(&str, Kind); 3] = [
    (".addon.efi", Kind::Addon),
    (".cred", Kind::Extra),
    (".raw", Kind::Extra),
];

/// A file beside each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// Its name.
    pub name: String,
    /// Its bytes; the place is another.
    pub file: BootFile,
    /// What it is.
    pub kind: Kind,
}

/// Finds the companions in a directory, by name.
///
/// # Errors
/// When the directory or something in it cannot be read, or is nothing that a stub takes.
pub(super) fn find(
    directory: Option<&Path>,
    sources: &mut Sources,
) -> Result<Vec<Companion>, Error> {
    let Some(directory) = directory else {
        return Ok(Vec::new());
    };
    let mut companions = Vec::new();
    let failed = |source| NEED.missing(directory, source);
    for item in fs::read_dir(directory).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::NotUtf8(path.clone()))?;
        let kind = TAKEN.iter().find(|(end, _)| name.ends_with(end));
        let Some((_, kind)) = kind else {
            let reason = "is nothing that a stub takes: `.addon.efi`, `.cred` and `.raw` are";
            return Err(Error::Unfit {
                whose: NEED.whose.to_owned(),
                what: NEED.what,
                path,
                reason: reason.to_owned(),
            });
        };
        companions.push(Companion {
            name: name.to_owned(),
            kind: *kind,
            file: sources.host_file(&path, NEED)?,
        });
    }
    companions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(companions)
}
