//! A sound disk with bytes of its partition tables changed, and checksums made to fit:
//! refused, or partitions that lie within the disk.
#![no_main]

use composer::image::Image;
use composer::inspect::Layout;
use composer::verify;
use fuzz::disk::{Disk, disk};
use fuzz::patch::Value;
use libfuzzer_sys::fuzz_target;

/// The checksum of partition tables.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
/// The bytes of a header, and of the entries behind the primary one.
const HEADER: usize = 92;
const ENTRIES: usize = 128 * 128;
/// Where the tables are: the first and the last bytes.
const HEAD: usize = 34 * 512;
const TAIL: usize = 33 * 512;

#[derive(Debug, arbitrary::Arbitrary)]
struct Wish {
    changes: Vec<(At, Value)>,
    /// Whether checksums of the primary and of the backup table are made to fit.
    seal: (bool, bool),
}

#[derive(Debug, arbitrary::Arbitrary)]
enum At {
    Header(u8),
    Entries(u16),
    BackupHeader(u8),
    BackupEntries(u16),
    Mbr(u16),
}

fuzz_target!(|wish: Wish| {
    let disk = disk();
    let (length, bytes) = (disk.bytes.len(), &disk.bytes);
    let mut head = bytes[..HEAD].to_vec();
    let mut tail = bytes[length - TAIL..].to_vec();
    for (at, value) in &wish.changes {
        let (part, offset) = match *at {
            At::Mbr(at) => (&mut head, usize::from(at) % 512),
            At::Header(at) => (&mut head, 512 + usize::from(at) % HEADER),
            At::Entries(at) => (&mut head, 1024 + usize::from(at) % ENTRIES),
            At::BackupEntries(at) => (&mut tail, usize::from(at) % ENTRIES),
            At::BackupHeader(at) => (&mut tail, ENTRIES + usize::from(at) % HEADER),
        };
        for (byte, new) in part[offset..].iter_mut().zip(value.bytes()) {
            *byte = new;
        }
    }
    if wish.seal.0 {
        seal(&mut head, 512, 1024);
    }
    if wish.seal.1 {
        seal(&mut tail, ENTRIES, 0);
    }
    disk.put(0, &head);
    disk.put(length - TAIL, &tail);
    look(disk);
    disk.restore(0, HEAD);
    disk.restore(length - TAIL, TAIL);
});

/// Makes the checksums of a table fit: of as many entries as its header states.
fn seal(part: &mut [u8], header: usize, entries: usize) {
    let count = u32_at(part, header + 80) as usize;
    let length = u32_at(part, header + 84) as usize;
    if let Some(entries) = count
        .checked_mul(length)
        .and_then(|size| part.get(entries..entries + size))
    {
        let sum = CRC.checksum(entries);
        part[header + 88..header + 92].copy_from_slice(&sum.to_le_bytes());
    }
    part[header + 16..header + 20].fill(0);
    let sum = CRC.checksum(&part[header..header + HEADER]);
    part[header + 16..header + 20].copy_from_slice(&sum.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn look(disk: &Disk) {
    let Ok(image) = Image::open(&disk.path) else {
        return;
    };
    for entry in image.partitions.values() {
        let end = entry.start.checked_add(entry.size).expect("an end");
        assert!(end <= image.size, "{entry:?}");
    }
    let _ = verify::structure(&image);
    if let Ok(layout) = Layout::of_image(&image) {
        let _ = layout.to_text();
    }
}
