//! What a menu in one file shows, read back from its text.
//!
//! It reads what [`Language::write`](super::Language::write) writes, and passes over what
//! else stands there: this is for looking at a menu, not for booting.

use tree_manifest::TreePath;

/// A line of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What the menu shows.
    pub title: String,
    /// The files that it names, on the boot partition.
    pub files: Vec<TreePath>,
    /// Whether it starts by itself.
    pub is_default: bool,
}

impl Shown {
    fn new(title: String, is_default: bool) -> Self {
        Self {
            title,
            files: Vec::new(),
            is_default,
        }
    }

    /// Adds a file by its path there, whichever way its slashes lean.
    fn push(&mut self, path: &str) {
        let path = path.replace('\\', "/");
        self.files
            .extend(TreePath::new(path.trim_start_matches('/')).ok());
    }

    /// Adds the initial RAM disks of load options.
    fn push_initrds(&mut self, options: &str) {
        let words = options.split(' ');
        for path in words.filter_map(|word| word.strip_prefix("initrd=")) {
            self.push(path);
        }
    }
}

/// The lines of a menu, whose language the name of its file tells; none of a file that is
/// no menu.
#[must_use]
pub fn shown(file_name: &str, text: &str) -> Vec<Shown> {
    let mut lines = match file_name {
        "grub.cfg" => grub(text),
        "limine.conf" => limine(text),
        "refind.conf" => refind(text),
        "extlinux.conf" => extlinux(text),
        _ => Vec::new(),
    };
    let mut known: Vec<Shown> = Vec::new();
    // rEFInd's default specialisation has two.
    lines.retain(|line| {
        let mut others = known.iter();
        let is_new =
            !others.any(|other| (&other.title, &other.files) == (&line.title, &line.files));
        known.push(line.clone());
        is_new
    });
    lines
}

fn grub(text: &str) -> Vec<Shown> {
    let mut lines: Vec<Shown> = Vec::new();
    let mut default = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("set default=") {
            let name = grub_words(name).concat();
            name.rsplit('>')
                .next()
                .unwrap_or_default()
                .clone_into(&mut default);
            continue;
        }
        let words = grub_words(line);
        match (words.first().map(String::as_str), lines.last_mut()) {
            (Some("menuentry"), _) => {
                let [title, _, name] = [1, 2, 3].map(|index| words.get(index));
                let title = title.cloned().unwrap_or_default();
                lines.push(Shown::new(title, name == Some(&default)));
            }
            (Some("linux" | "initrd"), Some(last)) => {
                let files = words[1..].iter();
                let is_kernel = words[0] == "linux";
                files
                    .take(if is_kernel { 1 } else { usize::MAX })
                    .for_each(|path| last.push(path));
            }
            (Some("chainloader"), Some(last)) => {
                words.get(1).into_iter().for_each(|path| last.push(path));
                words
                    .iter()
                    .skip(2)
                    .for_each(|options| last.push_initrds(options));
            }
            _ => {}
        }
    }
    lines
}

/// The words of a line of GRUB's: in single quotes, all stands for itself.
fn grub_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut is_quoted, mut is_word) = (String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => (is_quoted, is_word) = (!is_quoted, true),
            ' ' if !is_quoted => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            '\\' if !is_quoted => word.extend(letters.next()),
            letter => {
                is_word = true;
                word.push(letter);
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

fn limine(text: &str) -> Vec<Shown> {
    let mut lines: Vec<Shown> = Vec::new();
    let (mut default, mut number) = (None, 0);
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("default_entry: ") {
            default = value.parse::<usize>().ok();
        }
        if line.starts_with('/') {
            number += 1;
            let title = line.trim_start_matches('/');
            // A group is none.
            if let Some(title) = title.strip_prefix(' ') {
                let title = title.replace("${D}", "$");
                lines.push(Shown::new(title, default == Some(number)));
            }
        }
        let path = line.trim_start().split_once("_path: boot():");
        if let (Some((_, path)), Some(last)) = (path, lines.last_mut()) {
            let path = path.rsplit_once('#').map_or(path, |(path, _)| path);
            last.push(&path.replace("${D}", "$"));
        }
    }
    lines
}

fn refind(text: &str) -> Vec<Shown> {
    let mut lines: Vec<Shown> = Vec::new();
    for line in text.lines() {
        let quoted = line.trim_start().split_once(" \"");
        let Some((key, value)) = quoted else {
            continue;
        };
        let value = value.rsplit_once('"').map_or(value, |(value, _)| value);
        let value = value.replace("\"\"", "\"");
        match (key, lines.last_mut()) {
            ("menuentry" | "submenuentry", _) => {
                let is_first = lines.is_empty();
                lines.push(Shown::new(value, is_first));
            }
            ("loader", Some(last)) => last.push(&value),
            ("options", Some(last)) => last.push_initrds(&value),
            _ => {}
        }
    }
    lines
}

fn extlinux(text: &str) -> Vec<Shown> {
    let mut lines: Vec<Shown> = Vec::new();
    let mut default = "";
    for line in text.lines() {
        let Some((key, value)) = line.trim_start().split_once(' ') else {
            continue;
        };
        match (key, lines.last_mut()) {
            ("DEFAULT", None) => default = value,
            ("LABEL", _) => lines.push(Shown::new(value.to_owned(), value == default)),
            ("MENU", Some(last)) => {
                let title = value.strip_prefix("LABEL ");
                title.unwrap_or(value).clone_into(&mut last.title);
            }
            ("LINUX" | "INITRD" | "FDT", Some(last)) => last.push(value),
            _ => {}
        }
    }
    lines
}
