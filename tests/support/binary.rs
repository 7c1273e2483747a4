//! Finds `esp-builder` and `compose`, built from this tree in the profile of the
//! test that asks.
//!
//! Cargo tells a test only of binaries of its own package, and ours are others'.
//! Under `cargo test --target TRIPLE` they are built once more for the host.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::lab;
use crate::peer::Peer;

/// `esp-builder`, to be run in `folder`.
#[must_use]
pub fn esp_builder(folder: &Path) -> Peer {
    Peer::ours(&built("esp-builder"), folder)
}

/// `compose`, to be run in `folder`.
#[must_use]
pub fn compose(folder: &Path) -> Peer {
    Peer::ours(&built("compose"), folder)
}

/// The path of one of our programs, built when it is asked for the first time.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(build).join(name);
    assert!(path.exists(), "cargo built no `{}`", path.display());
    path
}

/// Builds both; this waits for a lock when the tests' own cargo still compiles.
fn build() -> PathBuf {
    let folder = profile_folder();
    let name = folder.file_name().expect("a profile has a name");
    let profile = if name == "debug" {
        "dev".as_ref()
    } else {
        name
    };
    let target = folder.parent().expect("a profile lies in a target folder");
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let path = env::var_os("PATH").unwrap_or_default();
    let mut peer = Peer::host(cargo).env("PATH", path).dir(lab::root());
    for kept in ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        if let Some(value) = env::var_os(kept) {
            peer = peer.env(kept, value);
        }
    }
    peer.args(["build", "--quiet", "--locked", "-p", "esp-builder"])
        .args(["-p", "composer", "--profile"])
        .arg(profile)
        .arg("--target-dir")
        .arg(target)
        .ok();
    folder
}

/// `target/debug` of a test that is `target/debug/deps/integration-0123456789abcdef`.
fn profile_folder() -> PathBuf {
    let exe = env::current_exe().expect("a test knows its own path");
    let deps = exe.parent().expect("a test lies in a folder");
    deps.parent()
        .expect("deps lies in a profile's folder")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_built_beside_the_test_that_asks() {
        for name in ["esp-builder", "compose"] {
            assert_eq!(built(name).parent(), Some(profile_folder().as_path()));
        }
    }
}
