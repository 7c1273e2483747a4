use super::headers::PE_POINTER;
use super::*;
use proptest::prelude::*;

/// A small image: DOS header, PE32+ headers, one section of text at 512.
fn image(machine: u16, subsystem: u16, section: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let mut put = |offset: usize, value: &[u8]| {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    };
    let size = u32::try_from(content.len()).unwrap().to_le_bytes();
    put(0, b"MZ");
    put(PE_POINTER, &[0x40]);
    put(0x40, b"PE\0\0");
    put(0x44, &machine.to_le_bytes());
    put(0x46, &[1]);
    put(0x54, &[240]);
    put(0x58, &0x20b_u16.to_le_bytes());
    put(0x58 + 68, &subsystem.to_le_bytes());
    put(0x58 + 108, &[16]);
    put(0x58 + 240, section.as_bytes());
    put(0x58 + 240 + 8, &size);
    put(0x58 + 240 + 16, &size);
    put(0x58 + 240 + 20, &512_u32.to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

const MAGIC: &[u8] = b"#### LoaderInfo: systemd-boot 260 ####\0";

#[test]
fn says_what_an_image_is() {
    let bytes = image(0x8664, 10, ".sdmagic", MAGIC);
    let pe = PeImage::parse(&bytes).unwrap();
    assert_eq!(pe.arch(), Some(Arch::X64));
    assert!(pe.efi_application);
    assert_eq!(pe.signature, SignatureState::Unsigned);
    assert_eq!(pe.loader_info(&bytes).unwrap(), "systemd-boot 260");

    let mut signed = bytes.clone();
    signed[0x58 + 112 + 4 * 8 + 4] = 8;
    let pe = PeImage::parse(&signed).unwrap();
    assert_eq!(pe.signature, SignatureState::Signed);

    let driver = PeImage::parse(&image(0xaa64, 11, ".text", b"")).unwrap();
    assert!(!driver.efi_application);
    assert_eq!(driver.loader_info(&[]), None);
}

#[test]
fn errors_name_the_field_and_its_offset() {
    let good = image(0x8664, 10, ".text", b"");
    let with = |offset: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[offset..offset + value.len()].copy_from_slice(value);
        bytes
    };
    for (bytes, why) in [
        (Vec::new(), "the DOS signature at offset 0x0"),
        (b"#!/bin/sh".to_vec(), "the DOS signature at offset 0x0"),
        (b"MZ".to_vec(), "e_lfanew at offset 0x3c"),
        (with(0x3c, &[0xff; 4]), "points to 0xffffffff, beyond"),
        (with(0x40, b"NE"), "the PE signature at offset 0x40"),
        (with(0x46, &[0xff; 2]), "states 65535 sections"),
        (with(0x46, &[200]), "beyond the 512 bytes read"),
        (with(0x54, &[0; 2]), "SizeOfOptionalHeader at offset 0x54"),
        (with(0x54, &[20]), "the PE header at offset 0x40"),
        (with(0x58, &[0; 2]), "the PE header at offset 0x40"),
        (with(0x58 + 108, &[17]), "data directory count (17)"),
        (with(0x58 + 240, b"/x"), "a section header at offset 0x148"),
    ] {
        let error = PeImage::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn a_magic_that_lies_about_its_size_is_no_magic() {
    let mut bytes = image(0x8664, 10, ".sdmagic", MAGIC);
    bytes[0x58 + 248..0x58 + 252].fill(0xff);
    bytes[0x58 + 256..0x58 + 260].fill(0xff);
    let pe = PeImage::parse(&bytes).unwrap();
    assert_eq!(pe.loader_info(&bytes), None);
}

#[test]
fn knows_kernels_by_their_marks() {
    let mut kernel = image(0xaa64, 10, ".text", b"");
    assert!(!is_linux(&kernel));
    kernel[0x38..0x3c].copy_from_slice(b"ARM\x64");
    assert!(is_linux(&kernel));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        flips in prop::collection::vec((0..512_usize, any::<u8>()), 1..24),
        length in 0..600_usize,
    ) {
        let mut bytes = image(0x8664, 10, ".sdmagic", MAGIC);
        for (offset, value) in flips {
            bytes[offset] = value;
        }
        bytes.truncate(length);
        if let Ok(pe) = PeImage::parse(&bytes) {
            let _ = pe.loader_info(&bytes);
        }
    }
}
