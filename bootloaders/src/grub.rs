//! GRUB for EFI: its files and its language.
//!
//! Manual: <https://www.gnu.org/software/grub/manual/grub/grub.html>
//!
//! Nothing is left to the machine that boots: GRUB is one file with its modules inside,
//! grub.cfg lies where that file looks for it, and no `grub-install` runs.

use std::fmt::Write as _;

use tree_manifest::TreePath;

use crate::arch::Arch;
use crate::error::Error;
use crate::loader_conf::Timeout;
use crate::menu::{Item, Menu, Starts};
use crate::place::known;

/// Where images that are made here look for their grub.cfg.
pub const DIRECTORY: &str = "EFI/grub";

/// What an image needs to find and read grub.cfg and to start what it names; all
/// platforms have them.
pub const MODULES: [&str; 20] = [
    "boot",
    "chain",
    "configfile",
    "echo",
    "fat",
    "halt",
    "linux",
    "loadenv",
    "ls",
    "minicmd",
    "normal",
    "part_gpt",
    "part_msdos",
    "reboot",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "sleep",
    "test",
    "true",
];

/// The first bytes of what `grub-mkimage` puts into section `mods`: `mimg`.
const MODULES_MAGIC: &[u8] = b"mimg";

/// The kind of module that holds the prefix.
const PREFIX: u32 = 3;

/// Which partition the menu's files are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Partition {
    /// The one where the default kernel is: GRUB looks on its own first.
    #[default]
    OfKernel,
    /// The one with this volume ID, `ABCD-1234`.
    Volume(String),
}

/// Where the binary lies on the ESP: its own place, and the one that firmware starts
/// without a boot variable.
#[must_use]
pub fn binary_paths(arch: Arch) -> [TreePath; 2] {
    [
        known(format!("{DIRECTORY}/{}", binary_name(arch))),
        known(format!("EFI/BOOT/{}", arch.removable_name())),
    ]
}

/// The file name of the binary.
#[must_use]
pub fn binary_name(arch: Arch) -> String {
    format!("grub{arch}.efi")
}

/// What `grub-mkimage` calls an architecture.
#[must_use]
pub fn platform(arch: Arch) -> &'static str {
    match arch {
        Arch::Ia32 => "i386-efi",
        Arch::X64 => "x86_64-efi",
        Arch::Arm => "arm-efi",
        Arch::Aa64 => "arm64-efi",
        Arch::Riscv32 => "riscv32-efi",
        Arch::Riscv64 => "riscv64-efi",
        Arch::LoongArch64 => "loongarch64-efi",
    }
}

/// Where an image looks for its grub.cfg, from the content of its section `mods`.
///
/// # Errors
/// When the section is not GRUB's, or when the image looks inside itself.
pub fn config_path(mods: &[u8]) -> Result<TreePath, Error> {
    let refuse = |reason: &str| Error::Section {
        name: "mods".to_owned(),
        reason: reason.to_owned(),
    };
    let prefix = prefix(mods).ok_or_else(|| refuse("names no place for grub.cfg"))?;
    let directory = prefix.strip_prefix('/').ok_or_else(|| {
        refuse("says that grub.cfg is not on the partition of the image but elsewhere")
    })?;
    TreePath::new(format!("{directory}/grub.cfg")).map_err(|error| refuse(error.reason))
}

/// The list of modules has a head of its magic, four bytes of padding where addresses have
/// eight, the offset of the first module and the length of the list; a module has its kind
/// and its length, both with its own head.
fn prefix(mods: &[u8]) -> Option<&str> {
    let number = |at: usize| {
        let bytes = mods.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let long = |at: usize| {
        let bytes = mods.get(at..at.checked_add(8)?)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    if !mods.starts_with(MODULES_MAGIC) {
        return None;
    }
    // The padding tells: no offset is zero.
    let (offset, end) = match number(4)? {
        0 => (long(8)?, long(16)?),
        offset => (
            usize::try_from(offset).ok()?,
            usize::try_from(number(8)?).ok()?,
        ),
    };
    let mut at = offset;
    while at < end {
        let (kind, length) = (number(at)?, usize::try_from(number(at + 4)?).ok()?);
        let next = at.checked_add(length).filter(|next| *next > at + 8)?;
        if kind == PREFIX {
            let text = mods.get(at + 8..next)?;
            let text = text.split(|byte| *byte == 0).next()?;
            return std::str::from_utf8(text).ok();
        }
        at = next;
    }
    None
}

/// The text of grub.cfg.
#[must_use]
pub fn config(menu: &Menu, partition: &Partition) -> String {
    let mut text = String::new();
    let default = &menu.items[menu.default.item];
    let default = match menu.default.child {
        Some(child) => format!("{}>{}", submenu_name(default), default.children[child].name),
        None => default.name.clone(),
    };
    let (timeout, style) = match menu.timeout {
        Timeout::Seconds(seconds) => (i64::from(seconds), "menu"),
        Timeout::MenuForce => (-1, "menu"),
        Timeout::MenuHidden | Timeout::MenuDisabled => (0, "hidden"),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "set default={}\nset timeout={timeout}\nset timeout_style={style}\n",
        quoted(&default)
    );
    if !menu.editor {
        // With superusers of whom there are none, nobody edits and nobody gets a prompt.
        text.push_str("set superusers=''\nexport superusers\n");
    }
    text.push_str(&search(menu, partition));
    text.push_str(&menu.preamble);
    for item in &menu.items {
        push_item(&mut text, item, menu.editor, 0);
        if !item.children.is_empty() {
            let title = quoted(&format!("{}: specialisations", item.title));
            let (id, open) = (quoted(&submenu_name(item)), unrestricted(menu.editor));
            let _ = writeln!(text, "submenu {title}{open} --id {id} {{");
            for child in &item.children {
                push_item(&mut text, child, menu.editor, 1);
            }
            text.push_str("}\n");
        }
    }
    text
}

fn submenu_name(item: &Item) -> String {
    format!("{}-specialisations", item.name)
}

/// GRUB starts with the partition of its own file as root, or with none when it was made
/// to carry a file system of its own.
fn search(menu: &Menu, partition: &Partition) -> String {
    match partition {
        Partition::Volume(id) => {
            format!("search --no-floppy --fs-uuid --set=root {}\n", quoted(id))
        }
        Partition::OfKernel => {
            let (Starts::Linux { kernel: path, .. } | Starts::Program { path, .. }) =
                &menu.default_item().starts;
            // A file of this name has this content, on whichever disk it is.
            let path = quoted(&format!("/{path}"));
            format!(
                "if [ ! -f \"($root)\"{path} ]; then\n  \
                   search --no-floppy --file --set=root {path}\nfi\n"
            )
        }
    }
}

fn unrestricted(editor: bool) -> &'static str {
    if editor { "" } else { " --unrestricted" }
}

fn push_item(text: &mut String, item: &Item, editor: bool, depth: usize) {
    let indent = "  ".repeat(depth);
    let (title, id) = (quoted(item.title.as_str()), quoted(&item.name));
    let open = unrestricted(editor);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{indent}menuentry {title}{open} --id {id} {{");
    for line in commands(item) {
        let _ = writeln!(text, "{indent}  {line}");
    }
    let _ = writeln!(text, "{indent}}}");
}

fn commands(item: &Item) -> Vec<String> {
    let file = |path: &TreePath| quoted(&format!("/{path}"));
    let chain = |path: &TreePath| {
        let options = item.load_options();
        match options.as_str() {
            "" => format!("chainloader {}", file(path)),
            options => format!("chainloader {} {}", file(path), quoted(options)),
        }
    };
    let (kernel, initrds, cmdline, devicetree) = match &item.starts {
        Starts::Program { path, .. } => return vec![chain(path)],
        Starts::Linux {
            kernel,
            initrds,
            cmdline,
            devicetree,
        } => (kernel, initrds, cmdline.as_str(), devicetree),
    };
    let mut lines = Vec::new();
    if let Some(path) = devicetree {
        lines.push(format!("devicetree {}", file(path)));
    }
    let Some(words) = words(cmdline) else {
        lines.push(chain(kernel));
        return lines;
    };
    let command = |name: &str, words: Vec<String>| format!("{name} {}", words.join(" "));
    let words = words.iter().map(|word| quoted(word));
    lines.push(command(
        "linux",
        std::iter::once(file(kernel)).chain(words).collect(),
    ));
    if !initrds.is_empty() {
        lines.push(command("initrd", initrds.iter().map(file).collect()));
    }
    lines
}

/// A command line as the words that `linux` takes; `None` when GRUB would hand another one
/// to the kernel, and only a program's load options stay as they are.
///
/// GRUB puts quotes around a word with spaces, which the kernel takes off again. Quotes and
/// backslashes inside a word get a backslash before them, by some versions.
fn words(cmdline: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in cmdline.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            '\\' | '\'' => return None,
            letter => words.last_mut()?.push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    (!is_quoted).then_some(words)
}

/// A text as one word of GRUB's language, whatever it holds.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::menu::tests::hostile;

    #[test]
    fn no_text_leaves_its_word() {
        insta::assert_snapshot!(config(&hostile(), &Partition::OfKernel));
    }

    #[test]
    fn a_menu_that_nobody_edits_still_starts() {
        let mut menu = hostile();
        menu.editor = false;
        menu.timeout = Timeout::MenuHidden;
        let text = config(&menu, &Partition::Volume("ABCD-1234".to_owned()));
        assert!(text.contains("set superusers=''\n"), "{text}");
        assert!(text.contains("--set=root 'ABCD-1234'\n"), "{text}");
        assert!(
            text.contains("timeout=0\nset timeout_style=hidden\n"),
            "{text}"
        );
        let entries = text.lines().filter(|line| line.trim_end().ends_with('{'));
        assert!(entries.clone().count() > 3);
        assert!(
            entries
                .into_iter()
                .all(|line| line.contains(" --unrestricted ")),
            "{text}"
        );
    }

    #[test]
    fn what_grub_would_change_is_handed_over_by_the_stub() {
        assert_eq!(words("a \"b c\"=d  e").unwrap(), ["a", "b c=d", "e"]);
        assert_eq!(words("x=a\\x2db"), None);
        assert_eq!(words("x='a'"), None);
        assert_eq!(words("x=\"a"), None);
        let text = "title A\nlinux /k\ninitrd /i\noptions x=a\\x2db y='z'\n";
        let item = Item::of_text("a", text).unwrap();
        assert_eq!(
            commands(&item),
            ["chainloader '/k' 'initrd=\\i x=a\\x2db y='\\''z'\\'''"]
        );
    }

    /// A list of modules as `grub-mkimage` writes it.
    fn mods(wide: bool, modules: &[(u32, &[u8])]) -> Vec<u8> {
        let mut list = Vec::new();
        for (kind, bytes) in modules {
            list.extend(kind.to_le_bytes());
            list.extend(u32::try_from(bytes.len() + 8).unwrap().to_le_bytes());
            list.extend(*bytes);
        }
        let mut section = MODULES_MAGIC.to_vec();
        if wide {
            section.extend(0_u32.to_le_bytes());
            section.extend(24_u64.to_le_bytes());
            section.extend((24 + list.len() as u64).to_le_bytes());
        } else {
            section.extend(12_u32.to_le_bytes());
            section.extend(u32::try_from(12 + list.len()).unwrap().to_le_bytes());
        }
        section.extend(list);
        section
    }

    #[test]
    fn an_image_says_where_it_looks() {
        for wide in [false, true] {
            let section = mods(wide, &[(0, b"ELF module"), (3, b"/EFI/debian\0\0\0")]);
            assert_eq!(
                config_path(&section).unwrap().as_str(),
                "EFI/debian/grub.cfg"
            );
            let inside = mods(wide, &[(3, b"(memdisk)/boot/grub\0")]);
            let error = config_path(&inside).unwrap_err().to_string();
            assert!(error.contains("elsewhere"), "{error}");
        }
        for hostile in [
            &b""[..],
            b"mimg",
            &mods(true, &[]),
            &mods(true, &[(0, b"")])[..30],
            &mods(false, &[(3, &[0xff])]),
            &mods(false, &[(3, b"/../up\0")]),
        ] {
            assert!(config_path(hostile).is_err(), "{hostile:?}");
        }
        let mut endless = mods(false, &[(0, b"x")]);
        endless[16..20].copy_from_slice(&0_u32.to_le_bytes());
        assert!(config_path(&endless).is_err());
    }
}
