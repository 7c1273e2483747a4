//! What the commands for boot partitions in use say.

use std::fmt::Write as _;

use bootloaders::boot_counting::Counter;
use bootloaders::boot_order::{VariableChange, VariableWrite};
use esp_builder::live::changes::{Action, Change};
use esp_builder::live::execute::Mounts;
use esp_builder::live::install::Installation;
use esp_builder::live::space::{Order, Use};
use esp_builder::live::status::{MenuEntry, Status};
use esp_builder::live::verify::{Explanation, Finding};
use serde_json::{Value, json};
use tree_manifest::{ByteSize, TreePath};

mod differences;

pub(crate) use differences::differences;

/// The changes of every target, the room they take, and what firmware is told.
pub(crate) fn installations(
    targets: &[Mounts],
    made: &[Installation],
    firmware: &[VariableChange],
    as_json: bool,
) -> String {
    let pairs = || targets.iter().zip(made);
    if as_json {
        let targets: Vec<Value> = pairs()
            .map(|(mounts, installation)| json_of(mounts, installation))
            .collect();
        let variables = json_of_firmware(firmware);
        return format!(
            "{}\n",
            json!({ "targets": targets, "variables": variables })
        );
    }
    let text = pairs().map(|(mounts, installation)| text_of(mounts, installation));
    text.collect::<String>() + &text_of_firmware(firmware)
}

fn json_of_firmware(changes: &[VariableChange]) -> Value {
    let json_of =
        |change: &VariableChange| json!({ "name": change.name, "action": verb_of(change) });
    changes.iter().map(json_of).collect()
}

fn text_of_firmware(changes: &[VariableChange]) -> String {
    let mut text = String::new();
    if !changes.is_empty() {
        text.push_str("firmware\n");
    }
    for change in changes {
        let size = match &change.write {
            VariableWrite::Create(value) | VariableWrite::Replace(value) => {
                ByteSize(value.len() as u64).to_string()
            }
            VariableWrite::Remove => String::new(),
        };
        let _ = writeln!(text, "  {:<8} {size:>11}  {}", verb_of(change), change.name);
    }
    text
}

fn verb_of(change: &VariableChange) -> &'static str {
    verb(match change.write {
        VariableWrite::Create(_) => Action::Add,
        VariableWrite::Replace(_) => Action::Replace,
        VariableWrite::Remove => Action::Remove,
    })
}

fn text_of(mounts: &Mounts, installation: &Installation) -> String {
    let mut text = String::new();
    for (role, mount) in mounts {
        let _ = writeln!(text, "{role} {}", mount.display());
        let own: Vec<&Change> = installation
            .changes
            .iter()
            .filter(|change| change.place.0 == *role)
            .collect();
        for change in own.iter().filter(|change| change.action != Action::Keep) {
            let (verb, size) = (verb(change.action), ByteSize(change.size));
            let _ = writeln!(text, "  {verb:<8} {size:>11}  {}", change.place.1);
        }
        let kept = own.iter().filter(|change| change.action == Action::Keep);
        let (count, bytes) = kept.fold((0, 0), |(count, bytes), change| {
            (count + 1, bytes + change.size)
        });
        let _ = writeln!(
            text,
            "  {:<8} {:>11}  in {count} files",
            "keep",
            ByteSize(bytes)
        );
        if let Some(room) = installation.uses.get(role) {
            let _ = writeln!(text, "  {}", room_of(room));
        }
    }
    if installation.steps.is_empty() {
        text.push_str("nothing to do\n");
    } else if installation.order == Order::CollectFirst {
        text.push_str("there is no room for both menus: what goes, goes first\n");
    }
    text
}

fn room_of(room: &Use) -> String {
    let Use {
        total,
        before,
        peak,
        after,
    } = room;
    format!("room: {before} now, {peak} at the fullest, {after} after, of {total}")
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Add => "add",
        Action::Replace => "replace",
        Action::Keep => "keep",
        Action::Protect => "protect",
        Action::Remove | Action::RemoveLast => "remove",
    }
}

fn json_of(mounts: &Mounts, installation: &Installation) -> Value {
    let partitions = mounts.iter().map(|(role, mount)| {
        let own = installation
            .changes
            .iter()
            .filter(|change| change.place.0 == *role);
        let changes = own.map(|change| {
            json!({
                "path": change.place.1.as_str(),
                "action": verb(change.action),
                "size": change.size,
                "kind": change.kind,
            })
        });
        let changes: Vec<Value> = changes.collect();
        let partition = json!({
            "mount": mount.display().to_string(),
            "room": installation.uses.get(role),
            "changes": changes,
        });
        (role.to_string(), partition)
    });
    json!({
        "order": installation.order,
        "writes": installation.steps.len(),
        "partitions": Value::Object(partitions.collect()),
    })
}

/// What differs from what was written down.
pub(crate) fn findings(mounts: &Mounts, findings: &[Finding], as_json: bool) -> String {
    let text = |finding: &Finding| format!("{}: {}", finding.role, finding.difference);
    if as_json {
        let list: Vec<String> = findings.iter().map(text).collect();
        return format!(
            "{}\n",
            json!({ "mounts": paths(mounts), "differences": list })
        );
    }
    if findings.is_empty() {
        return format!("{}: as it was written down\n", paths(mounts).join(", "));
    }
    findings.iter().map(text).collect::<Vec<_>>().join("\n") + "\n"
}

/// Who needs a file.
pub(crate) fn explanations(found: &[Explanation], as_json: bool) -> String {
    if as_json {
        let list = found.iter().map(|explanation| {
            let (role, path) = &explanation.place;
            json!({
                "role": role.as_str(),
                "path": path.as_str(),
                "provenance": explanation.provenance,
            })
        });
        return format!("{}\n", Value::Array(list.collect()));
    }
    let mut text = String::new();
    for Explanation {
        place: (role, path),
        provenance,
    } in found
    {
        let kind = json!(provenance.kind);
        let _ = writeln!(text, "{role}/{path}: {}", kind.as_str().unwrap_or_default());
        for id in &provenance.generations {
            let _ = writeln!(text, "  {}", esp_builder::generation::describe(id));
        }
        if provenance.generations.is_empty() {
            text.push_str("  for the menu as a whole\n");
        }
    }
    text
}

/// The menu.
pub(crate) fn status(mounts: &Mounts, status: &Status, as_json: bool) -> String {
    if as_json {
        let entries: Vec<Value> = status.entries.iter().map(json_of_entry).collect();
        return format!(
            "{}\n",
            json!({ "mounts": paths(mounts), "entries": entries })
        );
    }
    let mut text = String::new();
    for entry in &status.entries {
        let marks = [(entry.is_default, '*'), (entry.is_booted, '>')];
        let marks: String = marks
            .iter()
            .map(|(is_so, mark)| if *is_so { *mark } else { ' ' })
            .collect();
        let tries = entry.counter.map(|counter| {
            format!(
                " ({} tries left, {} failed)",
                counter.left(),
                counter.done()
            )
        });
        let version = entry.version.as_ref().map(|version| format!(", {version}"));
        let (title, size) = (&entry.title, entry.size);
        let (version, tries) = (version.unwrap_or_default(), tries.unwrap_or_default());
        let own = entry.exclusive.map(|bytes| bytes.to_string());
        let own = own.unwrap_or_else(|| "?".to_owned());
        let _ = writeln!(
            text,
            "{marks} {size:>10} {own:>10}  {title}{version}{tries}"
        );
        for path in &entry.missing {
            let _ = writeln!(text, "                          missing: {path}");
        }
    }
    text.push_str("\n* default, > running; what it needs, and what only its generation needs\n");
    for (role, space) in &status.space {
        let taken = ByteSize(space.total.saturating_sub(space.free));
        let _ = writeln!(text, "{role}: {taken} of {} taken", ByteSize(space.total));
    }
    text
}

fn json_of_entry(entry: &MenuEntry) -> Value {
    json!({
        "file": entry.name,
        "profile": entry.profile,
        "role": entry.role.as_str(),
        "title": entry.title,
        "version": entry.version,
        "size": entry.size,
        "exclusive": entry.exclusive,
        "tries-left": entry.counter.map(Counter::left),
        "tries-done": entry.counter.map(Counter::done),
        "booted": entry.is_booted,
        "default": entry.is_default,
        "missing": entry.missing.iter().map(TreePath::as_str).collect::<Vec<_>>(),
    })
}

fn paths(mounts: &Mounts) -> Vec<String> {
    mounts
        .values()
        .map(|path| path.display().to_string())
        .collect()
}
