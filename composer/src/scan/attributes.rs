//! Extended attributes of sources: those that programs set, and capabilities.
//!
//! Labels of security modules and access lists are those of the host, and stay there.

use std::path::Path;

use rustix::io::Errno;

use crate::error::{self, Error};
use crate::tree::Attribute;

/// The greatest list of names, and the greatest value, that Linux has.
const MOST: usize = 65536;

/// The attributes of a file or a directory that go into an image, by name.
pub fn of(path: &Path) -> Result<Vec<Attribute>, Error> {
    let failed = |errno: Errno| error::read(path)(errno.into());
    // Most have none.
    let mut names = [0; 1024];
    let names = match rustix::fs::listxattr(path, &mut names[..]) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut names = vec![0; MOST];
            let length = rustix::fs::listxattr(path, &mut names[..]).map_err(failed)?;
            names.truncate(length);
            names
        }
        Err(errno) => return Err(failed(errno)),
    };
    let names = names.split(|byte| *byte == 0);
    let names = names.filter_map(|name| std::str::from_utf8(name).ok());
    let is_taken = |name: &&str| name.starts_with("user.") || *name == "security.capability";
    let mut attributes = Vec::new();
    for name in names.filter(is_taken) {
        let mut value = vec![0; MOST];
        let length = rustix::fs::getxattr(path, name, &mut value[..]).map_err(failed)?;
        value.truncate(length);
        attributes.push((name.to_owned(), value));
    }
    attributes.sort_unstable();
    Ok(attributes)
}
