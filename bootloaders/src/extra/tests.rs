use super::*;
use proptest::prelude::*;

fn show(entry: &ExtraEntry) -> String {
    format!("{}:\n{}", entry.name(), entry.text())
}

#[test]
fn well_known_programs_are_those_of_nixos() {
    let all = [
        WellKnown::Memtest86,
        WellKnown::NetbootXyz,
        WellKnown::UefiShell,
    ];
    let shown: Vec<_> = all.iter().map(|it| show(&it.entry(None))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    memtest86.conf:
    title Memtest86+
    efi /EFI/memtest86/memtest.efi
    sort-key o_memtest86

    netbootxyz.conf:
    title netboot.xyz
    efi /EFI/netbootxyz/netboot.xyz.efi
    sort-key o_netbootxyz

    edk2-uefi-shell.conf:
    title EDK2 UEFI Shell
    efi /EFI/edk2-uefi-shell/shell.efi
    sort-key o_edk2-uefi-shell
    ");
    for program in all {
        let entry = program.entry(Some(&Line::new("z").unwrap()));
        assert!(entry.text().ends_with("\nsort-key z\n"), "{program:?}");
        let file = program.file("/nix/store/x");
        // What the values hold is what the checks let through.
        let path = file.path().as_str();
        assert_eq!(ExtraFile::new(path, "/nix/store/x").unwrap(), file);
        let name = entry.name().to_string();
        assert_eq!(ExtraEntry::new(&name, entry.text()).unwrap(), entry);
        assert!(entry.text().contains(&format!("\nefi /{path}\n")));
    }
}

#[test]
fn windows_starts_through_the_shell() {
    let plain = Windows {
        name: "11-home".to_owned(),
        device_handle: "HD0c3".to_owned(),
        title: None,
        sort_key: None,
    };
    let named = Windows {
        name: "10".to_owned(),
        device_handle: "FS1".to_owned(),
        title: Some(Line::new("Games").unwrap()),
        sort_key: Some(Line::new("a").unwrap()),
    };
    let shown = [plain.clone(), named].map(|it| show(&it.entry().unwrap()));
    insta::assert_snapshot!(shown.join("\n"), @r"
    windows_11-home.conf:
    title Windows 11-home
    efi /EFI/edk2-uefi-shell/shell.efi
    options -nointerrupt -nomap -noversion HD0c3:EFI\Microsoft\Boot\Bootmgfw.efi
    sort-key o_windows_11-home

    windows_10.conf:
    title Games
    efi /EFI/edk2-uefi-shell/shell.efi
    options -nointerrupt -nomap -noversion FS1:EFI\Microsoft\Boot\Bootmgfw.efi
    sort-key a
    ");
    for (name, handle, why) in [
        ("", "HD0c3", "letters, digits, `-` and `_`"),
        ("a b", "HD0c3", "letters, digits, `-` and `_`"),
        ("../x", "HD0c3", "letters, digits, `-` and `_`"),
        ("a+3", "HD0c3", "letters, digits, `-` and `_`"),
        ("11", "", "device handle"),
        ("11", "HD0c3:", "device handle"),
        ("11", "HD0c3 -x", "device handle"),
        ("11", "HD0\nefi /evil", "device handle"),
    ] {
        let wrong = Windows {
            name: name.to_owned(),
            device_handle: handle.to_owned(),
            ..plain.clone()
        };
        let error = wrong.entry().unwrap_err().to_string();
        assert!(error.contains(why), "{name:?} {handle:?}: {error}");
    }
}

#[test]
fn users_entries_cannot_be_mistaken_for_ours() {
    let text = "title Arch\nlinux /vmlinuz-linux";
    let entry = ExtraEntry::new("arch.conf", text).unwrap();
    assert_eq!(entry.text(), format!("{text}\n"));
    for (name, text, why) in [
        (
            "arch",
            text,
            "extra entry `arch`: that is not the name of one file that ends in `.conf`",
        ),
        ("arch.CONF", text, "ends in `.conf`"),
        ("", text, "ends in `.conf`"),
        ("a/arch.conf", text, "is not the name of one file"),
        ("../arch.conf", text, "is not the name of one file"),
        ("a:b.conf", text, "is not the name of one file"),
        ("a\nb.conf", text, "`a\\nb.conf`: that is not"),
        ("nixos-generation-1.conf", text, "begins with `nixos-`"),
        ("NixOS-mine.conf", text, "begins with `nixos-`"),
        ("arch+3.conf", text, "holds a boot counter"),
        ("arch.conf", "", "has no line `linux`"),
        (
            "arch.conf",
            "title Arch\n#linux /x\n",
            "has no line `linux`",
        ),
        ("arch.conf", "linux\n", "has no line `linux`"),
    ] {
        let error = ExtraEntry::new(name, text).unwrap_err().to_string();
        assert!(error.contains(why), "{name:?}: {error}");
    }
}

#[test]
fn users_files_stay_on_the_partition_and_off_ours() {
    for path in ["dtbs/board.dtb", "EFI/memtest86/memtest.efi", "a..b"] {
        assert_eq!(ExtraFile::new(path, "/x").unwrap().path().as_str(), path);
    }
    for (path, why) in [
        ("", "extra file ``: a path in a tree cannot be empty"),
        ("/EFI/x.efi", "is relative"),
        ("../x", "`..` leaves the tree"),
        ("EFI/../../x", "`..` leaves the tree"),
        ("EFI\\x.efi", "no backslash"),
        ("EFI/a?.efi", "a FAT name holds none of"),
        ("EFI/x.", "does not end in a dot"),
        ("EFI/nixos/.extra-files", "or of a marker"),
        ("efi/NIXOS/.Extra-Files/x", "or of a marker"),
        (
            "loader/entries/nixos-generation-1.conf",
            "a generation's file",
        ),
        (
            "EFI/nixos/0c5g8x3v9m2k7w4q1z6n8b5d3f7h9j2l-linux.efi",
            "a generation's file",
        ),
    ] {
        let error = ExtraFile::new(path, "/x").unwrap_err().to_string();
        assert!(error.contains(why), "{path:?}: {error}");
    }
}

#[test]
fn drivers_end_in_their_architecture() {
    let directory = crate::systemd_boot::driver_directory();
    for (name, arch, path) in [
        ("ext4", Arch::X64, "ext4x64.efi"),
        ("ext4.efi", Arch::X64, "ext4x64.efi"),
        ("ext4x64.efi", Arch::X64, "ext4x64.efi"),
        ("ext4_x64", Arch::X64, "ext4_x64.efi"),
        ("slbounce", Arch::Aa64, "slbounceaa64.efi"),
        ("charm", Arch::Arm, "charm.efi"),
    ] {
        let driver = driver(&directory, name, arch, "/x").unwrap();
        let expected = format!("EFI/systemd/drivers/{path}");
        assert_eq!(driver.path().as_str(), expected, "{name}");
    }
    for name in ["", ".efi", "x64.efi", ".hidden", "../x", "a/b", "a:b"] {
        assert!(driver(&directory, name, Arch::X64, "/x").is_err(), "{name}");
    }
}

#[test]
fn a_marker_is_found_in_any_case() {
    for (path, file) in [
        ("EFI/nixos/.extra-files/efi/a.efi", Some("efi/a.efi")),
        ("efi/NIXOS/.EXTRA-FILES/a", Some("a")),
        ("EFI/nixos/.extra-files", None),
        ("EFI/nixos/.extra-files2/a", None),
        ("EFI/nixos/linux.efi", None),
    ] {
        let found = marked(&TreePath::new(path).unwrap());
        let found = found.as_ref().map(TreePath::as_str);
        assert_eq!(found, file, "{path}");
    }
}

proptest! {
    #[test]
    fn markers_read_back(path in "[a-zA-Z0-9._ü-]{1,8}(/[a-z]{1,8}){0,3}") {
        prop_assume!(path != "." && path != ".." && !path.starts_with("./"));
        if let Ok(path) = TreePath::new(path) {
            let marker = marker(&path).unwrap();
            prop_assert_eq!(ownership::ours(&marker), Some(ownership::Ours::ExtraMarker));
            prop_assert_eq!(marked(&marker), Some(path));
        }
    }
}
