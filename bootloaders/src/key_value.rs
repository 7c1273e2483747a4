//! The lines of systemd-boot's text files, as systemd-boot splits them.

/// What stands around keys and values. Other white space is part of a value: a
/// file may have a name that ends in a no-break space.
const BLANK: [char; 3] = [' ', '\t', '\r'];

/// One line that says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyValue<'a> {
    /// The line, from 1.
    pub number: usize,
    /// The first word.
    pub key: &'a str,
    /// The rest without the blanks around it and one pair of quotes; perhaps
    /// empty.
    pub value: &'a str,
}

/// The lines of a text; blank lines and comments are passed over.
pub(crate) fn key_values(text: &str) -> impl Iterator<Item = KeyValue<'_>> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim_matches(BLANK);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        Some(KeyValue {
            number: index + 1,
            key,
            value: unquote(value.trim_matches(BLANK)),
        })
    })
}

fn unquote(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}
