//! A sound disk with bytes of its FAT volumes changed: looking at it ends, and takes no
//! more memory than the disk is worth.
#![no_main]

use composer::image::Image;
use composer::inspect::Layout;
use composer::verify;
use composer::volume::Volume;
use fuzz::disk::{Disk, disk};
use fuzz::patch::Value;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, arbitrary::Arbitrary)]
struct Change {
    /// Which partition.
    second: bool,
    /// How far from its start: the boot sector, the tables and the root directory are
    /// in the first kilobytes.
    at: At,
    value: Value,
}

#[derive(Debug, arbitrary::Arbitrary)]
enum At {
    Boot(u8),
    Head(u16),
    Anywhere(u32),
}

fuzz_target!(|changes: Vec<Change>| {
    let disk = disk();
    let places: Vec<_> = changes.iter().map(|change| place(disk, change)).collect();
    for (change, at) in changes.iter().zip(&places) {
        disk.put(*at, &change.value.bytes());
    }
    look(disk);
    for at in places {
        disk.restore(at, 8);
    }
});

fn place(disk: &Disk, change: &Change) -> usize {
    let start = disk.starts[usize::from(change.second)];
    let end = disk.starts.get(usize::from(change.second) + 1);
    let length = end.copied().unwrap_or(disk.bytes.len()) - start;
    let offset = match change.at {
        At::Boot(at) => usize::from(at) % 96,
        At::Head(at) => usize::from(at),
        At::Anywhere(at) => at as usize,
    };
    start + offset % length
}

fn look(disk: &Disk) {
    let image = Image::open(&disk.path).expect("its table is sound");
    let sound = verify::structure(&image);
    let layout = Layout::of_image(&image);
    drop((sound, layout.map(|layout| layout.to_text())));
    let Ok(volume) = Volume::open(&image, 1) else {
        return;
    };
    let _ = (volume.info(), verify::against(&volume, &disk.tree));
    for item in volume.walk("").unwrap_or_default() {
        let _ = volume.find(&item.path);
        let _ = volume.read(&item, &mut std::io::sink());
    }
}
