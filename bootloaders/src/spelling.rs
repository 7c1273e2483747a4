//! What somebody meant who wrote a name that is not known.

/// The known name that is nearest to a word. `None` when half of its letters
/// would have to change: a suggestion would then only mislead.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (distance(word, name), name));
    let (distance, name) = distances.min()?;
    (distance * 2 < name.len()).then_some(name)
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
    fn finds_what_was_meant_or_nothing() {
        let known = ["timeout", "editor", "beep"];
        for (word, expected) in [
            ("timout", Some("timeout")),
            ("time_out", Some("timeout")),
            ("Editor", Some("editor")),
            ("beeep", Some("beep")),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
