//! What the integration tests stand on: the laboratory that `scripts/setup` fills,
//! the referees in it, guests to boot images in, and inputs made in code.
//!
//! - [`lab`] knows where kernels, chroots and scripts are;
//! - [`peer`] runs a program, a referee's or ours, and judges its end;
//! - [`binary`] builds and finds `esp-builder` and `compose`;
//! - [`guest`] boots an image and reads what the guest says;
//! - [`pe`] makes EFI executables;
//! - [`mount`] mounts an image, or a file system that can (or cannot) reflink.
//!
//! Everything panics when it cannot do its work: what is missing fails a test and
//! never skips it. The specifications are those of the programs run; nothing here
//! knows what a right answer is.
#![expect(
    clippy::disallowed_methods,
    reason = "support for tests runs programs and reads files"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a failure here fails the test, with a message of its own"
)]

pub mod binary;
pub mod guest;
pub mod lab;
pub mod mount;
pub mod pe;
pub mod peer;

pub use guest::{BootOptions, Firmware, GuestReport, boot, boot_until, run_inside};
pub use mount::Mounted;
pub use pe::{Machine, TinyPe};
pub use peer::Peer;
