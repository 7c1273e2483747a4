//! The checksum of metadata.
//!
//! Specification: chapter *Checksums* of the kernel's documentation.

use uuid::Uuid;

/// CRC32C, which ext4 keeps without its last complement. With tables for sixteen bytes at
/// once, since every inode has one.
static CRC: crc::Crc<u32, crc::Table<16>> =
    crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);

/// The checksum of some bytes, which goes on with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum(u32);

impl Checksum {
    /// That of no bytes.
    pub const NONE: Self = Self(u32::MAX);

    /// That of the UUID of a volume, with which those of its parts begin.
    pub fn of_volume(uuid: Uuid) -> Self {
        Self::NONE.with(uuid.as_bytes())
    }

    /// That of a part of an inode, in a volume of this checksum. Its generation is 0.
    pub fn of_inode(self, number: u32) -> Self {
        self.with(&number.to_le_bytes()).with(&[0; 4])
    }

    /// With more bytes.
    pub fn with(self, bytes: &[u8]) -> Self {
        let mut digest = CRC.digest_with_initial(self.0.reverse_bits());
        digest.update(bytes);
        Self(!digest.finalize())
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0
    }

    /// Its lower and its upper half.
    pub fn halves(self) -> ([u8; 2], [u8; 2]) {
        let [a, b, c, d] = self.0.to_le_bytes();
        ([a, b], [c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_go_on_where_others_end() {
        let whole = Checksum::NONE.with(b"123456789");
        assert_eq!(whole.value(), !0xe306_9283);
        assert_eq!(Checksum::NONE.with(b"1234").with(b"56789"), whole);
        assert_eq!(whole.with(b""), whole);
    }
}
