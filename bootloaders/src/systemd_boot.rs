//! The files of systemd-boot.
//!
//! Specification: <https://www.freedesktop.org/software/systemd/man/latest/systemd-boot.html>
//! and what `bootctl install` lays out.

use tree_manifest::{PathError, TreePath, fat};

use crate::arch::Arch;
use crate::bls::{Starts, Type1Entry};
use crate::boot_counting::EntryFileName;
use crate::entry::{BootEntry, EntryId};
use crate::entry_name::{EntryNaming, content_name, entry_name};
use crate::line::{Line, MachineId};
use crate::place::known;
use crate::uki::Profile;

/// The content of `loader/entries.srel`: says that the entries are those of the
/// specification. Without it, other tools take the directory for one of another
/// scheme and leave it alone.
pub const ENTRIES_SREL: &str = "type1\n";

/// Where Unified Kernel Images lie on their partition.
const IMAGES: &str = "EFI/Linux";

/// Where a binary of this architecture lies on the ESP: its own place, and the
/// one that firmware starts without a boot variable.
#[must_use]
pub fn binary_paths(arch: Arch) -> [TreePath; 2] {
    [
        known(format!("EFI/systemd/{}", binary_name(arch))),
        known(format!("EFI/BOOT/{}", arch.removable_name())),
    ]
}

/// Where drivers lie on the ESP, those of all architectures.
#[must_use]
pub fn driver_directory() -> TreePath {
    known("EFI/systemd/drivers".to_owned())
}

/// The file name of the binary, in packages as on the ESP.
#[must_use]
pub fn binary_name(arch: Arch) -> String {
    format!("systemd-boot{arch}.efi")
}

/// The file name of the stub of images, or of addons, in packages.
#[must_use]
pub fn stub_name(arch: Arch, addon: bool) -> String {
    let kind = if addon { "addon" } else { "linux" };
    format!("{kind}{arch}.efi.stub")
}

/// `loader/loader.conf`, always on the ESP.
#[must_use]
pub fn loader_conf_path() -> TreePath {
    known("loader/loader.conf".to_owned())
}

/// `loader/entries.srel`, beside the entries.
#[must_use]
pub fn entries_srel_path() -> TreePath {
    known("loader/entries.srel".to_owned())
}

/// The file name of an entry by its generation, which is also its name for
/// `default`.
#[must_use]
pub fn entry_file_name(id: &EntryId) -> Line {
    name_entry(EntryNaming::Generation, id, "").id()
}

/// Where an entry lies on its partition.
#[must_use]
pub fn entry_path(id: &EntryId) -> TreePath {
    known(format!("loader/entries/{}", entry_file_name(id)))
}

/// The file name of an entry of this text, without a boot counter.
#[must_use]
pub fn name_entry(naming: EntryNaming, id: &EntryId, text: &str) -> EntryFileName {
    EntryFileName::uncounted(&match (naming, id) {
        // One a tree at most, so its name says enough.
        (_, EntryId::Kernel(name)) => name.to_string(),
        (EntryNaming::Generation, EntryId::Generation(id)) => entry_name(id),
        (EntryNaming::Content, EntryId::Generation(_)) => content_name(text),
    })
}

/// The file name of the entry that starts a hypervisor before the kernel, without a
/// boot counter: as [`name_entry`], with `xen` for `nixos`.
#[must_use]
pub fn name_xen_entry(naming: EntryNaming, id: &EntryId, text: &str) -> EntryFileName {
    let name = name_entry(naming, id, text);
    let rest = name.stem().strip_prefix("nixos").unwrap_or(name.stem());
    EntryFileName::uncounted(&format!("xen{rest}"))
}

/// Where an entry of this name lies on its partition: a Type #1 entry, or a Unified
/// Kernel Image.
#[must_use]
pub fn entry_file_path(name: &EntryFileName) -> TreePath {
    let directory = if name.is_image() {
        IMAGES
    } else {
        "loader/entries"
    };
    known(format!("{directory}/{name}"))
}

/// Whether a file at this path is an entry of the menu: a Type #1 entry, or a Unified
/// Kernel Image. Directories are compared as FAT compares them.
#[must_use]
pub fn is_entry_path(path: &TreePath) -> bool {
    let Some(directory) = path.parent().map(|parent| fat::fold(parent.as_str())) else {
        return false;
    };
    EntryFileName::parse(path.name()).is_some_and(|name| {
        let home = entry_file_path(&name).parent();
        home.is_some_and(|home| fat::fold(home.as_str()) == directory)
    })
}

/// Where the companions of a Unified Kernel Image lie: addons, credentials and
/// extensions. The stub looks there whatever counter the image has.
#[must_use]
pub fn companion_directory(image: &TreePath) -> TreePath {
    let name = EntryFileName::parse(image.name()).map(|name| name.id().to_string());
    let name = name.unwrap_or_else(|| image.name().to_owned());
    let parent = image.parent().map(|parent| format!("{parent}/"));
    known(format!("{}{name}.extra.d", parent.unwrap_or_default()))
}

/// Where a companion of this name lies.
///
/// # Errors
/// When the name is none of a file.
pub fn companion_path(image: &TreePath, name: &str) -> Result<TreePath, PathError> {
    TreePath::new(format!("{}/{name}", companion_directory(image)))
}

/// What chooses a profile of the Unified Kernel Image of this name.
#[must_use]
pub fn profile_id(image: &Line, profile: &Profile) -> Line {
    Line::new(&format!("{image}@{}", profile.id()))
        .unwrap_or_else(|error| unreachable!("a line of two: {error}"))
}

/// An entry's name without what chooses a profile of a Unified Kernel Image, as in
/// `image.efi@profile`.
#[must_use]
pub fn without_profile(id: &str) -> &str {
    let split = id.rsplit_once('@');
    let image = split.map(|(image, _)| image);
    let is_image = |name: &&str| EntryFileName::parse(name).is_some_and(|name| name.is_image());
    image.filter(is_image).unwrap_or(id)
}

/// The Type #1 entry of a bootable thing whose files are stored as they are.
///
/// `with_architecture` is for trees that several architectures share: each boot
/// loader then shows its own entries.
#[must_use]
pub fn type1(
    entry: &BootEntry,
    machine_id: Option<&MachineId>,
    with_architecture: bool,
) -> Type1Entry {
    Type1Entry {
        title: Some(entry.title.clone()),
        version: entry.version.clone(),
        machine_id: machine_id.cloned(),
        sort_key: entry.sort_key.clone(),
        starts: Starts::Linux {
            linux: entry.kernel.path.clone(),
            initrds: entry.initrd_paths().cloned().collect(),
            options: entry.cmdline.clone(),
            devicetree: entry.devicetree.as_ref().map(|file| file.path.clone()),
        },
        architecture: with_architecture.then_some(entry.arch),
    }
}

/// How many bytes of command line the kernel gets: systemd-boot puts an `initrd=`
/// before the rest for each initial RAM disk, and a space after it.
#[must_use]
pub fn command_line_length(entry: &BootEntry) -> usize {
    let paths = entry.initrd_paths();
    let initrds = paths.map(|path| "initrd=\\ ".len() + path.as_str().len());
    initrds.sum::<usize>() + entry.cmdline.as_str().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    use tree_manifest::GenerationId;

    use crate::entry_name::EntryName;

    #[test]
    fn one_binary_has_two_places() {
        let paths = binary_paths(Arch::X64).map(|path| path.to_string());
        assert_eq!(
            paths,
            ["EFI/systemd/systemd-bootx64.efi", "EFI/BOOT/BOOTX64.EFI"]
        );
    }

    #[test]
    fn a_kernel_without_a_generation_has_a_name_of_its_own() {
        let kernel = EntryId::Kernel(EntryName::default());
        assert_eq!(entry_file_name(&kernel).as_str(), "linux.conf");
        let name = name_entry(EntryNaming::Content, &kernel, "linux /a\n");
        assert_eq!(name.to_string(), "linux.conf");
        let chosen = EntryId::Kernel("appliance_7".parse().unwrap());
        let name = name_entry(EntryNaming::Generation, &chosen, "").of_image();
        assert_eq!(entry_file_path(&name).as_str(), "EFI/Linux/appliance_7.efi");
    }

    #[test]
    fn generations_are_named_by_number_or_by_content() {
        let id = EntryId::Generation(GenerationId {
            profile: None,
            number: 3,
            specialisation: Some("a+b".to_owned()),
        });
        let text = "linux /a\n";
        let name = name_entry(EntryNaming::Generation, &id, text);
        let path = "loader/entries/nixos-generation-3-specialisation-a_2bb.conf";
        assert_eq!(entry_file_path(&name).as_str(), path);
        assert_eq!(entry_path(&id).as_str(), path);
        let name = name_entry(EntryNaming::Content, &id, text);
        let counted = name.with_tries(NonZeroU16::new(3).unwrap());
        assert_eq!(
            entry_file_path(&counted).as_str(),
            format!("loader/entries/{}+3-0.conf", content_name(text))
        );
        assert_eq!(counted.id().as_str(), name.to_string());
        let image = counted.of_image();
        let path = entry_file_path(&image);
        assert_eq!(
            path.as_str(),
            format!("EFI/Linux/{}+3-0.efi", content_name(text))
        );
        let companion = companion_path(&path, "a.addon.efi").unwrap();
        let expected = format!("EFI/Linux/{}.efi.extra.d/a.addon.efi", content_name(text));
        assert_eq!(companion.as_str(), expected);
    }

    #[test]
    fn entries_of_a_menu_lie_in_two_places() {
        for (path, expected) in [
            ("loader/entries/a.conf", true),
            ("LOADER/Entries/a+3-0.conf", true),
            ("EFI/Linux/a.efi", true),
            ("efi/linux/a+1.EFI", true),
            ("EFI/Linux/a.conf", false),
            ("EFI/Linux/a.efi.extra.d/b.efi", false),
            ("loader/entries/a.efi", false),
            ("loader/loader.conf", false),
            ("a.efi", false),
        ] {
            assert_eq!(
                is_entry_path(&TreePath::new(path).unwrap()),
                expected,
                "{path}"
            );
        }
        for (id, expected) in [
            ("a.efi@b", "a.efi"),
            ("A.EFI@b.c", "A.EFI"),
            ("a@b.efi", "a@b.efi"),
            ("a@b.conf", "a@b.conf"),
            ("a.conf@b", "a.conf@b"),
            ("nixos-*", "nixos-*"),
        ] {
            assert_eq!(without_profile(id), expected);
        }
    }
}
