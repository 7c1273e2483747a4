//! VMDK, the format of VMware and VirtualBox, of the kind `monolithicSparse`: one file,
//! without the parts of the disk that hold no data.
//!
//! Specification: "Virtual Disk Format 5.0". The parts are called grains; a directory
//! leads to tables, and a table to grains. There are two copies of both. Numbers are in
//! sectors of 512 bytes, and little-endian.

use extents::ExtentMap;
use uuid::Uuid;

use super::clusters;
use crate::error::Error;
use crate::size::ByteSize;

const SECTOR: u64 = 512;

/// Bytes of a grain, as programs choose it.
const GRAIN: u64 = 64 << 10;

/// Entries of a table, each for a grain; other numbers are not accepted.
const TABLE_ENTRIES: u64 = 512;

/// Bytes of a table.
const TABLE: u64 = TABLE_ENTRIES * 4;

/// Where the descriptor is, and its length with what is kept for longer ones.
const DESCRIPTOR_AT: u64 = SECTOR;
const DESCRIPTOR: u64 = 20 * SECTOR;

/// What 32 bits of sectors can name; the data is never longer than the disk.
const MOST: u64 = 2040 << 30;

/// A file that holds a disk.
pub fn encode(disk: &ExtentMap, guid: Uuid, name: &str) -> Result<ExtentMap, Error> {
    if disk.length() > MOST {
        return Err(Error::DiskTooLarge {
            format: "vmdk",
            size: ByteSize(disk.length()),
            most: ByteSize(MOST),
        });
    }
    let runs = clusters::used(disk, GRAIN);
    let tables = disk.length().div_ceil(GRAIN * TABLE_ENTRIES);
    let directory = (tables * 4).next_multiple_of(SECTOR);
    let copies = [
        DESCRIPTOR_AT + DESCRIPTOR,
        DESCRIPTOR_AT + DESCRIPTOR + directory + tables * TABLE,
    ];
    let data = (copies[1] + directory + tables * TABLE).next_multiple_of(GRAIN);
    let mut file = ExtentMap::hole(data + clusters::count(&runs) * GRAIN);
    file.push_bytes(0, header(disk.length(), copies, data));
    file.push_bytes(
        DESCRIPTOR_AT,
        descriptor(disk.length(), guid, name).into_bytes(),
    );
    for directory_at in copies {
        let tables_at = directory_at + directory;
        let places = (0..tables).map(|table| tables_at + table * TABLE);
        file.push_bytes(directory_at, sectors(places));
        let mut numbered = clusters::numbered(&runs).peekable();
        while let Some((first, _)) = numbered.peek() {
            let table = first / TABLE_ENTRIES;
            let start = table * TABLE_ENTRIES;
            let mut places = [0; 512];
            while let Some((grain, place)) =
                numbered.next_if(|(grain, _)| grain / TABLE_ENTRIES == table)
            {
                places[usize::try_from(grain - start).unwrap_or_default()] = data + place * GRAIN;
            }
            file.push_bytes(tables_at + table * TABLE, sectors(places.into_iter()));
        }
    }
    clusters::append(&mut file, disk, GRAIN, data);
    Ok(file)
}

fn header(size: u64, copies: [u64; 2], data: u64) -> Vec<u8> {
    let mut header = b"KDMV".to_vec();
    header.extend(1_u32.to_le_bytes());
    // Line ends can be checked, and there is a second copy of the directory.
    header.extend(3_u32.to_le_bytes());
    for bytes in [size, GRAIN, DESCRIPTOR_AT, DESCRIPTOR] {
        header.extend((bytes / SECTOR).to_le_bytes());
    }
    header.extend(512_u32.to_le_bytes());
    for bytes in [copies[0], copies[1], data] {
        header.extend((bytes / SECTOR).to_le_bytes());
    }
    // Closed as it should be; line ends that a copy as text would change.
    header.extend(b"\0\n \r\n");
    header.resize(512, 0);
    header
}

/// What a virtual machine is told of the disk.
fn descriptor(size: u64, guid: Uuid, name: &str) -> String {
    let [a, b, c, d, ..] = *guid.as_bytes();
    let content = u32::from_be_bytes([a, b, c, d]);
    let (heads, per_track) = (255, 63);
    let cylinders = (size / SECTOR).div_ceil(heads * per_track).min(65535);
    let sectors = size / SECTOR;
    // A name that would end the line or the text is not one that programs can use.
    let name = name.replace(|c: char| c.is_control() || c == '"', "_");
    format!(
        "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID={content:08x}\nparentCID=ffffffff\n\
         createType=\"monolithicSparse\"\n\n# Extent description\n\
         RW {sectors} SPARSE \"{name}\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.virtualHWVersion = \"4\"\nddb.adapterType = \"lsilogic\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"{heads}\"\n\
         ddb.geometry.sectors = \"{per_track}\"\nddb.uuid.image=\"{guid}\"\n"
    )
}

/// Places in bytes, as numbers of sectors.
fn sectors(places: impl Iterator<Item = u64>) -> Vec<u8> {
    let number = |place: u64| u32::try_from(place / SECTOR).unwrap_or(u32::MAX);
    places
        .flat_map(|place| number(place).to_le_bytes())
        .collect()
}
