//! Extended attributes of sources: those that programs set, and capabilities.
//!
//! Labels of security modules and access lists are those of the host, and stay there.

use std::path::Path;

use rustix::io::Errno;

use crate::error::{self, Error};
use crate::tree::Attribute;

/// The greatest list of names, and the greatest value, that Linux has.
const MOST: usize = 65536;

/// The attributes of a file or a directory.
#[derive(Debug, Default)]
pub struct Attributes {
    /// Those that go into an image, by name.
    pub taken: Vec<Attribute>,
    /// Whether there are others.
    pub has_others: bool,
}

/// Reads the attributes of a file or a directory.
pub fn of(path: &Path) -> Result<Attributes, Error> {
    let failed = |errno: Errno| error::read(path)(errno.into());
    // Most have none.
    let mut names = [0; 1024];
    let names = match rustix::fs::listxattr(path, &mut names[..]) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Attributes::default()),
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut names = vec![0; MOST];
            let length = rustix::fs::listxattr(path, &mut names[..]).map_err(failed)?;
            names.truncate(length);
            names
        }
        Err(errno) => return Err(failed(errno)),
    };
    let is_taken = |name: &str| name.starts_with("user.") || name == "security.capability";
    let mut attributes = Attributes::default();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = std::str::from_utf8(name).unwrap_or_default();
        if !is_taken(name) {
            attributes.has_others = true;
            continue;
        }
        let mut value = vec![0; MOST];
        let length = rustix::fs::getxattr(path, name, &mut value[..]).map_err(failed)?;
        value.truncate(length);
        attributes.taken.push((name.to_owned(), value));
    }
    attributes.taken.sort_unstable();
    Ok(attributes)
}
