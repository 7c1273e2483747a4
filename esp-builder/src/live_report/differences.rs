//! What `diff` says: each file that differs, and the lines of texts.

use std::fmt::Write as _;

use bootloaders::boot_order::VariableChange;
use esp_builder::live::diff::{DiffLine, FileDiff};
use esp_builder::live::execute::Mounts;
use serde_json::{Value, json};
use tree_manifest::ByteSize;

use super::{json_of_firmware, paths, text_of_firmware};

/// The differences of every target, and what firmware would be told.
pub(crate) fn differences(
    targets: &[Mounts],
    found: &[Vec<FileDiff<'_>>],
    firmware: &[VariableChange],
    as_json: bool,
) -> String {
    let pairs = || targets.iter().zip(found);
    if as_json {
        let target = |(mounts, files): (&Mounts, &Vec<FileDiff<'_>>)| {
            let files: Vec<Value> = files.iter().map(json_of).collect();
            json!({ "mounts": paths(mounts), "differences": files })
        };
        let targets: Vec<Value> = pairs().map(target).collect();
        let variables = json_of_firmware(firmware);
        return format!(
            "{}\n",
            json!({ "targets": targets, "variables": variables })
        );
    }
    let text = pairs().map(|(mounts, files)| text_of(mounts, files));
    text.collect::<String>() + &text_of_firmware(firmware)
}

/// What becomes of a file.
fn verb(file: &FileDiff<'_>) -> &'static str {
    match (file.before, file.after) {
        (None, _) => "added",
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "removed",
    }
}

fn text_of(mounts: &Mounts, files: &[FileDiff<'_>]) -> String {
    let mut text = String::new();
    for (role, mount) in mounts {
        let own = files.iter().filter(|file| file.place.0 == *role);
        for (index, file) in own.enumerate() {
            if index == 0 {
                let _ = writeln!(text, "{role} {}", mount.display());
            }
            let _ = write!(text, "{:<8} {}", verb(file), file.place.1);
            match &file.lines {
                Some(lines) => {
                    text.push('\n');
                    for line in lines {
                        push_line(&mut text, *line);
                    }
                }
                None => {
                    let _ = writeln!(text, " ({})", sizes(file));
                }
            }
        }
    }
    text
}

/// What is to be said of a file that is no text.
fn sizes(file: &FileDiff<'_>) -> String {
    match (file.before, file.after) {
        (Some(before), Some(after)) if before == after => {
            format!("{}, other content", ByteSize(after))
        }
        (Some(before), Some(after)) => format!("{}, was {}", ByteSize(after), ByteSize(before)),
        (size, None) | (None, size) => ByteSize(size.unwrap_or_default()).to_string(),
    }
}

/// A line as `diff -u` has it. Control characters, which could tell the terminal to hide
/// something, are written out.
fn push_line(text: &mut String, line: DiffLine<'_>) {
    let (mark, line) = match line {
        DiffLine::Same(line) => (' ', line),
        DiffLine::Old(line) => ('-', line),
        DiffLine::New(line) => ('+', line),
    };
    let content = line.strip_suffix('\n');
    text.push_str("  ");
    text.push(mark);
    for letter in content.unwrap_or(line).chars() {
        if letter.is_control() && letter != '\t' {
            text.extend(letter.escape_default());
        } else {
            text.push(letter);
        }
    }
    text.push('\n');
    if content.is_none() {
        text.push_str("  \\ no line feed at the end\n");
    }
}

fn json_of(file: &FileDiff<'_>) -> Value {
    let line = |line: &DiffLine<'_>| {
        let (mark, line) = match line {
            DiffLine::Same(line) => ("same", line),
            DiffLine::Old(line) => ("old", line),
            DiffLine::New(line) => ("new", line),
        };
        json!({ mark: line })
    };
    let lines = file.lines.as_ref();
    let (role, path) = file.place;
    json!({
        "role": role.as_str(),
        "path": path.as_str(),
        "action": verb(file),
        "size-before": file.before,
        "size-after": file.after,
        "lines": lines.map(|lines| lines.iter().map(line).collect::<Vec<_>>()),
    })
}
