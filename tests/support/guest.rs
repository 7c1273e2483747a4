//! Boots an image with `scripts/boot` and reads the report of the guest that
//! [`crate::lab::guest_initrd`] starts.
//!
//! The variables are those of the Boot Loader Interface:
//! <https://systemd.io/BOOT_LOADER_INTERFACE/>.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::lab;
use crate::peer::{Peer, transcript};

/// The lines around the report (`scripts/guest-init.sh` writes them).
const BEGIN: &str = "=== guest report begin ===";
const END: &str = "=== guest report end ===";

/// The machine to boot in; by default 512-byte sectors, no TPM, no Secure Boot, an
/// empty variable store, and an image that is not written.
#[derive(Clone, Debug, Default)]
pub struct BootOptions {
    /// The guest's writes reach the image (boot counting renames files).
    pub write: bool,
    /// Bytes in a sector of the disk, 512 or 4096.
    pub sector_size: Option<u32>,
    /// A store of EFI variables that is used and updated, and made where it is not.
    pub vars: Option<PathBuf>,
    /// Firmware that enforces Secure Boot once keys are in the store.
    pub secure: bool,
    /// A fresh software TPM.
    pub tpm: bool,
    /// Seconds until the boot counts as failed; the script's default otherwise.
    pub timeout: Option<u32>,
    /// Another processor than x64, by its suffix in EFI file names.
    pub arch: Option<&'static str>,
    /// What starts the image.
    pub firmware: Firmware,
}

/// What starts an image.
#[derive(Clone, Copy, Debug, Default)]
pub enum Firmware {
    /// UEFI.
    #[default]
    Uefi,
    /// UEFI that describes the machine by a device tree, for `aa64`.
    WithoutAcpi,
    /// U-Boot, for `aa64`, with the commands that it is given before it boots.
    UBoot(&'static str),
}

/// What a guest said of its boot, line by line `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestReport {
    fields: BTreeMap<String, String>,
}

impl GuestReport {
    /// Finds the report in what the guest wrote to its serial port.
    #[must_use]
    pub fn parse(serial: &str) -> Option<Self> {
        let (_, rest) = serial.split_once(BEGIN)?;
        let (report, _) = rest.split_once(END)?;
        let pairs = report.lines().filter_map(|line| line.split_once('='));
        let fields = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(Self { fields })
    }

    /// The value of a line, such as `kernel` or `part.vda1`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }

    /// The kernel command line; panics when it was not reported.
    #[must_use]
    pub fn cmdline(&self) -> &str {
        self.required("cmdline")
    }

    /// The release of the kernel, as `uname -r` prints it.
    #[must_use]
    pub fn kernel(&self) -> &str {
        self.required("kernel")
    }

    /// A variable of the boot loader or the stub, such as `LoaderEntrySelected`, or
    /// `SecureBoot`; items of a list are joined by blanks.
    #[must_use]
    pub fn efi(&self, name: &str) -> Option<&str> {
        self.get(&format!("efi.{name}"))
    }

    /// A SHA-256 register of the TPM in hexadecimal digits.
    #[must_use]
    pub fn pcr(&self, number: u32) -> Option<&str> {
        self.get(&format!("pcr.sha256.{number}"))
    }

    fn required(&self, key: &str) -> &str {
        self.get(key)
            .unwrap_or_else(|| panic!("the guest reported no `{key}`: {self:?}"))
    }
}

/// Boots a raw disk image until its guest powers off; panics with the serial log when
/// it does not report in time.
#[must_use]
pub fn boot(image: &Path, options: &BootOptions) -> GuestReport {
    boot_with(image, &arguments(options))
}

fn boot_with<A: AsRef<OsStr>>(image: &Path, arguments: &[A]) -> GuestReport {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let log = folder.path().join("serial.log");
    let output = Peer::host(lab::script("boot"))
        .arg(image)
        .arg("--log")
        .arg(&log)
        .args(arguments)
        .run();
    let serial = fs::read(&log).unwrap_or_default();
    let serial = String::from_utf8_lossy(&serial);
    match GuestReport::parse(&serial) {
        Some(report) if output.status.success() => report,
        _ => panic!(
            "`{}` did not boot: {}\n{}--- serial\n{serial}",
            image.display(),
            output.status,
            transcript(&output)
        ),
    }
}

/// Boots a raw disk image until its serial port says a text, and returns all that it
/// said; panics when it does not say it in time. For guests without a report.
#[must_use]
pub fn boot_until(image: &Path, options: &BootOptions, text: &str) -> String {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let log = folder.path().join("serial.log");
    let peer = Peer::host(lab::script("boot")).arg(image).arg("--log");
    peer.arg(&log)
        .args(["--until", text])
        .args(arguments(options))
        .ok();
    let serial = fs::read(&log).unwrap_or_default();
    String::from_utf8_lossy(&serial).into_owned()
}

/// Runs a script of a FAT partition of a raw disk image (`vda1/run.sh`), and reports
/// what it says. Nothing is booted from the image: the guest's kernel and `initrd`
/// start beside it. What the script writes reaches the image. Panics when it fails.
#[must_use]
pub fn run_inside(image: &Path, initrd: &Path, script: &str) -> GuestReport {
    let cmdline = format!("console=ttyS0 quiet guest.sh={script}");
    // Programs that were built to be tested are slow on an emulated processor.
    let arguments = ["--write", "--timeout", "900", "--direct"].map(OsStr::new);
    let direct = [initrd.as_os_str(), cmdline.as_ref()];
    let report = boot_with(image, &[&arguments[..], &direct].concat());
    assert_eq!(report.get("hook.status"), Some("0"), "{report:?}");
    report
}

/// The files of a FAT partition of a raw disk image (`vda1` is the first) and their
/// SHA-256 digests, as the kernel's own driver reads them. Nothing is booted from the
/// image: the guest's kernel starts beside it.
#[must_use]
pub fn list(image: &Path, partition: &str) -> BTreeMap<String, String> {
    let cmdline = format!("console=ttyS0 quiet guest.list={partition}");
    let initrd = lab::guest_initrd();
    let direct = ["--direct".as_ref(), initrd.as_os_str(), cmdline.as_ref()];
    let report = boot_with(image, &direct);
    assert_eq!(report.get("list.end"), Some("yes"), "{report:?}");
    let files = report.fields.into_iter().filter_map(|(key, digest)| {
        let path = key.strip_prefix("file.")?;
        Some((path.to_owned(), digest))
    });
    files.collect()
}

fn arguments(options: &BootOptions) -> Vec<String> {
    let mut arguments = Vec::new();
    let flags = [
        (options.write, "--write"),
        (options.secure, "--secure"),
        (options.tpm, "--tpm"),
    ];
    for (wanted, flag) in flags {
        if wanted {
            arguments.push(flag.to_owned());
        }
    }
    let values = [
        ("--sector-size", options.sector_size.map(|n| n.to_string())),
        ("--timeout", options.timeout.map(|n| n.to_string())),
        ("--arch", options.arch.map(str::to_owned)),
        (
            "--vars",
            options.vars.as_ref().map(|p| p.display().to_string()),
        ),
    ];
    match options.firmware {
        Firmware::Uefi => {}
        Firmware::WithoutAcpi => arguments.push("--no-acpi".to_owned()),
        Firmware::UBoot(typed) => arguments.extend(["--u-boot", typed].map(str::to_owned)),
    }
    for (flag, value) in values {
        if let Some(value) = value {
            arguments.extend([flag.to_owned(), value]);
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_found_among_console_noise_with_carriage_returns() {
        let serial = "BdsDxe: starting\r\n=== guest report begin ===\r\n\
            cmdline=console=ttyS0 quiet\r\nefi.LoaderEntries=a.conf b.conf\r\n\
            === guest report end ===\r\nreboot: Power down\r\n";
        let report = GuestReport::parse(serial).unwrap();
        assert_eq!(report.cmdline(), "console=ttyS0 quiet");
        assert_eq!(report.efi("LoaderEntries"), Some("a.conf b.conf"));
        assert_eq!(report.pcr(11), None);
    }

    #[test]
    fn a_guest_lists_a_fat_partition() {
        const SECTORS: &str = "start=2048, size=16384, type=uefi";
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image.raw");
        let size = 10 << 20;
        fs::File::create(&image).unwrap().set_len(size).unwrap();
        let table = format!("label: gpt\n{SECTORS}\n");
        Peer::host("sfdisk").arg("-q").arg(&image).input(table).ok();
        let mkfs = Peer::host("mkfs.vfat").args(["--offset", "2048"]);
        mkfs.arg(&image).arg("8192").ok();
        let inside = format!("{}@@1M", image.display());
        let mcopy = Peer::host("mcopy").args(["-i", &inside, "-", "::A long name.txt"]);
        mcopy.input("hello").ok();
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let expected = [("A long name.txt".to_owned(), hello.to_owned())];
        assert_eq!(list(&image, "vda1"), BTreeMap::from(expected));
    }

    #[test]
    fn half_a_report_is_none() {
        assert_eq!(GuestReport::parse(&format!("{BEGIN}\nkernel=6.1\n")), None);
    }
}
