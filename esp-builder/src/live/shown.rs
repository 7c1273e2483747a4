//! What Unified Kernel Images on a partition say of themselves: what a menu shows.
#![expect(clippy::disallowed_methods, reason = "reads heads of images")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bootloaders::pe::{self, PeImage};
use bootloaders::uki::os_release::OsRelease;
use bootloaders::uki::profile;
use secure_boot::measure::uki;

use crate::error::{Error, read_error};
use crate::source::read_at_most;

/// The longest text that is read, in bytes; texts of menus have some hundred.
const LONGEST: u32 = 64 << 10;

/// One line of a menu that an image stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// What chooses it; the image itself needs nothing.
    pub(super) profile: Option<String>,
    pub(super) title: String,
    pub(super) version: Option<String>,
}

/// What a menu shows of an image, as systemd-boot has it: nothing for a file that is none,
/// and for profiles without an `.osrel`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn shown(path: &Path) -> Result<Vec<Shown>, Error> {
    let failed = read_error(path);
    let head = read_at_most(path, pe::HEAD as u64).map_err(failed)?;
    let Ok(image) = PeImage::parse(&head) else {
        return Ok(Vec::new());
    };
    let file = File::open(path).map_err(failed)?;
    let names: Vec<&str> = image.sections.iter().map(|it| it.name.as_str()).collect();
    let mut lines: Vec<Shown> = Vec::new();
    let mut next = 0;
    for variant in uki::variants(&names) {
        // Of several device trees each makes a variant.
        if variant.profile < next {
            continue;
        }
        next = variant.profile + 1;
        let text = |name| -> io::Result<Option<String>> {
            let mut sections = variant.sections.iter();
            let found = sections.find(|(other, _)| *other == name);
            found
                .map(|(_, index)| text_of(&file, &image.sections[*index]))
                .transpose()
        };
        let Some(os_release) = text(".osrel").map_err(failed)? else {
            continue;
        };
        let marker = text(".profile").map_err(failed)?.unwrap_or_default();
        lines.extend(line(variant.profile, &os_release, &marker));
    }
    Ok(lines)
}

/// The line of a profile; `None` when it has no title.
fn line(number: usize, os_release: &str, marker: &str) -> Option<Shown> {
    let OsRelease { title, version } = OsRelease::parse(os_release);
    let (id, added) = profile::read(marker);
    let added = match (added, number) {
        (Some(added), _) => Some(added),
        (None, 0) => None,
        (None, _) => id
            .clone()
            .or_else(|| Some(format!("Profile #{}", number + 1))),
    };
    let title = title?;
    Some(Shown {
        profile: (number > 0).then(|| id.unwrap_or_else(|| number.to_string())),
        title: added.map_or_else(|| title.clone(), |added| format!("{title} ({added})")),
        version,
    })
}

/// The text of a section. Control characters would change what a terminal shows.
fn text_of(file: &File, section: &pe::Section) -> io::Result<String> {
    let mut bytes = vec![0; section.size.min(LONGEST) as usize];
    match file.read_exact_at(&mut bytes, u64::from(section.offset)) {
        // An image that is cut short says nothing, as one that is none.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => bytes.clear(),
        read => read?,
    }
    let text = String::from_utf8_lossy(&bytes);
    let is_shown = |c: &char| *c == '\n' || !c.is_control();
    Ok(text.chars().filter(is_shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_called_as_systemd_boot_calls_them() {
        let os = "ID=nixos\nPRETTY_NAME=\"NixOS\"\nVERSION=1\n";
        for (number, marker, profile, title) in [
            (0, "", None, "NixOS"),
            (0, "# nothing\n", None, "NixOS"),
            (0, "ID=main\n", None, "NixOS"),
            (0, "ID=main\nTITLE=x\n", None, "NixOS (x)"),
            (1, "ID=a\nTITLE='b c'\n", Some("a"), "NixOS (b c)"),
            (1, "ID=a\n", Some("a"), "NixOS (a)"),
            (2, "", Some("2"), "NixOS (Profile #3)"),
        ] {
            let line = line(number, os, marker).unwrap();
            assert_eq!(
                (line.profile.as_deref(), line.title.as_str()),
                (profile, title)
            );
            assert_eq!(line.version.as_deref(), Some("1"));
        }
        assert_eq!(line(0, "VERSION=1", ""), None);
    }
}
