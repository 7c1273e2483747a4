//! The `CheckSum` field of a PE image: the sum of its 16-bit words with the carries
//! added in again, plus its length. No firmware looks at it; Windows does for drivers,
//! and a signature that leaves an old one behind makes a damaged file.

/// A sum of 16-bit words that is still being taken, in any order of the pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WordSum(u64);

impl WordSum {
    /// Adds the bytes at an offset of the file.
    pub(crate) fn add(&mut self, offset: u64, bytes: &[u8]) {
        let (first, bytes) = match bytes {
            [first, rest @ ..] if !offset.is_multiple_of(2) => (u64::from(*first) << 8, rest),
            all => (0, all),
        };
        let words = bytes.chunks_exact(2);
        let last = words.remainder().first().map_or(0, |byte| u64::from(*byte));
        let words: u64 = words
            .map(|word| u64::from(u16::from_le_bytes([word[0], word[1]])))
            .sum();
        // A file of 2^48 bytes would be needed to overflow.
        self.0 += first + words + last;
    }

    /// The checksum of a file of this length.
    pub(crate) fn finish(self, length: u64) -> u32 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // The field has 32 bits, and longer files lose the rest everywhere.
        let total = (sum + length).to_le_bytes();
        u32::from_le_bytes([total[0], total[1], total[2], total[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_at_any_offset_give_the_sum_of_the_whole() {
        let bytes: Vec<u8> = (0..=250).cycle().take(4097).collect();
        let mut whole = WordSum::default();
        whole.add(0, &bytes);
        for cut in [0, 1, 2, 1023, 4096, 4097] {
            let mut pieces = WordSum::default();
            pieces.add(cut as u64, &bytes[cut..]);
            pieces.add(0, &bytes[..cut]);
            assert_eq!(pieces, whole, "{cut}");
        }
    }

    #[test]
    fn carries_are_added_in_again() {
        let mut sum = WordSum::default();
        sum.add(0, &[0xff; 4]);
        sum.add(4, &[1]);
        assert_eq!(sum.finish(5), 1 + 5);
    }
}
