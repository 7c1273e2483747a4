//! Texts as image descriptions, in TOML, or in JSON when they begin with a brace: refused,
//! or a plan whose partitions lie apart and whose bytes are as many as it says.
//!
//! Nothing of the machine is read: partitions that name content get none, or a small tree.
#![no_main]

use std::path::Path;

use composer::config::ImageConfig;
use composer::plan;
use composer::scan::{Inputs, PartitionInput};
use composer::tree::{FileContent, FileTree};
use libfuzzer_sys::fuzz_target;
use tree_manifest::TreePath;

fuzz_target!(|text: &str| {
    let is_json = text.starts_with('{');
    let name = Path::new(if is_json { "image.json" } else { "image.toml" });
    let Ok(config) = ImageConfig::parse(text, name) else {
        return;
    };
    let Ok(config) = config.settle(name) else {
        return;
    };
    let mut tree = FileTree::default();
    let path = TreePath::new("EFI/BOOT/BOOTX64.EFI").expect("a path");
    let content = FileContent::Bytes([7; 5000].as_slice().into());
    tree.add_file(path, content).expect("an empty tree");
    let partitions = config.partitions.iter().map(|partition| {
        if partition.has_files() {
            PartitionInput::Tree(tree.clone())
        } else {
            PartitionInput::Empty
        }
    });
    let inputs = Inputs {
        partitions: partitions.collect(),
        ..Inputs::default()
    };
    let Ok(layout) = plan::lay_out(&config, &inputs) else {
        return;
    };
    let mut entries: Vec<_> = layout.entries.iter().flatten().collect();
    entries.sort_by_key(|entry| entry.start);
    for pair in entries.windows(2) {
        assert!(pair[0].start + pair[0].size <= pair[1].start, "{pair:?}");
    }
    let Ok(plan) = plan::complete(&config, &inputs, &layout) else {
        return;
    };
    let end = entries.last().map_or(0, |entry| entry.start + entry.size);
    assert!(end < plan.extents.length());
    let data = plan.extents.data();
    assert!(data <= plan.extents.length());
});
