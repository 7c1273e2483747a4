//! Bytes as bootspec documents and generation lists: refused, or of values that cannot
//! break a line, leave a tree or name a relative path.
#![no_main]

use std::path::Component;

use esp_builder::{document, generation_list};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = document::parse(bytes) {
        let specialisations = document.specialisations.values();
        for system in specialisations.chain([&document.system]) {
            assert!(!system.cmdline.as_str().contains('\n'));
            let paths = [&system.toplevel, &system.init, &system.kernel];
            let optional = [&system.initrd, &system.initrd_secrets, &system.devicetree];
            for path in paths.into_iter().chain(optional.into_iter().flatten()) {
                let above = path.components().any(|part| part == Component::ParentDir);
                assert!(path.is_absolute() && !above, "{}", path.display());
            }
        }
    }
    if let Ok(list) = generation_list::parse(bytes) {
        if let Some(default) = &list.default {
            assert!(list.generations.iter().any(|listed| {
                (&listed.id.profile, listed.id.number) == (&default.profile, default.number)
            }));
        }
        let profiles = list.generations.iter().flat_map(|it| &it.id.profile);
        profiles.for_each(|profile| assert!(!profile.contains(['/', '\n']), "{profile:?}"));
    }
});
