//! Sectors and alignment; sizes in bytes are [`ByteSize`].

use serde::Serialize;

pub use tree_manifest::ByteSize;

/// The logical sector size of a disk: 512 or 4096 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SectorSize(u32);

impl SectorSize {
    /// The usual one.
    pub const S512: Self = Self(512);
    /// That of disks with 4096-byte sectors ("4Kn").
    pub const S4096: Self = Self(4096);

    /// Takes a size; `None` when it is another.
    #[must_use]
    pub fn new(bytes: u64) -> Option<Self> {
        [512, 4096]
            .into_iter()
            .find(|size| u64::from(*size) == bytes)
            .map(Self)
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// The size in bytes.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The smallest multiple of `unit` that is not below `value`; saturating.
#[must_use]
pub fn round_up(value: u64, unit: u64) -> u64 {
    value
        .checked_next_multiple_of(unit)
        .unwrap_or(u64::MAX / unit * unit)
}
