//! A boot menu, before it is written in a boot loader's language.
//!
//! systemd-boot reads one file an entry and sorts them itself. The others read one file
//! with everything in it: this module says what stands there and in which order, and
//! [`crate::grub`], [`crate::limine`], [`crate::refind`] and [`crate::extlinux`] write it.
//!
//! What users add is a Type #1 entry for every boot loader: [`Item::of_text`] reads it.

use std::cmp::Reverse;

use tree_manifest::{GenerationId, TreePath};

use crate::bls::{self, Type1Entry};
use crate::cmdline::CommandLine;
use crate::key_value::key_values;
use crate::line::Line;
use crate::loader_conf::Timeout;
use crate::{extlinux, grub, limine, refind};

mod shown;

pub use shown::{Shown, shown};

/// A menu, from its first line to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// The newest generation first, by profile, then what users added.
    pub items: Vec<Item>,
    /// What starts by itself.
    pub default: Position,
    /// How long the menu is shown.
    pub timeout: Timeout,
    /// Whether command lines may be changed in the menu.
    pub editor: bool,
    /// What stands before the entries, in the boot loader's own language.
    pub preamble: String,
}

/// The language that a menu is written in, with what it needs to know besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Language {
    /// grub.cfg; finds the boot partition.
    Grub(grub::Partition),
    /// limine.conf; says which content is expected.
    Limine(limine::Digests),
    /// refind.conf.
    Refind,
    /// extlinux.conf; the directory of device trees on the boot partition.
    Extlinux(Option<TreePath>),
}

impl Language {
    /// The text of a menu.
    #[must_use]
    pub fn write(&self, menu: &Menu) -> String {
        match self {
            Self::Grub(partition) => grub::config(menu, partition),
            Self::Limine(digests) => limine::config(menu, digests),
            Self::Refind => refind::config(menu),
            Self::Extlinux(devicetrees) => extlinux::config(menu, devicetrees.as_ref()),
        }
    }
}

/// A place in a menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line of the menu, from 0.
    pub item: usize,
    /// The line below it, from 0.
    pub child: Option<usize>,
}

/// One line of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// No other line has this name; letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What the menu shows.
    pub title: Line,
    /// What it starts.
    pub starts: Starts,
    /// The generation or specialisation that it stands for.
    pub generation: Option<GenerationId>,
    /// Variants: the specialisations of a generation.
    pub children: Vec<Item>,
}

/// What a line of a menu starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starts {
    /// A Linux kernel.
    Linux {
        /// The kernel, on the boot partition.
        kernel: TreePath,
        /// Initial RAM disks there, in the order in which the kernel unpacks them.
        initrds: Vec<TreePath>,
        /// The command line.
        cmdline: CommandLine,
        /// A flattened device tree there.
        devicetree: Option<TreePath>,
    },
    /// Any other EFI program.
    Program {
        /// The program, on the boot partition.
        path: TreePath,
        /// Its load options.
        options: CommandLine,
    },
}

impl Starts {
    /// The same as an entry has it.
    fn of(entry: &bls::Starts) -> Self {
        match entry {
            bls::Starts::Linux {
                linux,
                initrds,
                options,
                devicetree,
            } => Self::Linux {
                kernel: linux.clone(),
                initrds: initrds.clone(),
                cmdline: options.clone(),
                devicetree: devicetree.clone(),
            },
            bls::Starts::Efi { program, options } => Self::Program {
                path: program.clone(),
                options: options.clone(),
            },
            bls::Starts::Uki { image, profile } => Self::Program {
                path: image.clone(),
                options: profile.map(of_profile).unwrap_or_default(),
            },
        }
    }
}

/// The load options by which a Unified Kernel Image starts one of its profiles.
fn of_profile(number: u32) -> CommandLine {
    CommandLine::new(&format!("@{number}"))
        .unwrap_or_else(|error| unreachable!("a number is a word: {error}"))
}

impl Item {
    /// The line of an entry.
    #[must_use]
    pub fn of_entry(name: &str, generation: Option<&GenerationId>, entry: &Type1Entry) -> Self {
        Self {
            name: name.to_owned(),
            title: full_title(entry.title.as_ref(), entry.version.as_ref(), name),
            starts: Starts::of(&entry.starts),
            generation: generation.cloned(),
            children: Vec::new(),
        }
    }

    /// The line of a Type #1 entry of any kind, from its text; `None` when it names nothing
    /// on its own partition.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Option<Self> {
        let (mut title, mut version, mut devicetree) = (None, None, None);
        let (mut linux, mut program, mut profile) = (None, None, None);
        let (mut initrds, mut options) = (Vec::new(), Vec::new());
        let path = |value: &str| TreePath::new(value.trim_start_matches('/')).ok();
        for line in key_values(text) {
            match line.key {
                "title" => title = Line::new(line.value).ok(),
                "version" => version = Line::new(line.value).ok(),
                "linux" => linux = path(line.value),
                "efi" | "uki" => program = path(line.value),
                "profile" => profile = line.value.parse().ok(),
                "initrd" => initrds.extend(path(line.value)),
                "devicetree" => devicetree = path(line.value),
                "options" => options.push(line.value),
                _ => {}
            }
        }
        let cmdline = CommandLine::new(&options.join(" ")).ok()?;
        let starts = match (linux, program) {
            (Some(kernel), _) => Starts::Linux {
                kernel,
                initrds,
                cmdline,
                devicetree,
            },
            (None, Some(path)) => Starts::Program {
                path,
                options: profile.map_or(cmdline, of_profile),
            },
            (None, None) => return None,
        };
        Some(Self {
            name: name.to_owned(),
            title: full_title(title.as_ref(), version.as_ref(), name),
            starts,
            generation: None,
            children: Vec::new(),
        })
    }

    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &TreePath> {
        let (first, initrds, devicetree) = match &self.starts {
            Starts::Program { path, .. } => (path, &[][..], &None),
            Starts::Linux {
                kernel,
                initrds,
                devicetree,
                ..
            } => (kernel, &initrds[..], devicetree),
        };
        std::iter::once(first).chain(initrds).chain(devicetree)
    }

    /// The initial RAM disks and the command line as the kernel's EFI stub takes them: it
    /// reads files beside itself, whose paths have backslashes.
    #[must_use]
    pub fn load_options(&self) -> String {
        match &self.starts {
            Starts::Program { options, .. } => options.to_string(),
            Starts::Linux {
                initrds, cmdline, ..
            } => {
                let files = initrds
                    .iter()
                    .map(|path| format!("initrd={}", efi_path(path)));
                let words = files.chain((!cmdline.is_empty()).then(|| cmdline.to_string()));
                words.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl Menu {
    /// Puts lines in order: profiles in the order given, their newest generations first,
    /// specialisations below their generation, and what belongs to none after them.
    /// `default` is the place of one in `items`, which have no children yet.
    #[must_use]
    pub fn arrange(items: Vec<Item>, default: usize, timeout: Timeout, editor: bool) -> Self {
        let mut order: Vec<(usize, usize, Item)> = Vec::new();
        let mut owners = 0;
        for (index, item) in items.into_iter().enumerate() {
            let known = order
                .iter()
                .find(|(_, _, other)| owner(other) == owner(&item));
            let place = known.map_or(owners, |(place, ..)| *place);
            owners = owners.max(place + 1);
            order.push((place, index, item));
        }
        order.sort_by_key(|(place, _, item)| {
            let number = item.generation.as_ref().map(|id| id.number);
            (*place, Reverse(number))
        });
        let mut items: Vec<Item> = Vec::new();
        let mut position = Position {
            item: 0,
            child: None,
        };
        for (_, index, item) in order {
            let parent = items.last_mut().filter(|last| is_variant(&item, last));
            let child = if let Some(parent) = parent {
                parent.children.push(item);
                Some(parent.children.len() - 1)
            } else {
                items.push(item);
                None
            };
            if index == default {
                let item = items.len() - 1;
                position = Position { item, child };
            }
        }
        Self {
            items,
            default: position,
            timeout,
            editor,
            preamble: String::new(),
        }
    }

    /// The menu of some of the lines; `None` when there are none. Where the default is left
    /// out, the first line starts by itself.
    #[must_use]
    pub fn of(&self, stays: &dyn Fn(&Item) -> bool) -> Option<Self> {
        let default = &self.default_item().name;
        let mut menu = self.clone();
        menu.items.retain(stays);
        for item in &mut menu.items {
            item.children.retain(stays);
        }
        let find = |items: &[Item]| items.iter().position(|item| item.name == *default);
        let of_item = |(item, line): (usize, &Item)| {
            let child = find(&line.children);
            let is_there = line.name == *default || child.is_some();
            is_there.then_some(Position { item, child })
        };
        let first = Position {
            item: 0,
            child: None,
        };
        menu.default = menu
            .items
            .iter()
            .enumerate()
            .find_map(of_item)
            .unwrap_or(first);
        (!menu.items.is_empty()).then_some(menu)
    }

    /// The line that starts by itself.
    #[must_use]
    pub fn default_item(&self) -> &Item {
        let item = &self.items[self.default.item];
        self.default
            .child
            .map_or(item, |child| &item.children[child])
    }

    /// How many seconds the menu is shown; `None` when it waits.
    #[must_use]
    pub fn seconds(&self) -> Option<u32> {
        match self.timeout {
            Timeout::Seconds(seconds) => Some(seconds),
            Timeout::MenuForce => None,
            Timeout::MenuHidden | Timeout::MenuDisabled => Some(0),
        }
    }
}

/// A path as firmware has it.
#[must_use]
pub fn efi_path(path: &TreePath) -> String {
    format!("\\{}", path.as_str().replace('/', "\\"))
}

/// Whose a line is, as far as order goes: nobody's, or a profile's.
fn owner(item: &Item) -> Option<&Option<String>> {
    item.generation.as_ref().map(|id| &id.profile)
}

/// Whether a line is a specialisation of another's generation.
fn is_variant(item: &Item, other: &Item) -> bool {
    let (Some(id), Some(other)) = (&item.generation, &other.generation) else {
        return false;
    };
    let is_same = (&id.profile, id.number) == (&other.profile, other.number);
    id.specialisation.is_some() && other.specialisation.is_none() && is_same
}

/// Titles alone are the same for all generations.
fn full_title(title: Option<&Line>, version: Option<&Line>, name: &str) -> Line {
    let text = match (title, version) {
        (Some(title), Some(version)) => format!("{title} ({version})"),
        (Some(line), None) | (None, Some(line)) => line.to_string(),
        (None, None) => name.to_owned(),
    };
    Line::new(&text).unwrap_or_else(|error| unreachable!("lines make a line: {error}"))
}

#[cfg(test)]
pub(crate) mod tests;
