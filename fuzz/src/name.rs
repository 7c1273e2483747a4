//! File names that trouble FAT: long ones, those that differ in case, look like aliases
//! of each other, or hold characters that no alias has.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Pieces that collide with each other in one way or another.
const PIECES: [&str; 25] = [
    "a",
    "A",
    "FILE",
    "file",
    "~1",
    "FILE~1",
    ".",
    "..",
    " ",
    "+",
    "ß",
    "ÿ",
    "İ",
    "ı",
    "🦀",
    "中",
    "EFI",
    "BOOT",
    "longer-than-eight",
    ".efi",
    ".conf",
    "nul",
    "\u{301}",
    "\u{e5}",
    "lost+found",
];

/// A name of one file or folder. It need not be one that FAT can hold.
#[derive(Debug, Clone)]
pub struct Name(pub String);

impl<'a> Arbitrary<'a> for Name {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let mut name = String::new();
        for _ in 0..input.int_in_range(1..=4)? {
            match input.int_in_range(0..=9)? {
                0 => name.push(input.arbitrary()?),
                1 => {
                    let count = input.int_in_range(1..=260)?;
                    name.extend(std::iter::repeat_n('n', count));
                }
                2 => name += &input.arbitrary::<u8>()?.to_string(),
                _ => name += *input.choose(&PIECES)?,
            }
        }
        Ok(Self(name))
    }
}
