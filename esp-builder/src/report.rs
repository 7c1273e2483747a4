//! What the program says: a summary, progress, warnings and errors.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use bootloaders::{BootEntry, Line};
use esp_builder::plan::{PlannedFile, Recipe};
use esp_builder::{Planned, Warning};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tree_manifest::{ByteSize, Role, TreePath};

use crate::failure::Failure;

/// How wide the summary may be, in columns.
const WIDTH: usize = 80;

/// What was planned, and built unless this is a dry run.
pub(crate) struct Summary<'a> {
    pub(crate) planned: &'a Planned,
    pub(crate) out: Option<&'a Path>,
    pub(crate) dry_run: bool,
}

/// Prints an error, its causes and what to do about it.
pub(crate) fn failure(failure: &Failure) {
    let mut text = format!("error: {failure}\n");
    let mut cause = failure.source();
    while let Some(error) = cause {
        let _ = writeln!(text, "  caused by: {error}");
        cause = error.source();
    }
    if let Some(hint) = failure.hint() {
        let _ = writeln!(text, "hint: {hint}");
    }
    say(&text);
}

/// Prints warnings, one a line.
pub(crate) fn warnings(warnings: &[Warning]) {
    let lines = warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"));
    say(&lines.collect::<String>());
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    say(&format!("warning: {text}\n"));
}

/// Writes to standard error. When that fails nobody is left to tell: a log on a full disk
/// must not end an installation.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Warns of an error that is none for the whole.
pub(crate) fn warning_of(what: &str, error: &esp_builder::Error) {
    let cause = error.source().map(|cause| format!(": {cause}"));
    warning(&format!("{what}: {error}{}", cause.unwrap_or_default()));
}

/// What a progress bar over bytes shows.
pub(crate) const BYTES: &str = "{wide_bar} {bytes} of {total_bytes}, {eta}";

/// What a progress bar over writes shows, which take very different times.
pub(crate) const WRITES: &str = "{wide_bar} {pos} of {len} writes";

/// A progress bar; hidden unless somebody looks.
pub(crate) fn bar(template: &str, total: u64, hidden: bool) -> ProgressBar {
    if hidden || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Summary<'_> {
    /// Writes the summary for people.
    pub(crate) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_entries(out)?;
        writeln!(out)?;
        if self.dry_run {
            self.write_files(out)?;
            writeln!(out)?;
        }
        for role in self.planned.plan.trees.keys() {
            let (files, bytes) = self.planned.plan.totals(role);
            let (role, size) = (role.as_str(), ByteSize(bytes));
            writeln!(out, "{role:<8} {files:>5} files {size:>11}")?;
        }
        for loader in &self.planned.loaders {
            let info = loader.info.as_deref().unwrap_or("boot loader");
            let (arch, file) = (loader.arch, loader.file.display());
            writeln!(out, "{info} for {arch}, from")?;
            writeln!(out, "  {file}")?;
        }
        match (self.out, self.dry_run) {
            (Some(path), false) => writeln!(out, "wrote {}", path.display()),
            _ => writeln!(out, "dry run: nothing was written"),
        }
    }

    /// Writes the summary for programs: one JSON object on one line.
    pub(crate) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let planned = self.planned;
        let entries: Vec<Value> = planned
            .entries
            .iter()
            .zip(planned.names())
            .enumerate()
            .map(|(index, (entry, name))| {
                json!({
                    "file": name.as_ref().map(Line::as_str),
                    "title": entry.title.as_str(),
                    "version": entry.version.as_ref().map(Line::as_str),
                    "architecture": entry.arch.suffix(),
                    "generation": entry.generation(),
                    "default": index == planned.default,
                })
            })
            .collect();
        let loaders = planned.loaders.iter().map(|loader| {
            json!({
                "architecture": loader.arch.suffix(),
                "path": loader.file.display().to_string(),
                "info": loader.info,
                "signature": loader.signature,
            })
        });
        let warnings = planned.warnings.iter().map(ToString::to_string);
        let summary = json!({
            "out": self.out.map(|path| path.display().to_string()),
            "dry-run": self.dry_run,
            "entries": entries,
            "loaders": loaders.collect::<Vec<_>>(),
            "trees": self.trees_json(),
            "warnings": warnings.collect::<Vec<_>>(),
        });
        writeln!(out, "{summary}")
    }

    fn trees_json(&self) -> Value {
        let trees = self.planned.plan.trees.iter().map(|(role, tree)| {
            let (_, bytes) = self.planned.plan.totals(role);
            let files = tree.iter().map(|(path, file)| {
                json!({
                    "path": path.as_str(),
                    "size": file.recipe.size(),
                    "kind": file.provenance.kind,
                    "from": match &file.recipe {
                        Recipe::Copy { from, .. } => Some(from.display().to_string()),
                        Recipe::Text(_) | Recipe::Secret(_) | Recipe::Assembled(_) => None,
                    },
                })
            });
            let files: Vec<_> = files.collect();
            (role.to_string(), json!({ "bytes": bytes, "files": files }))
        });
        Value::Object(trees.collect())
    }

    /// The menu, the default marked.
    fn write_entries(&self, out: &mut impl Write) -> io::Result<()> {
        for (index, entry) in self.planned.entries.iter().enumerate() {
            let is_default = index == self.planned.default;
            let mark = if is_default { '*' } else { ' ' };
            writeln!(out, "{mark} {}", shorten(&label(entry), WIDTH - 2))?;
        }
        Ok(())
    }

    fn write_files(&self, out: &mut impl Write) -> io::Result<()> {
        for (role, tree) in &self.planned.plan.trees {
            for (path, file) in tree {
                write_file(out, role, path, file)?;
            }
        }
        Ok(())
    }
}

fn write_file(
    out: &mut impl Write,
    role: &Role,
    path: &TreePath,
    file: &PlannedFile,
) -> io::Result<()> {
    let kind = json!(file.provenance.kind);
    let kind = kind.as_str().unwrap_or_default();
    let size = ByteSize(file.recipe.size());
    writeln!(out, "{kind:<13} {size:>11}  {role}/{path}")
}

fn label(entry: &BootEntry) -> String {
    match &entry.version {
        Some(version) => format!("{}, {version}", entry.title),
        None => entry.title.to_string(),
    }
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_labels_are_cut() {
        assert_eq!(shorten("NixOS", 5), "NixOS");
        assert_eq!(shorten("NixOS ü", 6), "NixOS…");
    }
}
