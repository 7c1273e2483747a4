//! The headers of a PE image, field by field.

use goblin::pe::header::{CoffHeader, DosHeader, Header};
use goblin::pe::section_table::SectionTable;

use crate::error::Error;

/// Bytes of one section header.
pub(crate) const SECTION: usize = 40;

/// The most sections an image may have. Kernels have four, Unified Kernel Images
/// with many profiles some hundred.
pub(crate) const MOST_SECTIONS: u16 = 1024;

/// Offset of the field that says where the PE header is.
pub(super) const PE_POINTER: usize = 0x3c;
/// Bytes of the signature and the COFF header after it.
const COFF: usize = 24;

/// The fields of the headers that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headers {
    /// Where the PE signature is, in bytes from the start of the file.
    pub(crate) start: usize,
    /// Where the section table is.
    pub(crate) table: usize,
    pub(crate) machine: u16,
    /// Which form the optional header has: PE32 or PE32+.
    pub(crate) magic: u16,
    pub(crate) subsystem: u16,
    /// `DllCharacteristics`.
    pub(crate) characteristics: u16,
    pub(crate) section_alignment: u32,
    pub(crate) file_alignment: u32,
    /// `SizeOfHeaders`.
    pub(crate) length: u32,
    pub(crate) initialized_data: u64,
    /// `PointerToSymbolTable`; 0 when there is none.
    pub(crate) symbols: u32,
    /// Bytes of the certificate table.
    pub(crate) certificates: u32,
    /// Bytes of the debug directory.
    pub(crate) debug: u32,
    /// In the file's order.
    pub(crate) sections: Vec<SectionHeader>,
}

/// One header of the section table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SectionHeader {
    /// What is not UTF-8 is replaced.
    pub(crate) name: String,
    pub(crate) virtual_size: u32,
    pub(crate) address: u32,
    pub(crate) raw_size: u32,
    pub(crate) pointer: u32,
}

impl Headers {
    /// Where the optional header is.
    pub(crate) fn optional(&self) -> usize {
        self.start + COFF
    }

    /// Where the header of a section is, or would be.
    pub(crate) fn section(&self, index: usize) -> usize {
        self.table + index * SECTION
    }

    /// Reads them from the start of a file.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, Error> {
        let start = find_pe_header(head)?;
        let bytes = &head[start..];
        let refused = |error: &dyn std::fmt::Display| {
            refuse("the PE header", start, format!("cannot be read: {error}"))
        };
        let coff =
            CoffHeader::parse(bytes, &mut size_of::<u32>()).map_err(|error| refused(&error))?;
        let table = COFF + usize::from(coff.size_of_optional_header);
        check_sections(bytes, start, &coff, table)?;
        // Without the DOS header goblin reads from the first byte it is given,
        // and the optional header gets no byte beyond its stated size.
        let header = Header::parse_without_dos(&bytes[..table]).map_err(|error| refused(&error))?;
        let Some(optional) = header.optional_header else {
            return Err(refuse("SizeOfOptionalHeader", start + 20, "is zero"));
        };
        let (standard, windows) = (optional.standard_fields, optional.windows_fields);
        let directories = optional.data_directories;
        let certificates = directories.get_certificate_table();
        let debug = directories.get_debug_table();
        Ok(Self {
            start,
            table: start + table,
            machine: coff.machine,
            magic: standard.magic,
            subsystem: windows.subsystem,
            characteristics: windows.dll_characteristics,
            section_alignment: windows.section_alignment,
            file_alignment: windows.file_alignment,
            length: windows.size_of_headers,
            initialized_data: standard.size_of_initialized_data,
            symbols: coff.pointer_to_symbol_table,
            certificates: certificates.map_or(0, |table| table.size),
            debug: debug.map_or(0, |table| table.size),
            sections: read_sections(bytes, start, &coff, table)?,
        })
    }
}

/// The offset of the PE header, checked to be in the head with its COFF header.
fn find_pe_header(head: &[u8]) -> Result<usize, Error> {
    if !head.starts_with(b"MZ") {
        return Err(refuse("the DOS signature", 0, "is not `MZ`"));
    }
    let pointer = head
        .get(PE_POINTER..PE_POINTER + size_of::<u32>())
        .ok_or_else(|| refuse("e_lfanew", PE_POINTER, "is beyond the end of the file"))?;
    let pointer = u32::from_le_bytes([pointer[0], pointer[1], pointer[2], pointer[3]]);
    let beyond = || {
        refuse(
            "e_lfanew",
            PE_POINTER,
            format!(
                "points to {pointer:#x}, beyond the {} bytes read",
                head.len()
            ),
        )
    };
    let start = usize::try_from(pointer).map_err(|_| beyond())?;
    let end = start.checked_add(COFF).ok_or_else(beyond)?;
    if end > head.len() {
        return Err(beyond());
    }
    DosHeader::parse(head)
        .map_err(|error| refuse("the PE signature", start, format!("is wrong: {error}")))?;
    Ok(start)
}

fn check_sections(
    bytes: &[u8],
    start: usize,
    coff: &CoffHeader,
    table: usize,
) -> Result<(), Error> {
    let count = coff.number_of_sections;
    let beyond = |size: usize| format!("states {count} sections, which end at {size:#x}");
    if count > MOST_SECTIONS {
        let reason = format!("states {count} sections; {MOST_SECTIONS} are allowed");
        return Err(refuse("NumberOfSections", start + 6, reason));
    }
    let end = table + usize::from(count) * SECTION;
    if end > bytes.len() {
        let reason = format!(
            "{}, beyond the {} bytes read",
            beyond(start + end),
            start + bytes.len()
        );
        return Err(refuse("NumberOfSections", start + 6, reason));
    }
    Ok(())
}

fn read_sections(
    bytes: &[u8],
    start: usize,
    coff: &CoffHeader,
    table: usize,
) -> Result<Vec<SectionHeader>, Error> {
    let mut offset = table;
    let mut sections = Vec::with_capacity(usize::from(coff.number_of_sections));
    for _ in 0..coff.number_of_sections {
        let at = start + offset;
        // Long names would be read from a string table; ours is past the end, so
        // that none is.
        let section = SectionTable::parse(bytes, &mut offset, bytes.len())
            .map_err(|error| refuse("a section header", at, format!("is wrong: {error}")))?;
        let length = section.name.iter().position(|byte| *byte == 0);
        let name = &section.name[..length.unwrap_or(section.name.len())];
        sections.push(SectionHeader {
            name: String::from_utf8_lossy(name).into_owned(),
            virtual_size: section.virtual_size,
            address: section.virtual_address,
            raw_size: section.size_of_raw_data,
            pointer: section.pointer_to_raw_data,
        });
    }
    Ok(sections)
}

pub(crate) fn refuse(field: &'static str, offset: usize, reason: impl Into<String>) -> Error {
    Error::Pe {
        field,
        offset,
        reason: reason.into(),
    }
}
