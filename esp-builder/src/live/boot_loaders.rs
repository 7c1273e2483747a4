//! Which boot loaders on an ESP stay as they are: those that are as new as ours, and
//! those of others.
//!
//! As `bootctl update` has it, which leaves what does not say that it is systemd-boot.

use std::collections::BTreeSet;
use std::path::Path;

use bootloaders::BootLoader;
use bootloaders::loader_version::{LoaderUpdate, LoaderVersion, update};
use tree_manifest::Role;

use super::changes::{Place, recorded};
use super::execute::Mounts;
use super::known::digest_of;
use super::state::load_state;
use crate::error::Error;
use crate::loader::{self, LoaderBinary};

/// What becomes of the boot loaders on an ESP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Those that are as new as ours.
    pub current: BTreeSet<Place>,
    /// Those that somebody else put there.
    pub foreign: BTreeSet<Place>,
}

/// What a file at the place of a boot loader is.
enum Installed {
    Nothing,
    SystemdBoot(LoaderVersion),
    /// A program of firmware's, without a version of systemd-boot.
    Program,
    /// None that can be read.
    Other,
}

/// Looks at what is where these boot loaders belong.
///
/// What was written down as ours and still is what was written is ours, whatever it
/// says; so is what was written down and is no program any more: it is damaged.
///
/// # Errors
/// When what was written down cannot be read, or a boot loader whose owner it decides.
pub fn standing(loaders: &[LoaderBinary], mounts: &Mounts) -> Result<Standing, Error> {
    let mut standing = Standing::default();
    let Some(esp) = mounts.get(&Role::esp()) else {
        return Ok(standing);
    };
    for loader in loaders {
        let available = loader.info.as_deref().and_then(LoaderVersion::from_info);
        let is_systemd_boot = loader.name == BootLoader::SystemdBoot;
        for path in loader.paths.clone() {
            let file = path.on(esp);
            let place = (Role::esp(), path);
            let installed = match installed(&file) {
                Installed::SystemdBoot(_) if !is_systemd_boot => Installed::Program,
                installed => installed,
            };
            match (installed, &available) {
                (Installed::SystemdBoot(installed), Some(available)) => {
                    let found = update(Some(&installed), available);
                    if matches!(found, LoaderUpdate::Current | LoaderUpdate::Newer { .. }) {
                        standing.current.insert(place);
                    }
                }
                (Installed::Program, _) => {
                    let (state, _) = load_state(mounts)?;
                    let ours = recorded(&state, &place).and_then(|file| file.sha256);
                    if ours != Some(digest_of(&file)?) {
                        standing.foreign.insert(place);
                    }
                }
                (Installed::Other, _) => {
                    let (state, _) = load_state(mounts)?;
                    if recorded(&state, &place).is_none() {
                        standing.foreign.insert(place);
                    }
                }
                (Installed::Nothing | Installed::SystemdBoot(_), _) => {}
            }
        }
    }
    Ok(standing)
}

fn installed(file: &Path) -> Installed {
    if !file.exists() {
        return Installed::Nothing;
    }
    match loader::inspect(file) {
        Ok(binary) => {
            let version = binary.info.as_deref().and_then(LoaderVersion::from_info);
            version.map_or(Installed::Program, Installed::SystemdBoot)
        }
        Err(_) => Installed::Other,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write and look")]
mod tests {
    use super::*;
    use std::fs;

    use bootloaders::systemd_boot;
    use tree_manifest::{Entry, File, Manifest, SignatureState, Source};

    use crate::live::state::state_place;
    use crate::plan::Recipe;
    use crate::testkit::{X64, pe};

    fn version(number: u32) -> Vec<u8> {
        pe(X64, &format!("#### LoaderInfo: systemd-boot {number} ####"))
    }

    fn systemd_boot_260() -> LoaderBinary {
        LoaderBinary {
            name: BootLoader::SystemdBoot,
            arch: bootloaders::Arch::X64,
            paths: systemd_boot::binary_paths(bootloaders::Arch::X64).into(),
            recipe: Recipe::Text(String::new()),
            config: None,
            file: "/systemd-boot".into(),
            signature: SignatureState::Unsigned,
            info: Some("systemd-boot 260".to_owned()),
        }
    }

    /// What is at the place of firmware's own choice, what was written down of it, and
    /// whether it is current and foreign.
    #[test]
    fn what_is_not_systemd_boot_belongs_to_somebody_else() {
        let other = pe(X64, "another boot loader");
        let cases = [
            ("nothing", None, None, [false, false]),
            ("older", Some(version(259)), None, [false, false]),
            ("same", Some(version(260)), None, [true, false]),
            ("newer", Some(version(261)), None, [true, false]),
            ("another", Some(other.clone()), None, [false, true]),
            ("no program", Some(b"text".to_vec()), None, [false, true]),
            (
                "one of ours without a version",
                Some(other.clone()),
                Some(other.clone()),
                [false, false],
            ),
            (
                "another over ours",
                Some(other.clone()),
                Some(version(260)),
                [false, true],
            ),
            (
                "ours, cut",
                Some(version(260)[..100].to_vec()),
                Some(version(260)),
                [false, false],
            ),
        ];
        for (what, there, recorded, expected) in cases {
            let esp = tempfile::tempdir().unwrap();
            let mounts = Mounts::from([(Role::esp(), esp.path().to_owned())]);
            let [_, path] = systemd_boot::binary_paths(bootloaders::Arch::X64);
            let place = (Role::esp(), path.clone());
            fs::create_dir_all(esp.path().join("EFI/BOOT")).unwrap();
            fs::create_dir_all(esp.path().join("loader")).unwrap();
            if let Some(there) = there {
                fs::write(path.on(esp.path()), there).unwrap();
            }
            if let Some(bytes) = recorded {
                let mut state = Manifest::default();
                let file = File {
                    size: bytes.len() as u64,
                    sha256: Some(tree_manifest::Sha256::of(&bytes)),
                    source: Source::Nowhere,
                    mode: None,
                    provenance: None,
                };
                state.tree_mut(Role::esp()).insert(path, Entry::File(file));
                fs::write(state_place().1.on(esp.path()), state.to_json()).unwrap();
            }
            let ours = systemd_boot_260();
            let found = standing(&[ours], &mounts).unwrap();
            let found = [&found.current, &found.foreign].map(|set| set.contains(&place));
            assert_eq!(found, expected, "{what}");
        }
    }
}
