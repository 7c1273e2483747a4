//! The head of a PE image: architecture, kind, signature, sections.
//!
//! Specification: <https://learn.microsoft.com/en-us/windows/win32/debug/pe-format>
//!
//! goblin decodes the structures; this is the only module that names it. It is
//! handed one structure at a time, behind checks of our own, because the bytes
//! come from anywhere: nothing is allocated by a number that the file states.

use goblin::pe::header::{CoffHeader, DosHeader, Header};
use goblin::pe::section_table::SectionTable;
use goblin::pe::subsystem::IMAGE_SUBSYSTEM_EFI_APPLICATION;
use tree_manifest::SignatureState;

use crate::arch::Arch;
use crate::error::Error;

/// How many bytes of a file are enough for [`PeImage::parse`]: the headers of
/// kernels and boot loaders end within the first few thousand.
pub const HEAD: usize = 64 * 1024;

/// The most sections an image may have. Kernels have four, Unified Kernel Images
/// with many profiles some hundred.
const MOST_SECTIONS: u16 = 1024;

/// Offset of the field that says where the PE header is.
const PE_POINTER: usize = 0x3c;
/// Bytes of the signature and the COFF header after it.
const COFF: usize = 24;
/// Bytes of one section header.
const SECTION: usize = 40;

/// What the head of a PE image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeImage {
    /// The machine type; see [`PeImage::arch`].
    pub machine: u16,
    /// Whether firmware would start it: an EFI application.
    pub efi_application: bool,
    /// Whether there is an Authenticode certificate table.
    pub signature: SignatureState,
    /// The sections, in the file's order.
    pub sections: Vec<Section>,
}

/// One section of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name; what is not UTF-8 is replaced.
    pub name: String,
    /// Where its bytes are in the file.
    pub offset: u32,
    /// How many there are; not more than are mapped.
    pub size: u32,
}

impl PeImage {
    /// Reads the head of an image: its first [`HEAD`] bytes, or all of it when it
    /// is shorter.
    ///
    /// # Errors
    /// With the field that is wrong and its offset.
    pub fn parse(head: &[u8]) -> Result<Self, Error> {
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
        let certificates = optional.data_directories.get_certificate_table();
        let signed = certificates.is_some_and(|table| table.size > 0);
        Ok(Self {
            machine: coff.machine,
            efi_application: optional.windows_fields.subsystem == IMAGE_SUBSYSTEM_EFI_APPLICATION,
            signature: if signed {
                SignatureState::Signed
            } else {
                SignatureState::Unsigned
            },
            sections: read_sections(bytes, start, &coff, table)?,
        })
    }

    /// The architecture of the machine type, when it is one that UEFI knows.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        Arch::from_machine(self.machine)
    }

    /// What a systemd binary says of itself, such as `systemd-boot 260`, from the
    /// whole file's bytes. `None` when it says nothing.
    #[must_use]
    pub fn loader_info(&self, file: &[u8]) -> Option<String> {
        let magic = self
            .sections
            .iter()
            .find(|section| section.name == ".sdmagic")?;
        let start = usize::try_from(magic.offset).ok()?;
        let size = usize::try_from(magic.size).ok()?;
        let bytes = file.get(start..start.checked_add(size)?)?;
        let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
        let info = text
            .strip_prefix("#### LoaderInfo: ")?
            .strip_suffix(" ####")?;
        (!info.contains(char::is_control)).then(|| info.to_owned())
    }
}

/// Whether a file carries the marks of a Linux kernel image, from its first bytes:
/// those of x86, of 32-bit Arm, of the others, or of the compressed EFI form.
#[must_use]
pub fn is_linux(head: &[u8]) -> bool {
    let has = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    has(0x202, b"HdrS")
        || has(0x24, &0x016f_2818_u32.to_le_bytes())
        || has(0x38, b"ARM\x64")
        || has(0x38, b"RSC\x05")
        || has(0x38, &0x8182_23cd_u32.to_le_bytes())
        || has(4, b"zimg")
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
) -> Result<Vec<Section>, Error> {
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
        sections.push(Section {
            name: String::from_utf8_lossy(name).into_owned(),
            offset: section.pointer_to_raw_data,
            size: section.size_of_raw_data.min(section.virtual_size),
        });
    }
    Ok(sections)
}

fn refuse(field: &'static str, offset: usize, reason: impl Into<String>) -> Error {
    Error::Pe {
        field,
        offset,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests;
