#![expect(clippy::disallowed_methods, reason = "tests look at what was written")]

use std::fs;

use bootloaders::pe::PeImage;
use serde_json::{Value, json};
use tree_manifest::Role;

use crate::content;
use crate::plan::{Recipe, TreePlan};
use crate::settings::{Input, KernelInput, Layout};
use crate::testkit::{AA64, Kit, X64, describe_error, document, pe, stub, with, with_extension};
use crate::{Settings, plan};

fn images(settings: Settings) -> Settings {
    Settings {
        layout: Layout::Uki,
        ..settings
    }
}

/// The images of a plan: names, generations, and what is in the sections that are texts.
fn dump(plan: &TreePlan) -> String {
    let mut lines = Vec::new();
    for (path, file) in plan.trees.values().flatten() {
        match &file.recipe {
            Recipe::Assembled(image) => {
                let needed = file.provenance.generations.iter();
                let needed: Vec<_> = needed.map(crate::generation::describe).collect();
                let kind = file.provenance.kind;
                lines.push(format!("{path}  [{kind:?}; {}]", needed.join(", ")));
                let made = tempfile::NamedTempFile::new().unwrap();
                content::write(image, made.as_file()).unwrap();
                lines.extend(sections(&fs::read(made.path()).unwrap()));
            }
            Recipe::Text(text) => {
                lines.push(path.to_string());
                lines.extend(text.lines().map(|line| format!("  | {line}")));
            }
            _ => lines.push(path.to_string()),
        }
    }
    lines.join("\n")
}

fn sections(file: &[u8]) -> Vec<String> {
    let image = PeImage::parse(file).unwrap();
    let show = |section: &bootloaders::pe::Section| {
        let start = section.offset as usize;
        let bytes = &file[start..start + section.size as usize];
        let name = &section.name;
        match std::str::from_utf8(bytes) {
            Ok(text) if !["", ".sbat", ".sdmagic"].contains(&name.as_str()) => {
                format!("  {name}: {}", text.trim_end().replace('\n', " | "))
            }
            _ => format!("  {name}: {} bytes", bytes.len()),
        }
    };
    image.sections.iter().map(show).collect()
}

/// A system with specialisations: two that share kernel and initrd with it, two that share
/// another kernel.
fn with_specialisations() -> Value {
    let mut value = document();
    let other_kernel = with("kernel", json!("/nix/store/k2-linux-6.18/bzImage"));
    value["org.nixos.specialisation.v1"] = json!({
        "Gnome": with("kernelParams", json!(["gnome"])),
        "labelled": with("label", json!("26.05-x")),
        "new kernel": other_kernel,
        "newer": with("kernel", json!("/nix/store/k2-linux-6.18/bzImage")),
    });
    value
}

#[test]
fn a_generation_is_an_image_and_its_specialisations_are_profiles() {
    let kit = Kit::new();
    let settings = Settings {
        default: Some("1:Gnome".parse().unwrap()),
        ..images(kit.settings(&[with_specialisations()]))
    };
    let planned = plan(&settings).unwrap();
    insta::assert_snapshot!(dump(&planned.plan));
}

#[test]
fn entries_name_images_and_their_profiles() {
    let kit = Kit::new();
    let settings = Settings {
        layout: Layout::Type1Uki,
        default: Some("1:Gnome".parse().unwrap()),
        tries: std::num::NonZeroU16::new(3),
        ..kit.settings(&[with_specialisations()])
    };
    let planned = plan(&settings).unwrap();
    insta::assert_snapshot!(dump(&planned.plan));
    for path in planned.plan.trees[&Role::esp()].keys() {
        let is_image = path.name().ends_with("-uki.efi");
        let is_boot_file =
            bootloaders::ownership::ours(path) == Some(bootloaders::ownership::Ours::BootFile);
        assert_eq!(is_image, is_boot_file, "{path}");
    }
    assert_eq!(
        planned.names()[0].as_ref().unwrap().as_str(),
        "nixos-generation-1.conf"
    );
}

#[test]
fn a_boot_loader_that_passes_over_entries_with_images_is_refused() {
    let kit = Kit::new();
    let loaders = ["257.9", "258.1", "259"].map(|version| {
        let info = format!("#### LoaderInfo: systemd-boot {version} ####");
        kit.write(&format!("{version}.efi"), pe(X64, &info))
    });
    let silent = kit.write("silent.efi", pe(X64, "another text"));
    let settings = |loader: &std::path::Path| Settings {
        layout: Layout::Type1Uki,
        systemd_boot: vec![loader.to_owned()],
        ..kit.settings(&[with_specialisations()])
    };
    let [old, without_profiles, with_profiles] = loaders;
    let errors = [old, silent].map(|loader| {
        let error = plan(&settings(&loader)).unwrap_err();
        describe_error(&kit, &error)
    });
    insta::assert_snapshot!(errors.join(""), @r"
    error: boot loader `ROOT/257.9.efi` is systemd-boot 257.9 and passes over entries with `uki`
    hint: systemd-boot 258 starts them: name one with --systemd-boot FILE, or take --layout uki
    error: boot loader `ROOT/silent.efi` does not say which version it is and passes over entries with `uki`
    hint: systemd-boot 258 starts them: name one with --systemd-boot FILE, or take --layout uki
    ");
    let count = |loader| plan(&settings(loader)).unwrap().images.images.len();
    assert_eq!(count(&without_profiles), 5);
    assert_eq!(count(&with_profiles), 2);
}

#[test]
fn where_profiles_are_not_known_each_specialisation_is_an_image() {
    let kit = Kit::new();
    let loader = pe(X64, "#### LoaderInfo: systemd-boot 256.4 ####");
    let loader = kit.write("loader.efi", loader);
    let old = kit.write("old.stub", stub(X64, "256"));
    let settings = || images(kit.settings(&[with_specialisations()]));
    let count = |settings: &Settings| {
        let planned = plan(settings).unwrap();
        let esp = &planned.plan.trees[&Role::esp()];
        esp.keys()
            .filter(|path| path.as_str().starts_with("EFI/Linux/"))
            .count()
    };
    assert_eq!(count(&settings()), 2);
    let with_old_loader = Settings {
        systemd_boot: vec![loader],
        ..settings()
    };
    assert_eq!(count(&with_old_loader), 5);
    let mut with_old_stub = settings();
    with_old_stub.images.stubs = vec![old];
    assert_eq!(count(&with_old_stub), 5);
}

#[test]
fn more_specialisations_than_an_image_has_room_for_share_another() {
    let kit = Kit::new();
    let mut value = document();
    for number in 0..20 {
        let name = format!("s{number:02}");
        value["org.nixos.specialisation.v1"][name] =
            with("kernelParams", json!([number.to_string()]));
    }
    let planned = plan(&images(kit.settings(&[value]))).unwrap();
    let names: Vec<_> = planned.plan.trees[&Role::esp()]
        .keys()
        .filter(|path| path.as_str().starts_with("EFI/Linux/"))
        .map(|path| path.name().to_owned())
        .collect();
    let expected = [
        "nixos-generation-1-specialisation-s15.efi",
        "nixos-generation-1.efi",
    ];
    assert_eq!(names, expected);
}

#[test]
fn what_an_image_cannot_hold_stays_a_type_1_entry() {
    let kit = Kit::new();
    kit.write("nix/store/x1-xen/xen.efi", pe(X64, "xen"));
    let xen = json!({ "efiPath": "/nix/store/x1-xen/xen.efi" });
    let documents = [
        with_extension("org.xenproject.bootspec.v2", xen),
        with_extension(
            "org.nixos.extra-initrd.v1",
            json!({ "paths": ["/EFI/extra.img"] }),
        ),
        document(),
    ];
    let planned = plan(&images(kit.settings(&documents))).unwrap();
    let paths: Vec<_> = planned.plan.trees[&Role::esp()].keys().collect();
    let entries: Vec<_> = paths
        .iter()
        .map(|path| path.as_str())
        .filter(|path| path.starts_with("EFI/Linux") || path.starts_with("loader/entries/"))
        .collect();
    assert_eq!(
        entries,
        [
            "EFI/Linux/nixos-generation-3.efi",
            "loader/entries/nixos-generation-1.conf",
            "loader/entries/nixos-generation-2.conf",
            "loader/entries/xen-generation-1.conf",
        ]
    );
}

#[test]
fn names_after_content_tell_entries_and_stubs_apart() {
    let kit = Kit::new();
    let name = |settings: Settings, stub: Option<&std::path::Path>| {
        let mut settings = Settings {
            entry_names: bootloaders::EntryNaming::Content,
            ..images(settings)
        };
        settings
            .images
            .stubs
            .extend(stub.map(std::path::Path::to_owned));
        let planned = plan(&settings).unwrap();
        let mut paths = planned.plan.trees[&Role::esp()].keys();
        let found = paths.find(|path| path.as_str().starts_with("EFI/Linux/"));
        found.unwrap().to_string()
    };
    let other_stub = kit.write("stub", stub(X64, "261"));
    let settings = || kit.settings(&[document()]);
    let names: std::collections::BTreeSet<_> = [
        name(settings(), None),
        name(kit.settings(&[with("label", json!("x"))]), None),
        name(kit.settings(&[with("kernelParams", json!([]))]), None),
        name(settings(), Some(&other_stub)),
    ]
    .into();
    assert_eq!(names.len(), 4);
    assert!(names.contains(&name(settings(), None)));
    for name in names {
        let path = tree_manifest::TreePath::new(name).unwrap();
        assert_eq!(
            bootloaders::ownership::ours(&path),
            Some(bootloaders::ownership::Ours::Image)
        );
    }
}

#[test]
fn companions_lie_beside_each_image_whatever_its_counter() {
    let kit = Kit::new();
    kit.write("extra/console.addon.efi", pe(X64, "addon"));
    kit.write("extra/token.cred", "credential");
    let mut settings = images(kit.settings(&[document(), document()]));
    settings.tries = std::num::NonZeroU16::new(3);
    settings.images.companions = Some(kit.root().join("extra"));
    let planned = plan(&settings).unwrap();
    let esp = &planned.plan.trees[&Role::esp()];
    let listed: Vec<_> = esp
        .iter()
        .filter(|(path, _)| path.as_str().starts_with("EFI/Linux/"))
        .map(|(path, file)| format!("{path}: {:?}", file.provenance.kind))
        .collect();
    insta::assert_snapshot!(listed.join("\n"), @r"
    EFI/Linux/nixos-generation-1+3-0.efi: Uki
    EFI/Linux/nixos-generation-1.efi.extra.d/console.addon.efi: Addon
    EFI/Linux/nixos-generation-1.efi.extra.d/token.cred: Extra
    EFI/Linux/nixos-generation-2+3-0.efi: Uki
    EFI/Linux/nixos-generation-2.efi.extra.d/console.addon.efi: Addon
    EFI/Linux/nixos-generation-2.efi.extra.d/token.cred: Extra
    ");
    kit.write("extra/README", "");
    let error = plan(&settings).unwrap_err();
    insta::assert_snapshot!(describe_error(&kit, &error), @r"
    error: images: companion `ROOT/extra/README` is nothing that a stub takes: `.addon.efi`, `.cred` and `.raw` are
    hint: rename or shrink the file at its source
    ");
}

#[test]
fn a_kernel_without_a_generation_is_an_image_too() {
    let kit = Kit::new();
    let systemd = "nix/store/s1-systemd/lib/systemd/boot/efi";
    let kernel = KernelInput {
        kernel: kit.write("home/vmlinuz", pe(X64, "any kernel")),
        initrds: vec![
            kit.write("home/ucode", "ucode"),
            kit.write("home/initrd", "initrd"),
        ],
        cmdline: "root=/dev/vda2".parse().unwrap(),
        title: "Debian $testing".parse().unwrap(),
        name: bootloaders::EntryName::default(),
        arch: None,
    };
    let mut settings = images(Settings {
        systemd_boot: vec![kit.root().join(systemd).join("systemd-bootx64.efi")],
        ..Settings::new(Input::Kernel(kernel))
    });
    settings.images.stubs = vec![kit.root().join(systemd).join("linuxx64.efi.stub")];
    insta::assert_snapshot!(dump(&plan(&settings).unwrap().plan));
}

#[test]
fn each_architecture_has_its_stub() {
    let kit = Kit::new();
    let mut arm = with("kernel", json!("/nix/store/ka-linux-6.18/Image"));
    arm["org.nixos.bootspec.v1"]["system"] = json!("aarch64-linux");
    let planned = plan(&images(kit.settings(&[document(), arm]))).unwrap();
    let images = planned.images.images.iter();
    let machines = images.map(|image| {
        let made = tempfile::NamedTempFile::new().unwrap();
        content::write(&image.content, made.as_file()).unwrap();
        let head = fs::read(made.path()).unwrap();
        PeImage::parse(&head).unwrap().machine
    });
    assert_eq!(machines.collect::<Vec<_>>(), [X64, AA64]);
    assert_eq!(
        planned.names()[1].as_ref().unwrap().as_str(),
        "nixos-generation-2.efi"
    );
}

#[test]
fn stubs_that_do_not_fit_are_refused_with_what_to_do() {
    let kit = Kit::new();
    let good = kit.write("good.stub", stub(X64, "260"));
    let other = kit.write("other.stub", stub(X64, "261"));
    let loader = kit.write(
        "loader.efi",
        pe(X64, "#### LoaderInfo: systemd-boot 260 ####"),
    );
    let text = kit.write("text", "stub");
    let cases = [vec![good, other], vec![loader], vec![text]];
    let mut errors = Vec::new();
    for stubs in cases {
        let mut settings = images(kit.settings(&[document()]));
        settings.images.stubs = stubs;
        errors.push(describe_error(&kit, &plan(&settings).unwrap_err()));
    }
    insta::assert_snapshot!(errors.join("\n"));
}
