//! Texts as manifests: refused, or a manifest that is read back from its own text and
//! whose paths stay in their trees.
#![no_main]

use std::path::{Component, Path};

use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use tree_manifest::Manifest;

fuzz_target!(init: seeds::write(&seeds::manifests()), |text: &str| {
    let Ok(manifest) = Manifest::parse(text) else {
        return;
    };
    for (role, tree) in &manifest.trees {
        for path in tree.keys() {
            let parts = Path::new(path.as_str()).components();
            assert!(
                parts
                    .into_iter()
                    .all(|part| matches!(part, Component::Normal(_)))
            );
            if role.is_fat() {
                assert_eq!(tree_manifest::fat::check_name(path.name()), Ok(()));
            }
        }
    }
    let again = manifest.to_json();
    assert_eq!(Manifest::parse(&again).expect("our own text"), manifest);
});
