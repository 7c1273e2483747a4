//! Trees that tests make up, and what their volumes are called.

use proptest::prelude::*;
use tree_manifest::TreePath;
use uuid::Uuid;

use super::FileContent;
use crate::source::{Source, Sources, Stamp};
use crate::volume_id::VolumeId;

pub fn path(text: &str) -> TreePath {
    TreePath::on_unix(text).unwrap()
}

pub fn bytes(content: &[u8]) -> FileContent {
    FileContent::Bytes(content.into())
}

pub fn id() -> VolumeId {
    VolumeId {
        uuid: Uuid::from_u128(7),
        label: "a label of some length".to_owned(),
        time: 1,
    }
}

/// Adds a source of the inode `inode`.
pub fn source(sources: &mut Sources, path: &str, inode: u64, size: u64) -> FileContent {
    let stamp = Stamp {
        inode: (1, inode),
        ..Stamp::default()
    };
    let id = sources.add(Source {
        path: path.into(),
        size,
        stamp,
        sha256: None,
    });
    FileContent::Source(id, size)
}

pub fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "[ -.0-~]{1,30}",
        "[a-zäöüßéñ中文🦀]{1,30}",
        "x{250,255}",
    ]
    .prop_filter("a name", |name| {
        name.len() <= 255 && TreePath::on_unix(name.as_str()).is_ok()
    })
}

pub fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(0_usize),
        1..600_usize,
        4000..4100_usize,
        8100..8300_usize,
        10_000..30_000_usize
    ]
}
