use super::*;
use crate::testkit::{image, measure, sha256};
use proptest::prelude::*;

/// Offsets of fields in images of the maker.
const PE: usize = 0x40;
const OPTIONAL: usize = PE + 24;
const SECTIONS: usize = OPTIONAL + 240;

fn patched(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = image();
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
    image
}

fn parse(bytes: &[u8]) -> Result<Image, Error> {
    Image::parse(&bytes[..bytes.len().min(HEAD)], bytes.len() as u64)
}

#[test]
fn the_fields_are_where_goblin_finds_them() {
    let mut bytes = image();
    // goblin fills the digest up as signing does.
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let ours = parse(&bytes).unwrap();
    let theirs = goblin::pe::PE::parse(&bytes).unwrap();
    let optional = theirs.header.optional_header.unwrap();
    assert_eq!(
        ours.headers,
        u64::from(optional.windows_fields.size_of_headers)
    );
    let sections: Vec<_> = theirs
        .sections
        .iter()
        .map(|it| {
            let start = u64::from(it.pointer_to_raw_data);
            start..start + u64::from(it.size_of_raw_data)
        })
        .collect();
    assert_eq!(ours.sections, sections);
    // goblin has an Authenticode digest of its own ranges.
    let mut theirs_hashed = crate::HashAlgorithm::Sha256.hasher();
    for range in theirs.authenticode_ranges() {
        theirs_hashed.update(range);
    }
    assert_eq!(sha256(&bytes).unwrap(), theirs_hashed.finish());
}

#[test]
fn only_what_a_signature_changes_does_not_count() {
    let bytes = image();
    let expected = sha256(&bytes).unwrap();
    let (checksum, directory) = (OPTIONAL + 64, OPTIONAL + 112 + 32);
    for offset in 0..bytes.len() {
        // The offset of a table of no bytes is not looked at.
        let free = (checksum..checksum + 4).contains(&offset)
            || (directory..directory + 4).contains(&offset);
        // Fields that decide about the layout may lead to a refusal instead.
        let mut changed = bytes.clone();
        changed[offset] ^= 0x55;
        match sha256(&changed) {
            Ok(digest) => assert_eq!(digest == expected, free, "at {offset:#x}"),
            Err(_) => assert!(offset < SECTIONS + 80, "at {offset:#x}"),
        }
    }
}

#[test]
fn gaps_between_sections_count_as_firmware_counts_them() {
    // The second section is empty in the file, so its bytes are in no section: the
    // last bytes are then counted from where the sizes end.
    let size = u32::from_le_bytes(image()[SECTIONS + 16..SECTIONS + 20].try_into().unwrap());
    let shorter = patched(SECTIONS + 16, &(size - 512).to_le_bytes());
    let parsed = parse(&shorter).unwrap();
    assert!(!parsed.is_contiguous());
    let ranges = parsed.counted();
    let (first, second, tail) = (&ranges[3], &ranges[4], &ranges[5]);
    assert_eq!(second.start, first.end + 512);
    assert_eq!(tail.start, second.end - 512);
    assert_eq!(tail.end, shorter.len() as u64);
    // The checksum is that of the file all the same.
    let whole = measure(&image()).unwrap();
    let mut sum = whole.sum;
    let digits = SECTIONS as u64 + 16;
    sum.add(digits, &[0, 0, 0, 0]);
    let gap = measure(&shorter).unwrap();
    let before = u64::from(sum.finish(0));
    let after = u64::from(gap.sum.finish(0));
    assert_eq!((before - after) % 0xffff, 512);
}

#[test]
fn hostile_fields_are_refused_with_their_names_and_offsets() {
    let bytes = image();
    let length = u32::try_from(bytes.len()).unwrap();
    let entry = OPTIONAL + 112 + 32;
    let table = |start: u32, size: u32| [start.to_le_bytes(), size.to_le_bytes()].concat();
    let cases: &[(usize, &[u8])] = &[
        (0, b"ZM"),
        (0x3c, &[0xff; 4]),
        (0x3c, &(length - 2).to_le_bytes()),
        (PE, b"NE"),
        (PE + 6, &[0xff; 2]),
        (PE + 20, &[1, 0]),
        (PE + 20, &[0xff; 2]),
        (OPTIONAL, &[7, 1]),
        (OPTIONAL + 60, &[0; 4]),
        (OPTIONAL + 60, &[0xff; 4]),
        (OPTIONAL + 108, &[0xff; 4]),
        (entry, &table(0, 8)),
        (entry, &table(length & !7, 8)),
        (entry, &table(3, length - 3)),
        (entry, &table(0, length)),
        (entry, &[0xff; 8]),
        (SECTIONS + 16, &[0xff; 4]),
        (SECTIONS + 20, &[0xff; 4]),
        (SECTIONS + 20, &[1, 0, 0, 0]),
        (SECTIONS + 40 + 20, &bytes[SECTIONS + 20..SECTIONS + 24]),
    ];
    let said: Vec<_> = cases
        .iter()
        .map(|(offset, value)| match parse(&patched(*offset, value)) {
            Ok(_) => panic!("{offset:#x} was accepted"),
            Err(error) => error.to_string(),
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn an_image_without_a_place_for_signatures_has_a_digest_and_is_not_signed() {
    let few = patched(OPTIONAL + 108, &[4, 0, 0, 0]);
    assert!(sha256(&few).is_ok());
    let error = measure(&few).unwrap_err().to_string();
    let field = format!("NumberOfRvaAndSizes at offset {:#x}", OPTIONAL + 108);
    assert!(error.contains(&field), "{error}");
}

#[test]
fn a_file_that_ends_early_is_an_error_of_reading() {
    let bytes = image();
    let parsed = parse(&bytes).unwrap();
    let mut short = std::io::Cursor::new(&bytes[..bytes.len() - 1]);
    let error = parsed
        .digests(&mut short, &[HashAlgorithm::Sha256].into())
        .unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

proptest! {
    #[test]
    fn damaged_heads_never_panic_and_never_lead_outside_the_file(
        damage in prop::collection::vec((0..1024_usize, any::<u8>()), 1..8),
    ) {
        let mut bytes = image();
        for (offset, value) in damage {
            bytes[offset] = value;
        }
        if let Ok(parsed) = parse(&bytes) {
            for range in parsed.counted() {
                prop_assert!(range.end <= bytes.len() as u64);
            }
            prop_assert!(sha256(&bytes).is_ok());
        }
    }
}
