//! Says with the keys of definitions what only descriptions have keys for.
//!
//! Files of a manifest that are no files elsewhere, but texts or put together from pieces,
//! are written to a folder beside the definitions, as are names that definitions cannot
//! spell.
#![expect(clippy::disallowed_methods, reason = "looks at the sources")]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::config::{ImageConfig, PartitionConfig};
use crate::definitions::render;
use crate::digests;
use crate::error::{self, Error};
use crate::mkfs;
use crate::nix_store;
use crate::plan;
use crate::scan::{self, CheckDigests, Closure, PartitionInput};
use crate::source::Sources;
use crate::tree::{FileContent, FileTree, Node};
use crate::tree_command;

/// A description whose trees and closures are lists of files to copy. What has to be
/// written is written to `directory`, where definitions go.
///
/// # Errors
/// When a program that makes a tree fails, or a manifest or a closure cannot be read, or is
/// none.
pub fn spell_out(
    config: &ImageConfig,
    base: &Path,
    directory: &Path,
    check: CheckDigests,
) -> Result<ImageConfig, Error> {
    let mut config = config.clone();
    let directory = std::path::absolute(directory).map_err(error::write(directory))?;
    let names = render::names(&config);
    for (index, name) in names.iter().enumerate() {
        let partition = &mut config.partitions[index];
        let beside = |what: &str| directory.join(format!("{name}.{what}"));
        let spelled = run_command(partition, base, &beside("made"))
            .and_then(|()| spell_out_tree(partition, base, &beside("files"), check))
            .and_then(|()| spell_out_store(partition, base));
        spelled.map_err(|source| plan::in_partition(&config, index, source))?;
    }
    Ok(config)
}

/// Has a program make the tree, which stays as long as the definitions.
fn run_command(partition: &mut PartitionConfig, base: &Path, out: &Path) -> Result<(), Error> {
    if !partition.tree_command.is_empty() {
        remove(out)?;
        *partition = tree_command::run_alone(partition, base, out)?;
    }
    Ok(())
}

fn spell_out_tree(
    partition: &mut PartitionConfig,
    base: &Path,
    beside: &Path,
    check: CheckDigests,
) -> Result<(), Error> {
    let is_of_manifest = |tree: &String| tree.contains('#');
    if !partition.tree.as_ref().is_some_and(is_of_manifest) {
        return Ok(());
    }
    let alone = PartitionConfig {
        partition_type: partition.partition_type.clone(),
        format: partition.format,
        tree: partition.tree.take(),
        ..PartitionConfig::default()
    };
    let alone = ImageConfig {
        partitions: vec![alone],
        ..ImageConfig::default()
    };
    let mut inputs = scan::scan(&alone, base, check)?;
    digests::check(&inputs.sources)?;
    let Some(PartitionInput::Tree(tree)) = inputs.partitions.pop() else {
        unreachable!("it has a tree");
    };
    let (mut copied, rest) = apart(&tree, &inputs.sources)?;
    remove(beside)?;
    if rest.iter().next().is_some() {
        mkfs::copy_tree(&rest, &inputs.sources, beside)?;
        copied.insert(0, format!("{}:/", beside.display()));
    }
    copied.append(&mut partition.copy_files);
    partition.copy_files = copied;
    Ok(())
}

/// What definitions can copy from where it is, and the rest.
fn apart(tree: &FileTree, sources: &Sources) -> Result<(Vec<String>, FileTree), Error> {
    let (mut copied, mut rest) = (Vec::new(), FileTree::default());
    for (place, node) in tree.iter() {
        match node {
            Node::Directory => rest.add_directory(place.clone())?,
            Node::Symlink(leads) => rest.add_symlink(place.clone(), leads.clone())?,
            Node::File(content) => {
                if let FileContent::Source(id, _) = content
                    && let Some(item) = item(&sources.get(*id).path, place.as_str())
                {
                    copied.push(item);
                    continue;
                }
                rest.add_file(place.clone(), content.clone())?;
            }
        }
        rest.set_mode(place.clone(), tree.mode(place));
    }
    Ok((copied, rest))
}

/// A file to copy as definitions spell it; none where they cannot.
fn item(from: &Path, to: &str) -> Option<String> {
    let from = std::path::absolute(from).ok()?;
    let from = from.to_str().filter(|from| !from.contains(':'))?;
    (!to.contains(':')).then(|| format!("{from}:/{to}"))
}

/// Removes what an earlier run wrote.
fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error::write(folder)(error)),
        _ => Ok(()),
    }
}

fn spell_out_store(partition: &mut PartitionConfig, base: &Path) -> Result<(), Error> {
    let closure = Closure::of(partition, base)?;
    let prefix = format!("/{}", partition.nix_store_prefix().trim_matches('/'));
    let prefix = prefix.trim_end_matches('/');
    for path in &closure.paths {
        let place = format!("{prefix}/{}", path.name());
        let from = Path::new(path.as_str());
        let metadata = fs::symlink_metadata(from).map_err(error::read(from))?;
        if metadata.is_symlink() {
            // systemd-repart would copy what it leads to.
            let leads = fs::read_link(from).map_err(error::read(from))?;
            let link = format!("{place}:{}", leads.display());
            partition.make_symlinks.push(link);
        } else {
            partition.copy_files.push(format!("{path}:{place}"));
        }
    }
    if let Some(registration) = closure.registration {
        let place = nix_store::REGISTRATION;
        let item = format!("{}:/{place}", registration.display());
        partition.copy_files.push(item);
    }
    partition.closure = None;
    partition.store_paths.clear();
    partition.nix_store_prefix = None;
    partition.registration = None;
    Ok(())
}
