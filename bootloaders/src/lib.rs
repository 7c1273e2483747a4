//! What each boot loader expects to find on disk.
//!
//! Values and text only: this crate does no I/O, and reads no clock and no
//! environment. It knows the [Boot Loader Specification], systemd-boot's files,
//! the heads of PE images, Unified Kernel Images, firmware's boot options and the
//! kernel's command line; it does not know where generations come from or how a tree
//! is written.
//!
//! A [`BootEntry`] is a bootable thing before anybody chose how to store it.
//! Each boot loader's module turns entries into that loader's files.
//!
//! ```
//! use bootloaders::loader_conf::LoaderConf;
//!
//! let reading = LoaderConf::parse("timeout 5\ntimout 7\n");
//! assert_eq!(reading.conf.render(), "timeout 5\n");
//! let slip = reading.passed_over[0].error.to_string();
//! assert!(slip.ends_with("did you mean `timeout`?"));
//! ```
//!
//! [Boot Loader Specification]: https://uapi-group.org/specifications/specs/boot_loader_specification/

mod arch;
pub mod bls;
pub mod boot_counting;
mod boot_loader;
pub mod boot_order;
mod cmdline;
mod entry;
mod entry_name;
mod error;
pub mod extlinux;
pub mod extra;
pub mod grub;
mod key_value;
pub mod limine;
mod line;
pub mod load_option;
pub mod loader_conf;
pub mod loader_version;
pub mod menu;
pub mod ownership;
pub mod pe;
mod place;
pub mod refind;
pub mod systemd_boot;
pub mod uki;
pub mod xen;

pub use arch::Arch;
pub use boot_counting::EntryFileName;
pub use boot_loader::BootLoader;
pub use cmdline::CommandLine;
pub use entry::{BootEntry, BootFile, EntryId, Hypervisor, Secret, SecretInitrd};
pub use entry_name::{EntryName, EntryNaming, content_name, entry_name};
pub use error::Error;
pub use line::{Line, MachineId};
pub use loader_version::LoaderVersion;
