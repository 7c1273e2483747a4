//! The hash of names, by which indices of directories are ordered.
//!
//! Specification: chapter *Hash Tree Directories* of the kernel's documentation, and
//! `fs/ext4/hash.c` for the half of MD4 with bytes that have no sign.

use uuid::Uuid;

/// How indices name this hash. Whether bytes have signs, the superblock says.
pub const HALF_MD4: u8 = 1;

/// What a block of 32 bytes is added to the state with, in each round.
const ROUNDS: [Round; 3] = [
    Round {
        mix: |x, y, z| z ^ (x & (y ^ z)),
        constant: 0,
        words: [0, 1, 2, 3, 4, 5, 6, 7],
        turns: [3, 7, 11, 19],
    },
    Round {
        mix: |x, y, z| (x & y).wrapping_add((x ^ y) & z),
        constant: 0x5a82_7999,
        words: [1, 3, 5, 7, 0, 2, 4, 6],
        turns: [3, 5, 9, 13],
    },
    Round {
        mix: |x, y, z| x ^ y ^ z,
        constant: 0x6ed9_eba1,
        words: [3, 7, 2, 6, 1, 5, 0, 4],
        turns: [3, 9, 11, 15],
    },
];

struct Round {
    mix: fn(u32, u32, u32) -> u32,
    constant: u32,
    words: [usize; 8],
    turns: [u32; 4],
}

/// Directories end behind the greatest hash.
const END: u32 = 0x7fff_ffff << 1;

/// The hash of a name; its lowest bit is 0.
pub fn of(name: &str, seed: Uuid) -> u32 {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    if !seed.is_nil() {
        for (word, bytes) in state.iter_mut().zip(seed.as_bytes().chunks_exact(4)) {
            *word = bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
    }
    let name = name.as_bytes();
    for start in (0..name.len()).step_by(32) {
        add(&mut state, &words(&name[start..]));
    }
    match state[1] & !1 {
        END => END - 2,
        hash => hash,
    }
}

/// Up to 32 bytes as words, filled up with their number.
fn words(bytes: &[u8]) -> [u32; 8] {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX) & 0xff;
    let filler = length * 0x0101_0101;
    let mut words = [filler; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
        *word = bytes.iter().fold(filler, |word, byte| {
            (word << 8).wrapping_add(u32::from(*byte))
        });
    }
    words
}

fn add(state: &mut [u32; 4], words: &[u32; 8]) {
    let mut now = *state;
    for round in &ROUNDS {
        for (step, word) in round.words.into_iter().enumerate() {
            let [a, b, c, d] = now;
            let sum = a.wrapping_add((round.mix)(b, c, d));
            let sum = sum.wrapping_add(words[word]).wrapping_add(round.constant);
            now = [d, sum.rotate_left(round.turns[step % 4]), b, c];
        }
    }
    for (word, now) in state.iter_mut().zip(now) {
        *word = word.wrapping_add(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `debugfs` says: `dx_hash -h half_md4 -s SEED NAME`, which has signs: to letters of
    /// ASCII it is the same.
    #[test]
    fn hashes_are_those_of_e2fsprogs() {
        let seed = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        let long = "long-".repeat(51);
        for (name, seed, expected) in [
            ("a", Uuid::nil(), 0xd5fa_7d7a_u32),
            ("a", seed, 0x9375_2ee6),
            ("file with blanks", seed, 0x1a86_3d56),
            (&long[..32], seed, 0x8e1a_481a),
            (&long[..33], seed, 0xbf06_7b10),
            (&long, seed, 0x90c4_f8fc),
        ] {
            assert_eq!(of(name, seed), expected, "{name}");
        }
    }
}
