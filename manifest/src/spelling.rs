//! What somebody meant who wrote a name that is not known.

/// The known name that is nearest to a word. `None` when half of its letters
/// would have to change: a suggestion would then only mislead. Case does not count.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distances = known
        .into_iter()
        .map(|name| (distance(&word, &name.to_lowercase()), name));
    let (distance, name) = distances.min()?;
    (distance * 2 < name.len()).then_some(name)
}

/// A message of serde about a name that it does not know, with the one that may have been
/// meant, and without a list that nobody would read. Any other message stays as it is.
#[must_use]
pub fn suggest(message: &str) -> String {
    /// As many names as are a help.
    const READABLE: usize = 12;
    let unknown = ["unknown field `", "unknown variant `"];
    if !unknown.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let word = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let (head, _) = message.split_once(", expected").unwrap_or((message, ""));
    let many = known.len() > READABLE;
    match nearest(word, known.iter().copied()) {
        Some(name) if many => format!("{head}; did you mean `{name}`?"),
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None if many => format!("{head}, none of the {} known", known.len()),
        None => message.to_owned(),
    }
}

/// How many letters must be added, removed or replaced to get from one word to
/// the other.
fn distance(first: &str, second: &str) -> usize {
    let second: Vec<char> = second.chars().collect();
    let mut row: Vec<usize> = (0..=second.len()).collect();
    for (index, letter) in first.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in second.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_becomes_a_suggestion() {
        let many: Vec<String> = (10..30).map(|number| format!("`name{number}`")).collect();
        let many = many.join(", ");
        for (message, expected) in [
            (
                "unknown variant `ext5`, expected `vfat` or `ext4`".to_owned(),
                "unknown variant `ext5`, expected `vfat` or `ext4`; did you mean `ext4`?"
                    .to_owned(),
            ),
            (
                "unknown variant `zfs`, expected `vfat` or `ext4`".to_owned(),
                "unknown variant `zfs`, expected `vfat` or `ext4`".to_owned(),
            ),
            (
                format!("unknown field `name_12`, expected one of {many}"),
                "unknown field `name_12`; did you mean `name12`?".to_owned(),
            ),
            (
                format!("unknown field `colour`, expected one of {many}"),
                "unknown field `colour`, none of the 20 known".to_owned(),
            ),
            (
                "missing field `a`".to_owned(),
                "missing field `a`".to_owned(),
            ),
        ] {
            assert_eq!(suggest(&message), expected);
        }
    }

    #[test]
    fn finds_what_was_meant_or_nothing() {
        let known = ["timeout", "editor", "beep"];
        for (word, expected) in [
            ("timout", Some("timeout")),
            ("time_out", Some("timeout")),
            ("EDITOR", Some("editor")),
            ("beeep", Some("beep")),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
