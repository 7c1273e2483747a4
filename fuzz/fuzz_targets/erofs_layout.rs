//! Random trees as EROFS volumes: refused, or read back with every name, byte and mode. The
//! reader knows the format and nothing of the planner; it fails on what kernels refuse.
#![no_main]

use composer::erofs::{VolumeId, plan};
use composer::source::Sources;
use fuzz::tree::{Found, Wish};
use fuzz::volume::bytes_of;
use libfuzzer_sys::fuzz_target;

/// The size of a block.
const BLOCK: usize = 4096;

fuzz_target!(|wish: Wish| {
    let (tree, expected) = wish.tree();
    let id = VolumeId {
        label: "TEST".to_owned(),
        ..VolumeId::default()
    };
    let Ok(map) = plan(&tree, &Sources::default(), &id) else {
        return;
    };
    let bytes = bytes_of(&map);
    let volume = Volume(&bytes);
    let mut found = Found::new();
    let root = volume.number(1024 + 14, 2);
    volume.enter(root, root, "", &mut found);
    assert_eq!(found, expected);
});

/// A volume, as its specification has it.
struct Volume<'a>(&'a [u8]);

impl Volume<'_> {
    fn number(&self, at: usize, length: usize) -> usize {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&self.0[at..at + length]);
        usize::from_le_bytes(bytes)
    }

    /// The mode and the content of an inode.
    fn inode(&self, number: usize) -> (u32, Vec<u8>) {
        let at = number * 32;
        let format = self.number(at, 2);
        assert_eq!(format & 1, 0, "all are small");
        let size = self.number(at + 8, 4);
        let attributes = match self.number(at + 2, 2) {
            0 => 0,
            count => 12 + 4 * (count - 1),
        };
        let (whole, inline) = match format >> 1 {
            0 => (size, 0),
            2 => (size / BLOCK * BLOCK, size % BLOCK),
            _ => panic!("a format of others"),
        };
        let mut content = Vec::new();
        if whole > 0 {
            let start = self.number(at + 16, 4) * BLOCK;
            content.extend_from_slice(&self.0[start..start + whole]);
        }
        if inline > 0 {
            let start = at + 32 + attributes;
            assert_eq!(start / BLOCK, (start + inline - 1) / BLOCK);
            content.extend_from_slice(&self.0[start..start + inline]);
        }
        let mode = u32::try_from(self.number(at + 4, 2)).expect("16 bits");
        (mode, content)
    }

    fn enter(&self, number: usize, parent: usize, path: &str, found: &mut Found) {
        let (_, content) = self.inode(number);
        let mut last = String::new();
        for block in content.chunks(BLOCK) {
            let volume = Volume(block);
            let count = volume.number(8, 2) / 12;
            for index in 0..count {
                let start = volume.number(index * 12 + 8, 2);
                let end = if index + 1 < count {
                    volume.number(index * 12 + 20, 2)
                } else {
                    block.len()
                };
                let name = block[start..end].split(|byte| *byte == 0).next();
                let name = std::str::from_utf8(name.expect("a name")).expect("UTF-8");
                assert!(last.as_bytes() < name.as_bytes(), "names are in order");
                name.clone_into(&mut last);
                let inner = volume.number(index * 12, 8);
                match name {
                    "." => assert_eq!(inner, number),
                    ".." => assert_eq!(inner, parent),
                    _ => self.take(inner, number, &format!("{path}/{name}"), found),
                }
            }
        }
    }

    fn take(&self, number: usize, parent: usize, path: &str, found: &mut Found) {
        let (mode, mut content) = self.inode(number);
        let kind = match mode >> 12 {
            0o10 => 1,
            0o04 => 2,
            0o12 => 7,
            _ => panic!("a type of others"),
        };
        if kind == 2 {
            self.enter(number, parent, path, found);
            content.clear();
        }
        let known = found.insert(path.to_owned(), (kind, mode & 0o7777, content));
        assert!(known.is_none(), "a name twice");
    }
}
