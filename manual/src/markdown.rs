//! Every command of a program as one page of Markdown.

use std::fmt::Write as _;

use crate::page::{Argument, Page};

/// A section for each command, and a table for each group of options.
pub fn render(pages: &[Page]) -> String {
    let program = pages.first().map_or("", |page| &page.command);
    let mut text = format!(
        "# Commands of {program}\n\nWritten by `{program} --generate markdown`, from what the \
        program itself reads.\n\n"
    );
    for page in pages {
        section(&mut text, page);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn section(out: &mut String, page: &Page) {
    let _ = writeln!(out, "## {}\n", page.command);
    for paragraph in &page.description {
        let _ = writeln!(out, "{}\n", prose(paragraph));
    }
    let _ = writeln!(out, "```text\n{}\n```\n", page.usage.join("\n"));
    for note in page.notes.iter().filter(|note| note.heading.is_none()) {
        let _ = writeln!(out, "{}\n", prose(&note.lines.join(" ")));
    }
    for (heading, arguments) in &page.arguments {
        let _ = writeln!(out, "| {} | |\n| --- | --- |", heading.to_lowercase());
        for argument in arguments {
            let _ = writeln!(out, "| {} | {} |", head(argument), body(argument));
        }
        out.push('\n');
    }
    for note in &page.notes {
        if let Some(heading) = &note.heading {
            let lines = note.lines.join("\n");
            let _ = writeln!(out, "{heading}:\n\n```text\n{lines}\n```\n");
        }
    }
}

fn head(argument: &Argument) -> String {
    let flags = argument.flags.join(", ");
    match (&argument.value, flags.is_empty()) {
        (Some(value), true) => format!("`{}`", cell(value)),
        (Some(value), false) => format!("`{flags} {}`", cell(value)),
        (None, _) => format!("`{flags}`"),
    }
}

fn body(argument: &Argument) -> String {
    let mut text = prose(&argument.help.replace('\n', " "));
    let choices = argument.choices.iter();
    let choices: Vec<String> = choices
        .map(|(choice, help)| match help {
            Some(help) => format!("`{choice}` ({})", prose(help.trim_end_matches('.'))),
            None => format!("`{choice}`"),
        })
        .collect();
    if !choices.is_empty() {
        text = text.trim_end_matches('.').to_owned();
        let _ = write!(text, ": {}", choices.join(", "));
    }
    if let Some(default) = &argument.default {
        let _ = write!(text, " [default: `{default}`]");
    }
    if let Some(name) = &argument.environment {
        let _ = write!(text, " [environment: `{name}`]");
    }
    cell(&text)
}

/// A bar would end the cell, also between backticks.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Placeholders in angle brackets are no HTML.
fn prose(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}
