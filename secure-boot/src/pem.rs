//! PEM: DER in Base64 between two marks.
//!
//! Specification: RFC 7468. Text around the blocks is passed over.

use base64ct::{Base64, Encoding};

use crate::error::Error;

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it says it is, such as `CERTIFICATE`.
    pub label: String,
    /// Whether a passphrase protects it in OpenSSL's old way.
    pub encrypted: bool,
    /// What it holds.
    pub der: Vec<u8>,
}

/// The blocks of a text, in order.
///
/// # Errors
/// When a block has no end or is not Base64.
pub fn parse(text: &str) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = mark(line, "BEGIN") else {
            continue;
        };
        let mut body = String::new();
        let mut encrypted = label == "ENCRYPTED PRIVATE KEY";
        loop {
            match lines.next() {
                Some(line) if mark(line, "END") == Some(label) => break,
                // Header lines stand in old private keys.
                Some(line) if line.contains(':') => encrypted |= line.contains("ENCRYPTED"),
                Some(line) => body.push_str(line),
                None => {
                    let reason = format!("has no end of its `{}`", label.escape_debug());
                    return Err(Error::Pem(reason));
                }
            }
        }
        let der = if encrypted {
            Vec::new()
        } else {
            Base64::decode_vec(&body).map_err(|_| {
                let label = label.escape_debug();
                Error::Pem(format!("has a `{label}` that is not Base64"))
            })?
        };
        blocks.push(Block {
            label: label.to_owned(),
            encrypted,
            der,
        });
    }
    Ok(blocks)
}

/// The text of a block.
#[must_use]
pub fn render(label: &str, der: &[u8]) -> String {
    let lines: String = der
        .chunks(48)
        .map(|line| Base64::encode_string(line) + "\n")
        .collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// What a file holds that is PEM with this label or else DER.
pub(crate) fn or_der(bytes: &[u8], label: &str) -> Result<Vec<Vec<u8>>, Error> {
    if !is_pem(bytes) {
        return Ok(vec![bytes.to_vec()]);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Pem("is not UTF-8".to_owned()))?;
    let blocks = parse(text)?.into_iter();
    let found: Vec<_> = blocks
        .filter(|block| block.label == label)
        .map(|block| block.der)
        .collect();
    if found.is_empty() {
        return Err(Error::Pem(format!("holds no `{label}`")));
    }
    Ok(found)
}

/// Whether a file is text rather than DER, which begins with a SEQUENCE.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    !(bytes.first() == Some(&0x30) && bytes.get(1).is_some_and(|length| *length >= 0x80))
}

fn mark<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?
        .strip_prefix(word)?
        .strip_prefix(' ')?
        .strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_as_they_were_written_whatever_stands_around_them() {
        let der: Vec<u8> = (0..100).collect();
        let text = format!("subject=x\n{}\r\n{}", render("A", &der), render("B C", b""));
        let blocks = parse(&text).unwrap();
        let found: Vec<_> = blocks
            .iter()
            .map(|it| (it.label.as_str(), &it.der[..]))
            .collect();
        assert_eq!(found, [("A", &der[..]), ("B C", &[])]);
    }

    #[test]
    fn broken_blocks_are_refused() {
        let said = |text| parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                said("-----BEGIN X-----\nAAAA\n"),
                said("-----BEGIN X-----\n*\n-----END X-----"),
                or_der(b"nothing", "X").unwrap_err().to_string(),
            ]
            .join("\n")
        );
    }
}
