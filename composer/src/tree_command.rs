//! Trees that a program makes when root hashes are known.
//!
//! A boot loader's files may have to name the root hash of another partition: this runs
//! whatever program makes them, between the computation of hashes and the layout of the
//! partition for those files. What the program is, nobody here knows.
#![expect(clippy::disallowed_methods, reason = "runs the programs")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::{ImageConfig, PartitionConfig, verity_sets};
use crate::error::{self, Error};
use crate::partition_type::PartitionType;
use crate::plan::{self, ImageLayout};
use crate::scan::{self, CheckDigests, Inputs};

/// The placeholder for the folder that a program makes.
pub(crate) const OUT: &str = "{out}";

/// Runs the program of each partition that has one, and finds what it made in `folder`.
///
/// # Errors
/// When a placeholder stands for nothing, a program is not there or fails, or what it made
/// cannot be found.
pub fn run(
    config: &ImageConfig,
    base: &Path,
    digests: CheckDigests,
    folder: &Path,
    (inputs, layout): (&mut Inputs, &ImageLayout),
) -> Result<(), Error> {
    let folder = std::path::absolute(folder).map_err(error::write(folder))?;
    let hashes = root_hashes(config, layout);
    for (index, partition) in config.partitions.iter().enumerate() {
        if partition.tree_command.is_empty() {
            continue;
        }
        let out = folder.join(format!("tree-{}", index + 1));
        let mut values = hashes.clone();
        values.insert("out".to_owned(), Some(out.to_string_lossy().into_owned()));
        let made = make(partition, base, &values).and_then(|made| {
            check_made(partition, &out)?;
            scan::rescan(inputs, &made, index, (base, digests))
        });
        made.map_err(|source| plan::in_partition(config, index, source))?;
    }
    Ok(())
}

/// Runs the program of a partition where no root hash is known; the partition then names
/// what it made at `out`.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_alone(
    partition: &PartitionConfig,
    base: &Path,
    out: &Path,
) -> Result<PartitionConfig, Error> {
    let value = Some(out.to_string_lossy().into_owned());
    let made = make(
        partition,
        base,
        &BTreeMap::from([("out".to_owned(), value)]),
    )?;
    check_made(partition, out)?;
    Ok(made)
}

fn check_made(partition: &PartitionConfig, out: &Path) -> Result<(), Error> {
    if out.exists() {
        return Ok(());
    }
    let reason = format!("`{}` made nothing at `{OUT}`", partition.tree_command[0]);
    Err(Error::Command { reason })
}

/// Runs a program; the partition then names what it made.
fn make(
    partition: &PartitionConfig,
    base: &Path,
    values: &BTreeMap<String, Option<String>>,
) -> Result<PartitionConfig, Error> {
    let fill_in = |text: &String| fill_in(text, values).map_err(|reason| Error::Command { reason });
    let words = partition.tree_command.iter().map(fill_in);
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    let Some((program, arguments)) = words.split_first() else {
        return Ok(partition.clone());
    };
    let base = std::path::absolute(Path::new(".").join(base)).map_err(error::read(base))?;
    // One that is named by a path is where the description is; others are in PATH.
    let path = if program.contains('/') {
        base.join(program)
    } else {
        program.into()
    };
    let mut command = Command::new(&path);
    command.current_dir(&base).stdin(Stdio::null());
    let output = command.args(arguments).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Command {
            reason: format!("`{}` is not there", path.display()),
        },
        _ => error::read(&path)(error),
    })?;
    if !output.status.success() {
        return Err(Error::of_program(&path, &output));
    }
    let tree = partition.tree.clone().unwrap_or_else(|| OUT.to_owned());
    Ok(PartitionConfig {
        tree: Some(fill_in(&tree)?),
        tree_command: Vec::new(),
        ..partition.clone()
    })
}

/// What placeholders for root hashes stand for: `roothash` and `usrhash` for the only
/// protected partition of such a type, `roothash:KEY` for the set of a match key.
fn root_hashes(config: &ImageConfig, layout: &ImageLayout) -> BTreeMap<String, Option<String>> {
    let mut values: BTreeMap<String, Option<String>> = BTreeMap::new();
    for set in verity_sets(&config.partitions).unwrap_or_default() {
        let data = &config.partitions[set.data];
        let Some(root_hash) = layout.root_hash(set.data) else {
            continue;
        };
        let key = data.verity_match_key.as_deref().unwrap_or_default();
        values.insert(format!("roothash:{key}"), Some(root_hash.to_owned()));
        let kind = data.partition_type().ok().and_then(PartitionType::name);
        for (prefix, name) in [("root-", "roothash"), ("usr-", "usrhash")] {
            if kind.as_deref().is_some_and(|kind| kind.starts_with(prefix)) {
                let is_first = !values.contains_key(name);
                let value = is_first.then(|| root_hash.to_owned());
                values.insert(name.to_owned(), value);
            }
        }
    }
    values
}

/// A text whose placeholders in braces are replaced; two braces stand for one.
fn fill_in(text: &str, values: &BTreeMap<String, Option<String>>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(behind) = behind.strip_prefix(brace) {
            filled.push_str(brace);
            rest = behind;
            continue;
        }
        let named = behind.split_once('}').filter(|_| brace == "{");
        let Some((name, behind)) = named else {
            return Err(format!(
                "`{text}` has a brace alone; two of them stand for one"
            ));
        };
        match values.get(name) {
            Some(Some(value)) => filled.push_str(value),
            Some(None) => {
                let way = "`{roothash:KEY}` names one by its `verity-match-key`";
                return Err(format!("`{{{name}}}` could be one of several: {way}"));
            }
            None => {
                let known = values.keys().map(|name| format!("`{{{name}}}`"));
                let known = known.collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "`{{{name}}}` stands for nothing; there are {known}"
                ));
            }
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_unknown_ones_refused() {
        let values = BTreeMap::from([
            ("out".to_owned(), Some("/o".to_owned())),
            ("usrhash".to_owned(), None),
        ]);
        let cases = [
            "plain",
            "{out}",
            "a={out}/{out}",
            "{{out}} }}{{",
            "{usrhash}",
            "{roothash}",
            "{out",
            "out}",
        ];
        let results = cases.map(|text| match fill_in(text, &values) {
            Ok(filled) => format!("{text}  →  {filled}"),
            Err(reason) => format!("{text}  ✗  {reason}"),
        });
        insta::assert_snapshot!(results.join("\n"));
    }
}
