//! The tests that run the binaries as users do.
//!
//! What a binary makes is judged by programs that are not ours; `scripts/setup
//! test` installs them, and a missing one fails.
#![expect(
    clippy::disallowed_methods,
    reason = "tests run programs and read files"
)]
#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a failure fails the test, and speed is no concern"
)]

/// Trees and images made in code, and the ways to look at them.
mod kit;

/// Systems to build trees of: real ones that boot, and made-up ones.
mod system;

/// `esp-builder`: trees and manifests, judged by bootctl and a schema.
mod trees;

/// The order of versions, judged by systemd.
mod versions;

/// `compose`: what it makes, judged by fsck, mtools, sfdisk and sgdisk.
mod images;

/// Formats of images, judged by qemu-img, and compressed ones.
mod formats;

/// dm-verity, judged by veritysetup, systemd-repart and systemd-dissect.
mod verity;

/// Trees that are made when root hashes are known.
mod one_pass;

/// Partitions as files, digests, and updates by systemd-sysupdate.
mod updates;

/// `compose update`.
mod in_place;

/// Where `compose` puts partitions, against systemd-repart.
mod placement;

/// File systems that other programs make, judged by their own checkers.
mod file_systems;

/// Their sizes, which are counted before a program runs.
mod file_system_attributes;
mod file_system_sizes;

/// A tree that is a trouble to file systems, and what is seen of it.
mod trouble;

/// ext4, judged by e2fsprogs, GRUB and a kernel.
mod ext4;

/// ext4 that is written to, grown and shrunk.
mod ext4_in_use;

/// EROFS without compression, judged by erofs-utils and a kernel.
mod erofs;

/// The programs that are run, where `PATH` has none.
mod tools;

/// Partitions that hold a store of Nix.
mod stores;

/// That nothing depends on who makes it, where and when.
mod reproducible;

/// The engine `repart`, and definitions of systemd-repart.
mod repart;

/// `compose` on file systems that share blocks, and on those that do not.
mod sharing;

/// Writes that fail, processes that are killed, disks that are full, and two at once.
mod faults;

/// Programs that run out of room, sources that fail or change, and updates that are killed.
mod composing_faults;

/// Stores that are only read, secrets and keys that are their owner's, and no shell.
mod permissions;

/// What `compose` refuses, and that it leaves nothing behind.
mod refusals;

/// `inspect`, `ls`, `cat`, `extract`, `verify`.
mod looking;
mod measuring;

/// `esp-builder install` and its kin, on a directory in place of a partition.
mod live;

/// `esp-builder` on profiles that Nix made.
mod profiles;

/// The secrets that generations make for their initrds.
mod secrets;

/// `esp-builder install` in a guest, and what its firmware makes of it.
mod firmware;

/// `esp-builder install` on a real partition, in a guest that then boots from it.
mod in_use;

/// Keys and signatures, judged by sbsigntool, openssl, efitools and the firmware.
mod signing;

/// Whole trees and partitions whose every program is signed.
mod signed_trees;

/// Chains of certificates, the signatures of other tools, and certificates of others.
mod certificates;

/// `esp-builder uki`: images and addons beside those of ukify, and booted.
mod ukis;

/// `--layout uki`: menus of images, judged by bootctl and ukify, and booted.
mod uki_trees;

/// Boot loaders other than systemd-boot, each started by firmware.
mod loaders;

/// Trees and images for aarch64, with device trees, in an emulated machine of it.
mod aarch64;

/// Manual pages, completions and the reference of flags.
mod manuals;

/// The Debian package.
mod packages;

/// The book: its links, its examples, and what its tables leave out.
mod book;

/// The commands that the book has its readers run, and the machine at their end.
mod tutorial;

/// What the documentation says of tests.
mod promises;

/// Both stages, and then the machine.
mod adding;
mod boots;
