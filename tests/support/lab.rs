//! Where the things are that `scripts/setup test` provides: the kernel, its modules,
//! the chroot of current peers, the scripts themselves.
//!
//! The cache folder is found as the scripts find it (`scripts/lab.bash`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::peer::Peer;

/// The root of the source tree.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the tree").to_owned()
}

/// The folder of fetched and built things, outside the tree.
#[must_use]
pub fn cache() -> PathBuf {
    if let Some(folder) = env::var_os("ESP_COMPOSE_CACHE") {
        return folder.into();
    }
    let caches = env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or("/root".into())).join(".cache"),
        PathBuf::from,
    );
    caches.join("esp-compose")
}

/// A script of the tree by its name, such as `boot`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    present(root().join("scripts").join(name))
}

/// A real kernel of Debian with an EFI stub.
#[must_use]
pub fn vmlinuz() -> PathBuf {
    present(cache().join("kernel/vmlinuz"))
}

/// The modules of [`vmlinuz`]: a folder with `modules.dep` in it.
#[must_use]
pub fn modules() -> PathBuf {
    present(cache().join("kernel/modules"))
}

/// What `uname -r` says under [`vmlinuz`].
#[must_use]
pub fn kernel_release() -> String {
    let folder = fs::canonicalize(modules()).expect("the modules link resolves");
    let name = folder.file_name().expect("a release has a name");
    name.to_string_lossy().into_owned()
}

/// The root of the Debian sid chroot; run programs in it with [`Peer::sid`].
#[must_use]
pub fn sid() -> PathBuf {
    present(cache().join("sid"))
}

/// systemd-boot for x86-64, of the version in the sid chroot.
#[must_use]
pub fn systemd_boot() -> PathBuf {
    present(sid().join("usr/lib/systemd/boot/efi/systemd-bootx64.efi"))
}

/// The firmware's store of variables, empty.
#[must_use]
pub fn firmware_variables() -> PathBuf {
    present(PathBuf::from("/usr/share/OVMF/OVMF_VARS_4M.fd"))
}

/// systemd-stub for x86-64, of the version in the sid chroot.
#[must_use]
pub fn systemd_stub() -> PathBuf {
    present(sid().join("usr/lib/systemd/boot/efi/linuxx64.efi.stub"))
}

/// The initrd whose guest writes the report that [`crate::boot`] returns. Made once
/// in a run, since its content is always the same.
#[must_use]
pub fn guest_initrd() -> PathBuf {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = kept_folder();
        Peer::host(script("guest-initrd"))
            .arg(folder.path().join("initrd"))
            .ok();
        folder
    });
    folder.path().join("initrd")
}

/// As [`guest_initrd`], for another processor, by Debian's name of it; written to a file.
pub fn foreign_guest_initrd(arch: &str, out: &Path) {
    let foreign = foreign(arch);
    Peer::host(script("guest-initrd"))
        .env("BUSYBOX", foreign.join("bin/busybox"))
        .arg(out)
        .arg("--kernel-dir")
        .arg(foreign)
        .ok();
}

/// The Xen hypervisor as an EFI application.
#[must_use]
pub fn xen() -> PathBuf {
    present(cache().join("xen.efi"))
}

/// The root of packages with other boot loaders, unpacked but not installed.
#[must_use]
pub fn loaders() -> PathBuf {
    present(cache().join("loaders"))
}

/// What another processor runs, by Debian's name of it: the root of packages that were
/// unpacked but not installed.
#[must_use]
pub fn foreign(arch: &str) -> PathBuf {
    present(cache().join("arches").join(arch))
}

/// A file of systemd for another processor, by Debian's name of it.
#[must_use]
pub fn foreign_systemd(arch: &str, name: &str) -> PathBuf {
    present(foreign(arch).join("usr/lib/systemd/boot/efi").join(name))
}

/// As [`guest_initrd`], with programs of this machine in the guest's `/bin` and these modules
/// too, written to a file.
pub fn guest_initrd_with(programs: &[&Path], modules: &[&str], out: &Path) {
    let mut peer = Peer::host(script("guest-initrd")).arg(out);
    for program in programs {
        peer = peer.arg("--program").arg(program);
    }
    for module in modules {
        peer = peer.args(["--module", module]);
    }
    peer.ok();
}

/// A static is never dropped, so the folder goes where `cargo clean` finds it.
fn kept_folder() -> tempfile::TempDir {
    let exe = env::current_exe().expect("a test knows its own path");
    let target = exe.parent().expect("a test lies in a folder");
    tempfile::Builder::new()
        .prefix("guest-initrd-")
        .tempdir_in(target)
        .expect("the target folder can be written")
}

fn present(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "`{}` is missing: run scripts/setup test",
        path.display()
    );
    path
}
