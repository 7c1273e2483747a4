//! Where inodes lie: in the gaps of blocks that are begun.

use super::BLOCK;

/// Inodes start on multiples of this many bytes, by which they are counted. Fixed by the
/// format.
pub const SLOT: u64 = 32;

/// The slots of a block.
const SLOTS: usize = (BLOCK / SLOT) as usize;

/// Blocks, and which gaps they have.
#[derive(Debug)]
pub struct Slots {
    /// The first byte behind all blocks that are begun.
    end: u64,
    /// Where gaps of so many slots begin, in bytes.
    gaps: Vec<Vec<u64>>,
}

impl Slots {
    /// No blocks yet; they begin at a byte.
    pub fn from(start: u64) -> Self {
        Self {
            end: start,
            gaps: vec![Vec::new(); SLOTS],
        }
    }

    /// Takes room for so many bytes, and tells where it is. Up to a block, they lie in
    /// one; more begin one.
    ///
    /// The smallest gap that will do is taken: what is left of files is of all sizes, and
    /// so hardly anything stays free.
    pub fn take(&mut self, bytes: u64) -> u64 {
        let wanted = slots(bytes);
        let found = (wanted..SLOTS).find(|slots| !self.gaps[*slots].is_empty());
        let (start, slots) = match found.and_then(|slots| Some((self.gaps[slots].pop()?, slots))) {
            Some(gap) => gap,
            None => (self.end, wanted.next_multiple_of(SLOTS)),
        };
        let end = start + wanted as u64 * SLOT;
        self.end = self.end.max(end.next_multiple_of(BLOCK));
        if slots > wanted {
            self.gaps[slots - wanted].push(end);
        }
        start
    }

    /// The first byte behind all blocks that are begun.
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// How many slots so many bytes take; at least one.
fn slots(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(SLOT).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_gap_that_will_do_is_taken() {
        let mut slots = Slots::from(BLOCK);
        let taken = [
            // Leaves 32 slots, then two.
            (3072, 4096),
            (4032, 8192),
            // Begins blocks of its own, and leaves one slot.
            (8160, 12288),
            (64, 12224),
            (32, 20448),
            (0, 7168),
            (992, 7200),
            (1, 20480),
        ];
        for (bytes, start) in taken {
            assert_eq!(slots.take(bytes), start, "{bytes} bytes");
        }
        assert_eq!(slots.end(), 24576);
    }
}
