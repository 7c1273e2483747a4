//! The `.sbat` section: generations of parts that can be revoked.
//!
//! Specification: <https://github.com/rhboot/shim/blob/main/SBAT.md>

use crate::error::Error;

/// The first line, of the format itself.
const HEAD: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n";

/// What an image says of itself.
pub const IMAGE: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/\n";

/// What an addon says of itself.
pub const ADDON: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
uki-addon,1,UKI Addon,addon,1,https://www.freedesktop.org/software/systemd/man/latest/systemd-stub.html\n";

/// One text of several, in their order: of the stub, the kernel and the image. Each
/// begins with the line of the format, which the result has once.
///
/// # Errors
/// When a text is not one of this format.
pub fn merge<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Result<String, Error> {
    let mut merged = HEAD.to_owned();
    for bytes in texts {
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let text = std::str::from_utf8(&bytes[..bytes.len() - zeros]);
        let text = text.map_err(|_| refuse("is not UTF-8"))?;
        let mut lines = text.lines();
        match lines.next() {
            None => continue,
            Some(first) if first.starts_with("sbat,") => {}
            Some(_) => return Err(refuse("does not begin with `sbat,`")),
        }
        for line in lines {
            merged.push_str(line);
            merged.push('\n');
        }
    }
    Ok(merged)
}

fn refuse(reason: &str) -> Error {
    Error::Section {
        name: ".sbat".to_owned(),
        reason: reason.to_owned(),
    }
}
