//! A PE image as signatures see it: which bytes count, and their digest.
//!
//! Specification: Microsoft's "Windows Authenticode Portable Executable Signature
//! Format", as EDK2 reads it. Counted are the headers without `CheckSum` and without the
//! directory entry of the certificate table, then the sections in the order of the
//! file, then as many bytes as are left when the sizes so far are taken from the
//! length without the certificate table. Where sections leave gaps these last bytes
//! are not those after the last section; firmware and `sbsign` count the same.
//!
//! The few offsets that matter are read here, by hand, because a signature depends on
//! fields that a parser for loading does not check: all of them are held against the
//! length of the file first, and nothing is allocated by a number that the file states.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use crate::checksum::WordSum;
use crate::error::Error;
use crate::hash::HashAlgorithm;
use crate::measure::{Banks, Digests, Hashers};

mod head;

use head::Head;

/// How many bytes of a file are enough for its headers.
const HEAD: usize = 64 * 1024;
/// How much is read at once, in bytes. Even, for the checksum.
const CHUNK: usize = 256 * 1024;
/// The most bytes of certificates that are read; a signature has two thousand.
const MOST_CERTIFICATES: u64 = 4 * 1024 * 1024;
/// Certificate tables begin at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;

/// Offset of the field that says where the PE header is.
const E_LFANEW: u64 = 0x3c;
/// Bytes of the PE signature and the COFF header after it.
const COFF: u64 = 24;
/// Offset of `CheckSum` in the optional header, in both of its forms.
const CHECKSUM: u64 = 64;
/// The directory entry of the certificate table.
const SECURITY: u64 = 4;
/// Bytes of `CheckSum`, which a signature changes.
pub const CHECKSUM_LENGTH: u64 = 4;
/// Bytes of the directory entry of the certificate table, which a signature changes too.
pub const DIRECTORY_LENGTH: u64 = 8;
/// Bytes of one section header.
const SECTION: u64 = 40;

/// The layout of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    length: u64,
    checksum: u64,
    /// Where the header says how many directory entries it has.
    directory_count: u64,
    /// Where the certificate table's directory entry is, when there is room for it.
    directory: Option<u64>,
    headers: u64,
    /// Those with bytes in the file, in the file's order.
    sections: Vec<Range<u64>>,
    certificates: Option<Range<u64>>,
}

impl Image {
    /// Reads the headers of an image and checks them against its length.
    ///
    /// # Errors
    /// With the field that is wrong and its offset, or when the reader fails.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, Error> {
        let failed = |source| Error::Read { offset: 0, source };
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut head = Vec::new();
        let limit = HEAD as u64;
        file.take(limit).read_to_end(&mut head).map_err(failed)?;
        Self::parse(&head, length)
    }

    /// Understands the head of an image of `length` bytes: its first 64 KiB, or all.
    ///
    /// # Errors
    /// With the field that is wrong and its offset.
    pub fn parse(head: &[u8], length: u64) -> Result<Self, Error> {
        if !head.starts_with(b"MZ") {
            return Err(refuse("the DOS signature", 0, "is not `MZ`"));
        }
        let head = Head(head);
        let pe = u64::from(head.u32("e_lfanew", E_LFANEW)?);
        if head.bytes::<4>("the PE signature", pe)? != *b"PE\0\0" {
            return Err(refuse("the PE signature", pe, "is wrong"));
        }
        let section_count = u64::from(head.u16("NumberOfSections", pe + 6)?);
        let optional_size = u64::from(head.u16("SizeOfOptionalHeader", pe + 20)?);
        let optional = pe + COFF;
        let directories = match head.u16("Magic", optional)? {
            0x10b => 92,
            0x20b => 108,
            other => {
                let reason = format!("is {other:#x}, neither PE32 nor PE32+");
                return Err(refuse("Magic", optional, reason));
            }
        };
        if optional_size < directories + 4 {
            let reason = format!("is {optional_size}, too small for its own fields");
            return Err(refuse("SizeOfOptionalHeader", pe + 20, reason));
        }
        let count = u64::from(head.u32("NumberOfRvaAndSizes", optional + directories)?);
        let entry = optional + directories + 4 + SECURITY * 8;
        let directory = (count > SECURITY).then_some(entry);
        let mut image = Self {
            length,
            checksum: optional + CHECKSUM,
            directory_count: optional + directories,
            directory,
            headers: u64::from(head.u32("SizeOfHeaders", optional + 60)?),
            sections: Vec::new(),
            certificates: None,
        };
        if directories + 4 + count * 8 > optional_size {
            let reason = format!("is {count}, more than the optional header holds");
            return Err(refuse(
                "NumberOfRvaAndSizes",
                optional + directories,
                reason,
            ));
        }
        if let Some(entry) = directory {
            image.certificates = certificates(head, entry, length)?;
        }
        let table = optional + optional_size;
        image.check_headers(table + section_count * SECTION, optional + 60)?;
        image.sections = image.read_sections(head, table, section_count)?;
        Ok(image)
    }

    fn check_headers(&self, table_end: u64, field: u64) -> Result<(), Error> {
        let (headers, end) = (self.headers, self.content_end());
        let reason = if headers < table_end {
            format!("is {headers:#x}, before the section headers' end at {table_end:#x}")
        } else if headers > end {
            format!("is {headers:#x}, beyond the content's end at {end:#x}")
        } else {
            return Ok(());
        };
        Err(refuse("SizeOfHeaders", field, reason))
    }

    fn read_sections(
        &self,
        head: Head<'_>,
        table: u64,
        count: u64,
    ) -> Result<Vec<Range<u64>>, Error> {
        let mut sections = Vec::new();
        for header in (0..count).map(|number| table + number * SECTION) {
            let size = u64::from(head.u32("SizeOfRawData", header + 16)?);
            let start = u64::from(head.u32("PointerToRawData", header + 20)?);
            // One that is all zeros has no bytes in the file.
            if size == 0 {
                continue;
            }
            let reason = if start < self.headers {
                format!("is {start:#x}, within the headers")
            } else if start + size > self.content_end() {
                let end = self.content_end();
                format!("is {start:#x}, and {size:#x} bytes from there end after {end:#x}")
            } else {
                sections.push((start..start + size, header + 20));
                continue;
            };
            return Err(refuse("PointerToRawData", header + 20, reason));
        }
        sections.sort_by_key(|(range, _)| range.start);
        for pair in sections.windows(2) {
            let ((before, _), (after, field)) = (&pair[0], &pair[1]);
            if after.start < before.end {
                let reason = format!("is {:#x}, within another section", after.start);
                return Err(refuse("PointerToRawData", *field, reason));
            }
        }
        Ok(sections.into_iter().map(|(range, _)| range).collect())
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the certificate table is; `None` in an image without a signature.
    #[must_use]
    pub fn certificates(&self) -> Option<Range<u64>> {
        self.certificates.clone()
    }

    /// Where the certificate table begins, or would begin but for the padding.
    #[must_use]
    pub fn content_end(&self) -> u64 {
        let table = self.certificates.as_ref();
        table.map_or(self.length, |table| table.start)
    }

    /// How many zero bytes a signature puts before itself. They count in its digest.
    #[must_use]
    pub fn padding(&self) -> u64 {
        self.content_end().next_multiple_of(ALIGNMENT) - self.content_end()
    }

    /// Where the header fields are that a signature changes: `CheckSum`, and the
    /// directory entry of the certificate table.
    ///
    /// # Errors
    /// When the header has no room for the directory entry.
    pub fn changed_fields(&self) -> Result<(u64, u64), Error> {
        match self.directory {
            Some(directory) => Ok((self.checksum, directory)),
            None => Err(refuse(
                "NumberOfRvaAndSizes",
                self.directory_count,
                "leaves no entry for a certificate table: the image cannot be signed",
            )),
        }
    }

    /// The parts of the file that count, in the order in which they count.
    #[must_use]
    pub fn counted(&self) -> Vec<Range<u64>> {
        let (entry, entry_end) = match self.directory {
            Some(entry) => (entry, entry + DIRECTORY_LENGTH),
            None => (self.headers, self.headers),
        };
        let mut ranges = vec![
            0..self.checksum,
            self.checksum + CHECKSUM_LENGTH..entry,
            entry_end..self.headers,
        ];
        ranges.extend(self.sections.iter().cloned());
        let sizes: u64 = self
            .sections
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        // With gaps this begins before the last section ends.
        ranges.push(self.headers + sizes..self.content_end());
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    /// Whether every byte of the content counts, and counts once.
    fn is_contiguous(&self) -> bool {
        let mut end = self.headers;
        self.sections
            .iter()
            .all(|section| std::mem::replace(&mut end, section.end) == section.start)
    }

    /// The digests of the image as it is: what firmware compares with a signature,
    /// looks up in db and dbx, and measures into PCR 4.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn digests(
        &self,
        file: &mut (impl Read + Seek),
        algorithms: &Banks,
    ) -> Result<Digests, Error> {
        let mut hashers = Hashers::new(algorithms);
        for range in self.counted() {
            read_range(file, range, |_, bytes| hashers.update(bytes))?;
        }
        Ok(hashers.finish())
    }

    /// What a signature needs to know of the content, in one pass where the sections
    /// leave no gaps.
    ///
    /// # Errors
    /// When the image has no place for signatures, or the reader fails.
    pub fn measure(self, file: &mut (impl Read + Seek)) -> Result<Measured, Error> {
        let (checksum, entry) = self.changed_fields()?;
        let mut hasher = HashAlgorithm::Sha256.hasher();
        let mut sum = WordSum::default();
        let once = self.is_contiguous();
        for range in self.counted() {
            read_range(file, range, |offset, bytes| {
                hasher.update(bytes);
                if once {
                    sum.add(offset, bytes);
                }
            })?;
        }
        if !once {
            let end = self.content_end();
            for range in [
                0..checksum,
                checksum + CHECKSUM_LENGTH..entry,
                entry + DIRECTORY_LENGTH..end,
            ] {
                read_range(file, range, |offset, bytes| sum.add(offset, bytes))?;
            }
        }
        (0..self.padding()).for_each(|_| hasher.update(&[0]));
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&hasher.finish());
        let table = self.read_certificates(file)?;
        Ok(Measured {
            image: self,
            sha256,
            sum,
            table,
        })
    }

    /// The bytes of the certificate table; none without one.
    ///
    /// # Errors
    /// When the table is larger than any, or the reader fails.
    pub fn read_certificates(&self, file: &mut (impl Read + Seek)) -> Result<Vec<u8>, Error> {
        let mut table = Vec::new();
        if let (Some(range), Some(entry)) = (self.certificates(), self.directory) {
            let size = range.end - range.start;
            if size > MOST_CERTIFICATES {
                let reason = format!("is {size}; {MOST_CERTIFICATES} bytes are allowed");
                return Err(refuse("the certificate table's Size", entry + 4, reason));
            }
            read_range(file, range, |_, bytes| table.extend_from_slice(bytes))?;
        }
        Ok(table)
    }
}

/// An image that was read to be signed, or to have its signatures checked.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Its layout.
    pub image: Image,
    /// Its digest, as signatures state it: the padding counts.
    pub sha256: [u8; 32],
    /// The sum of the content, without the fields that a signature changes.
    pub(crate) sum: WordSum,
    /// The certificate table.
    pub(crate) table: Vec<u8>,
}

/// The range of the certificate table, checked to be the end of the file: firmware
/// takes its size from the length, wherever it is.
fn certificates(head: Head<'_>, entry: u64, length: u64) -> Result<Option<Range<u64>>, Error> {
    let start = u64::from(head.u32("the certificate table's offset", entry)?);
    let size = u64::from(head.u32("the certificate table's size", entry + 4)?);
    if size == 0 {
        return Ok(None);
    }
    let end = start + size;
    if !start.is_multiple_of(ALIGNMENT) {
        let reason = format!("is {start:#x}, no multiple of {ALIGNMENT}");
        return Err(refuse("the certificate table's offset", entry, reason));
    }
    if end != length {
        let reason = format!("is {size:#x}: it ends at {end:#x}, the file at {length:#x}");
        return Err(refuse("the certificate table's size", entry + 4, reason));
    }
    Ok(Some(start..end))
}

/// Reads a range piece by piece; each piece comes with its offset in the file.
fn read_range(
    file: &mut (impl Read + Seek),
    range: Range<u64>,
    mut each: impl FnMut(u64, &[u8]),
) -> Result<(), Error> {
    let failed = |offset| move |source| Error::Read { offset, source };
    file.seek(SeekFrom::Start(range.start))
        .map_err(failed(range.start))?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = range.start;
    while offset < range.end {
        let left = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
        let piece = &mut buffer[..left.min(CHUNK)];
        file.read_exact(piece).map_err(failed(offset))?;
        each(offset, piece);
        offset += piece.len() as u64;
    }
    Ok(())
}

fn refuse(field: &'static str, offset: u64, reason: impl Into<String>) -> Error {
    Error::Image {
        field,
        offset,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests;
