//! The executable that sections are added to, such as `linuxx64.efi.stub`.

use extents::SourceId;

use crate::arch::Arch;
use crate::error::Error;
use crate::pe::{Headers, PeImage, SectionHeader, refuse};

/// `Magic` of the optional header of PE32, which programs of 32 bits have.
const PE32: u16 = 0x10b;

/// The bounds of `FileAlignment` in the specification, in bytes.
const FILE_ALIGNMENTS: std::ops::RangeInclusive<u32> = 512..=65536;

/// A stub whose headers hold together, so that sections can be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    pub(super) headers: Headers,
    /// The bytes of the file up to the end of its headers.
    pub(super) head: Vec<u8>,
    pub(super) sbat: Option<Vec<u8>>,
    info: Option<String>,
    pub(super) source: SourceId,
}

impl Stub {
    /// Takes a whole file, which is to be called `source` in the result.
    ///
    /// # Errors
    /// With the field that is wrong and its offset: the file is no PE image, is signed,
    /// has sections that overlap or lie outside of it, or holds data that no section
    /// has and that would get lost.
    pub fn parse(file: &[u8], source: SourceId) -> Result<Self, Error> {
        let headers = Headers::parse(file)?;
        check_form(&headers, file.len())?;
        check_addresses(&headers)?;
        let end = check_places(&headers, file.len())?;
        check_rest(&headers, file, end)?;
        let sbat = find(&headers, ".sbat").filter(|(_, section)| section.raw_size > 0);
        let sbat = sbat.map(|(_, section)| {
            let start = section.pointer as usize;
            file[start..start + section.raw_size as usize].to_vec()
        });
        let info = PeImage::from(headers.clone()).loader_info(file);
        Ok(Self {
            info,
            head: file[..headers.length as usize].to_vec(),
            headers,
            sbat,
            source,
        })
    }

    /// The architecture it runs on, when it is one that UEFI knows.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        Arch::from_machine(self.headers.machine)
    }

    /// What it says of itself, such as `systemd-stub 262`.
    #[must_use]
    pub fn info(&self) -> Option<&str> {
        self.info.as_deref()
    }

    /// The bytes of its `.sbat` section.
    #[must_use]
    pub fn sbat(&self) -> Option<&[u8]> {
        self.sbat.as_deref()
    }
}

/// All that is written of a header is at one place in both forms: they differ in what is
/// before `SectionAlignment` and after `DllCharacteristics`.
fn check_form(headers: &Headers, length: usize) -> Result<(), Error> {
    let optional = headers.optional();
    if headers.certificates > 0 {
        let reason = "is not empty: the stub is signed, and what is made of it would not be";
        let table = if headers.magic == PE32 { 132 } else { 148 };
        return Err(refuse("the certificate table", optional + table, reason));
    }
    let file = headers.file_alignment;
    if !file.is_power_of_two() || !FILE_ALIGNMENTS.contains(&file) {
        let reason = format!("is {file}; a power of two from 512 to 65536 is allowed");
        return Err(refuse("FileAlignment", optional + 36, reason));
    }
    let section = headers.section_alignment;
    if !section.is_power_of_two() || section < file {
        let reason = format!("is {section}; a power of two of at least {file} is allowed");
        return Err(refuse("SectionAlignment", optional + 32, reason));
    }
    let (size, table) = (
        headers.length as usize,
        headers.section(headers.sections.len()),
    );
    if size < table || size > length {
        let reason = format!(
            "is {size:#x}; the section table ends at {table:#x}, and the file at {length:#x}"
        );
        return Err(refuse("SizeOfHeaders", optional + 60, reason));
    }
    Ok(())
}

/// Sections must follow one another in memory, after the headers.
fn check_addresses(headers: &Headers) -> Result<(), Error> {
    let mut free = u64::from(headers.length);
    if headers.sections.is_empty() {
        return Err(refuse("NumberOfSections", headers.start + 6, "is zero"));
    }
    for (index, section) in headers.sections.iter().enumerate() {
        let address = u64::from(section.address);
        let at = headers.section(index) + 12;
        if address < free {
            let reason = format!(
                "of section `{}` is {address:#x}, but memory is taken up to {free:#x}",
                section.name.escape_debug()
            );
            return Err(refuse("VirtualAddress", at, reason));
        }
        if !address.is_multiple_of(u64::from(headers.section_alignment)) {
            let reason = format!(
                "of section `{}` is {address:#x}, no multiple of SectionAlignment",
                section.name.escape_debug()
            );
            return Err(refuse("VirtualAddress", at, reason));
        }
        free = address + u64::from(section.virtual_size);
    }
    Ok(())
}

/// Sections must follow one another in the file, after the headers. Returns where
/// the last one ends.
fn check_places(headers: &Headers, length: usize) -> Result<usize, Error> {
    let mut free = u64::from(headers.length);
    for (index, section) in headers.sections.iter().enumerate() {
        if section.raw_size == 0 {
            continue;
        }
        let at = headers.section(index);
        let start = u64::from(section.pointer);
        let end = start + u64::from(section.raw_size);
        let name = section.name.escape_debug();
        if start < free {
            let reason =
                format!("of section `{name}` is {start:#x}, but the file is taken up to {free:#x}");
            return Err(refuse("PointerToRawData", at + 20, reason));
        }
        if end > length as u64 {
            let reason = format!(
                "of section `{name}` makes it end at {end:#x}, but the file does at {length:#x}"
            );
            return Err(refuse("SizeOfRawData", at + 16, reason));
        }
        free = end;
    }
    usize::try_from(free).map_err(|_| refuse("SizeOfRawData", headers.table, "is beyond memory"))
}

/// Nothing may be behind the sections but a symbol table, which images do not need.
fn check_rest(headers: &Headers, file: &[u8], end: usize) -> Result<(), Error> {
    let is_symbols = headers.symbols as usize >= end;
    match file[end..].iter().position(|byte| *byte != 0) {
        Some(first) if !is_symbols => Err(refuse(
            "data behind the last section",
            end + first,
            "belongs to no section and would get lost",
        )),
        _ => Ok(()),
    }
}

/// The first section of a name, and its place in the table.
pub(super) fn find<'a>(headers: &'a Headers, name: &str) -> Option<(usize, &'a SectionHeader)> {
    let mut sections = headers.sections.iter().enumerate();
    sections.find(|(_, section)| section.name == name)
}
