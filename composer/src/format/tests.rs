use extents::{Content, ExtentMap, SourceId};
use uuid::Uuid;

use super::encode;
use crate::config::OutputFormat;
use crate::error::Error;

const FORMATS: [OutputFormat; 4] = [
    OutputFormat::Raw,
    OutputFormat::Qcow2,
    OutputFormat::Vhd,
    OutputFormat::Vmdk,
];

fn encoded(format: OutputFormat, disk: &ExtentMap) -> Result<ExtentMap, Error> {
    encode(format, disk.clone(), Uuid::from_u128(7), "disk")
}

#[test]
fn slices_keep_their_place_within_a_page_and_their_length() {
    let mut disk = ExtentMap::hole(3 << 30);
    disk.push_bytes(0, vec![1; 700]);
    disk.push_slice(1 << 20, 900 << 20, SourceId::new(0), 0);
    disk.push_slice((2 << 30) + 4096, 8192, SourceId::new(1), 4096);
    for format in FORMATS {
        let file = encoded(format, &disk).unwrap();
        let slices: Vec<_> = file
            .extents()
            .iter()
            .filter(|extent| matches!(extent.content, Content::Slice { .. }))
            .map(|extent| (extent.start % 4096, extent.length))
            .collect();
        assert_eq!(slices, [(0, 900 << 20), (0, 8192)], "{}", format.name());
        assert!(
            format == OutputFormat::Raw || file.data() > disk.data(),
            "{}",
            format.name()
        );
    }
}

#[test]
fn tables_take_memory_for_what_there_is_and_not_for_holes() {
    let disk = ExtentMap::hole(1 << 40);
    for format in FORMATS {
        let file = encoded(format, &disk).unwrap();
        assert!(file.data() < 512 << 10, "{} {}", format.name(), file.data());
    }
}

#[test]
fn disks_beyond_a_format_are_refused() {
    for (format, most) in [
        (OutputFormat::Qcow2, 2 << 50),
        (OutputFormat::Vhd, 2040 << 30),
        (OutputFormat::Vmdk, 2040 << 30),
    ] {
        assert!(encoded(format, &ExtentMap::hole(most)).is_ok());
        let refused = encoded(format, &ExtentMap::hole(most + 4096));
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(format.name()), "{error}");
    }
}
