//! Random trees as FAT volumes: refused, or read back by another implementation with
//! every name and byte.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use arbitrary::Arbitrary;
use composer::fat::{FatType, Request, VolumeId, minimum_size, plan};
use composer::size::SectorSize;
use composer::source::Sources;
use composer::tree::{FileContent, FileTree};
use fuzz::name::Name;
use fuzz::volume::bytes_of;
use libfuzzer_sys::fuzz_target;
use tree_manifest::TreePath;

/// The longest volume that is made, in bytes.
const MOST: u64 = 40 << 20;

#[derive(Debug, Arbitrary)]
struct Wish {
    files: Vec<File>,
    /// Files with nothing in them in one folder.
    crowd: Option<u8>,
    kib: u16,
    wide: bool,
    fat_type: Option<u8>,
    least: bool,
}

#[derive(Debug, Arbitrary)]
struct File {
    folders: Vec<Name>,
    name: Name,
    size: u16,
    directory: bool,
}

fuzz_target!(|wish: Wish| {
    let (tree, expected) = tree(&wish);
    let sector = if wish.wide {
        SectorSize::S4096
    } else {
        SectorSize::S512
    };
    let request = Request {
        fat_type: wish.fat_type.map(|kind| match kind % 3 {
            0 => FatType::Fat12,
            1 => FatType::Fat16,
            _ => FatType::Fat32,
        }),
        ..Request::of_size(u64::from(wish.kib) << 10, sector)
    };
    let size = if wish.least {
        match minimum_size(&tree, &request, MOST) {
            Ok(size) => size.bytes(),
            Err(_) => return,
        }
    } else {
        request.size
    };
    let id = VolumeId {
        serial: 0x1234_abcd,
        label: Some("TEST".to_owned()),
    };
    let volume = match plan(&tree, &Request { size, ..request }, &id) {
        Ok(volume) => volume,
        Err(error) => {
            assert!(!wish.least, "the least size does not do: {error}");
            return;
        }
    };
    assert_eq!(volume.extents.length(), size);
    assert_eq!(read_back(bytes_of(&volume.extents)), expected);
});

type Found = BTreeMap<String, Option<Vec<u8>>>;

/// The tree, without what FAT cannot hold, and what is in it.
fn tree(wish: &Wish) -> (FileTree, Found) {
    let mut tree = FileTree::default();
    for (number, file) in (0_u8..).zip(wish.files.iter().take(60)) {
        let parts: Vec<&str> = file
            .folders
            .iter()
            .take(12)
            .chain([&file.name])
            .map(|name| name.0.as_str())
            .collect();
        let Ok(path) = TreePath::new(parts.join("/")) else {
            continue;
        };
        let content = vec![number; usize::from(file.size)];
        let mut grown = tree.clone();
        let added = if file.directory {
            grown.add_directory(path)
        } else {
            grown.add_file(path, FileContent::Bytes(content.as_slice().into()))
        };
        if added.is_ok() && grown.check_fat(&Sources::default()).is_ok() {
            tree = grown;
        }
    }
    for number in 0..wish.crowd.map_or(0, |count| u16::from(count) * 4) {
        let path = TreePath::new(format!("crowd/a long name in a crowd {number}"));
        let content = FileContent::Bytes([].as_slice().into());
        let _ = tree.add_file(path.expect("a path"), content);
    }
    if tree.check_fat(&Sources::default()).is_err() {
        tree = FileTree::default();
    }
    let expected = tree.iter().map(|(path, node)| {
        let content = match node {
            composer::tree::Node::File(FileContent::Bytes(bytes)) => Some(bytes.to_vec()),
            _ => None,
        };
        (path.to_string(), content)
    });
    let expected = expected.collect();
    (tree, expected)
}

/// Every path of a volume with the content of files, as `fatfs` reads it.
fn read_back(bytes: Vec<u8>) -> Found {
    let options = fatfs::FsOptions::new();
    let volume = fatfs::FileSystem::new(Cursor::new(bytes), options).expect("a volume");
    let mut found = Found::new();
    walk(&volume.root_dir(), "", &mut found);
    found
}

fn walk<T: fatfs::ReadWriteSeek>(folder: &fatfs::Dir<'_, T>, prefix: &str, found: &mut Found) {
    for entry in folder.iter().map(|entry| entry.expect("an entry")) {
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}{name}");
        let content = if entry.is_dir() {
            walk(&entry.to_dir(), &format!("{path}/"), found);
            None
        } else {
            let mut content = Vec::new();
            let read = entry.to_file().read_to_end(&mut content);
            read.expect("a file");
            Some(content)
        };
        assert!(found.insert(path, content).is_none(), "a name twice");
    }
}
