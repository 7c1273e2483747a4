//! The hash of names: half of MD4, as `fs/ext4/hash.c` writes it out.

use super::Bytes;

/// The hash of a name in a volume with this seed; bytes have no sign.
pub fn half_md4(name: &[u8], seed: &Bytes) -> u32 {
    let [mut a, mut b, mut c, mut d] = [0, 4, 8, 12].map(|at| seed.word(at));
    for start in (0..name.len()).step_by(32) {
        let rest = &name[start..];
        let pad = u32::try_from(rest.len()).unwrap();
        let pad = pad | pad << 8;
        let pad = pad | pad << 16;
        let mut words = [pad; 8];
        for (index, byte) in rest.iter().take(32).enumerate() {
            if index % 4 == 0 {
                words[index / 4] = pad;
            }
            words[index / 4] = (words[index / 4] << 8).wrapping_add(u32::from(*byte));
        }
        let old = [a, b, c, d];
        let step = |value: u32, mixed: u32, word: u32, turns: u32| {
            value
                .wrapping_add(mixed)
                .wrapping_add(word)
                .rotate_left(turns)
        };
        for at in [0, 4] {
            a = step(a, choice(b, c, d), words[at], 3);
            d = step(d, choice(a, b, c), words[at + 1], 7);
            c = step(c, choice(d, a, b), words[at + 2], 11);
            b = step(b, choice(c, d, a), words[at + 3], 19);
        }
        for at in [1, 0] {
            let word = |index: usize| words[index].wrapping_add(0x5a82_7999);
            a = step(a, majority(b, c, d), word(at), 3);
            d = step(d, majority(a, b, c), word(at + 2), 5);
            c = step(c, majority(d, a, b), word(at + 4), 9);
            b = step(b, majority(c, d, a), word(at + 6), 13);
        }
        for at in [3, 1] {
            let word = |index: usize| words[index].wrapping_add(0x6ed9_eba1);
            a = step(a, parity(b, c, d), word(at), 3);
            d = step(d, parity(a, b, c), word(at + 4), 9);
            c = step(c, parity(d, a, b), word(at - 1), 11);
            b = step(b, parity(c, d, a), word(at + 3), 15);
        }
        a = a.wrapping_add(old[0]);
        b = b.wrapping_add(old[1]);
        c = c.wrapping_add(old[2]);
        d = d.wrapping_add(old[3]);
    }
    // The greatest stands for the end of a directory.
    (b & !1).min(0xffff_fffc)
}

fn choice(x: u32, y: u32, z: u32) -> u32 {
    (x & y) | (!x & z)
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    (x & y) | (x & z) | (y & z)
}

fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}
