//! Secrets for initial RAM disks.
//!
//! A generation may bring a program that appends the secrets of the machine it runs
//! on to the file it is given (`initrdSecrets` of RFC 125). Here it is given an empty
//! one: what it appends is an initial RAM disk of its own, which the kernel unpacks
//! after the first. So no generation needs another copy of its whole initrd, and the
//! store's one stays as it is.
//!
//! The file that is given is in memory: no secret touches a disk before it is on the
//! boot partition.
#![expect(
    clippy::disallowed_methods,
    reason = "runs programs and reads what they made"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bootloaders::{BootEntry, Secret, SecretInitrd};
use rustix::fs::MemfdFlags;
use tree_manifest::{Sha256, TreePath};

use crate::error::Error;
use crate::generation::{GenerationSet, describe};
use crate::settings::InitrdSecrets;
use crate::source::{DIRECTORY, Sources, read_whole};
use crate::warning::Warning;

mod kept;

use kept::kept;

/// The most that a program may append, in bytes: firmware has to load it.
const LARGEST: u64 = 64 << 20;

/// The permissions that let others than the owner and the group read a directory's
/// files.
const READABLE_BY_ALL: u32 = 0o005;

/// Adds to each entry the secrets of its generation, as the settings want it.
///
/// A program that fails is an error when its entry is the default. An older
/// generation keeps the secrets that an earlier run made.
///
/// # Errors
/// [`Error::Secrets`] for the default entry.
pub(crate) fn add(
    entries: &mut [BootEntry],
    generations: &GenerationSet,
    default: usize,
    wanted: &InitrdSecrets,
    sources: &Sources,
) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    let mut made = BTreeMap::new();
    let systems = generations.as_slice().iter().enumerate();
    for ((index, generation), entry) in systems.zip(entries.iter_mut()) {
        let Some(program) = &generation.system.initrd_secrets else {
            continue;
        };
        let whose = describe(&generation.id);
        let boot = match wanted {
            // A program of another root would find neither itself nor its secrets.
            InitrdSecrets::Append { boot } if !sources.is_relocated() => boot,
            _ => {
                warnings.push(Warning::InitrdSecrets { whose });
                continue;
            }
        };
        let path = place(entry, program);
        let content = match made.entry(program).or_insert_with(|| run(program)) {
            Ok(content) => Some(content.clone()),
            Err(reason) if index == default => {
                return Err(Error::Secrets {
                    whose,
                    program: program.clone(),
                    reason: reason.clone(),
                });
            }
            Err(reason) => {
                let kept = kept(boot, &path, entry);
                warnings.push(Warning::OldSecrets {
                    whose,
                    reason: reason.clone(),
                    are_kept: kept.is_some(),
                });
                kept
            }
        };
        entry.secrets = content
            .filter(|content| !content.bytes().is_empty())
            .map(|content| SecretInitrd { path, content });
    }
    if let InitrdSecrets::Append { boot } = wanted {
        warnings.extend(readable(entries, boot));
    }
    Ok(warnings)
}

/// Boot partitions on which everybody can read the secrets of entries.
fn readable(entries: &[BootEntry], boot: &[PathBuf]) -> Vec<Warning> {
    if entries.iter().all(|entry| entry.secrets.is_none()) {
        return Vec::new();
    }
    let is_readable = |path: &&PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.permissions().mode() & READABLE_BY_ALL != 0)
    };
    let warning = |path: &PathBuf| Warning::ReadableSecrets { path: path.clone() };
    boot.iter().filter(is_readable).map(warning).collect()
}

/// Where the secrets of an entry lie: told apart, as nixpkgs does it, by the initial
/// RAM disk that they complete and by the program that makes them.
fn place(entry: &BootEntry, program: &Path) -> TreePath {
    let initrds = entry.initrds.iter().map(|initrd| initrd.path.to_string());
    let program = program.display().to_string();
    let parts: Vec<_> = initrds.chain([program]).collect();
    let name = Sha256::of(parts.join("\n").as_bytes());
    TreePath::new(format!("{DIRECTORY}/{name}-secrets.efi"))
        .unwrap_or_else(|error| unreachable!("a path of digits: {error}"))
}

/// Lets a program append to an empty file; or says why that failed.
fn run(program: &Path) -> Result<Secret, String> {
    let failed = |error: io::Error| format!("it cannot be started: {error}");
    let file = rustix::fs::memfd_create("initrd-secrets", MemfdFlags::CLOEXEC)
        .map_err(|error| failed(error.into()))?;
    let mut file = File::from(file);
    let output = Command::new(program)
        .arg(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            file.as_raw_fd()
        ))
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let said = last.map(|line| format!(": {}", line.trim().escape_debug()));
        return Err(format!("{}{}", output.status, said.unwrap_or_default()));
    }
    let unreadable = |error: io::Error| format!("what it made cannot be read: {error}");
    let size = file.metadata().map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(format!(
            "it made {size} bytes, which are more than {LARGEST}"
        ));
    }
    file.rewind().map_err(unreadable)?;
    Ok(read_whole(file, size).map_err(unreadable)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_append_to_what_is_in_no_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let program = |text: &str| {
            let path = folder.path().join("append");
            let _ = fs::remove_file(&path);
            fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let made = run(&program("printf a >> \"$1\"; printf b >> \"$1\"")).unwrap();
        assert_eq!(made.bytes(), b"ab");
        assert_eq!(format!("{made:?}"), "Secret(2 bytes)");
        assert!(run(&program("")).unwrap().bytes().is_empty());
        let reason = run(&program("echo no key >&2; echo >&2; exit 3")).unwrap_err();
        assert_eq!(reason, "exit status: 3: no key");
        let reason = run(&folder.path().join("absent")).unwrap_err();
        assert!(reason.starts_with("it cannot be started: "), "{reason}");
        let large = program(&format!("truncate -s {} \"$1\"", LARGEST + 1));
        let reason = run(&large).unwrap_err();
        assert!(reason.starts_with("it made 67108865 bytes"), "{reason}");
    }
}
