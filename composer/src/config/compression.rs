//! How an output is compressed.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A program that compresses, and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// The program.
    pub compressor: Compressor,
    /// The level; the program's own when there is none.
    pub level: Option<u8>,
}

/// A program that compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compressor {
    /// zstd.
    Zstd,
    /// xz.
    Xz,
}

impl Compressor {
    /// Its name, which is that of its package too, up to `-utils`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    /// The greatest level.
    fn greatest(self) -> u8 {
        match self {
            Self::Zstd => 19,
            Self::Xz => 9,
        }
    }
}

impl Compression {
    /// What it appends to file names.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self.compressor {
            Compressor::Zstd => ".zst",
            Compressor::Xz => ".xz",
        }
    }
}

/// The text names no compression.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is no compression: write `zstd`, `xz`, or either with a level, `zstd:1` to `zstd:19` or `xz:1` to `xz:9`", .0.escape_debug())]
pub struct NotACompression(String);

impl FromStr for Compression {
    type Err = NotACompression;

    fn from_str(text: &str) -> Result<Self, NotACompression> {
        let refuse = || NotACompression(text.chars().take(80).collect());
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let compressor = match name {
            "zstd" => Compressor::Zstd,
            "xz" => Compressor::Xz,
            _ => return Err(refuse()),
        };
        let level = level.map(|level| {
            let level = level.parse().ok();
            level.filter(|level| (1..=compressor.greatest()).contains(level))
        });
        match level {
            Some(None) => Err(refuse()),
            Some(level) => Ok(Self { compressor, level }),
            None => Ok(Self {
                compressor,
                level: None,
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_a_program_and_a_level() {
        let parse = |text: &str| text.parse::<Compression>().ok();
        let zstd = |level| Compression {
            compressor: Compressor::Zstd,
            level,
        };
        assert_eq!(parse("zstd"), Some(zstd(None)));
        assert_eq!(parse("zstd:19"), Some(zstd(Some(19))));
        for wrong in ["", "gzip", "zstd:", "zstd:0", "zstd:20", "xz:10", "xz:-1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
