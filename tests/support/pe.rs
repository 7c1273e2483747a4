//! Makes EFI executables in code: well-formed PE files that do nothing, with the sections a
//! test wants.
//!
//! The format: <https://learn.microsoft.com/en-us/windows/win32/debug/pe-format>. No
//! relocations, no imports, no checksum; a certificate table holds any bytes.

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `ia32` in EFI file names: PE32, where all others are PE32+.
    I386,
    /// `x64` in EFI file names.
    X86_64,
    /// `aa64` in EFI file names.
    Aarch64,
    /// `riscv64` in EFI file names.
    Riscv64,
}

impl Machine {
    const fn code(self) -> u16 {
        match self {
            Self::I386 => 0x14c,
            Self::X86_64 => 0x8664,
            Self::Aarch64 => 0xaa64,
            Self::Riscv64 => 0x5064,
        }
    }

    /// Addresses in the optional header have as many bytes.
    const fn width(self) -> usize {
        match self {
            Self::I386 => 4,
            _ => 8,
        }
    }

    /// The length of the optional header in bytes.
    const fn optional_header(self) -> usize {
        // Where PE32 has the base of data, PE32+ has a wider base of the image.
        80 + 4 * self.width() + DIRECTORIES * 8
    }
}

const FILE_ALIGNMENT: usize = 512;
const SECTION_ALIGNMENT: usize = 4096;
const DOS_HEADER: usize = 64;
const COFF_HEADER: usize = 24;
const DIRECTORIES: usize = 16;
const SECTION_HEADER: usize = 40;
/// Space for more section headers, so that a stub made here can become a UKI.
const SPARE_HEADERS: usize = 1024;
const CERTIFICATE_DIRECTORY: usize = 4;
/// `IMAGE_SUBSYSTEM_EFI_APPLICATION`.
const EFI_APPLICATION: u16 = 10;
/// Executable code, initialized data; may be read.
const CODE: u32 = 0x6000_0020;
const DATA: u32 = 0x4000_0040;

/// An EFI executable to be made.
#[derive(Clone, Debug)]
pub struct TinyPe {
    machine: Machine,
    sections: Vec<(String, Vec<u8>)>,
    certificate: Option<Vec<u8>>,
}

impl TinyPe {
    /// An executable with one `.text` section of `size` bytes, which differ from one
    /// another along the file, so that a wrong offset shows.
    #[must_use]
    pub fn new(machine: Machine, size: usize) -> Self {
        let text = (0..=250).cycle().take(size).collect();
        Self {
            machine,
            sections: vec![(".text".to_owned(), text)],
            certificate: None,
        }
    }

    /// A boot loader as far as `bootctl` can tell: `version` is what follows
    /// `systemd-boot` in its marker, such as `260`.
    #[must_use]
    pub fn systemd_boot(machine: Machine, version: &str) -> Self {
        let marker = format!("#### LoaderInfo: systemd-boot {version} ####\0");
        Self::new(machine, 512).section(".sdmagic", marker)
    }

    /// Adds a section; its name has at most eight bytes.
    #[must_use]
    pub fn section(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        assert!(name.len() <= 8, "section name `{name}` has over 8 bytes");
        self.sections.push((name.to_owned(), content.into()));
        self
    }

    /// Appends a certificate table with one entry, as a signature has it. The bytes
    /// need not be a signature.
    #[must_use]
    pub fn certificate(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some(content.into());
        self
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let headers = DOS_HEADER + COFF_HEADER + self.machine.optional_header();
        let headers = headers + self.sections.len() * SECTION_HEADER + SPARE_HEADERS;
        let headers = headers.next_multiple_of(FILE_ALIGNMENT);
        let mut table = Vec::new();
        let mut bodies = Vec::new();
        let mut address = headers.next_multiple_of(SECTION_ALIGNMENT);
        for (name, content) in &self.sections {
            let offset = headers + bodies.len();
            let stored = content.len().next_multiple_of(FILE_ALIGNMENT);
            table.extend(section_header(name, content.len(), stored, address, offset));
            bodies.extend_from_slice(content);
            bodies.resize(bodies.len() + stored - content.len(), 0);
            // An empty section still needs an address of its own.
            address += content.len().max(1).next_multiple_of(SECTION_ALIGNMENT);
        }
        let certificates = self.certificate.as_deref().map(certificate_table);
        let at_end = (
            headers + bodies.len(),
            certificates.as_ref().map_or(0, Vec::len),
        );
        let mut file = dos_header();
        file.extend(self.coff_header());
        file.extend(self.optional_header(headers, address, at_end));
        file.extend(table);
        file.resize(headers, 0);
        file.extend(bodies);
        file.extend(certificates.unwrap_or_default());
        file
    }

    fn coff_header(&self) -> Vec<u8> {
        let mut header = b"PE\0\0".to_vec();
        put16(&mut header, self.machine.code());
        put16(&mut header, u16::try_from(self.sections.len()).unwrap());
        // No time stamp, no symbols: the bytes depend on the content alone.
        header.extend([0; 12]);
        put16(
            &mut header,
            u16::try_from(self.machine.optional_header()).unwrap(),
        );
        // Executable, large addresses, no debugging information.
        put16(&mut header, 0x0222);
        header
    }

    /// `certificates` is where the table begins in the file, and its size.
    fn optional_header(
        &self,
        headers: usize,
        image: usize,
        certificates: (usize, usize),
    ) -> Vec<u8> {
        let mut header = Vec::new();
        let width = self.machine.width();
        put16(&mut header, if width == 4 { 0x10b } else { 0x20b });
        header.extend([0; 14]);
        let entry = headers.next_multiple_of(SECTION_ALIGNMENT);
        put32(&mut header, entry);
        put32(&mut header, entry);
        header.extend([0; 8]); // image base, of 32 bits behind that of data
        put32(&mut header, SECTION_ALIGNMENT);
        put32(&mut header, FILE_ALIGNMENT);
        header.extend([0; 16]); // versions
        put32(&mut header, image);
        put32(&mut header, headers);
        put32(&mut header, 0); // checksum
        put16(&mut header, EFI_APPLICATION);
        put16(&mut header, 0x100); // compatible with non-executable data
        header.resize(header.len() + 4 * width + 4, 0); // stack, heap, loader flags
        put32(&mut header, DIRECTORIES);
        for directory in 0..DIRECTORIES {
            let present = directory == CERTIFICATE_DIRECTORY && certificates.1 > 0;
            let (offset, size) = if present { certificates } else { (0, 0) };
            put32(&mut header, offset);
            put32(&mut header, size);
        }
        assert_eq!(header.len(), self.machine.optional_header());
        header
    }
}

fn dos_header() -> Vec<u8> {
    let mut header = b"MZ".to_vec();
    header.resize(DOS_HEADER - 4, 0);
    put32(&mut header, DOS_HEADER);
    header
}

fn section_header(
    name: &str,
    size: usize,
    stored: usize,
    address: usize,
    offset: usize,
) -> Vec<u8> {
    let mut header = name.as_bytes().to_vec();
    header.resize(8, 0);
    put32(&mut header, size);
    put32(&mut header, address);
    put32(&mut header, stored);
    put32(&mut header, offset);
    header.extend([0; 12]);
    let flags = if name == ".text" { CODE } else { DATA };
    header.extend(flags.to_le_bytes());
    header
}

/// One `WIN_CERTIFICATE` of revision 2 and type PKCS signed data, padded to eight bytes.
fn certificate_table(content: &[u8]) -> Vec<u8> {
    let size = (8 + content.len()).next_multiple_of(8);
    let mut table = Vec::new();
    put32(&mut table, size);
    put16(&mut table, 0x0200);
    put16(&mut table, 0x0002);
    table.extend_from_slice(content);
    table.resize(size, 0);
    table
}

fn put16(to: &mut Vec<u8>, value: u16) {
    to.extend(value.to_le_bytes());
}

fn put32(to: &mut Vec<u8>, value: usize) {
    let value = u32::try_from(value).expect("a tiny PE has small numbers");
    to.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;

    #[test]
    fn ukify_makes_a_uki_of_a_stub_and_a_kernel_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, pe: TinyPe| {
            std::fs::write(folder.path().join(name), pe.bytes()).unwrap();
        };
        let sbat = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim\n";
        save(
            "stub",
            TinyPe::new(Machine::X86_64, 700).section(".sbat", sbat),
        );
        save("kernel", TinyPe::new(Machine::X86_64, 5000));
        let ukify = || Peer::sid("ukify").dir(folder.path());
        ukify()
            .args(["build", "--stub=stub", "--linux=kernel", "--cmdline=a b"])
            .args(["--uname=6.1", "--os-release=ID=x", "--output=out.efi"])
            .ok();
        let said = ukify().args(["inspect", "out.efi"]).ok();
        assert!(said.contains(".linux"), "{said}");
        assert!(said.contains("a b"), "{said}");
    }

    #[test]
    fn pefile_finds_no_fault_and_the_marker_is_where_it_looks() {
        let folder = tempfile::tempdir().unwrap();
        for machine in [
            Machine::I386,
            Machine::X86_64,
            Machine::Aarch64,
            Machine::Riscv64,
        ] {
            // pefile warns of a file that is mostly zeros, so `.text` is large.
            let pe = TinyPe::new(machine, 9000)
                .section(".sdmagic", "#### LoaderInfo: systemd-boot 260 ####")
                .certificate([7; 5]);
            std::fs::write(folder.path().join("loader.efi"), pe.bytes()).unwrap();
            let script = "import pefile\npe = pefile.PE('loader.efi')\n\
                print(hex(pe.FILE_HEADER.Machine), pe.get_warnings())\n\
                print(pe.sections[1].get_data()[:38].decode())";
            let peer = Peer::sid("python3").dir(folder.path());
            let said = peer.args(["-c", script]).ok();
            let head = format!("{:#x} []", machine.code());
            assert_eq!(
                said,
                format!("{head}\n#### LoaderInfo: systemd-boot 260 ####\n")
            );
        }
    }
}
