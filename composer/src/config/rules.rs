//! Which keys of a partition go together.

use std::path::Path;

use super::choice::{Encrypt, FileSystem, Integrity, Minimize, Verity};
use super::partition::{PartitionConfig, copy_options};
use crate::size::ByteSize;
use crate::tree_command::OUT;

/// The greatest weight, as in systemd-repart.
const MAX_WEIGHT: u32 = 1_000_000;

/// What can be said of files that are copied.
const COPY_OPTIONS: [&str; 2] = ["fsverity=off", "fsverity=copy"];

/// Checks a partition after [`PartitionConfig::settle`].
///
/// # Errors
/// With a sentence about the keys that contradict each other.
pub fn check(partition: &PartitionConfig) -> Result<(), String> {
    check_label(partition)?;
    check_sizes(partition)?;
    check_content(partition)?;
    check_fat(partition)?;
    check_files(partition)?;
    check_command(partition)?;
    check_store(partition)?;
    check_protection(partition)
}

fn check_label(partition: &PartitionConfig) -> Result<(), String> {
    let units = partition.label().encode_utf16().count();
    if units > 36 {
        return Err(format!(
            "label `{}` has {units} UTF-16 units; a GPT holds 36",
            partition.label().escape_debug()
        ));
    }
    if partition.label().contains(char::is_control) {
        return Err(format!(
            "label `{}` has control characters",
            partition.label().escape_debug()
        ));
    }
    Ok(())
}

fn check_sizes(partition: &PartitionConfig) -> Result<(), String> {
    for (key, weight) in [
        ("weight", partition.weight),
        ("padding-weight", partition.padding_weight),
    ] {
        if weight.is_some_and(|weight| weight > MAX_WEIGHT) {
            return Err(format!("`{key}` is above {MAX_WEIGHT}"));
        }
    }
    let bounds = [
        ("size", partition.size_min_bytes, partition.size_max_bytes),
        (
            "padding",
            partition.padding_min_bytes,
            partition.padding_max_bytes,
        ),
    ];
    for (key, least, most) in bounds {
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            return Err(format!(
                "`{key}-min-bytes` {least} is above `{key}-max-bytes` {most}"
            ));
        }
    }
    let powers = [
        (
            "verity-data-block-size-bytes",
            partition.verity_data_block_size_bytes,
            4096,
        ),
        (
            "verity-hash-block-size-bytes",
            partition.verity_hash_block_size_bytes,
            4096,
        ),
        (
            "file-system-sector-size",
            partition.file_system_sector_size,
            65536,
        ),
    ];
    for (key, size, most) in powers {
        if let Some(size) = size.map(ByteSize::bytes)
            && !(size.is_power_of_two() && (512..=most).contains(&size))
        {
            return Err(format!(
                "`{key}` is {size}; it is a power of two from 512 to {most}"
            ));
        }
    }
    Ok(())
}

fn check_content(partition: &PartitionConfig) -> Result<(), String> {
    let format = partition.format;
    if partition.copy_blocks.is_some() && (format.is_some() || partition.has_files()) {
        return Err("`copy-blocks` excludes `format` and files".to_owned());
    }
    if partition.copy_blocks.as_deref() == Some(Path::new("auto")) {
        return Err(
            "`copy-blocks = \"auto\"` would copy from this machine; write `./auto` for a file"
                .to_owned(),
        );
    }
    if partition.has_files() && format == Some(FileSystem::Swap) {
        return Err("swap space holds no files".to_owned());
    }
    if partition.has_files() && format.is_none() {
        return Err("`format = \"empty\"` excludes files".to_owned());
    }
    if let Some(format) = format.filter(|format| format.is_read_only())
        && !partition.has_files()
    {
        let name = format.name();
        return Err(format!(
            "{name} is never written to, and there are no files for it"
        ));
    }
    let is_hash = partition.verity == Some(Verity::Hash);
    match partition.minimize {
        None | Some(Minimize::Off) => {}
        Some(_) if is_hash => {}
        // systemd-repart shrinks btrfs.
        Some(Minimize::Best) if format == Some(FileSystem::Btrfs) => {}
        Some(Minimize::Best) if format.is_some_and(|format| !format.is_read_only()) => {
            return Err(
                "`minimize = \"best\"` is for btrfs, erofs, squashfs and hashes; others have \"guess\""
                    .to_owned(),
            );
        }
        Some(_) if format.is_none() => {
            return Err("`minimize` needs a file system or `verity = \"hash\"`".to_owned());
        }
        Some(_) => {}
    }
    let compresses = matches!(
        format,
        Some(FileSystem::Btrfs | FileSystem::Erofs | FileSystem::Squashfs)
    );
    if partition.compression.is_some() && !compresses {
        return Err("`compression` is for btrfs, erofs and squashfs".to_owned());
    }
    if partition.compression_level.is_some() && partition.compression.is_none() {
        return Err("`compression-level` needs `compression`".to_owned());
    }
    Ok(())
}

fn check_command(partition: &PartitionConfig) -> Result<(), String> {
    if partition.tree_command.is_empty() {
        return Ok(());
    }
    let mut words = partition.tree_command.iter();
    if !words.any(|word| word.contains(OUT)) {
        return Err(format!(
            "`tree-command` is not told where to make the tree: give it `{OUT}`"
        ));
    }
    if let Some(tree) = &partition.tree
        && !tree.starts_with(OUT)
    {
        return Err(format!(
            "`tree` is made by `tree-command`: write `{OUT}`, or `{OUT}/MANIFEST#ROLE`"
        ));
    }
    if let Some(format) = partition.format.filter(|format| format.is_read_only()) {
        let name = format.name();
        return Err(format!(
            "`tree-command` is for file systems whose size is known before: not for {name}"
        ));
    }
    if partition.verity.is_some_and(|verity| verity != Verity::Off) {
        return Err("`tree-command` runs when hashes are known: not on what is hashed".to_owned());
    }
    Ok(())
}

fn check_fat(partition: &PartitionConfig) -> Result<(), String> {
    let is_vfat = partition.format == Some(FileSystem::Vfat);
    if (partition.fat_type.is_some() || partition.cluster_size.is_some()) && !is_vfat {
        return Err("`fat-type` and `cluster-size` need `format = \"vfat\"`".to_owned());
    }
    if let Some(cluster) = partition.cluster_size.map(ByteSize::bytes)
        && !(cluster.is_power_of_two() && (512..=65536).contains(&cluster))
    {
        return Err(format!(
            "`cluster-size` is {cluster}; FAT has powers of two to 65536"
        ));
    }
    Ok(())
}

fn check_files(partition: &PartitionConfig) -> Result<(), String> {
    if !partition.make_symlinks.is_empty() && partition.format == Some(FileSystem::Vfat) {
        return Err("vfat holds no symbolic links: leave out `make-symlinks`".to_owned());
    }
    for options in partition
        .copy_files
        .iter()
        .filter_map(|it| copy_options(it))
    {
        if let Some(option) = options.split(',').find(|it| !COPY_OPTIONS.contains(it)) {
            return Err(format!(
                "`copy-files` has the option `{}`; there are `fsverity=off` and `fsverity=copy`",
                option.escape_debug()
            ));
        }
    }
    for link in &partition.make_symlinks {
        if !link.contains(':') {
            return Err(format!(
                "`make-symlinks` has `{}`; write `PLACE:WHERE IT LEADS`",
                link.escape_debug()
            ));
        }
    }
    let is_btrfs = partition.format == Some(FileSystem::Btrfs);
    if !partition.subvolumes.is_empty() && !is_btrfs {
        return Err("`subvolumes` needs `format = \"btrfs\"`".to_owned());
    }
    for subvolume in &partition.subvolumes {
        let (_, flags) = subvolume.split_once(':').unwrap_or_default();
        for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
            if !["ro", "nodatacow"].contains(&flag) {
                return Err(format!(
                    "a subvolume has the flag `{}`; there are `ro` and `nodatacow`",
                    flag.escape_debug()
                ));
            }
        }
    }
    if let Some(default) = &partition.default_subvolume {
        let path = |subvolume: &String| subvolume.split(':').next().map(ToOwned::to_owned);
        if !partition
            .subvolumes
            .iter()
            .any(|one| path(one).as_ref() == Some(default))
        {
            return Err("`default-subvolume` is none of `subvolumes`".to_owned());
        }
    }
    Ok(())
}

fn check_store(partition: &PartitionConfig) -> Result<(), String> {
    if partition.closure.is_some() && !partition.store_paths.is_empty() {
        return Err("`closure` and `store-paths` say the same: leave one out".to_owned());
    }
    if partition.has_store() && partition.format == Some(FileSystem::Vfat) {
        return Err("vfat cannot hold a store: choose another `format`".to_owned());
    }
    if partition.nix_store_prefix.is_some() && !partition.has_store() {
        return Err("`nix-store-prefix` needs `closure` or `store-paths`".to_owned());
    }
    if partition.registration.is_some() && partition.holds_only_a_store() {
        return Err(
            "a `registration` in the root of a store would be an object of it: \
             give it to the partition that is the root of the system"
                .to_owned(),
        );
    }
    Ok(())
}

fn check_protection(partition: &PartitionConfig) -> Result<(), String> {
    let verity = partition.verity.filter(|verity| *verity != Verity::Off);
    if verity.is_some() != partition.verity_match_key.is_some() {
        return Err("`verity` and `verity-match-key` need each other".to_owned());
    }
    let has_content =
        partition.copy_blocks.is_some() || partition.format.is_some() || partition.has_files();
    if matches!(verity, Some(Verity::Hash | Verity::Signature)) && has_content {
        return Err("what dm-verity needs is computed: leave out content and `format`".to_owned());
    }
    let has_sizes = partition.size_min_bytes.is_some() || partition.size_max_bytes.is_some();
    if verity == Some(Verity::Signature) && has_sizes {
        return Err("a signature has a size of its own: leave out the sizes".to_owned());
    }
    let is_encrypted = partition
        .encrypt
        .is_some_and(|encrypt| encrypt != Encrypt::Off);
    if partition.integrity == Some(Integrity::Inline) && !is_encrypted {
        return Err("`integrity` needs `encrypt`".to_owned());
    }
    Ok(())
}
