//! The `.efifw` section: firmware of a machine, with the name that `.hwids` gives it.
//!
//! Layout: `src/boot/efi-firmware.h` of systemd.

use super::section::Content;
use crate::error::Error;

const MAGIC: u32 = 0xfeed_dead;
/// Bytes of magic, own length, length of the name, length of the firmware.
const HEADER: u32 = 16;

/// A section of a firmware with its name.
///
/// # Errors
/// When the name or the firmware is empty, the name holds a control character, or one
/// is too long.
pub fn content(name: &str, firmware: Content) -> Result<Content, Error> {
    let refuse = |reason: &str| Error::Section {
        name: ".efifw".to_owned(),
        reason: reason.to_owned(),
    };
    if name.is_empty() || name.contains(char::is_control) {
        return Err(refuse(
            "has a name that is empty or holds a control character",
        ));
    }
    if firmware.length() == 0 {
        return Err(refuse("has an empty firmware"));
    }
    let too_long = |_| refuse("is longer than 4 GiB");
    let name_length = u32::try_from(name.len() + 1).map_err(too_long)?;
    let length = u32::try_from(firmware.length()).map_err(too_long)?;
    let mut head = Vec::new();
    for field in [MAGIC, HEADER, name_length, length] {
        head.extend(field.to_le_bytes());
    }
    head.extend(name.as_bytes());
    head.push(0);
    Ok(Content::bytes(head).followed_by(firmware))
}
