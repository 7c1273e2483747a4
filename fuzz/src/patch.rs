//! Bytes that are changed in a sound input, so that what is behind the first check is
//! reached too.

use arbitrary::Arbitrary;

/// What is written.
#[derive(Debug, Clone, Arbitrary)]
pub enum Value {
    /// One byte.
    Byte(u8),
    /// Two bytes, least significant first.
    Short(u16),
    /// Four bytes.
    Word(u32),
    /// Eight bytes.
    Long(u64),
    /// Four bytes that are near a border.
    Border(u8),
}

impl Value {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Byte(value) => vec![*value],
            Self::Short(value) => value.to_le_bytes().to_vec(),
            Self::Word(value) => value.to_le_bytes().to_vec(),
            Self::Long(value) => value.to_le_bytes().to_vec(),
            Self::Border(value) => {
                let value = i32::from(*value) - 128;
                value.to_le_bytes().to_vec()
            }
        }
    }
}
