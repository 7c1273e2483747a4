//! What an installation changes, file by file, and in texts line by line.
//!
//! A pure reading of an [`Installation`]. What stays has no place here, and neither has
//! what every run writes for itself.

use std::collections::BTreeMap;

use super::changes::{Action, Change, Place};
use super::install::Installation;
use super::steps::{Step, temporary};
use crate::plan::Recipe;

/// The most pairs of lines that are compared. Beyond it (two texts of a thousand lines)
/// all lines between the first and the last that differ count as new.
const MOST_PAIRS: usize = 1 << 20;

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff<'a> {
    /// Where it is.
    pub place: &'a Place,
    /// Its length now, in bytes, if it is there.
    pub before: Option<u64>,
    /// Its length afterwards, if it then is.
    pub after: Option<u64>,
    /// Its lines, if what there is of it before and afterwards is text.
    pub lines: Option<Vec<DiffLine<'a>>>,
}

/// A line of a text, with the line feed that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffLine<'a> {
    /// It stays.
    Same(&'a str),
    /// It goes.
    Old(&'a str),
    /// It comes.
    New(&'a str),
}

/// Lists the files that differ, in the order of their places.
#[must_use]
pub fn diff(installation: &Installation) -> Vec<FileDiff<'_>> {
    let written: BTreeMap<&Place, &Recipe> = installation
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Write { to, recipe } => Some((to, recipe)),
            _ => None,
        })
        .collect();
    let differs = |change: &&Change| !matches!(change.action, Action::Keep | Action::Protect);
    let file = |change| of_file(change, installation, &written);
    let changes = installation.changes.iter();
    changes.filter(differs).map(file).collect()
}

fn of_file<'a>(
    change: &'a Change,
    installation: &'a Installation,
    written: &BTreeMap<&Place, &'a Recipe>,
) -> FileDiff<'a> {
    let place @ (role, path) = &change.place;
    let found = installation
        .inventories
        .get(role)
        .and_then(|inventory| inventory.file(path));
    let new = written
        .get(&(role.clone(), temporary(path)))
        .filter(|_| matches!(change.action, Action::Add | Action::Replace));
    let old_text = found.map(|found| found.text.as_deref());
    let new_text = new.map(|recipe| match recipe {
        Recipe::Text(text) => Some(text.as_str()),
        _ => None,
    });
    // A side that is not there is a text without lines; one that is none is in neither.
    let lines = match (old_text.unwrap_or(Some("")), new_text.unwrap_or(Some(""))) {
        (Some(old), Some(new)) => Some(lines(old, new)),
        _ => None,
    };
    FileDiff {
        place,
        before: found.map(|found| found.size),
        after: new.map(|recipe| recipe.size()),
        lines,
    }
}

/// Compares two texts line by line: as many lines as can stay.
#[must_use]
pub fn lines<'a>(old: &'a str, new: &'a str) -> Vec<DiffLine<'a>> {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let backwards = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = backwards.take_while(same).count();
    let old_rest = &old_rest[..old_rest.len() - tail];
    let new_rest = &new_rest[..new_rest.len() - tail];

    let mut lines: Vec<_> = old[..head]
        .iter()
        .map(|line| DiffLine::Same(line))
        .collect();
    if old_rest.len().saturating_mul(new_rest.len()) <= MOST_PAIRS {
        common(old_rest, new_rest, &mut lines);
    } else {
        lines.extend(old_rest.iter().map(|line| DiffLine::Old(line)));
        lines.extend(new_rest.iter().map(|line| DiffLine::New(line)));
    }
    let tail = &old[old.len() - tail..];
    lines.extend(tail.iter().map(|line| DiffLine::Same(line)));
    lines
}

/// Keeps a longest common subsequence of two lists of lines.
fn common<'a>(old: &[&'a str], new: &[&'a str], lines: &mut Vec<DiffLine<'a>>) {
    // How many lines the rests `old[i..]` and `new[j..]` have in common, at most.
    let width = new.len() + 1;
    let mut length = vec![0_usize; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            length[i * width + j] = if old[i] == new[j] {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            lines.push(DiffLine::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if length[(i + 1) * width + j] >= length[i * width + j + 1] {
            lines.push(DiffLine::Old(old[i]));
            i += 1;
        } else {
            lines.push(DiffLine::New(new[j]));
            j += 1;
        }
    }
    lines.extend(old[i..].iter().map(|line| DiffLine::Old(line)));
    lines.extend(new[j..].iter().map(|line| DiffLine::New(line)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A comparison as people read it.
    fn shown(old: &str, new: &str) -> String {
        let line = |line: &DiffLine<'_>| match line {
            DiffLine::Same(line) => format!(" {line}"),
            DiffLine::Old(line) => format!("-{line}"),
            DiffLine::New(line) => format!("+{line}"),
        };
        lines(old, new).iter().map(line).collect()
    }

    #[test]
    fn lines_stay_where_they_can() {
        assert_eq!(shown("a\nb\nc\n", "a\nx\nc\n"), " a\n-b\n+x\n c\n");
        assert_eq!(shown("a\nb\nc\nd\n", "b\nd\ne\n"), "-a\n b\n-c\n d\n+e\n");
        assert_eq!(shown("", "a\n"), "+a\n");
        assert_eq!(shown("a\n", ""), "-a\n");
        assert_eq!(shown("a", "a\n"), "-a+a\n");
        assert_eq!(shown("a\na\na\n", "a\na\n"), " a\n a\n-a\n");
    }

    #[test]
    fn texts_without_end_are_compared_in_time() {
        let text = |word: &str| {
            let lines = (0..30_000).map(|number| format!("{word}{number}\n"));
            lines.collect::<String>()
        };
        let (old, new) = (text("a"), text("b"));
        let found = lines(&old, &new);
        assert_eq!(found.len(), 60_000);
        assert_eq!(found[30_000], DiffLine::New("b0\n"));
    }

    proptest! {
        /// Leaving out what comes gives the old text, what goes the new one.
        #[test]
        fn both_texts_are_in_a_comparison(old in "[abc\n]{0,40}", new in "[abc\n]{0,40}") {
            let found = lines(&old, &new);
            let side = |is_left_out: fn(&DiffLine<'_>) -> bool| -> String {
                let rest = found.iter().filter(|line| !is_left_out(line));
                let text = |line: &DiffLine<'_>| match *line {
                    DiffLine::Same(line) | DiffLine::Old(line) | DiffLine::New(line) => {
                        line.to_owned()
                    }
                };
                rest.map(text).collect()
            };
            prop_assert_eq!(side(|line| matches!(line, DiffLine::New(_))), old.as_str());
            prop_assert_eq!(side(|line| matches!(line, DiffLine::Old(_))), new.as_str());
        }
    }
}
