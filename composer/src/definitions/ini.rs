//! The file format of systemd's configuration.
//!
//! Specification: `man systemd.syntax`.

/// A value for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The key.
    pub key: String,
    /// The value, without the blanks around it.
    pub value: String,
    /// The line it starts on, from 1.
    pub line: usize,
}

/// Reads the assignments of a section; there may be no other, but for those of
/// foreign programs, whose names start with `X-`.
///
/// # Errors
/// With the line and what is wrong with it.
pub fn parse(text: &str, section: &str) -> Result<Vec<Assignment>, String> {
    let mut assignments = Vec::new();
    let mut current: Option<&str> = None;
    for (line, content) in logical_lines(text) {
        let content = content.trim();
        if content.is_empty() {
            continue;
        }
        if let Some(name) = content.strip_prefix('[') {
            let name = name
                .strip_suffix(']')
                .ok_or_else(|| format!("line {line}: the name of a section ends in `]`"))?;
            current = match name {
                name if name == section => Some(section),
                name if name.starts_with("X-") => None,
                name => {
                    let name = name.escape_debug();
                    return Err(format!("line {line}: there is no section `[{name}]`"));
                }
            };
            if current.is_none() {
                current = Some("");
            }
            continue;
        }
        let (key, value) = content
            .split_once('=')
            .ok_or_else(|| format!("line {line}: it is no `KEY=VALUE`"))?;
        match current {
            None => return Err(format!("line {line}: it is in no section")),
            Some("") => {}
            Some(_) => assignments.push(Assignment {
                key: key.trim_end().to_owned(),
                value: value.trim_start().to_owned(),
                line,
            }),
        }
    }
    Ok(assignments)
}

/// Lines without comments; a backslash at the end of one joins the next to it.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (number, line) in (1..).zip(text.lines()) {
        // Comments do not end a continued line.
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (content, goes_on) = match line.strip_suffix('\\') {
            Some(content) => (content, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if continues => {
                last.push(' ');
                last.push_str(content);
            }
            _ => lines.push((number, content.to_owned())),
        }
        continues = goes_on;
    }
    lines
}

/// Splits a value at blanks outside of quotes, and takes the quotes and the
/// backslashes before quoted characters away.
///
/// # Errors
/// When a quote is not closed.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => {
                let next = characters.next().ok_or("it ends in a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (character, Some(open)) if character == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (character, None) if character.is_ascii_whitespace() => words.extend(word.take()),
            (character, _) => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// Writes a word so that [`words`] gives it back.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"'".contains(&byte) || byte >= 0x80;
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
