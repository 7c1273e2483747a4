use std::env;

use integration_tests::{Peer, binary, lab};

use crate::kit::Kit;

#[test]
fn the_debian_package_has_programs_manual_pages_and_completions() {
    let kit = Kit::empty();
    let built = binary::built("compose");
    let folder = built.parent().unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        // The script would build this one, which is there.
        profile => profile,
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let mut deb = Peer::host(lab::script("deb")).env("PATH", path);
    for kept in ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = env::var_os(kept) {
            deb = deb.env(kept, value);
        }
    }
    deb.env("CARGO_TARGET_DIR", folder.parent().unwrap())
        .arg(kit.path("out"))
        .args(["--profile", profile])
        .ok();
    let unpack = "set -e; dpkg -x out/*.deb root; dpkg -f out/*.deb; find root -type f | sort";
    let shell = Peer::host("sh").dir(kit.root()).args(["-c", unpack]);
    let said = shell.ok();
    assert!(said.contains("\nDepends: libc6"), "{said}");
    for file in [
        "bin/compose",
        "bin/esp-builder",
        "share/bash-completion/completions/compose",
        "share/doc/esp-builder/copyright",
        "share/doc/esp-builder/docs/tutorial.md",
        "share/fish/vendor_completions.d/esp-builder.fish",
        "share/man/man1/esp-builder-install.1.gz",
        "share/zsh/vendor-completions/_compose",
    ] {
        assert!(
            said.contains(&format!("root/usr/{file}\n")),
            "{file}: {said}"
        );
    }
    for program in ["esp-builder", "compose"] {
        let installed = kit.path("root/usr/bin").join(program);
        let version = Peer::host(installed).arg("--version").ok();
        let expected = format!("{program} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(version, expected);
    }
}
