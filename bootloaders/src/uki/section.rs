//! Sections: a name, and where the bytes come from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use extents::{ExtentMap, SourceId};

use crate::error::Error;

/// The length of the name field of a section header, in bytes.
const LONGEST_NAME: usize = 8;

/// What RAM disks in one section are padded to, in bytes, so that the kernel finds
/// the next one.
const INITRD_PADDING: u64 = 4;

/// The name of a section, such as `.linux`: up to eight printable ASCII characters.
/// Longer names would need a string table, which systemd-stub does not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SectionName(String);

impl SectionName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that is written in this program.
    pub(super) fn known(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SectionName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let reason = if name.is_empty() {
            "has no name"
        } else if name.len() > LONGEST_NAME {
            "has a name longer than 8 bytes"
        } else if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            "has a name that is not printable ASCII without blanks"
        } else if name.starts_with('/') {
            "has a name that stands for another in a string table"
        } else {
            return Ok(Self(name.to_owned()));
        };
        Err(Error::Section {
            name: name.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

/// A section to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name; only some may occur more than once.
    pub name: SectionName,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of a section: pieces in memory and pieces of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub(super) parts: Vec<Part>,
    pub(super) length: u64,
}

/// A piece of a section's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Bytes(Arc<[u8]>),
    Slice {
        source: SourceId,
        offset: u64,
        length: u64,
    },
    /// Bytes that are zero.
    Zeros(u64),
}

impl Part {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Slice { length, .. } | Self::Zeros(length) => *length,
        }
    }
}

impl Content {
    /// Bytes in memory.
    #[must_use]
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let mut content = Self::default();
        content.push(Part::Bytes(bytes.into()));
        content
    }

    /// A whole file of `length` bytes.
    #[must_use]
    pub fn file(source: SourceId, length: u64) -> Self {
        let mut content = Self::default();
        let offset = 0;
        content.push(Part::Slice {
            source,
            offset,
            length,
        });
        content
    }

    /// RAM disks one after the other. A single one is taken as it is; of several each
    /// is filled up with zeros to a multiple of four bytes.
    #[must_use]
    pub fn initrds(initrds: Vec<Self>) -> Option<Self> {
        if initrds.len() < 2 {
            return initrds.into_iter().next();
        }
        let mut joined = Self::default();
        for initrd in initrds {
            let padding = initrd.length.next_multiple_of(INITRD_PADDING) - initrd.length;
            joined = joined.followed_by(initrd);
            joined.push(Part::Zeros(padding));
        }
        Some(joined)
    }

    /// This, and then another.
    #[must_use]
    pub(super) fn followed_by(mut self, other: Self) -> Self {
        for part in other.parts {
            self.push(part);
        }
        self
    }

    /// The length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes as a list of extents; holes are zeros.
    #[must_use]
    pub fn map(&self) -> ExtentMap {
        let mut map = ExtentMap::hole(self.length);
        let mut start = 0;
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => map.push_bytes(start, Arc::clone(bytes)),
                Part::Slice {
                    source,
                    offset,
                    length,
                } => map.push_slice(start, *length, *source, *offset),
                Part::Zeros(_) => {}
            }
            start += part.length();
        }
        map
    }

    fn push(&mut self, part: Part) {
        // What is longer than any image is refused by the layout.
        self.length = self.length.saturating_add(part.length());
        if part.length() > 0 {
            self.parts.push(part);
        }
    }
}
