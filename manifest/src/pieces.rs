//! Pieces of files as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Piece;

/// The longest file of any file system of Linux, in bytes.
const LONGEST: u64 = i64::MAX.unsigned_abs();

/// A piece of a file that is put together; exactly one of `text`, `hex`, `zeros`, `hidden`
/// and `path`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
#[schemars(rename = "Piece")]
pub(crate) enum PieceJson {
    /// Bytes that are readable text.
    Text {
        /// The text.
        text: String,
    },
    /// Any bytes.
    Hex {
        /// The bytes, in lower-case hexadecimal digits.
        #[schemars(regex(pattern = "^([0-9a-f]{2})+$"))]
        hex: String,
    },
    /// Bytes that are zero.
    Zeros {
        /// How many.
        #[schemars(range(min = 1))]
        zeros: u64,
    },
    /// Bytes that are nowhere but in the tree itself: secrets of a partition in use.
    Hidden {
        /// How many.
        #[schemars(range(min = 1))]
        hidden: u64,
    },
    /// A slice of a file.
    Slice {
        /// The file, by absolute path.
        #[schemars(regex(pattern = "^/"))]
        path: String,
        /// Where the slice starts, in bytes.
        #[serde(default, skip_serializing_if = "is_zero")]
        offset: u64,
        /// Its length in bytes.
        #[schemars(range(min = 1))]
        length: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Reads the pieces of a file of `size` bytes.
pub(crate) fn read(pieces: Vec<PieceJson>, size: u64) -> Result<Vec<Piece>, String> {
    let mut total: u64 = 0;
    let mut read = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let piece = read_piece(piece)?;
        if piece.length() == 0 {
            return Err("a piece is empty".to_owned());
        }
        total = total
            .checked_add(piece.length())
            .filter(|total| *total <= LONGEST)
            .ok_or("its pieces are longer than any file")?;
        read.push(piece);
    }
    if total != size {
        return Err(format!(
            "its pieces have {total} bytes, and `size` is {size}"
        ));
    }
    Ok(read)
}

fn read_piece(piece: PieceJson) -> Result<Piece, String> {
    Ok(match piece {
        PieceJson::Text { text } => Piece::Bytes(text.into_bytes().into()),
        PieceJson::Hex { hex } => {
            let bytes = bytes_of(&hex).ok_or("a piece is not pairs of digits `0-9a-f`")?;
            Piece::Bytes(bytes.into())
        }
        PieceJson::Zeros { zeros } => Piece::Zeros(zeros),
        PieceJson::Hidden { hidden } => Piece::Hidden(hidden),
        PieceJson::Slice {
            path,
            offset,
            length,
        } => {
            if !path.starts_with('/') || path.contains('\0') {
                return Err("the path of a piece is absolute and holds no NUL".to_owned());
            }
            let end = offset.checked_add(length);
            if end.is_none_or(|end| end > LONGEST) {
                return Err("a piece ends beyond any file".to_owned());
            }
            Piece::Slice {
                path,
                offset,
                length,
            }
        }
    })
}

pub(crate) fn write(piece: &Piece) -> PieceJson {
    match piece {
        Piece::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if is_readable(text) => PieceJson::Text {
                text: text.to_owned(),
            },
            _ => PieceJson::Hex { hex: hex_of(bytes) },
        },
        Piece::Zeros(zeros) => PieceJson::Zeros { zeros: *zeros },
        Piece::Hidden(hidden) => PieceJson::Hidden { hidden: *hidden },
        Piece::Slice {
            path,
            offset,
            length,
        } => PieceJson::Slice {
            path: path.clone(),
            offset: *offset,
            length: *length,
        },
    }
}

/// Whether a text is one that people read.
fn is_readable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\n')
}

fn hex_of(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    pairs.map(digit).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(value(*high)? << 4 | value(*low)?));
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}
