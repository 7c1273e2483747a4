//! Composes GPT disk images from directory trees, without root, loop devices,
//! mounts or virtual machines.
//!
//! ```text
//! image.toml ─ config ─┐
//!                      ├─ plan ──────── ImagePlan ── raw ── image
//! trees ─ scan ────────┘  (fat, table,   (extents)
//!                          fit, seed)
//! ```
//!
//! [`config`] reads the description, [`scan`] looks at the sources, [`plan`]
//! fixes every byte of the image without reading content, and [`raw`] writes it.
//! [`image`] opens images again, for [`inspect`] and [`verify`].
//!
//! This crate knows disks and file systems. It knows no boot loader, no
//! generation and no NixOS; it takes trees as they are.

pub mod config;

pub mod digests;
mod error;

pub mod fat;
pub mod fit;
pub mod image;
pub mod inspect;
pub mod partition_type;
pub mod plan;
pub mod raw;
pub mod scan;
pub mod seed;
pub mod size;
pub mod source;
pub mod table;
pub mod tree;
pub mod verify;
pub mod volume;
pub mod window;

pub use error::Error;
