//! Texts that users and earlier runs left on a boot partition, and variables of firmware:
//! what is read is written and read back as the same, and no value makes a line of its own.
#![no_main]

use bootloaders::bls::{Outline, Starts, Type1Entry};
use bootloaders::extra::ExtraEntry;
use bootloaders::loader_conf::{LoaderConf, Timeout};
use bootloaders::menu::{Item, Language, Menu};
use bootloaders::uki::{os_release::OsRelease, profile};
use bootloaders::{EntryFileName, LoaderVersion, boot_order, grub, load_option, ownership};
use libfuzzer_sys::fuzz_target;
use tree_manifest::TreePath;

fuzz_target!(|bytes: &[u8]| {
    variables(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(entry) = Type1Entry::parse(text) {
        let written = entry.render();
        let again = Type1Entry::parse(&written).expect("our own entry");
        assert_eq!(again, entry, "{written}");
        // Whoever looks after files must see those that an entry boots.
        let outline = Outline::of(&written);
        if let Starts::Linux { linux, initrds, .. } = &entry.starts {
            let mut files = initrds.iter().chain([linux]);
            assert!(files.all(|it| outline.files.contains(it)));
        }
    }
    let conf = LoaderConf::parse(text).conf;
    let again = LoaderConf::parse(&conf.render());
    assert_eq!((again.conf, again.passed_over.len()), (conf, 0));
    menus(text);
    names(text);
});

fn variables(bytes: &[u8]) {
    let _ = boot_order::parse_order(bytes);
    let option = load_option::LoadOption {
        description: "Linux Boot Manager".parse().expect("a line"),
        partition: load_option::GptPartition {
            number: 1,
            start: 2048,
            blocks: 4096,
            guid: [7; 16],
        },
        program: TreePath::new("EFI/systemd/systemd-bootx64.efi").expect("a path"),
    };
    let _ = option.is_the_target_of(bytes);
    assert!(option.is_the_target_of(&option.encode()));
}

/// What a user adds to a menu must stay one entry in every language.
fn menus(text: &str) {
    let Some(item) = Item::of_text("user.conf", text) else {
        return;
    };
    let known = Item::of_text("known.conf", "title known\nlinux /known\n").expect("an item");
    let menu = Menu::arrange(vec![item, known], 0, Timeout::Seconds(5), false);
    let starts =
        |text: &str, word: &str| text.lines().filter(|line| line.starts_with(word)).count();
    let grub = Language::Grub(grub::Partition::default()).write(&menu);
    assert_eq!(starts(&grub, "menuentry"), 2, "{grub}");
    let limine = Language::Limine(bootloaders::limine::Digests::default()).write(&menu);
    assert_eq!(starts(&limine, "/"), 2, "{limine}");
    let refind = Language::Refind.write(&menu);
    assert_eq!(starts(&refind, "menuentry"), 2, "{refind}");
    let extlinux = Language::Extlinux(None).write(&menu);
    assert!(starts(&extlinux, "LABEL") <= 2, "{extlinux}");
}

fn names(text: &str) {
    if let Some(name) = EntryFileName::parse(text) {
        assert_eq!(name.to_string(), text);
    }
    if let Ok(path) = TreePath::new(text) {
        let _ = ownership::ours(&path);
    }
    let _ = ExtraEntry::new("x.conf", text);
    let _ = LoaderVersion::from_info(text);
    let _ = LoaderVersion::from_stub_info(text);
    let _ = OsRelease::parse(text);
    let _ = profile::read(text);
}
