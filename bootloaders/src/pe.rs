//! The head of a PE image: architecture, kind, signature, sections.
//!
//! Specification: <https://learn.microsoft.com/en-us/windows/win32/debug/pe-format>
//!
//! goblin decodes the structures, in `headers`, which alone names it. It is handed
//! one structure at a time, behind checks of our own, because the bytes come from
//! anywhere: nothing is allocated by a number that the file states.

use tree_manifest::SignatureState;

use crate::arch::Arch;
use crate::error::Error;

mod headers;

pub(crate) use headers::{Headers, MOST_SECTIONS, SECTION, SectionHeader, refuse};

/// How many bytes of a file are enough for [`PeImage::parse`]: the headers of
/// kernels and boot loaders end within the first few thousand.
pub const HEAD: usize = 64 * 1024;

/// `IMAGE_SUBSYSTEM_EFI_APPLICATION`.
const EFI_APPLICATION: u16 = 10;

/// `IMAGE_DLLCHARACTERISTICS_NX_COMPAT`.
pub(crate) const NX_COMPAT: u16 = 0x0100;

/// What the head of a PE image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeImage {
    /// The machine type; see [`PeImage::arch`].
    pub machine: u16,
    /// Whether firmware would start it: an EFI application.
    pub efi_application: bool,
    /// Whether there is an Authenticode certificate table.
    pub signature: SignatureState,
    /// Whether it promises to run where memory that is written is not executed.
    pub nx_compat: bool,
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
    /// How many are mapped: those that the file has not are zero.
    pub mapped: u32,
}

impl From<SectionHeader> for Section {
    fn from(header: SectionHeader) -> Self {
        Self {
            name: header.name,
            offset: header.pointer,
            size: header.raw_size.min(header.virtual_size),
            mapped: header.virtual_size,
        }
    }
}

impl From<Headers> for PeImage {
    fn from(headers: Headers) -> Self {
        Self {
            machine: headers.machine,
            efi_application: headers.subsystem == EFI_APPLICATION,
            signature: if headers.certificates > 0 {
                SignatureState::Signed
            } else {
                SignatureState::Unsigned
            },
            nx_compat: headers.characteristics & NX_COMPAT != 0,
            sections: headers.sections.into_iter().map(Section::from).collect(),
        }
    }
}

impl PeImage {
    /// Reads the head of an image: its first [`HEAD`] bytes, or all of it when it
    /// is shorter.
    ///
    /// # Errors
    /// With the field that is wrong and its offset.
    pub fn parse(head: &[u8]) -> Result<Self, Error> {
        Headers::parse(head).map(Self::from)
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

#[cfg(test)]
mod tests;
