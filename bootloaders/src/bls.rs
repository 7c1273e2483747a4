//! Boot Loader Specification Type #1 entries: value to text and back.
//!
//! Specification: <https://uapi-group.org/specifications/specs/boot_loader_specification/>
//!
//! This module knows the keys and their order. It does not know NixOS.

mod outline;

use std::fmt::{Display, Write as _};

use tree_manifest::TreePath;

use crate::arch::Arch;
use crate::cmdline::CommandLine;
use crate::error::Error;
use crate::key_value::key_values;
use crate::line::{Line, MachineId};

pub use outline::Outline;

/// The longest text [`Type1Entry::parse`] reads, in bytes. Entries are a few
/// hundred bytes; a file of many megabytes on a boot partition is not one.
const LONGEST: usize = 1 << 20;

/// An entry of a boot menu.
///
/// No field can hold a line break, so no value can add a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type1Entry {
    /// What the menu shows.
    pub title: Option<Line>,
    /// Shown where titles are the same; newer versions sort first.
    pub version: Option<Line>,
    /// The installation the entry belongs to.
    pub machine_id: Option<MachineId>,
    /// Sorts entries of different systems apart.
    pub sort_key: Option<Line>,
    /// What it starts; all of it is on the partition that holds the entry.
    pub starts: Starts,
    /// Hides the entry from boot loaders of other architectures.
    pub architecture: Option<Arch>,
}

/// What an entry starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starts {
    /// A Linux kernel.
    Linux {
        /// The kernel.
        linux: TreePath,
        /// Initial RAM disks, in order.
        initrds: Vec<TreePath>,
        /// The kernel command line.
        options: CommandLine,
        /// A flattened device tree.
        devicetree: Option<TreePath>,
    },
    /// Any EFI program.
    Efi {
        /// The program.
        program: TreePath,
        /// Its load options.
        options: CommandLine,
    },
    /// A Unified Kernel Image, with the command line that is in it.
    Uki {
        /// The image.
        image: TreePath,
        /// Which of its profiles, from 0; without a number the first.
        profile: Option<u32>,
    },
}

impl Type1Entry {
    /// The text of the entry's file, in nixpkgs' order of keys. It ends with a
    /// newline: the specification speaks of lines, and tools that append to an
    /// entry would otherwise spoil its last value.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} {value}");
        };
        if let Some(title) = &self.title {
            line("title", title);
        }
        if let Some(version) = &self.version {
            line("version", version);
        }
        match &self.starts {
            Starts::Linux {
                linux,
                initrds,
                options,
                ..
            } => {
                line("linux", &format_args!("/{linux}"));
                for initrd in initrds {
                    line("initrd", &format_args!("/{initrd}"));
                }
                if !options.is_empty() {
                    line("options", options);
                }
            }
            Starts::Efi { program, options } => {
                line("efi", &format_args!("/{program}"));
                if !options.is_empty() {
                    line("options", options);
                }
            }
            Starts::Uki { image, profile } => {
                line("uki", &format_args!("/{image}"));
                if let Some(profile) = profile {
                    line("profile", profile);
                }
            }
        }
        if let Some(machine_id) = &self.machine_id {
            line("machine-id", machine_id);
        }
        if let Starts::Linux {
            devicetree: Some(devicetree),
            ..
        } = &self.starts
        {
            line("devicetree", &format_args!("/{devicetree}"));
        }
        if let Some(sort_key) = &self.sort_key {
            line("sort-key", sort_key);
        }
        if let Some(architecture) = &self.architecture {
            line("architecture", architecture);
        }
        text
    }

    /// Reads an entry as systemd-boot does: blank lines, comments and unknown keys
    /// are passed over, a repeated key replaces the value before it, `initrd`
    /// and `options` add up.
    ///
    /// # Errors
    /// With the line that cannot be read; also when the entry starts nothing, or more than
    /// one thing, or what is on no partition.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(entry_error(1, "the file is too long for an entry"));
        }
        let mut draft = Draft::default();
        for line in key_values(text) {
            draft
                .set(line.key, line.value)
                .map_err(|reason| entry_error(line.number, reason))?;
        }
        draft.finish()
    }
}

/// An entry as far as it was read.
#[derive(Default)]
struct Draft {
    title: Option<Line>,
    version: Option<Line>,
    machine_id: Option<MachineId>,
    sort_key: Option<Line>,
    linux: Option<TreePath>,
    efi: Option<TreePath>,
    uki: Option<TreePath>,
    profile: Option<u32>,
    initrds: Vec<TreePath>,
    options: String,
    devicetree: Option<TreePath>,
    architecture: Option<Arch>,
}

impl Draft {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "title" => self.title = Some(parse(value)?),
            "version" => self.version = Some(parse(value)?),
            "machine-id" => self.machine_id = Some(parse(value)?),
            "sort-key" => self.sort_key = Some(parse(value)?),
            "linux" => self.linux = Some(path(value)?),
            "efi" => self.efi = Some(path(value)?),
            "uki" => self.uki = Some(path(value)?),
            "profile" => {
                let number = value.parse();
                let number = number.map_err(|_| format!("`{value}` is no number of a profile"));
                self.profile = Some(number?);
            }
            "initrd" => self.initrds.push(path(value)?),
            "devicetree" => self.devicetree = Some(path(value)?),
            "architecture" => self.architecture = Some(parse(value)?),
            "options" => {
                if !self.options.is_empty() {
                    self.options.push(' ');
                }
                self.options.push_str(value);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Type1Entry, Error> {
        let options = CommandLine::new(&self.options)?;
        let starts = match (self.linux, self.efi, self.uki) {
            (Some(linux), None, None) => Starts::Linux {
                linux,
                initrds: self.initrds,
                options,
                devicetree: self.devicetree,
            },
            (None, Some(program), None) => Starts::Efi { program, options },
            (None, None, Some(image)) => Starts::Uki {
                image,
                profile: self.profile,
            },
            _ => {
                let reason =
                    "the entry needs a line `linux`, `efi` or `uki`, and one of them alone";
                return Err(entry_error(1, reason));
            }
        };
        Ok(Type1Entry {
            title: self.title,
            version: self.version,
            machine_id: self.machine_id,
            sort_key: self.sort_key,
            starts,
            architecture: self.architecture,
        })
    }
}

fn parse<T: std::str::FromStr<Err = Error>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|error: Error| error.to_string())
}

fn path(value: &str) -> Result<TreePath, String> {
    TreePath::new(value.trim_start_matches('/')).map_err(|error| error.to_string())
}

fn entry_error(number: usize, reason: impl Into<String>) -> Error {
    Error::EntryText {
        number,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree_path(path: &str) -> TreePath {
        TreePath::new(path).unwrap()
    }

    fn minimal() -> Type1Entry {
        Type1Entry {
            title: None,
            version: None,
            machine_id: None,
            sort_key: None,
            starts: linux("", None),
            architecture: None,
        }
    }

    fn linux(options: &str, devicetree: Option<&str>) -> Starts {
        Starts::Linux {
            linux: tree_path("EFI/nixos/linux.efi"),
            initrds: Vec::new(),
            options: CommandLine::new(options).unwrap(),
            devicetree: devicetree.map(tree_path),
        }
    }

    #[test]
    fn keys_come_in_the_order_of_nixpkgs() {
        let entry = Type1Entry {
            title: Some(Line::new("NixOS [work] (gnome)").unwrap()),
            version: Some(Line::new("Generation 3 26.05").unwrap()),
            machine_id: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
            sort_key: Some(Line::new("nixos").unwrap()),
            starts: Starts::Linux {
                linux: tree_path("EFI/nixos/linux.efi"),
                initrds: vec![
                    tree_path("EFI/nixos/initrd.efi"),
                    tree_path("EFI/extra.img"),
                ],
                options: CommandLine::new("init=/nix/store/x/init quiet").unwrap(),
                devicetree: Some(tree_path("EFI/nixos/board.dtb.efi")),
            },
            architecture: Some(Arch::Aa64),
        };
        insta::assert_snapshot!(entry.render(), @r"
        title NixOS [work] (gnome)
        version Generation 3 26.05
        linux /EFI/nixos/linux.efi
        initrd /EFI/nixos/initrd.efi
        initrd /EFI/extra.img
        options init=/nix/store/x/init quiet
        machine-id 0123456789abcdef0123456789abcdef
        devicetree /EFI/nixos/board.dtb.efi
        sort-key nixos
        architecture aa64
        ");
        assert_eq!(minimal().render(), "linux /EFI/nixos/linux.efi\n");
    }

    #[test]
    fn programs_and_images_have_keys_of_their_own() {
        let of = |starts| Type1Entry {
            starts,
            ..minimal()
        };
        let program = Starts::Efi {
            program: tree_path("EFI/xen.efi"),
            options: CommandLine::new("xen.efi -cfg=a").unwrap(),
        };
        let text = "efi /EFI/xen.efi\noptions xen.efi -cfg=a\n";
        assert_eq!(of(program).render(), text);
        let image = |profile| Starts::Uki {
            image: tree_path("EFI/nixos/x-uki.efi"),
            profile,
        };
        assert_eq!(of(image(None)).render(), "uki /EFI/nixos/x-uki.efi\n");
        let text = "uki /EFI/nixos/x-uki.efi\nprofile 2\n";
        assert_eq!(of(image(Some(2))).render(), text);
    }

    #[test]
    fn reads_what_systemd_boot_reads() {
        let text = "# comment\n\n  title\t\"Quoted\"\r\nfoo bar\nlinux EFI/nixos/linux.efi\n\
                    linux //EFI/nixos/linux.efi\noptions a\noptions b c\nbare";
        let entry = Type1Entry::parse(text).unwrap();
        let expected = Type1Entry {
            title: Some(Line::new("Quoted").unwrap()),
            starts: linux("a b c", None),
            ..minimal()
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn only_blanks_are_taken_from_a_path() {
        let mut entry = minimal();
        entry.starts = linux("", Some("\u{a0}"));
        assert_eq!(Type1Entry::parse(&entry.render()).unwrap(), entry);
    }

    #[test]
    fn says_which_line_it_cannot_read() {
        for (text, why) in [
            ("title x\n", "needs a line `linux`, `efi` or `uki`"),
            ("linux /a\nuki /b\n", "one of them alone"),
            ("uki /a\nprofile -1\n", "line 2: `-1` is no number"),
            ("title x\nlinux ../x\n", "line 2: `../x`: `..` leaves"),
            ("linux /a\ntitle\n", "line 2: `` is empty"),
            ("linux /a\narchitecture vax", "`vax` is not a known"),
            ("linux /a\nmachine-id 1", "is not a machine ID"),
            ("linux /a\ntitle b\0c", "control character"),
        ] {
            let error = Type1Entry::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    fn line() -> impl Strategy<Value = Line> {
        r"\P{Cc}{1,40}".prop_filter_map("not a line", |text: String| Line::new(&text).ok())
    }

    fn fat_path() -> impl Strategy<Value = TreePath> {
        prop::collection::vec(r#"[^"*/:<>?\\|\p{Cc}]{1,12}"#, 1..4).prop_filter_map(
            "not for FAT",
            |names| {
                let fits = |name: &String| tree_manifest::fat::check_name(name).is_ok();
                let path = TreePath::new(names.join("/")).ok()?;
                names.iter().all(fits).then_some(path)
            },
        )
    }

    fn arch() -> impl Strategy<Value = Arch> {
        prop::sample::select(vec![Arch::Ia32, Arch::X64, Arch::Aa64, Arch::LoongArch64])
    }

    fn starts() -> impl Strategy<Value = Starts> {
        let options = prop::option::of(line()).prop_map(|options| {
            CommandLine::new(options.as_ref().map_or("", Line::as_str)).unwrap()
        });
        let files = prop::collection::vec(fat_path(), 0..3);
        let parts = (fat_path(), files, options, prop::option::of(fat_path()));
        let linux = parts.prop_map(|(linux, initrds, options, devicetree)| Starts::Linux {
            linux,
            initrds,
            options,
            devicetree,
        });
        let image = (fat_path(), prop::option::of(any::<u32>()));
        let uki = image.prop_map(|(image, profile)| Starts::Uki { image, profile });
        prop_oneof![linux, uki]
    }

    prop_compose! {
        fn any_entry()(
            (title, version, sort_key) in (prop::option::of(line()), prop::option::of(line()),
                prop::option::of(line())),
            machine_id in prop::option::of("[1-9a-f][0-9a-f]{31}"),
            starts in starts(),
            architecture in prop::option::of(arch()),
        ) -> Type1Entry {
            Type1Entry {
                title,
                version,
                machine_id: machine_id.map(|id| id.parse().unwrap()),
                sort_key,
                starts,
                architecture,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_rendered_reads_back(entry in any_entry()) {
            prop_assert_eq!(Type1Entry::parse(&entry.render()).unwrap(), entry);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).{0,200}") {
            let _ = Type1Entry::parse(&text);
        }
    }
}
