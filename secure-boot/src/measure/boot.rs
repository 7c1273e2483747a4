//! Register 4: the images that firmware starts.
//!
//! Specification: TCG PC Client Platform Firmware Profile, 3.3.4.5; the events and their
//! order are those of EDK2 (`Tcg2Dxe`). What firmware measures besides, such as boot
//! options that failed before, cannot be known.

use super::{Banks, Digests, Register};

/// The register's number.
pub const NUMBER: u32 = 4;

/// `EFI_CALLING_EFI_APPLICATION`: the boot manager begins.
const CALLING: &[u8] = b"Calling EFI Application from Boot Option";
/// `EV_SEPARATOR`: what follows is not of the firmware's own.
const SEPARATOR: &[u8] = &[0; 4];

/// The register after these images were started, one by the other: a boot loader and
/// what it starts. Their digests are those of
/// [`crate::authenticode::Image::digests`].
pub fn predict<'a>(banks: &Banks, images: impl IntoIterator<Item = &'a Digests>) -> Register {
    let mut register = Register::zero(banks);
    register.measure(CALLING);
    register.measure(SEPARATOR);
    for image in images {
        register.extend(image);
    }
    register
}
