//! The certificate table at the end of a signed image.
//!
//! Specification: UEFI 2.11, 32.5.1; <https://learn.microsoft.com/en-us/windows/win32/debug/pe-format#the-attribute-certificate-table-image-only>

use std::io::{Read, Seek};

use crate::authenticode::{ALIGNMENT, Image, Measured};
use crate::error::Error;

/// Bytes of the head of a `WIN_CERTIFICATE`.
const HEAD: usize = 8;
/// `WIN_CERT_REVISION_2_0`
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`
const SIGNED_DATA: u16 = 0x0002;

/// What makes a signed image of an image: its first bytes are kept, some of them are
/// replaced, and others follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// How many bytes of the image stay, from its start.
    pub keep: u64,
    /// Bytes that replace those at an offset, all of them below `keep`; by offset.
    pub replace: Vec<(u64, Vec<u8>)>,
    /// Bytes that follow.
    pub append: Vec<u8>,
}

impl Amendment {
    /// The length of the signed image in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.keep + self.append.len() as u64
    }

    /// The signatures that it adds, as the DER of PKCS#7.
    ///
    /// # Errors
    /// When what follows is no part of a certificate table.
    pub fn signatures(&self) -> Result<Vec<&[u8]>, Error> {
        // The table begins at a multiple, and so does each certificate in it.
        let padding = self.keep.next_multiple_of(ALIGNMENT) - self.keep;
        let padding = usize::try_from(padding).unwrap_or(0);
        let table = self.append.get(padding..).unwrap_or_default();
        signatures(table, self.length())
    }

    /// The signed image, from the bytes of the image.
    #[must_use]
    pub fn apply(&self, image: &[u8]) -> Vec<u8> {
        let keep = usize::try_from(self.keep).unwrap_or(usize::MAX);
        let mut bytes = image[..keep.min(image.len())].to_vec();
        for (offset, replacement) in &self.replace {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX);
            for (byte, new) in bytes.iter_mut().skip(start).zip(replacement) {
                *byte = *new;
            }
        }
        bytes.extend_from_slice(&self.append);
        bytes
    }
}

impl Image {
    /// Reads the signatures of an image, as the DER of PKCS#7, and nothing of its content.
    ///
    /// # Errors
    /// When the table is damaged or larger than any, or the reader fails.
    pub fn read_signatures(&self, file: &mut (impl Read + Seek)) -> Result<Vec<Vec<u8>>, Error> {
        let table = self.read_certificates(file)?;
        let signatures = signatures(&table, self.length())?;
        Ok(signatures.into_iter().map(<[u8]>::to_vec).collect())
    }
}

impl Measured {
    /// The signatures of the image, as the DER of PKCS#7. Tables may hold other
    /// things, which are passed over as firmware does.
    ///
    /// # Errors
    /// When the table is damaged.
    pub fn signatures(&self) -> Result<Vec<&[u8]>, Error> {
        signatures(&self.table, self.image.length())
    }

    /// Adds signatures after those that are there.
    ///
    /// # Errors
    /// When the image becomes larger than a PE image can be.
    pub fn attach(&self, signatures: &[Vec<u8>]) -> Result<Amendment, Error> {
        let (checksum, entry) = self.image.changed_fields()?;
        let keep = self.image.length();
        // An image that has a table ends where the table does.
        let padding = if self.table.is_empty() {
            self.image.padding()
        } else {
            0
        };
        let padding = usize::try_from(padding).unwrap_or(0);
        let mut added = Vec::new();
        if !self.table.len().is_multiple_of(8) {
            // The last certificate was not filled up.
            added.resize(self.table.len().next_multiple_of(8) - self.table.len(), 0);
        }
        for signature in signatures {
            certificate(signature, &mut added)?;
        }
        let start = self.image.content_end().next_multiple_of(ALIGNMENT);
        let size = self.table.len() + added.len();
        let mut directory = narrow(start)?.to_le_bytes().to_vec();
        directory.extend(narrow(size as u64)?.to_le_bytes());
        let mut sum = self.sum;
        sum.add(entry, &directory);
        sum.add(start, &self.table);
        sum.add(start + self.table.len() as u64, &added);
        let mut append = vec![0; padding];
        append.extend(added);
        let sum = sum.finish(keep + append.len() as u64);
        Ok(Amendment {
            keep,
            replace: vec![(checksum, sum.to_le_bytes().to_vec()), (entry, directory)],
            append,
        })
    }
}

/// The signatures of a certificate table that ends at `end`, as the DER of PKCS#7.
fn signatures(table: &[u8], end: u64) -> Result<Vec<&[u8]>, Error> {
    let mut signatures = Vec::new();
    let mut rest = table;
    while !rest.is_empty() {
        let at = end - rest.len() as u64;
        let refuse = |reason: String| Error::Image {
            field: "the length of a certificate",
            offset: at,
            reason,
        };
        let Some((head, body)) = rest.split_at_checked(HEAD) else {
            return Err(refuse(format!("is cut off: {} bytes are left", rest.len())));
        };
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        let content = size.checked_sub(HEAD).and_then(|size| body.get(..size));
        let Some(content) = content else {
            let left = rest.len();
            return Err(refuse(format!(
                "is {length}, of {left} bytes that are left"
            )));
        };
        if u16::from_le_bytes([head[6], head[7]]) == SIGNED_DATA {
            signatures.push(content);
        }
        let next = size.next_multiple_of(8).min(rest.len());
        rest = &rest[next..];
    }
    Ok(signatures)
}

/// One `WIN_CERTIFICATE`, filled up to a multiple of eight bytes. Its length counts
/// the filling, as that of `sbsign` does.
fn certificate(signature: &[u8], to: &mut Vec<u8>) -> Result<(), Error> {
    let size = (HEAD + signature.len()).next_multiple_of(8);
    to.extend(narrow(size as u64)?.to_le_bytes());
    to.extend(REVISION.to_le_bytes());
    to.extend(SIGNED_DATA.to_le_bytes());
    to.extend_from_slice(signature);
    to.resize(to.len() + size - HEAD - signature.len(), 0);
    Ok(())
}

fn narrow(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| {
        let reason = format!("would be at {number:#x}: PE images end below 4 GiB");
        Error::SignedData(reason)
    })
}
