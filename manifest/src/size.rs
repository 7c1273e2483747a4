//! Sizes in bytes, as people read and write them.
//!
//! The spelling is systemd's (`man systemd.syntax`): `64M` is 64 MiB, because
//! suffixes count in powers of 1024.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SUFFIXES: [(char, u32); 6] = [
    ('K', 10),
    ('M', 20),
    ('G', 30),
    ('T', 40),
    ('P', 50),
    ('E', 60),
];

impl ByteSize {
    /// So many KiB.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// So many MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    /// Writes the size for people: at most four digits and a binary unit.
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (60, "EiB"),
            (50, "PiB"),
            (40, "TiB"),
            (30, "GiB"),
            (20, "MiB"),
            (10, "KiB"),
        ];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift != 0) else {
            return f.pad(&format!("{} B", self.0));
        };
        let whole = 1_u64 << shift;
        if self.0.is_multiple_of(whole) {
            f.pad(&format!("{} {unit}", self.0 / whole))
        } else {
            f.pad(&format!("{:.1} {unit}", self.0 as f64 / whole as f64))
        }
    }
}

/// The text is not a size.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not a size: write bytes, or a number with K, M, G or T (powers of 1024)", .0.escape_debug())]
pub struct NotASize(String);

impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let refuse = || NotASize(text.chars().take(40).collect());
        let bare = text.trim().trim_end_matches('B').trim_end_matches('i');
        let (digits, shift) = SUFFIXES
            .iter()
            .find_map(|(suffix, shift)| Some((bare.strip_suffix(*suffix)?, *shift)))
            .unwrap_or((bare, 0));
        let digits = digits.trim_end();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        let count: u64 = digits.parse().map_err(|_| refuse())?;
        count.checked_mul(1 << shift).map(Self).ok_or_else(refuse)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    /// Takes a number of bytes, or a text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a size is a number of bytes or a text such as \"64M\""
        )]
        enum Either {
            Bytes(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Bytes(bytes) => Ok(Self(bytes)),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes, or a text such as `64M` (powers of 1024).",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^ *[0-9]+ *[KMGTPE]?(i?B)? *$" }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_as_systemd_writes_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("8M", 8 << 20),
            ("1 GiB", 1 << 30),
            ("4K", 4096),
            ("2T", 2 << 40),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5G", "1Q", "99999999999E", "1e3"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_sizes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1 << 20, "1 MiB"),
            (1_500_000, "1.4 MiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
