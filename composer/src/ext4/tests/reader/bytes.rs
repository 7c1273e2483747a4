//! Bytes of a volume, their numbers and their checksum.

use std::ops::Range;

use extents::{ExtentMap, SourceId};

/// Bytes of a structure, whose numbers have their least byte first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn at(&self, at: usize, length: usize) -> &[u8] {
        &self.0[at..at + length]
    }

    pub fn number(&self, at: usize, length: usize) -> u64 {
        let bytes = self.at(at, length).iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    pub fn word(&self, at: usize) -> u32 {
        u32::try_from(self.number(at, 4)).unwrap()
    }

    pub fn short(&self, at: usize) -> u16 {
        u16::try_from(self.number(at, 2)).unwrap()
    }

    /// A number whose halves of `length` bytes lie apart.
    pub fn halves(&self, low: usize, high: usize, length: usize) -> u64 {
        self.number(low, length) | self.number(high, length) << (8 * length)
    }

    /// With zeros at some place.
    pub fn without(&self, range: Range<usize>) -> Self {
        let mut bytes = self.clone();
        bytes.0[range].fill(0);
        bytes
    }

    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

/// CRC32C of every byte.
static CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut bits = 0_u32;
    while bits < 256 {
        let (mut crc, mut bit) = (bits, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[bits as usize] = crc;
        bits += 1;
    }
    table
};

/// CRC32C that begins with some number, and without a complement at its end.
pub fn crc(start: u32, bytes: &[u8]) -> u32 {
    let mut crc = start;
    for byte in bytes {
        crc = CRC[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8;
    }
    crc
}

/// The bytes of a map, whose sources have these.
pub fn bytes_of(map: &ExtentMap, sources: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = |id: SourceId, offset: u64, buffer: &mut [u8]| {
        let start = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&sources[id.index()][start..start + buffer.len()]);
        Ok::<_, ()>(())
    };
    let take = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    map.read(read, take).unwrap();
    bytes
}
