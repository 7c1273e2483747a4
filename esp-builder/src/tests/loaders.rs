//! Trees of every boot loader.

use bootloaders::BootLoader;

use super::*;
use crate::settings::{ExtraInput, LoaderInput, NamedPath, ShimInput};
use crate::testkit::grub;

/// Two generations, the older one the default, and an entry of the user's.
fn settings(kit: &Kit, boot_loader: LoaderInput) -> Settings {
    let entry = kit.write("rescue.conf", "title Rescue\nefi /EFI/tools/rescue.efi\n");
    let entry = NamedPath {
        name: "rescue.conf".to_owned(),
        path: entry,
    };
    Settings {
        boot_loader,
        default: Some("1".parse().unwrap()),
        extras: ExtraInput {
            entries: vec![entry],
            ..ExtraInput::default()
        },
        ..kit.settings(&two_generations())
    }
}

fn input(name: BootLoader, binary: std::path::PathBuf) -> LoaderInput {
    LoaderInput {
        name,
        binaries: vec![binary],
        ..LoaderInput::default()
    }
}

fn tree(kit: &Kit, boot_loader: LoaderInput) -> String {
    dump(kit, &plan(&settings(kit, boot_loader)).unwrap().plan)
}

#[test]
fn grub_finds_its_menu_where_its_binary_looks() {
    let kit = Kit::new();
    let binary = kit.write("grubx64.efi", grub(X64, "/EFI/debian"));
    let text = tree(&kit, input(BootLoader::Grub, binary));
    assert!(text.contains("esp/EFI/debian/grub.cfg  [Menu; ]"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn limine_checks_what_it_loads_and_its_menu() {
    let kit = Kit::new();
    let marker = format!("++CONFIG_B2SUM_SIGNATURE++{}end", "0".repeat(128));
    let binary = kit.write("BOOTX64.EFI", pe(X64, &marker));
    let boot_loader = LoaderInput {
        is_menu_fixed: true,
        preamble: Some(kit.write("preamble", "verbose: yes")),
        ..input(BootLoader::Limine, binary)
    };
    let planned = plan(&settings(&kit, boot_loader)).unwrap();
    let out = kit.root().join("out");
    apply(&planned.plan, &out, Content::Copied, &quiet).unwrap();
    let menu = fs::read_to_string(out.join("esp/limine/limine.conf")).unwrap();
    assert!(menu.contains("\nverbose: yes\n"), "{menu}");
    assert!(menu.contains("bzImage.efi#"), "{menu}");
    let digest = std::process::Command::new("b2sum")
        .arg(out.join("esp/limine/limine.conf"))
        .output()
        .unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let binary = fs::read(out.join("esp/EFI/limine/BOOTX64.EFI")).unwrap();
    let text = String::from_utf8_lossy(&binary);
    let expected = format!("++CONFIG_B2SUM_SIGNATURE++{}end", &digest[..128]);
    assert!(text.contains(&expected), "{text}");
    // One without such a place would accept any menu.
    let binary = kit.write("other.efi", pe(X64, "another program"));
    let boot_loader = LoaderInput {
        is_menu_fixed: true,
        ..input(BootLoader::Limine, binary)
    };
    let refused = refusals(&kit, &[settings(&kit, boot_loader)]);
    assert!(refused.contains("no place for the digest"), "{refused}");
}

#[test]
fn refind_has_its_menu_beside_each_binary_and_shim_before_it() {
    let kit = Kit::new();
    let binary = kit.write("refind_x64.efi", pe(X64, "rEFInd"));
    let boot_loader = LoaderInput {
        shim: Some(ShimInput {
            shim: kit.write("shimx64.efi", pe(X64, "shim")),
            mok_manager: Some(kit.write("mmx64.efi", pe(X64, "MokManager"))),
        }),
        ..input(BootLoader::Refind, binary)
    };
    let mut settings = settings(&kit, boot_loader);
    settings.extras.drivers = vec![kit.write("ext4_x64.efi", pe(X64, "driver"))];
    insta::assert_snapshot!(dump(&kit, &plan(&settings).unwrap().plan));
}

#[test]
fn u_boot_gets_kernels_alone_with_one_initrd() {
    let kit = Kit::new();
    let boot_loader = LoaderInput {
        name: BootLoader::Extlinux,
        device_trees: Some(kit.root().join("nix/store/d1-dtbs")),
        ..LoaderInput::default()
    };
    let kernel = KernelInput {
        kernel: kit.write("home/vmlinuz", pe(X64, "any kernel")),
        initrds: vec![kit.write("home/ucode", "u"), kit.write("home/initrd", "i")],
        cmdline: "root=/dev/vda2".parse().unwrap(),
        title: "Debian".parse().unwrap(),
        name: bootloaders::EntryName::default(),
        arch: None,
    };
    let settings = Settings {
        input: Input::Kernel(kernel),
        root: None,
        default: None,
        ..settings(&kit, boot_loader)
    };
    let planned = plan(&settings).unwrap();
    let out = kit.root().join("out");
    apply(&planned.plan, &out, Content::Copied, &quiet).unwrap();
    assert!(out.join("esp/dtbs/vendor/board.dtb").exists());
    let initrds = fs::read_dir(out.join("esp/EFI/nixos")).unwrap();
    let joined = initrds.map(|item| item.unwrap().path()).find(|path| {
        path.to_string_lossy().contains("initrd.efi") && fs::read(path).unwrap() == b"u\0\0\0i"
    });
    assert!(joined.is_some());
    let menu = fs::read_to_string(out.join("esp/extlinux/extlinux.conf")).unwrap();
    let name = joined
        .unwrap()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert!(
        menu.contains(&format!("INITRD /EFI/nixos/{name}\n")),
        "{menu}"
    );
    assert!(menu.contains("\n  FDTDIR /dtbs\n"), "{menu}");
    assert!(!menu.contains("Rescue"), "{menu}");
}

#[test]
fn initrds_that_are_not_here_are_missed() {
    let kit = Kit::new();
    let boot_loader = LoaderInput {
        name: BootLoader::Extlinux,
        ..LoaderInput::default()
    };
    let extra = json!({ "paths": ["/EFI/extra.img"] });
    let documents = [with_extension("org.nixos.extra-initrd.v1", extra)];
    let settings = Settings {
        boot_loader,
        ..kit.settings(&documents)
    };
    let whose = "generation 1".to_owned();
    let expected = [Warning::ForeignInitrds { whose }];
    assert_eq!(plan(&settings).unwrap().warnings, expected);
}

#[test]
fn firmware_starts_the_default_system_alone() {
    let kit = Kit::new();
    let direct = |name| LoaderInput {
        name,
        ..LoaderInput::default()
    };
    let image = Settings {
        layout: crate::settings::Layout::Uki,
        ..settings(&kit, direct(BootLoader::Uki))
    };
    let planned = plan(&image).unwrap();
    assert_eq!(
        dump(&kit, &planned.plan).lines().next(),
        Some("esp/EFI/BOOT/BOOTX64.EFI  [Uki; generation 1]")
    );
    assert_eq!(planned.plan.trees[&Role::esp()].len(), 1);
    kit.write("extra/token.cred", "credential");
    let mut with_extra = image;
    with_extra.images.companions = Some(kit.root().join("extra"));
    let planned = plan(&with_extra).unwrap();
    let beside = TreePath::new("EFI/BOOT/BOOTX64.EFI.extra.d/token.cred").unwrap();
    assert!(planned.plan.trees[&Role::esp()].contains_key(&beside));
    let stub = settings(&kit, direct(BootLoader::EfiStub));
    let refused = refusals(&kit, &[stub]);
    assert!(
        refused.contains("neither an initrd nor a command line"),
        "{refused}"
    );
    let kernel = KernelInput {
        kernel: kit.write("home/vmlinuz", pe(X64, "with all it needs")),
        initrds: Vec::new(),
        cmdline: bootloaders::CommandLine::default(),
        title: "Appliance".parse().unwrap(),
        name: bootloaders::EntryName::default(),
        arch: None,
    };
    let alone = Settings {
        boot_loader: direct(BootLoader::EfiStub),
        ..Settings::new(Input::Kernel(kernel))
    };
    let expected = "esp/EFI/BOOT/BOOTX64.EFI  [Kernel; ]\n    529 bytes of ROOT/home/vmlinuz";
    assert_eq!(dump(&kit, &plan(&alone).unwrap().plan), expected);
}

#[test]
fn binaries_that_are_something_else_are_refused() {
    let kit = Kit::new();
    let systemd = kit.write("s.efi", pe(X64, "#### LoaderInfo: systemd-boot 260 ####"));
    let inside = kit.write("g.efi", grub(X64, "(memdisk)/boot/grub"));
    let no_grub = kit.write("n.efi", pe(X64, "no modules"));
    let shim = LoaderInput {
        shim: Some(ShimInput {
            shim: kit.write("shimaa64.efi", pe(AA64, "shim")),
            mok_manager: None,
        }),
        ..input(BootLoader::Refind, no_grub.clone())
    };
    let failing = LoaderInput {
        name: BootLoader::Grub,
        grub_mkimage: Some("/bin/false".into()),
        ..LoaderInput::default()
    };
    let cases = [
        input(BootLoader::Refind, systemd),
        input(BootLoader::Grub, inside),
        input(BootLoader::Grub, no_grub.clone()),
        LoaderInput {
            binaries: vec![no_grub.clone(), no_grub],
            ..input(BootLoader::Limine, "/".into())
        },
        shim,
        failing,
    ];
    let cases = cases.map(|boot_loader| settings(&kit, boot_loader));
    insta::assert_snapshot!(refusals(&kit, &cases));
}
