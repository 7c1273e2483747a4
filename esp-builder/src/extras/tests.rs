#![expect(clippy::disallowed_methods, reason = "tests write and look")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bootloaders::ownership;
use tree_manifest::Role;

use super::*;
use crate::live::execute::{Mounts, execute};
use crate::live::install::{Policy, prepare};
use crate::live::known::SourceDigests;
use crate::live::steps::Step;
use crate::settings::{ExtraInput, Settings};
use crate::testkit::{AA64, Kit, X64, describe_error, document, pe};
use crate::{Planned, plan};

/// A kit with a file for each kind of extra.
fn kit() -> Kit {
    let kit = Kit::new();
    kit.write("src/note.txt", "note");
    kit.write("src/memtest.efi", pe(X64, "memtest"));
    kit.write("src/shell.efi", pe(X64, "shell"));
    kit.write("src/ext4.efi", pe(X64, "driver"));
    for name in ["PK", "KEK", "db"] {
        kit.write(&format!("keys/{name}.auth"), name);
    }
    kit.write("src/arch.txt", "title Arch\nlinux /arch/vmlinuz");
    kit
}

fn named(kit: &Kit, name: &str, file: &str) -> NamedPath {
    NamedPath {
        name: name.to_owned(),
        path: kit.root().join(file),
    }
}

fn settings(kit: &Kit, extras: ExtraInput) -> Settings {
    Settings {
        extras,
        ..kit.settings(&[document()])
    }
}

/// One of each kind.
fn everything(kit: &Kit) -> ExtraInput {
    let file = |name| kit.root().join(name);
    ExtraInput {
        files: vec![named(kit, "efi/note.txt", "src/note.txt")],
        entries: vec![named(kit, "arch.conf", "src/arch.txt")],
        programs: vec![
            (WellKnown::Memtest86, file("src/memtest.efi")),
            (WellKnown::UefiShell, file("src/shell.efi")),
        ],
        windows: vec!["11=HD0b".parse().unwrap()],
        drivers: vec![file("src/ext4.efi")],
        enrolment: Some(named(kit, "auto", "keys")),
    }
}

/// A theme with directories, links within it and one into the store.
fn theme(kit: &Kit) -> NamedPath {
    kit.write("nix/store/f1-font/font.pf2", "font");
    kit.write("theme/icons/os.png", "icon");
    kit.write("theme/theme.txt", "theme");
    kit.link("icons/os.png", "theme/default.png");
    kit.link("icons", "theme/more");
    let font = kit.root().join("nix/store/f1-font/font.pf2");
    kit.link(font.to_str().unwrap(), "theme/font.pf2");
    named(kit, "EFI/refind/themes/one", "theme")
}

#[test]
fn a_directory_brings_all_its_files() {
    let kit = kit();
    let extras = ExtraInput {
        files: vec![theme(&kit)],
        ..ExtraInput::default()
    };
    let planned = plan(&settings(&kit, extras)).unwrap();
    insta::assert_snapshot!(dump(&planned), @r"
    esp/EFI/refind/themes/one/default.png  [Extra; None]
        4 bytes
    esp/EFI/refind/themes/one/font.pf2  [Extra; None]
        4 bytes
    esp/EFI/refind/themes/one/icons/os.png  [Extra; None]
        4 bytes
    esp/EFI/refind/themes/one/more/os.png  [Extra; None]
        4 bytes
    esp/EFI/refind/themes/one/theme.txt  [Extra; None]
        5 bytes
    ");
}

#[test]
fn what_leads_out_of_a_directory_or_does_not_fit_is_refused() {
    let kit = kit();
    kit.write("secret", "secret");
    let cases: [(&str, &dyn Fn()); 5] = [
        ("a link out of it", &|| kit.link("../secret", "bad/link")),
        ("a link to nothing", &|| kit.link("nothing", "bad/link")),
        ("a circle", &|| kit.link(".", "bad/link")),
        ("a name", &|| drop(kit.write("bad/a:b", ""))),
        ("names that FAT takes for one", &|| {
            kit.write("bad/x", "1");
            kit.write("bad/X", "2");
        }),
    ];
    let mut errors = Vec::new();
    for (what, make) in cases {
        fs::create_dir(kit.root().join("bad")).unwrap();
        make();
        let extras = ExtraInput {
            files: vec![named(&kit, "EFI/bad", "bad")],
            ..ExtraInput::default()
        };
        let error = plan(&settings(&kit, extras)).unwrap_err();
        errors.push(format!("{what}: {}", describe_error(&kit, &error)));
        fs::remove_dir_all(kit.root().join("bad")).unwrap();
    }
    insta::assert_snapshot!(errors.concat());
}

/// The extras of a plan: place, kind, and the length or the text.
fn dump(planned: &Planned) -> String {
    let mut lines = Vec::new();
    for (role, tree) in &planned.plan.trees {
        for (path, file) in tree {
            let provenance = &file.provenance;
            let is_extra = matches!(provenance.kind, Kind::Extra | Kind::Entry | Kind::Keys);
            if !is_extra || !provenance.generations.is_empty() {
                continue;
            }
            let (kind, signature) = (provenance.kind, provenance.signature);
            lines.push(format!("{role}/{path}  [{kind:?}; {signature:?}]"));
            match &file.recipe {
                Recipe::Copy { size, .. } => lines.push(format!("    {size} bytes")),
                Recipe::Text(text) => lines.extend(text.lines().map(|line| format!("  | {line}"))),
                Recipe::Secret(_) | Recipe::Assembled(_) => unreachable!("no extra is one"),
            }
        }
    }
    lines.join("\n")
}

#[test]
fn each_kind_has_its_place_with_an_xbootldr() {
    let kit = kit();
    let settings = Settings {
        xbootldr: true,
        ..settings(&kit, everything(&kit))
    };
    insta::assert_snapshot!(dump(&plan(&settings).unwrap()));
}

#[test]
fn directories_are_spelled_as_they_are_already() {
    let kit = kit();
    let planned = plan(&settings(&kit, everything(&kit))).unwrap();
    let esp = &planned.plan.trees[&Role::esp()];
    assert!(esp.keys().any(|path| path.as_str() == "EFI/note.txt"));
}

#[test]
fn refusals_name_both_sides_or_the_rule() {
    let kit = kit();
    let file = |name: &str| ExtraInput {
        files: vec![named(&kit, name, "src/note.txt")],
        ..ExtraInput::default()
    };
    let entry = |name: &str, source: &str| ExtraInput {
        entries: vec![named(&kit, name, source)],
        ..ExtraInput::default()
    };
    kit.write("src/long.txt", vec![b'a'; 65_537]);
    kit.write("src/latin1.txt", b"title \xe9\n");
    let cases = [
        file("efi/boot/bootx64.efi"),
        file("loader/loader.conf"),
        file("loader/esp-builder.json"),
        file("loader/random-seed"),
        file("loader/.x.esp-builder-tmp"),
        file("EFI/nixos/.extra-files/x"),
        file("/absolute"),
        file("../up"),
        file("a?b"),
        ExtraInput {
            files: vec![named(&kit, "x", "src/none")],
            ..ExtraInput::default()
        },
        ExtraInput {
            entries: vec![named(&kit, "memtest86.conf", "src/arch.txt")],
            ..everything(&kit)
        },
        entry("nixos-mine.conf", "src/arch.txt"),
        entry("arch.txt", "src/arch.txt"),
        entry("arch.conf", "src/note.txt"),
        entry("arch.conf", "src/long.txt"),
        entry("arch.conf", "src/latin1.txt"),
        entry("arch.conf", "src/none"),
        ExtraInput {
            windows: vec!["11=HD0:b".parse().unwrap()],
            ..ExtraInput::default()
        },
        ExtraInput {
            drivers: vec![kit.root().join("src/note.txt")],
            ..ExtraInput::default()
        },
    ];
    let errors = cases.map(|extras| {
        let error = plan(&settings(&kit, extras)).unwrap_err();
        describe_error(&kit, &error)
    });
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn drivers_are_named_after_what_they_run_on() {
    let kit = kit();
    kit.write("src/btrfsaa64.efi", pe(AA64, "driver"));
    let input = ExtraInput {
        drivers: ["src/ext4.efi", "src/btrfsaa64.efi"]
            .map(|name| kit.root().join(name))
            .into(),
        ..ExtraInput::default()
    };
    let planned = plan(&settings(&kit, input)).unwrap();
    let esp = planned.plan.trees[&Role::esp()].keys();
    let drivers: Vec<_> = esp
        .filter_map(|path| path.as_str().strip_prefix("EFI/systemd/drivers/"))
        .collect();
    assert_eq!(drivers, ["btrfsaa64.efi", "ext4x64.efi"]);
}

/// Installs, and returns the steps that it took.
fn install(kit: &Kit, extras: ExtraInput, root: &Path) -> Vec<Step> {
    let planned = plan(&settings(kit, extras)).unwrap();
    let mounts = Mounts::from([(Role::esp(), root.to_owned())]);
    let policy = Policy {
        store_dir: kit.root(),
        booted: BTreeSet::new(),
        settled: BTreeSet::new(),
        kept: BTreeSet::new(),
        order: None,
        is_ours: &|path| ownership::ours(path).is_some(),
    };
    let installation = prepare(
        &planned.plan,
        &mounts,
        &policy,
        &mut SourceDigests::default(),
    )
    .unwrap();
    let (steps, digests) = (installation.steps, installation.digests);
    execute(&steps, &mounts, &digests, &mut |_| Ok(())).unwrap();
    steps
}

#[test]
fn what_is_wanted_no_more_goes_and_what_is_foreign_stays() {
    let kit = kit();
    let esp = tempfile::tempdir().unwrap();
    let foreign = [
        "EFI/memtest86/memtest.cfg",
        "EFI/systemd/drivers/xfsx64.efi",
        "loader/entries/windows_10.conf",
    ];
    for path in foreign {
        let path = esp.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "efi /foreign.efi\n").unwrap();
    }
    let ours = [
        "EFI/note.txt",
        "EFI/memtest86/memtest.efi",
        "EFI/edk2-uefi-shell/shell.efi",
        "EFI/systemd/drivers/ext4x64.efi",
        "loader/entries/arch.conf",
        "loader/entries/memtest86.conf",
        "loader/entries/windows_11.conf",
    ];
    install(&kit, everything(&kit), esp.path());
    for path in ours.into_iter().chain(foreign) {
        assert!(esp.path().join(path).exists(), "{path} is not there");
    }
    assert_eq!(install(&kit, everything(&kit), esp.path()), []);
    install(&kit, ExtraInput::default(), esp.path());
    for path in ours {
        assert!(!esp.path().join(path).exists(), "{path} is still there");
    }
    for path in foreign {
        let text = fs::read_to_string(esp.path().join(path)).unwrap();
        assert_eq!(text, "efi /foreign.efi\n", "{path}");
    }
}

#[test]
fn a_program_is_on_the_disk_before_its_entry_and_leaves_after_it() {
    let kit = kit();
    let esp = tempfile::tempdir().unwrap();
    install(&kit, ExtraInput::default(), esp.path());
    let named = |steps: &[Step]| -> Vec<&'static str> {
        let names = steps.iter().filter_map(|step| match step {
            Step::Rename { to: (_, path), .. } | Step::Remove((_, path)) => match path.name() {
                "memtest.efi" => Some("program"),
                "memtest86.conf" => Some("entry"),
                _ => None,
            },
            Step::Sync(_) => Some("sync"),
            _ => None,
        });
        let mut names: Vec<_> = names.collect();
        names.dedup();
        let first = names.iter().position(|name| *name != "sync").unwrap();
        names[first..].to_vec()
    };
    let steps = install(&kit, everything(&kit), esp.path());
    assert_eq!(named(&steps), ["program", "sync", "entry", "sync"]);
    let steps = install(&kit, ExtraInput::default(), esp.path());
    assert_eq!(named(&steps), ["entry", "sync", "program", "sync"]);
}
