//! The first bytes of an image, field by field.

use super::refuse;
use crate::error::Error;

/// A file's first bytes, which are read with checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a>(pub(super) &'a [u8]);

impl Head<'_> {
    pub(super) fn bytes<const N: usize>(
        self,
        field: &'static str,
        offset: u64,
    ) -> Result<[u8; N], Error> {
        let found = usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(start..start.checked_add(N)?));
        let mut bytes = [0; N];
        if let Some(found) = found {
            bytes.copy_from_slice(found);
        } else {
            let reason = format!("is beyond the {} bytes of the head", self.0.len());
            return Err(refuse(field, offset, reason));
        }
        Ok(bytes)
    }

    pub(super) fn u16(self, field: &'static str, offset: u64) -> Result<u16, Error> {
        self.bytes(field, offset).map(u16::from_le_bytes)
    }

    pub(super) fn u32(self, field: &'static str, offset: u64) -> Result<u32, Error> {
        self.bytes(field, offset).map(u32::from_le_bytes)
    }
}
