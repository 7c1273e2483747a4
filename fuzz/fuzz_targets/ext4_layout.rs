//! Random trees as ext4 volumes of random sizes: refused, or read back with every name, byte,
//! mode and attribute. The reader is that of the unit tests, which knows the format and
//! nothing of the planner; it fails on what kernels and e2fsck refuse.
#![no_main]

#[path = "../../composer/src/ext4/tests/reader.rs"]
#[expect(dead_code, reason = "unit tests look at more")]
mod reader;

use composer::Error;
use composer::ext4::{BLOCK, VolumeId, least_size, plan};
use composer::source::Sources;
use fuzz::tree::{Found, Wish};
use libfuzzer_sys::fuzz_target;
use tree_manifest::TreePath;
use uuid::Uuid;

fuzz_target!(|input: (Wish, u32)| {
    let (wish, size) = input;
    let (tree, mut expected) = wish.tree();
    let id = VolumeId {
        uuid: Uuid::from_u128(7),
        label: "TEST".to_owned(),
        time: 1,
    };
    let sources = Sources::default();
    let Ok(least) = least_size(&tree, &sources, id.uuid) else {
        return;
    };
    // Up to two groups more.
    let size = u64::from(size) * 512 % (least + 65536 * BLOCK);
    let map = match plan(&tree, &sources, &id, size) {
        Ok(map) => map,
        Err(Error::Outgrown { needed, .. }) if size < least => {
            let map = plan(&tree, &sources, &id, needed.bytes());
            map.expect("what is needed is enough")
        }
        Err(error) => panic!("{least} bytes are enough: {error}"),
    };
    let lost = "/lost+found".to_owned();
    expected.entry(lost).or_insert((2, 0o700, Vec::new()));
    let mut found = Found::new();
    for (path, inode) in reader::read(&map, &[]).objects {
        let Some(place) = path.strip_prefix('/') else {
            continue;
        };
        let place = TreePath::on_unix(place).expect("a path");
        let attributes = tree.attributes(&place).iter().cloned().collect();
        assert_eq!(inode.attributes, attributes);
        let content = match inode.kind() {
            1 => reader::bytes_of(&inode.content, &[]),
            2 => Vec::new(),
            _ => inode.target.clone(),
        };
        let mode = u32::from(inode.mode % 0o10000);
        found.insert(path, (inode.kind(), mode, content));
    }
    assert_eq!(found, expected);
});
