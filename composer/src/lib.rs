//! Composes GPT disk images from directory trees, without root, loop devices,
//! mounts or virtual machines.
//!
//! ```text
//! image.toml ─ config ─┐
//!                      ├─ plan ──────── ImagePlan ── raw ── image
//! trees ─ scan ────────┘  (fat, erofs,   (extents)
//!                          table, placement, seed)
//! ```
//!
//! [`config`] reads the description and [`definitions`] those of systemd-repart, [`scan`] looks at the sources, [`plan`]
//! fixes every byte of the image without reading content, [`format`](mod@format) puts them into a file, and
//! [`raw`] writes that file, or [`stream`] a pipe.
//! [`found`] knows a disk to which partitions are added.
//! [`image`] opens images again, for [`inspect`] and [`verify`].
//!
//! This crate knows disks and file systems. It knows no boot loader, no
//! generation and no NixOS; it takes trees as they are.

pub mod config;
pub mod definitions;
pub mod digests;
mod disk_space;
pub mod dm_verity;
pub mod erofs;
mod error;
pub mod ext4;
pub mod fat;
pub mod format;
pub mod found;
mod holes;
pub mod image;
pub mod inspect;
mod joined;
mod label;
pub mod mkfs;
pub mod nix_store;
pub mod overlay;
mod parallel;
pub mod partition_type;
mod pieces;
pub mod placement;
pub mod plan;
pub mod protect;
pub mod raw;
pub mod repart;
pub mod scan;
pub mod seed;
pub mod size;
pub mod source;
pub mod split;
pub mod stream;
mod structure;
pub mod superblock;
pub mod swap;
pub mod table;
pub mod tools;
pub mod tree;
pub mod tree_command;
pub mod update;
pub mod verify;
pub mod volume;
mod volume_id;
pub mod window;

pub use error::Error;
