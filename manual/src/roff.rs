//! A command as a manual page, in the macros of man(7).

use roff::{Inline, Roff, bold, italic, roman};

use crate::page::{Argument, Note, Page};

/// The page, which ends with the names of `related` ones.
pub fn render(page: &Page, related: &[String]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([
        roman(format!("{} - ", page.title)),
        roman(plain(&page.about)),
    ]);
    roff.control("SH", ["SYNOPSIS"]);
    for (index, form) in page.usage.iter().enumerate() {
        if index > 0 {
            roff.control("br", []);
        }
        roff.text(synopsis(form, &page.command));
    }
    roff.control("SH", ["DESCRIPTION"]);
    for (index, paragraph) in page.description.iter().enumerate() {
        if index > 0 {
            roff.control("PP", []);
        }
        roff.text(inlines(paragraph));
    }
    for note in page.notes.iter().filter(|note| note.heading.is_none()) {
        roff.control("PP", []);
        roff.text(inlines(&note.lines.join(" ")));
    }
    for (heading, arguments) in &page.arguments {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        for argument in arguments {
            describe(&mut roff, argument);
        }
    }
    if !page.subcommands.is_empty() {
        roff.control("SH", ["COMMANDS"]);
        for (name, about) in &page.subcommands {
            roff.control("TP", []);
            roff.text([bold(format!("{}-{name}", page.title)), roman("(1)")]);
            roff.text(inlines(about));
        }
    }
    for note in &page.notes {
        titled(&mut roff, note);
    }
    if !related.is_empty() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text(references(related));
    }
    head_line(page) + &roff.to_roff()
}

/// Without a date: a page that tells when it was made is another each time. The writer of
/// macros leaves out what is empty, and the fields behind it would be taken for the date.
fn head_line(page: &Page) -> String {
    let escaped = |text: &str| text.replace('-', "\\-");
    let (title, source) = (page.title.to_uppercase(), &page.source);
    let (title, source) = (escaped(&title), escaped(source));
    format!(".TH {title} 1 \"\" \"{source}\" \"User Commands\"\n")
}

/// The name of the command is bold where the form begins with it.
fn synopsis(form: &str, command: &str) -> Vec<Inline> {
    match form.strip_prefix(command) {
        Some(rest) => vec![bold(command), roman(rest)],
        None => vec![roman(form)],
    }
}

fn describe(roff: &mut Roff, argument: &Argument) {
    roff.control("TP", []);
    let mut head = Vec::new();
    for (index, flag) in argument.flags.iter().enumerate() {
        if index > 0 {
            head.push(roman(", "));
        }
        head.push(bold(flag));
    }
    if let Some(value) = &argument.value {
        if !head.is_empty() {
            head.push(roman(" "));
        }
        head.push(italic(value));
    }
    roff.text(head);
    let mut body = inlines(&argument.help);
    if !argument.choices.is_empty() && argument.choices.iter().all(|(_, help)| help.is_none()) {
        let choices = argument.choices.iter().map(|(choice, _)| choice.as_str());
        let choices: Vec<&str> = choices.collect();
        body.push(roman(format!(" [possible values: {}]", choices.join(", "))));
    }
    if let Some(default) = &argument.default {
        body.push(roman(format!(" [default: {default}]")));
    }
    if let Some(name) = &argument.environment {
        body.push(roman(format!(" [environment: {name}]")));
    }
    roff.text(body);
    let mut explained = argument.choices.iter().filter(|(_, help)| help.is_some());
    if explained.next().is_none() {
        return;
    }
    roff.control("RS", []);
    for (choice, help) in &argument.choices {
        roff.control("TP", []);
        roff.text([bold(choice)]);
        roff.text(inlines(help.as_deref().unwrap_or_default()));
    }
    roff.control("RE", []);
}

fn titled(roff: &mut Roff, note: &Note) {
    let Some(heading) = &note.heading else {
        return;
    };
    roff.control("SH", [heading.to_uppercase().as_str()]);
    roff.control("nf", []);
    for line in &note.lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn references(related: &[String]) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (index, reference) in related.iter().enumerate() {
        if index > 0 {
            inlines.push(roman(", "));
        }
        match reference.split_once('(') {
            Some((name, section)) => {
                inlines.push(bold(name));
                inlines.push(roman(format!("({section}")));
            }
            None => inlines.push(roman(reference)),
        }
    }
    inlines
}

/// What is between backticks is bold.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| match index % 2 {
            0 => roman(part),
            _ => bold(part),
        })
        .collect()
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}
