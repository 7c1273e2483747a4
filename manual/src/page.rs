//! What one command says of itself, free of any markup.

use clap::{Arg, Command};

/// One command: the program, or a subcommand.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its name as a manual page, such as `tool-look`.
    pub title: String,
    /// How it is called, such as `tool look`.
    pub command: String,
    /// The program and its version.
    pub source: String,
    /// One line.
    pub about: String,
    /// Paragraphs that say more.
    pub description: Vec<String>,
    /// The forms in which it can be called.
    pub usage: Vec<String>,
    /// Arguments and options by their heading.
    pub arguments: Vec<(String, Vec<Argument>)>,
    /// The names of subcommands, and a line on each.
    pub subcommands: Vec<(String, String)>,
    /// What follows the options.
    pub notes: Vec<Note>,
}

/// An option, or an argument that is known by its place.
#[derive(Debug, Clone)]
pub struct Argument {
    /// `-q, --quiet`, or nothing for an argument.
    pub flags: Vec<String>,
    /// The name of its value, with what surrounds it.
    pub value: Option<String>,
    /// What it is for.
    pub help: String,
    /// What it can be, with a text on each if there is one.
    pub choices: Vec<(String, Option<String>)>,
    /// What it is when nothing is said.
    pub default: Option<String>,
    /// A variable of the environment that stands for it.
    pub environment: Option<String>,
}

/// A titled text as it was written: lines that are not to be joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Such as `Examples`; none for paragraphs between them.
    pub heading: Option<String>,
    /// Its lines.
    pub lines: Vec<String>,
}

/// The headings that a subcommand has from its program.
const INHERITED: [&str; 2] = ["Exit status", "Files"];

impl Page {
    /// The program first, then its subcommands as deep as they go. What is hidden is
    /// left out.
    #[must_use]
    pub fn all(command: Command) -> Vec<Self> {
        let version = command.get_version().unwrap_or_default();
        let source = format!("{} {version}", command.get_name());
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        collect(&command, &source, &mut pages);
        if let Some((program, subcommands)) = pages.split_first_mut() {
            for page in subcommands {
                page.inherit(&program.notes);
            }
        }
        pages
    }

    fn of(command: &Command, source: &str) -> Self {
        let text = |styled: Option<&clap::builder::StyledStr>| {
            styled.map(ToString::to_string).unwrap_or_default()
        };
        let about = text(command.get_about().or(command.get_long_about()));
        let long = text(command.get_long_about().or(command.get_about()));
        let name = command.get_name();
        Self {
            title: command.get_display_name().unwrap_or(name).to_owned(),
            command: command.get_bin_name().unwrap_or(name).to_owned(),
            source: source.to_owned(),
            about: about.trim_end_matches('.').to_owned(),
            description: paragraphs(&long),
            usage: usage(command),
            arguments: arguments(command),
            subcommands: visible(command)
                .map(|sub| (sub.get_name().to_owned(), text(sub.get_about())))
                .collect(),
            notes: notes(&text(
                command.get_after_long_help().or(command.get_after_help()),
            )),
        }
    }

    fn inherit(&mut self, notes: &[Note]) {
        for note in notes {
            let inherited = |heading: &String| INHERITED.contains(&heading.as_str());
            let own = self.notes.iter().any(|own| own.heading == note.heading);
            if note.heading.as_ref().is_some_and(inherited) && !own {
                self.notes.push(note.clone());
            }
        }
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn collect(command: &Command, source: &str, pages: &mut Vec<Page>) {
    pages.push(Page::of(command, source));
    for sub in visible(command) {
        collect(sub, source, pages);
    }
}

/// As `--help` has it, without its first word.
fn usage(command: &Command) -> Vec<String> {
    let text = command.clone().render_usage().to_string();
    let text = text.trim_start_matches("Usage:");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(Into::into)
        .collect()
}

fn arguments(command: &Command) -> Vec<(String, Vec<Argument>)> {
    let mut groups: Vec<(String, Vec<Argument>)> = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let heading = match arg.get_help_heading() {
            Some(heading) => heading,
            None if arg.is_positional() => "Arguments",
            None => "Options",
        };
        let argument = Argument::of(arg);
        match groups.iter_mut().find(|(name, _)| name == heading) {
            Some((_, arguments)) => arguments.push(argument),
            None => groups.push((heading.to_owned(), vec![argument])),
        }
    }
    // As `--help` has them.
    groups.sort_by_key(|(heading, _)| match heading.as_str() {
        "Arguments" => 0,
        "Options" => 1,
        _ => 2,
    });
    groups
}

impl Argument {
    fn of(arg: &Arg) -> Self {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        let aliases = arg.get_visible_aliases().unwrap_or_default();
        let aliases = aliases.into_iter().map(|alias| format!("--{alias}"));
        let takes_values = arg.get_action().takes_values();
        let choices = arg.get_possible_values();
        let choices = choices.iter().filter(|choice| !choice.is_hide_set());
        let default = arg.get_default_values().iter();
        let default: Vec<_> = default.map(|value| value.to_string_lossy()).collect();
        let shown = takes_values && !arg.is_hide_default_value_set() && !default.is_empty();
        let help = arg.get_long_help().or(arg.get_help());
        Self {
            flags: short.into_iter().chain(long).chain(aliases).collect(),
            value: takes_values.then(|| value_of(arg)),
            help: help.map(ToString::to_string).unwrap_or_default(),
            choices: if takes_values {
                choices
                    .map(|choice| {
                        let help = choice.get_help().map(ToString::to_string);
                        (choice.get_name().to_owned(), help)
                    })
                    .collect()
            } else {
                Vec::new()
            },
            default: shown.then(|| default.join(", ")),
            environment: arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned()),
        }
    }
}

fn value_of(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
    let name = if names.is_empty() {
        arg.get_id().as_str().to_uppercase()
    } else {
        names.join(" ")
    };
    if arg.is_positional() && !arg.is_required_set() {
        format!("[{name}]")
    } else {
        name
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        lines.join(" ")
    });
    paragraphs.filter(|text| !text.is_empty()).collect()
}

/// Takes the text behind the options apart: a line of its own that ends in a colon is
/// the heading of the indented lines below it.
fn notes(text: &str) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_suffix(':')
            && !line.starts_with(' ')
        {
            let heading = Some(heading.to_owned());
            let lines = Vec::new();
            notes.push(Note { heading, lines });
        } else if let Some(line) = line.strip_prefix("  ")
            && let Some(note) = notes.last_mut()
        {
            note.lines.push(line.to_owned());
        } else if let Some(note) = notes.last_mut().filter(|note| note.heading.is_none()) {
            note.lines.push(line.to_owned());
        } else {
            let lines = vec![line.to_owned()];
            notes.push(Note {
                heading: None,
                lines,
            });
        }
    }
    notes
}
