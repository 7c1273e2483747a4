//! EFI variables, as Linux shows them: files of efivarfs, with four bytes of
//! attributes before the value.
//!
//! Specification: <https://docs.kernel.org/filesystems/efivarfs.html>
#![expect(clippy::disallowed_methods, reason = "reads and writes variables")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bootloaders::boot_order::{
    BOOT_ORDER, BootOptions, VariableChange, VariableWrite, option_number, parse_order,
};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::error::{Error, read_error};

/// Where Linux shows the variables.
pub const EFIVARS: &str = "/sys/firmware/efi/efivars";

/// The vendor of systemd-boot's variables.
pub const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The vendor of firmware's own variables.
pub const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Kept without power, and seen by boot loaders and by the system: what boot options
/// must be.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];

/// The value of a variable, or `None` where it is not there or cannot be read.
#[must_use]
pub fn value(efivars: &Path, name: &str, vendor: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(efivars.join(format!("{name}-{vendor}"))).ok()?;
    Some(bytes.get(ATTRIBUTES.len()..)?.to_vec())
}

/// The boot options of this machine.
///
/// # Errors
/// When it has no variables, or when one of these cannot be read.
pub fn boot_options(efivars: &Path) -> Result<BootOptions, Error> {
    let names = match names(efivars) {
        Ok(names) if names.is_empty() => return Err(Error::NoVariables(efivars.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NoVariables(efivars.into()));
        }
        names => names.map_err(read_error(efivars))?,
    };
    let mut found = BootOptions::default();
    for name in names {
        let Some(name) = name.strip_suffix(GLOBAL).and_then(|n| n.strip_suffix('-')) else {
            continue;
        };
        let number = option_number(name);
        if number.is_none() && name != BOOT_ORDER {
            continue;
        }
        let path = efivars.join(format!("{name}-{GLOBAL}"));
        let bytes = fs::read(&path).map_err(read_error(&path))?;
        let value = bytes.get(ATTRIBUTES.len()..).unwrap_or_default();
        match number {
            Some(number) => drop(found.options.insert(number, value.to_owned())),
            None => found.order = parse_order(value),
        }
    }
    Ok(found)
}

/// Gives a variable of firmware's its value, or takes the variable away.
///
/// # Errors
/// When firmware or the kernel refuses it. A new variable is then not there.
pub fn write(efivars: &Path, change: &VariableChange) -> Result<(), Error> {
    let path = efivars.join(format!("{}-{GLOBAL}", change.name));
    let bytes = |value: &[u8]| [&ATTRIBUTES, value].concat();
    let written = match &change.write {
        VariableWrite::Create(value) => create(&path, &bytes(value)),
        VariableWrite::Replace(value) => replace(&path, &bytes(value)),
        VariableWrite::Remove => remove(&path),
    };
    written.map_err(|source| Error::Variable {
        name: change.name.clone(),
        source,
    })
}

/// A variable is made by one write; before it, the file stands for nothing.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes).inspect_err(|_| {
        // The first error is the one that counts.
        let _ = fs::remove_file(path);
    })
}

/// The kernel makes variables immutable, against `rm -r`. Who writes one lifts that
/// for as long; file systems without such a mark have none to lift.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.write_all(bytes)
    };
    without_mark(path, &write)
}

fn remove(path: &Path) -> io::Result<()> {
    without_mark(path, &|| fs::remove_file(path))
}

fn without_mark(path: &Path, write: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
    let look = File::open(path)?;
    let marks = ioctl_getflags(&look).unwrap_or(IFlags::empty());
    let is_immutable = marks.contains(IFlags::IMMUTABLE);
    if is_immutable {
        ioctl_setflags(&look, marks - IFlags::IMMUTABLE)?;
    }
    let written = write();
    if is_immutable {
        // The value counts; the mark comes back at the next boot at the latest.
        let _ = ioctl_setflags(&look, marks);
    }
    written
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let items = fs::read_dir(directory)?;
    let names = items.map(|item| Ok(item?.file_name().into_string().unwrap_or_default()));
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> tempfile::TempDir {
        let efivars = tempfile::tempdir().unwrap();
        for (name, vendor, value) in [
            ("Boot0000", GLOBAL, "\u{7}\0\0\0setup"),
            ("Boot000A", GLOBAL, "\u{7}\0\0\0disk"),
            ("BootOrder", GLOBAL, "\u{7}\0\0\0\u{a}\0\0\0"),
            ("BootCurrent", GLOBAL, "\u{6}\0\0\0\0\0"),
            ("Boot0001", LOADER, "\u{7}\0\0\0another vendor's"),
        ] {
            fs::write(efivars.path().join(format!("{name}-{vendor}")), value).unwrap();
        }
        efivars
    }

    #[test]
    fn options_are_read_changed_and_read_again() {
        let efivars = machine();
        let before = boot_options(efivars.path()).unwrap();
        let expected = BootOptions {
            options: [(0, b"setup".to_vec()), (10, b"disk".to_vec())].into(),
            order: vec![10, 0],
        };
        assert_eq!(before, expected);
        let mut after = before.clone();
        after.options.insert(0, b"x".to_vec());
        after.options.insert(1, b"new".to_vec());
        after.options.remove(&10);
        after.order = vec![1, 0];
        for change in before.changes_to(&after) {
            // Efivarfs takes a file's length from the write; others keep the rest.
            let path = efivars.path().join(format!("{}-{GLOBAL}", change.name));
            if matches!(change.write, VariableWrite::Replace(_)) {
                File::options()
                    .write(true)
                    .truncate(true)
                    .open(path)
                    .unwrap();
            }
            write(efivars.path(), &change).unwrap();
        }
        assert_eq!(boot_options(efivars.path()).unwrap(), after);
    }

    #[test]
    fn a_machine_without_variables_is_told_apart_from_one_that_hides_them() {
        let empty = tempfile::tempdir().unwrap();
        for path in [empty.path(), &empty.path().join("absent")] {
            let error = boot_options(path).unwrap_err();
            assert!(matches!(error, Error::NoVariables(_)), "{error}");
        }
        let file = empty.path().join("file");
        fs::write(&file, "").unwrap();
        let error = boot_options(&file).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}
