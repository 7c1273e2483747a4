//! Where the bytes of an image lie: from a stub and sections to extents.
//!
//! Headers are made anew in memory; all else are slices. Large files begin at
//! multiples of 4096 bytes, where file systems can share blocks. The gaps before
//! them belong to the section in front, whose raw data gets longer than what is
//! mapped of it: a signature is over the raw data of all sections, and what belongs
//! to none would not be signed.

use extents::ExtentMap;

use super::section::{Content, Part, Section};
use super::stub::{Stub, find};
use crate::error::Error;
use crate::pe::{MOST_SECTIONS, NX_COMPAT, SECTION, refuse};

/// What large content is aligned to, in bytes: the block of the file systems that
/// share blocks. With less, images are copied instead of shared.
pub const BLOCK: u64 = 4096;

/// Content of files from so many bytes on is aligned. Sharing less is not worth the
/// room.
pub const ALIGNED_FROM: u64 = 64 << 10;

/// `IMAGE_FILE_LOCAL_SYMS_STRIPPED`.
const LOCAL_SYMS_STRIPPED: u16 = 0x0008;

/// `IMAGE_SCN_CNT_CODE`, `_INITIALIZED_DATA` and `_MEM_READ`.
const CODE: u32 = 0x0000_0020;
const DATA: u32 = 0x0000_0040;
const READ: u32 = 0x4000_0000;

/// What an image is made of.
#[derive(Debug, Clone, Copy)]
pub struct Assembly<'a> {
    /// The executable that gets the sections.
    pub stub: &'a Stub,
    /// The sections, in their order.
    pub sections: &'a [Section],
    /// Whether the kernels keep data and code apart, as the stub says it does: where
    /// one does not, the image must not promise it.
    pub nx_compat: bool,
}

/// Lays an image out.
///
/// A `.sbat` section replaces that of the stub in its place.
///
/// # Errors
/// When a section is empty or has the name of one of the stub's, when there is no room
/// for headers, or when the image would be larger than the format can say.
pub fn assemble(assembly: &Assembly<'_>) -> Result<ExtentMap, Error> {
    let Assembly { stub, sections, .. } = *assembly;
    let replaced = replaced(stub, sections)?;
    let added: Vec<_> = sections
        .iter()
        .filter(|section| replaced.is_none_or(|(_, other)| !std::ptr::eq(*section, other)))
        .collect();
    let mut layout = Layout::of_stub(stub, replaced, added.len())?;
    for section in added {
        layout.add(section)?;
    }
    layout.into_extents(assembly.nx_compat)
}

/// The section that takes the place of one of the stub's, and which one's.
fn replaced<'a>(
    stub: &Stub,
    sections: &'a [Section],
) -> Result<Option<(usize, &'a Section)>, Error> {
    let mut replaced = None;
    for section in sections {
        let name = section.name.as_str();
        if section.content.length() == 0 {
            return Err(unfit(section, "is empty".to_owned()));
        }
        let Some((index, own)) = find(&stub.headers, name) else {
            continue;
        };
        if name != ".sbat" {
            return Err(unfit(section, "is in the stub already".to_owned()));
        }
        let next = stub.headers.sections.get(index + 1);
        let mapped = next.map_or(u32::MAX, |next| next.address - own.address);
        let (length, room) = (section.content.length(), own.raw_size.min(mapped));
        if length > u64::from(room) {
            let reason = format!("has {length} bytes, and the stub has room for {room}");
            return Err(unfit(section, reason));
        }
        replaced = Some((index, section));
    }
    Ok(replaced)
}

/// A section with its place.
struct Placed<'a> {
    name: &'a str,
    characteristics: Option<u32>,
    /// What is mapped of it, in bytes.
    virtual_size: u32,
    address: u32,
    /// Its raw data; both in bytes.
    start: u64,
    raw_size: u64,
    parts: Vec<Part>,
}

struct Layout<'a> {
    stub: &'a Stub,
    size_of_headers: u64,
    placed: Vec<Placed<'a>>,
    /// Where the file ends so far.
    end: u64,
    initialized_data: u64,
}

impl<'a> Layout<'a> {
    /// The sections of the stub, behind headers with room for more.
    fn of_stub(
        stub: &'a Stub,
        replaced: Option<(usize, &Section)>,
        more: usize,
    ) -> Result<Self, Error> {
        let headers = &stub.headers;
        let size_of_headers = room_for_headers(stub, more)?;
        let mut layout = Self {
            stub,
            size_of_headers,
            placed: Vec::with_capacity(headers.sections.len() + more),
            end: size_of_headers,
            initialized_data: headers.initialized_data,
        };
        for (index, section) in headers.sections.iter().enumerate() {
            let mut placed = Placed {
                name: &section.name,
                characteristics: None,
                virtual_size: section.virtual_size,
                address: section.address,
                start: layout.end,
                raw_size: layout.aligned(u64::from(section.raw_size)),
                parts: vec![Part::Slice {
                    source: stub.source,
                    offset: u64::from(section.pointer),
                    length: u64::from(section.raw_size),
                }],
            };
            if let Some((_, new)) = replaced.filter(|(replaced, _)| *replaced == index) {
                placed.virtual_size = length(new, new.content.length())?;
                placed.parts.clone_from(&new.content.parts);
            }
            let moved = section.raw_size > 0 && placed.start != u64::from(section.pointer);
            if moved && headers.debug > 0 {
                // Debug directories hold offsets in the file.
                let reason = format!(
                    "of section `{}` has to change, which a debug directory does not allow",
                    section.name.escape_debug()
                );
                return Err(refuse(
                    "PointerToRawData",
                    headers.section(index) + 20,
                    reason,
                ));
            }
            layout.end += placed.raw_size;
            layout.placed.push(placed);
        }
        Ok(layout)
    }

    fn aligned(&self, size: u64) -> u64 {
        size.next_multiple_of(u64::from(self.stub.headers.file_alignment))
    }

    fn add(&mut self, section: &'a Section) -> Result<(), Error> {
        if is_large(&section.content) {
            self.align_end();
        }
        let virtual_size = length(section, section.content.length())?;
        let placed = Placed {
            name: section.name.as_str(),
            characteristics: Some(if section.name.as_str() == ".linux" {
                // Kernels with the EFI handover protocol run where they are.
                READ | CODE
            } else {
                READ | DATA
            }),
            virtual_size,
            address: length(section, self.next_address())?,
            start: self.end,
            raw_size: self.aligned(section.content.length()),
            parts: section.content.parts.clone(),
        };
        self.end += placed.raw_size;
        length(section, self.end)?;
        self.initialized_data += u64::from(virtual_size);
        length(section, self.initialized_data)?;
        self.placed.push(placed);
        Ok(())
    }

    /// Lets what comes next begin at a block, and gives the gap to the last section
    /// that has raw data.
    fn align_end(&mut self) {
        let gap = self.end.next_multiple_of(BLOCK) - self.end;
        let mut placed = self.placed.iter_mut().rev();
        if let Some(last) = placed.find(|placed| placed.raw_size > 0) {
            last.raw_size += gap;
            self.end += gap;
        }
    }

    /// Where the next section is mapped.
    fn next_address(&self) -> u64 {
        let end = self.placed.last().map_or(0, |last| {
            u64::from(last.address) + u64::from(last.virtual_size)
        });
        end.next_multiple_of(u64::from(self.stub.headers.section_alignment))
    }

    fn into_extents(self, nx_compat: bool) -> Result<ExtentMap, Error> {
        let head = self.head(nx_compat)?;
        let mut extents = ExtentMap::hole(self.end);
        extents.push_bytes(0, head);
        for placed in self.placed {
            let mut at = placed.start;
            for part in placed.parts {
                let length = part.length();
                match part {
                    Part::Bytes(bytes) => extents.push_bytes(at, bytes),
                    Part::Slice { source, offset, .. } => {
                        extents.push_slice(at, length, source, offset);
                    }
                    Part::Zeros(_) => {}
                }
                at += length;
            }
        }
        Ok(extents)
    }

    /// The headers, without the zeros at their end.
    fn head(&self, nx_compat: bool) -> Result<Vec<u8>, Error> {
        let headers = &self.stub.headers;
        let (coff, optional) = (headers.start + 4, headers.optional());
        let image = self.next_address();
        let image = u32::try_from(image).map_err(|_| {
            let reason = format!("would be {image:#x}; 32 bits are all there are");
            refuse("SizeOfImage", optional + 56, reason)
        })?;
        let mut head = self.stub.head.clone();
        head.resize(in_memory(self.size_of_headers), 0);
        let mut put = |offset: usize, bytes: &[u8]| {
            head[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        let count = u16::try_from(self.placed.len()).unwrap_or(u16::MAX);
        put(coff + 2, &count.to_le_bytes());
        if headers.symbols > 0 {
            let flags = self.stub.head[coff + 18..coff + 20].try_into();
            let flags = u16::from_le_bytes(flags.unwrap_or_default()) | LOCAL_SYMS_STRIPPED;
            put(coff + 8, &[0; 8]);
            put(coff + 18, &flags.to_le_bytes());
        }
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        put(optional + 8, &narrow(self.initialized_data));
        put(optional + 56, &image.to_le_bytes());
        put(optional + 60, &narrow(self.size_of_headers));
        // Firmware checks none, and a signature does not cover it.
        put(optional + 64, &[0; 4]);
        if !nx_compat {
            let flags = headers.characteristics & !NX_COMPAT;
            put(optional + 70, &flags.to_le_bytes());
        }
        for (index, placed) in self.placed.iter().enumerate() {
            let at = headers.section(index);
            if let Some(characteristics) = placed.characteristics {
                put(at, &[0; SECTION]);
                put(at, placed.name.as_bytes());
                put(at + 12, &placed.address.to_le_bytes());
                put(at + 36, &characteristics.to_le_bytes());
            }
            put(at + 8, &placed.virtual_size.to_le_bytes());
            put(at + 16, &narrow(placed.raw_size));
            let start = if placed.raw_size > 0 { placed.start } else { 0 };
            put(at + 20, &narrow(start));
        }
        let used = head.iter().rposition(|byte| *byte != 0);
        head.truncate(used.map_or(0, |last| last + 1));
        Ok(head)
    }
}

/// How many bytes the headers get, so that their table has room for more sections.
///
/// They may grow up to where the first section is mapped; the raw data of the stub
/// then moves.
fn room_for_headers(stub: &Stub, more: usize) -> Result<u64, Error> {
    let headers = &stub.headers;
    let count = headers.sections.len() + more;
    if count > usize::from(MOST_SECTIONS) {
        let reason = format!("would be {count}; {MOST_SECTIONS} are allowed");
        return Err(refuse("NumberOfSections", headers.start + 6, reason));
    }
    let (used, wanted) = (
        headers.section(headers.sections.len()),
        headers.section(count),
    );
    let taken = stub.head.get(used..wanted.min(stub.head.len()));
    if let Some(byte) = taken.and_then(|bytes| bytes.iter().position(|byte| *byte != 0)) {
        let reason = format!("has no room for {more} more: something is behind it");
        return Err(refuse("the section table", used + byte, reason));
    }
    let alignment = u64::from(headers.file_alignment);
    let size = u64::from(headers.length).max(wanted as u64);
    let size = size.next_multiple_of(alignment);
    let first = headers.sections.first().map_or(0, |first| first.address);
    if size > u64::from(first) {
        let reason = format!(
            "has no room for {more} more: headers of {size:#x} bytes would be needed, and the \
             first section is mapped at {first:#x}"
        );
        return Err(refuse("the section table", used, reason));
    }
    Ok(size)
}

/// Whether content begins with a piece of a file that is worth sharing.
fn is_large(content: &Content) -> bool {
    matches!(content.parts.first(), Some(Part::Slice { length, .. }) if *length >= ALIGNED_FROM)
}

/// A number of bytes as the format's 32 bits hold it.
fn length(section: &Section, bytes: u64) -> Result<u32, Error> {
    u32::try_from(bytes).map_err(|_| {
        unfit(
            section,
            format!(
                "makes the image larger than 4 GiB, the most the format can say ({bytes} bytes)"
            ),
        )
    })
}

fn unfit(section: &Section, reason: String) -> Error {
    Error::Section {
        name: section.name.to_string(),
        reason,
    }
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or_else(|_| unreachable!("headers end before the first section"))
}
