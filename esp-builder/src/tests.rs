//! From documents to directories, through the library.
#![expect(clippy::disallowed_methods, reason = "tests look at what was written")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bootloaders::loader_conf::LoaderConf;
use serde_json::{Value, json};
use tree_manifest::{Entry, Manifest, Role, Source, TreePath, check};

use crate::apply::{Content, apply, check_output};
use crate::plan::{Recipe, TreePlan};
use crate::settings::{GenerationInput, Input, KernelInput, Layout, NumberedPath};
use crate::testkit::{AA64, Kit, X64, describe_error, document, pe, with, with_extension};
use crate::{Settings, Warning, plan};

mod loaders;

fn quiet(_: u64) {}

/// A plan as text: every file, its recipe, who needs it.
fn dump(kit: &Kit, plan: &TreePlan) -> String {
    let mut lines = Vec::new();
    for (role, tree) in &plan.trees {
        for (path, file) in tree {
            let needed = file.provenance.generations.iter();
            let needed: Vec<_> = needed.map(crate::generation::describe).collect();
            let kind = file.provenance.kind;
            lines.push(format!("{role}/{path}  [{kind:?}; {}]", needed.join(", ")));
            match &file.recipe {
                Recipe::Copy { from, size } => {
                    lines.push(format!("    {size} bytes of {}", from.display()));
                }
                Recipe::Text(text) => {
                    lines.extend(text.lines().map(|line| format!("  | {line}")));
                }
                Recipe::Secret(secret) => lines.push(format!("    {secret:?}")),
                Recipe::Assembled(image) => {
                    lines.push(format!("    {} bytes, put together", image.map.length()));
                }
            }
        }
    }
    kit.anonymous(&lines.join("\n"))
}

/// What each of the settings is refused with.
fn refusals(kit: &Kit, cases: &[Settings]) -> String {
    let errors = cases
        .iter()
        .map(|settings| describe_error(kit, &plan(settings).unwrap_err()));
    errors.collect::<Vec<_>>().join("\n")
}

fn two_generations() -> [Value; 2] {
    let mut second = with("kernel", json!("/nix/store/k2-linux-6.18/bzImage"));
    second["org.nixos.systemd-boot"] =
        json!({ "devicetree": "/nix/store/d1-dtbs/vendor/board.dtb" });
    second["org.nixos.specialisation.v1"]["gnome+x"] = document();
    [document(), second]
}

#[test]
fn generations_become_a_tree_that_holds_each_file_once() {
    let kit = Kit::new();
    let planned = plan(&kit.settings(&two_generations())).unwrap();
    assert_eq!(planned.default, 1);
    insta::assert_snapshot!(dump(&kit, &planned.plan));
}

#[test]
fn two_architectures_share_a_tree_with_an_xbootldr() {
    let kit = Kit::new();
    let mut arm = with("kernel", json!("/nix/store/ka-linux-6.18/Image"));
    arm["org.nixos.bootspec.v1"]["system"] = json!("aarch64-linux");
    arm["org.nixos.extra-initrd.v1"] = json!({ "paths": ["/EFI/extra.img"] });
    let settings = Settings {
        xbootldr: true,
        machine_id: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
        date: Some("2026-11-23".parse().unwrap()),
        default: Some("1".parse().unwrap()),
        ..kit.settings(&[document(), arm])
    };
    let settings = Settings {
        menu: LoaderConf {
            editor: Some(false),
            ..settings.menu
        },
        ..settings
    };
    insta::assert_snapshot!(dump(&kit, &plan(&settings).unwrap().plan));
}

#[test]
fn a_kernel_needs_no_document() {
    let kit = Kit::new();
    let kernel = KernelInput {
        kernel: kit.write("home/vmlinuz", pe(X64, "any kernel")),
        initrds: vec![kit.write("home/ucode", "u"), kit.write("home/initrd", "i")],
        cmdline: "root=/dev/vda2".parse().unwrap(),
        title: "Debian".parse().unwrap(),
        name: bootloaders::EntryName::default(),
        arch: None,
    };
    let loader = "nix/store/s1-systemd/lib/systemd/boot/efi/systemd-bootx64.efi";
    let settings = Settings {
        systemd_boot: vec![kit.root().join(loader)],
        ..Settings::new(Input::Kernel(kernel))
    };
    insta::assert_snapshot!(dump(&kit, &plan(&settings).unwrap().plan));
}

#[test]
fn files_that_do_not_boot_are_refused_with_what_to_do() {
    let kit = Kit::new();
    kit.write("nix/store/bad/script", "#!/bin/sh\n");
    let mut marked = vec![0; 0x300];
    marked[0x202..0x206].copy_from_slice(b"HdrS");
    kit.write("nix/store/bad/no-stub", marked);
    let cases = [
        with("kernel", json!("/nix/store/gone/bzImage")),
        with("kernel", json!("/nix/store/bad")),
        with("kernel", json!("/nix/store/bad/script")),
        with("kernel", json!("/nix/store/bad/no-stub")),
        with("kernel", json!("/nix/store/ka-linux-6.18/Image")),
        with("initrd", json!("/nix/store/i1-initrd/initrd/x")),
        with_extension(
            "org.nixos.systemd-boot",
            json!({ "devicetree": "/nix/store/x.dtb" }),
        ),
    ];
    let cases = cases.map(|document| kit.settings(&[document]));
    insta::assert_snapshot!(refusals(&kit, &cases));
}

#[test]
fn boot_loaders_that_do_not_fit_are_refused_with_what_to_do() {
    let kit = Kit::new();
    let loader = |name: &str, machine, text: &str| {
        kit.write(name, pe(machine, &format!("#### LoaderInfo: {text} ####")))
    };
    let good = loader("good.efi", X64, "systemd-boot 260");
    let stub = loader("stub.efi", X64, "systemd-stub 260");
    let arm = loader("arm.efi", AA64, "systemd-boot 260");
    let text = kit.write("text.efi", "MZ");
    let cases = [
        vec![good.clone(), good],
        vec![stub],
        vec![arm],
        vec![text],
        vec!["/none".into()],
    ];
    let cases = cases.map(|systemd_boot| Settings {
        systemd_boot,
        ..kit.settings(&[document()])
    });
    insta::assert_snapshot!(refusals(&kit, &cases));
}

#[test]
fn choices_that_do_not_fit_are_refused_with_what_to_do() {
    let kit = Kit::new();
    let plain = || kit.settings(&[document()]);
    let twice = NumberedPath {
        number: Some(1),
        path: kit.write("boot.json", document().to_string()),
    };
    let kernel = KernelInput {
        kernel: kit.root().join("nix/store/k1-linux-6.12/bzImage"),
        initrds: Vec::new(),
        cmdline: "x".parse().unwrap(),
        title: "Linux".parse().unwrap(),
        name: bootloaders::EntryName::default(),
        arch: Some(bootloaders::Arch::Riscv64),
    };
    let mut cases = vec![plain(), plain()];
    cases[0].default = Some("1:kde".parse().unwrap());
    cases[1].root = Some("/none".into());
    let documents = |bootspecs| {
        Input::Generations(GenerationInput {
            bootspecs,
            ..GenerationInput::default()
        })
    };
    let inputs = [
        documents(vec![twice.clone(), twice]),
        documents(Vec::new()),
        Input::Kernel(kernel),
    ];
    cases.extend(inputs.map(|input| Settings { input, ..plain() }));
    insta::assert_snapshot!(refusals(&kit, &cases));
}

#[test]
fn names_that_fat_takes_for_one_are_refused_with_both_origins() {
    let kit = Kit::new();
    let mut value = document();
    value["org.nixos.specialisation.v1"]["Gnome"] = document();
    value["org.nixos.specialisation.v1"]["gnome"] = document();
    let error = plan(&kit.settings(&[value])).unwrap_err();
    insta::assert_snapshot!(describe_error(&kit, &error), @r"
    error: tree `esp`: `loader/entries/nixos-generation-1-specialisation-Gnome.conf` (generation 1 (`Gnome`)) and `loader/entries/nixos-generation-1-specialisation-gnome.conf` (generation 1 (`gnome`)) want one place
    hint: rename one of the two at its source; FAT ignores case
    ");
}

#[test]
fn what_no_fat_can_hold_is_refused_before_it_is_read() {
    let kit = Kit::new();
    let huge = kit.write("nix/store/i2-initrd/initrd", "");
    let file = fs::File::options().write(true).open(huge).unwrap();
    file.set_len(u64::from(u32::MAX) + 1).unwrap();
    let name = "n".repeat(250);
    kit.write(&format!("nix/store/i3-initrd/{name}"), "i");
    let cases = [
        kit.settings(&[with("initrd", json!("/nix/store/i2-initrd/initrd"))]),
        kit.settings(&[with(
            "initrd",
            json!(format!("/nix/store/i3-initrd/{name}")),
        )]),
    ];
    let text = refusals(&kit, &cases).replace(&name, "NAME");
    insta::assert_snapshot!(text, @r"
    error: tree `esp`: `EFI/nixos/i2-initrd-initrd.efi` (generation 1): 4294967296 bytes are more than the 4294967295 a FAT file can have
    hint: rename or shrink the file at its source

    error: tree `esp`: `EFI/nixos/i3-initrd-NAME.efi` (generation 1): a FAT name has at most 255 UTF-16 units
    hint: rename or shrink the file at its source
    ");
}

#[test]
fn two_files_of_one_store_name_are_refused() {
    let kit = Kit::new();
    kit.write("nix/store/i4-initrd/a-b", "one");
    kit.write("nix/store/i4-initrd/a/b", "two");
    let documents =
        ["a-b", "a/b"].map(|name| with("initrd", json!(format!("/nix/store/i4-initrd/{name}"))));
    let text = refusals(&kit, &[kit.settings(&documents)]);
    insta::assert_snapshot!(text, @r"
    error: tree `esp`: `EFI/nixos/i4-initrd-a-b.efi` (generation 1) and `EFI/nixos/i4-initrd-a-b.efi` (generation 2) want one place
    hint: rename one of the two at its source; FAT ignores case
    ");
}

#[test]
fn what_a_tree_cannot_give_is_a_warning() {
    let kit = Kit::new();
    let mut value = with("initrdSecrets", json!("/nix/store/x/append"));
    value["org.nixos.specialisation.v1"]["a"] = with("kernelParams", json!(["x".repeat(2048)]));
    value["org.nixos.specialisation.v1"]["a"]["org.nixos.specialisation.v1"]["b"] = document();
    let loader = kit.write("loader.efi", pe(X64, "no marker"));
    let settings = Settings {
        systemd_boot: vec![loader],
        ..kit.settings(&[value])
    };
    let warnings = plan(&settings).unwrap().warnings;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let directory = kit.root().to_str().unwrap();
    insta::assert_snapshot!(warnings.join("\n").replace(directory, "ROOT"));
}

fn build(kit: &Kit, out: &str, content: Content) -> Manifest {
    let planned = plan(&kit.settings(&two_generations())).unwrap();
    apply(&planned.plan, &kit.root().join(out), content, &quiet).unwrap()
}

#[test]
fn the_tree_is_what_the_manifest_says() {
    let kit = Kit::new();
    let manifest = build(&kit, "out", Content::Copied);
    let out = kit.root().join("out");
    let written = check::load(&out.join("manifest.json")).unwrap();
    assert_eq!(written, manifest);
    let esp = &manifest.trees[&Role::esp()];
    assert_eq!(check::differences(esp, &out.join("esp")).unwrap(), []);
    assert_eq!(manifest.architectures.iter().collect::<Vec<_>>(), ["x64"]);
    let names: Vec<_> = list(&out);
    assert_eq!(names, ["esp", "manifest.json"]);
    let manifest_time = fs::metadata(out.join("manifest.json")).unwrap();
    for path in esp.keys() {
        let file = fs::metadata(path.on(&out.join("esp"))).unwrap();
        assert_eq!(file.permissions().mode() & 0o7777, 0o644, "{path}");
        let age = |time: &fs::Metadata| (time.mtime(), time.mtime_nsec());
        assert!(
            (file.ctime(), file.ctime_nsec()) <= age(&manifest_time),
            "{path}"
        );
    }
    for directory in [out.clone(), out.join("esp/EFI/nixos")] {
        let mode = fs::metadata(directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_over_an_earlier_result() {
    let kit = Kit::new();
    build(&kit, "out", Content::Copied);
    let out = kit.root().join("out");
    let first = fs::read(out.join("manifest.json")).unwrap();
    kit.link("out", "link");
    build(&kit, "link", Content::Copied);
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), first);
    assert!(kit.root().join("link").is_symlink());
    fs::create_dir(kit.root().join("empty")).unwrap();
    build(&kit, "empty", Content::Copied);
    assert_eq!(
        fs::read(kit.root().join("empty/manifest.json")).unwrap(),
        first
    );
    assert_eq!(leftovers(&kit), Vec::<String>::new());
}

#[test]
fn by_reference_only_texts_are_written() {
    let kit = Kit::new();
    let manifest = build(&kit, "out", Content::ByReference);
    let copied = build(&kit, "copy", Content::Copied);
    let trees = [&manifest, &copied].map(|manifest| &manifest.trees[&Role::esp()]);
    for ((path, entry), copy) in trees[0].iter().zip(trees[1].values()) {
        let (Entry::File(file), Entry::File(copy)) = (entry, copy) else {
            panic!("{path} is no file");
        };
        assert_eq!((file.size, file.sha256), (copy.size, copy.sha256), "{path}");
        let here = path.on(&kit.root().join("out/esp"));
        match &file.source {
            Source::Absolute(source) => {
                assert!(!here.exists(), "{path}");
                assert_eq!(fs::metadata(source).unwrap().len(), file.size);
            }
            _ => assert!(here.exists(), "{path}"),
        }
    }
}

#[test]
fn content_that_is_not_read_is_older_than_the_manifest_and_has_no_digest() {
    let kit = Kit::new();
    let unread = build(&kit, "out", Content::Unread);
    let read = build(&kit, "read", Content::ByReference);
    let modified = fs::metadata(kit.root().join("out/manifest.json")).unwrap();
    let modified = (modified.mtime(), modified.mtime_nsec());
    let trees = [&unread, &read].map(|manifest| &manifest.trees[&Role::esp()]);
    assert_eq!(trees[0].len(), trees[1].len());
    for ((path, entry), read) in trees[0].iter().zip(trees[1].values()) {
        let (Entry::File(file), Entry::File(read)) = (entry, read) else {
            panic!("{path} is no file");
        };
        assert_eq!(file.size, read.size, "{path}");
        match &file.source {
            Source::Absolute(source) => {
                assert_eq!(file.sha256, None, "{path}");
                let source = fs::metadata(source).unwrap();
                assert!((source.ctime(), source.ctime_nsec()) < modified, "{path}");
            }
            _ => assert_eq!(file.sha256, read.sha256, "{path}"),
        }
    }
    // It must still be there, as long as it was.
    let planned = plan(&kit.settings(&two_generations())).unwrap();
    kit.write("nix/store/i1-initrd/initrd", "another length");
    let out = kit.root().join("out");
    let error = apply(&planned.plan, &out, Content::Unread, &quiet).unwrap_err();
    insta::assert_snapshot!(describe_error(&kit, &error), @r"
    error: `ROOT/nix/store/i1-initrd/initrd` changed while it was read: 14 bytes instead of 8
    hint: run again when nothing writes to the file
    ");
}

#[test]
fn nothing_is_left_and_nothing_is_lost_after_an_error() {
    let kit = Kit::new();
    build(&kit, "out", Content::Copied);
    let planned = plan(&kit.settings(&two_generations())).unwrap();
    kit.write("nix/store/i1-initrd/initrd", "another length");
    let out = kit.root().join("out");
    let before = fs::read(out.join("manifest.json")).unwrap();
    let error = apply(&planned.plan, &out, Content::Copied, &quiet).unwrap_err();
    insta::assert_snapshot!(describe_error(&kit, &error), @r"
    error: `ROOT/nix/store/i1-initrd/initrd` changed while it was read: 14 bytes instead of 8
    hint: run again when nothing writes to the file
    ");
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), before);
    assert_eq!(leftovers(&kit), Vec::<String>::new());
}

#[test]
fn only_an_earlier_result_is_replaced() {
    let kit = Kit::new();
    build(&kit, "mine", Content::Copied);
    kit.write("mine/disk.raw", "precious");
    kit.write("foreign/manifest.json", "{}");
    let file = kit.write("file", "");
    for (out, why) in [
        (kit.root().join("mine"), "holds `disk.raw`"),
        (kit.root().join("foreign"), "is not a tree manifest"),
        (kit.root().join("nix"), "holds `store`"),
        (file, "is not a directory"),
    ] {
        let error = check_output(&out).unwrap_err();
        assert!(error.to_string().ends_with(why), "{error}");
    }
    assert!(check_output(&kit.root().join("new")).is_ok());
}

#[test]
fn links_never_leave_the_root() {
    let kit = Kit::new();
    kit.link("../../../../../../etc/kernel", "nix/store/up");
    kit.link("/nix/store/loop", "nix/store/loop");
    kit.write("etc/kernel", pe(X64, "inside"));
    let planned = plan(&kit.settings(&[with("kernel", json!("/nix/store/up"))])).unwrap();
    let source = &planned.entries[0].kernel.source;
    assert_eq!(
        source,
        &fs::canonicalize(kit.root().join("etc/kernel")).unwrap()
    );
    // Outside a store the content names the file.
    let name = planned.entries[0].kernel.path.name();
    assert!(
        name.ends_with("-kernel.efi") && name.len() == 32 + 11,
        "{name}"
    );
    assert!(plan(&kit.settings(&[with("kernel", json!("/nix/store/loop"))])).is_err());
}

#[test]
fn the_entry_of_a_kernel_has_a_name_and_a_counter_where_they_are_asked_for() {
    let kit = Kit::new();
    let systemd = kit.root().join("nix/store/s1-systemd/lib/systemd/boot/efi");
    let kernel = KernelInput {
        kernel: kit.write("home/vmlinuz", pe(X64, "any kernel")),
        initrds: Vec::new(),
        cmdline: "root=/dev/vda2".parse().unwrap(),
        title: "Appliance".parse().unwrap(),
        name: "appliance_7".parse().unwrap(),
        arch: None,
    };
    for (layout, entry, default) in [
        (
            Layout::Type1,
            "loader/entries/appliance_7+3-0.conf",
            "appliance_7.conf",
        ),
        (
            Layout::Uki,
            "EFI/Linux/appliance_7+3-0.efi",
            "appliance_7.efi",
        ),
    ] {
        let mut settings = Settings {
            systemd_boot: vec![systemd.join("systemd-bootx64.efi")],
            layout,
            tries: std::num::NonZeroU16::new(3),
            ..Settings::new(Input::Kernel(kernel.clone()))
        };
        settings.images.stubs = vec![systemd.join("linuxx64.efi.stub")];
        let planned = plan(&settings).unwrap();
        let tree = &planned.plan.trees[&Role::esp()];
        assert!(
            tree.contains_key(&TreePath::new(entry).unwrap()),
            "{tree:?}"
        );
        let conf = &tree[&TreePath::new("loader/loader.conf").unwrap()].recipe;
        let Recipe::Text(conf) = conf else {
            panic!("loader.conf is a text");
        };
        assert!(conf.contains(&format!("preferred {default}\n")), "{conf}");
        assert!(!conf.contains("nixos-*"), "{conf}");
    }
}

#[test]
fn entries_are_called_as_their_files_are() {
    let kit = Kit::new();
    let mut settings = kit.settings(&two_generations());
    let name = |settings: &Settings| {
        let planned = plan(settings).unwrap();
        let name = planned.names()[0].as_ref().map(ToString::to_string);
        let files = planned.plan.trees[&Role::esp()].keys();
        let is_there = |name: &String| files.clone().any(|path| path.name() == *name);
        assert!(name.iter().all(is_there), "{name:?}");
        name
    };
    assert_eq!(name(&settings).as_deref(), Some("nixos-generation-1.conf"));
    settings.entry_names = bootloaders::EntryNaming::Content;
    assert!(name(&settings).is_some_and(|name| name.len() == "nixos-.conf".len() + 64));
    settings.boot_loader.name = bootloaders::BootLoader::Extlinux;
    assert_eq!(name(&settings), None);
}

#[test]
fn store_objects_that_are_files_keep_their_name() {
    let kit = Kit::new();
    // What no FAT can hold, and what ends a name in load options and in menus.
    for (name, expected) in [
        ("abc-what?.img", "abc-what%3f.img.efi"),
        ("abc-a b#1.img", "abc-a%20b%231.img.efi"),
    ] {
        let file = format!("gnu/store/{name}");
        kit.write(&file, "i");
        let settings = Settings {
            store_dir: "/gnu/store".into(),
            ..kit.settings(&[with("initrd", json!(format!("/{file}")))])
        };
        let planned = plan(&settings).unwrap();
        assert_eq!(planned.entries[0].initrds[0].path.name(), expected);
    }
}

fn list(directory: &Path) -> Vec<String> {
    let items = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = items
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn leftovers(kit: &Kit) -> Vec<String> {
    let hidden = |name: &String| name.starts_with('.');
    list(kit.root()).into_iter().filter(hidden).collect()
}

#[test]
fn a_system_with_xen_has_an_entry_more() {
    let kit = Kit::new();
    kit.write("nix/store/x1-xen-4.20/boot/xen.efi", pe(X64, "xen"));
    let xen = json!({ "efiPath": "/nix/store/x1-xen-4.20/boot/xen.efi", "params": ["ucode=scan"] });
    let documents = [with_extension("org.xenproject.bootspec.v2", xen)];
    let planned = plan(&kit.settings(&documents)).unwrap();
    insta::assert_snapshot!(dump(&kit, &planned.plan));
    assert_eq!(planned.warnings, []);

    let plain = json!({ "multibootPath": "/nix/store/x1-xen-4.20/boot/xen" });
    let documents = [with_extension("org.xenproject.bootspec.v2", plain)];
    let planned = plan(&kit.settings(&documents)).unwrap();
    let whose = "generation 1".to_owned();
    assert_eq!(planned.warnings, [Warning::Xen { whose }]);
}
