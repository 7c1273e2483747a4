//! From one boot loader to another: each moment has a whole one.

use bootloaders::BootLoader;

use super::*;
use crate::settings::{Layout, LoaderInput, ShimInput};
use crate::testkit::{X64, pe};

/// What starts first, in a tree of rEFInd.
const REFIND: &str = "rEFInd";

/// What starts first with shim, and what shim starts then.
const SHIM: &str = "shim";
const BEHIND_SHIM: &str = "EFI/BOOT/grubx64.efi";

fn plan_for(kit: &Kit, name: BootLoader, numbers: &[u64]) -> TreePlan {
    let boot_loader = match name {
        BootLoader::Refind => LoaderInput {
            name,
            binaries: vec![kit.write("refind_x64.efi", pe(X64, REFIND))],
            ..LoaderInput::default()
        },
        _ => LoaderInput {
            name,
            ..LoaderInput::default()
        },
    };
    let settings = Settings {
        boot_loader,
        layout: match name {
            BootLoader::Uki => Layout::Uki,
            _ => Layout::Type1,
        },
        ..settings_of(kit, numbers)
    };
    plan(&settings).unwrap().plan
}

fn plan_with_shim(kit: &Kit, numbers: &[u64]) -> TreePlan {
    let shim = ShimInput {
        shim: kit.write("shimx64.efi", pe(X64, SHIM)),
        mok_manager: None,
    };
    let settings = Settings {
        boot_loader: LoaderInput {
            shim: Some(shim),
            ..LoaderInput::default()
        },
        ..settings_of(kit, numbers)
    };
    plan(&settings).unwrap().plan
}

/// That the boot loader which firmware starts finds a menu whose files are complete.
fn assert_starts(root: &Path, complete: &BTreeMap<String, BTreeSet<Sha256>>, when: &str) {
    let files = files(root);
    let first = &files["EFI/BOOT/BOOTX64.EFI"];
    assert!(
        complete["EFI/BOOT/BOOTX64.EFI"].contains(&Sha256::of(first)),
        "{when}: no boot loader"
    );
    let says = |what: &[u8]| first.windows(what.len()).any(|bytes| bytes == what);
    if says(b".linux") {
        // An image needs nothing else.
        return;
    }
    if says(SHIM.as_bytes()) {
        let next = files.get(BEHIND_SHIM);
        let next = next.unwrap_or_else(|| panic!("{when}: shim starts nothing"));
        assert!(complete[BEHIND_SHIM].contains(&Sha256::of(next)), "{when}");
    }
    if !says(REFIND.as_bytes()) {
        return assert_entries(root, complete, when);
    }
    let menu = files.get("EFI/BOOT/refind.conf");
    let menu = menu.unwrap_or_else(|| panic!("{when}: rEFInd has no menu"));
    assert!(
        complete["EFI/BOOT/refind.conf"].contains(&Sha256::of(menu)),
        "{when}: a part of a menu"
    );
    let text = String::from_utf8(menu.clone()).unwrap();
    let words = text.split(['"', ' ']);
    let named = words.filter_map(|word| word.trim_start_matches("initrd=").strip_prefix('\\'));
    let named: Vec<_> = named.map(|path| path.replace('\\', "/")).collect();
    assert!(named.len() > 1, "{when}: {text}");
    for path in named {
        let content = files.get(&path);
        let content = content.unwrap_or_else(|| panic!("{when}: the menu needs {path}"));
        assert!(
            complete[&path].contains(&Sha256::of(content)),
            "{when}: {path} is cut short"
        );
    }
}

/// Loses power before each step from one tree to another, and in the middle of each write.
fn assert_migrates(kit: &Kit, old: &TreePlan, new: &TreePlan, order: Order) {
    let start = memory();
    install(old, start.path(), &policy(kit, &[]));
    let before = files(start.path());
    let finished = restore(&before);
    install(new, finished.path(), &policy(kit, &[]));
    let after = files(finished.path());
    let mut complete = contents(&[before.clone(), after.clone()]);
    let steps = |root: &Path| prepare_in(new, root, kit, order);
    let all = steps(restore(&before).path()).steps;
    let count = all.len();
    // A menu may be written twice.
    for (path, text) in all.iter().filter_map(menu_of) {
        complete.entry(path).or_default().insert(text);
    }
    assert!(count > 10, "{count} steps are too few");
    for cut in 0..=count {
        for torn in [false, true] {
            let root = restore(&before);
            let installation = steps(root.path());
            let (made, mounts) = (&installation.steps[..cut], mounts(root.path()));
            execute(made, &mounts, &installation.digests, &mut |_| Ok(())).unwrap();
            if let (true, Some(step)) = (torn, installation.steps.get(cut)) {
                tear(step, root.path());
            }
            let when = format!("{order:?}, cut at {cut} of {count}, torn: {torn}");
            assert_starts(root.path(), &complete, &when);
            install(new, root.path(), &policy(kit, &[]));
            assert!(files(root.path()) == after, "{when}: not healed");
        }
    }
}

/// The menu that a step writes under a temporary name, by its own.
fn menu_of(step: &Step) -> Option<(String, Sha256)> {
    let Step::Write {
        to: (_, path),
        recipe: Recipe::Text(text),
    } = step
    else {
        return None;
    };
    let own = path.as_str().replace("/.", "/");
    let own = own.split(".esp-builder").next()?;
    let is_menu = own.ends_with("/refind.conf");
    is_menu.then(|| (own.to_owned(), Sha256::of(text.as_bytes())))
}

#[test]
fn another_boot_loader_comes_last_and_the_old_one_goes_after_it() {
    let kit = kit();
    let systemd_boot = plan_for(&kit, BootLoader::SystemdBoot, &[1, 2]);
    let refind = plan_for(&kit, BootLoader::Refind, &[2, 3]);
    for order in [Order::WriteFirst, Order::CollectFirst] {
        assert_migrates(&kit, &systemd_boot, &refind, order);
        assert_migrates(&kit, &refind, &systemd_boot, order);
    }
}

#[test]
fn what_firmware_starts_alone_gives_way_to_a_whole_menu() {
    let kit = kit();
    let image = plan_for(&kit, BootLoader::Uki, &[2]);
    for other in [BootLoader::SystemdBoot, BootLoader::Refind] {
        let menu = plan_for(&kit, other, &[2, 3]);
        for order in [Order::WriteFirst, Order::CollectFirst] {
            assert_migrates(&kit, &image, &menu, order);
            assert_migrates(&kit, &menu, &image, order);
        }
    }
}

#[test]
fn shim_comes_after_what_it_starts() {
    let kit = kit();
    let alone = plan_for(&kit, BootLoader::SystemdBoot, &[1, 2]);
    let behind_shim = plan_with_shim(&kit, &[2, 3]);
    for order in [Order::WriteFirst, Order::CollectFirst] {
        assert_migrates(&kit, &alone, &behind_shim, order);
        assert_migrates(&kit, &behind_shim, &alone, order);
    }
}

#[test]
fn a_menu_in_one_file_survives_a_power_cut_at_every_write() {
    let kit = kit();
    let old = plan_for(&kit, BootLoader::Refind, &[1, 2]);
    let all_new = plan_for(&kit, BootLoader::Refind, &[3, 5]);
    let some_new = plan_for(&kit, BootLoader::Refind, &[2, 3]);
    assert_migrates(&kit, &old, &some_new, Order::WriteFirst);
    assert_migrates(&kit, &old, &some_new, Order::CollectFirst);
    assert_migrates(&kit, &old, &all_new, Order::CollectFirst);
}

#[test]
fn nothing_of_the_old_boot_loader_is_left() {
    let kit = kit();
    let root = memory();
    let systemd_boot = plan_for(&kit, BootLoader::SystemdBoot, &[1]);
    let refind = plan_for(&kit, BootLoader::Refind, &[1]);
    install(&systemd_boot, root.path(), &policy(&kit, &[]));
    install(&refind, root.path(), &policy(&kit, &[]));
    let left: Vec<_> = files(root.path()).into_keys().collect();
    let of_systemd = ["EFI/systemd/", "loader/entries", "loader/loader.conf"];
    let is_left = |path: &String| of_systemd.iter().any(|start| path.starts_with(start));
    assert!(!left.iter().any(is_left), "{left:?}");
    install(&systemd_boot, root.path(), &policy(&kit, &[]));
    let left: Vec<_> = files(root.path()).into_keys().collect();
    assert!(!left.iter().any(|path| path.contains("refind")), "{left:?}");
}

#[test]
fn the_lines_of_a_menu_in_one_file_are_shown() {
    let kit = kit();
    let root = memory();
    let refind = plan_for(&kit, BootLoader::Refind, &[1, 2]);
    install(&refind, root.path(), &policy(&kit, &[]));
    let kernel = root.path().join("EFI/nixos/k1-linux-bzImage.efi");
    fs::remove_file(kernel).unwrap();
    let status = super::super::status::status(&mounts(root.path()), &BTreeSet::new()).unwrap();
    let lines = status.entries.iter().map(|entry| {
        let missing: Vec<_> = entry.missing.iter().map(TreePath::name).collect();
        let (name, title, is_default) = (&entry.name, &entry.title, entry.is_default);
        let (size, own) = (entry.size, entry.exclusive.unwrap());
        format!("{name} {title} {size} {own} {is_default} {missing:?}")
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    EFI/BOOT/refind.conf NixOS (Generation 2 26.05) 20.0 KiB 20.0 KiB true []
    EFI/BOOT/refind.conf NixOS (Generation 1 26.05) 19.5 KiB 20.0 KiB false ["k1-linux-bzImage.efi"]
    "#);
}

#[test]
fn what_firmware_starts_alone_is_shown() {
    let kit = kit();
    let root = memory();
    install(
        &plan_for(&kit, BootLoader::Uki, &[2]),
        root.path(),
        &policy(&kit, &[]),
    );
    let status = super::super::status::status(&mounts(root.path()), &BTreeSet::new()).unwrap();
    let lines = status.entries.iter().map(|entry| {
        let (name, title, version) = (&entry.name, &entry.title, entry.version.as_deref());
        let is_all = entry.exclusive == Some(entry.size);
        format!("{name} {title} {version:?} {} {is_all}", entry.is_default)
    });
    let lines: Vec<_> = lines.collect();
    assert_eq!(
        lines,
        ["BOOTX64.EFI NixOS Some(\"Generation 2 26.05\") true true"]
    );
}

#[test]
fn an_image_of_somebody_else_that_is_cut_short_does_not_hide_the_others() {
    let kit = kit();
    let root = memory();
    install(
        &plan_for(&kit, BootLoader::Uki, &[2]),
        root.path(),
        &policy(&kit, &[]),
    );
    let image = fs::read(root.path().join("EFI/BOOT/BOOTX64.EFI")).unwrap();
    let theirs = root.path().join("EFI/Linux/other.efi");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(theirs, &image[..0x400]).unwrap();
    let status = super::super::status::status(&mounts(root.path()), &BTreeSet::new()).unwrap();
    assert_eq!(status.entries.len(), 1);
}

#[test]
fn a_menu_without_a_generation_has_no_line_of_it() {
    let kit = kit();
    let plan = plan_for(&kit, BootLoader::Refind, &[1, 2, 3]);
    let oldest = crate::generation::whole(&tree_manifest::GenerationId {
        profile: None,
        number: 1,
        specialisation: None,
    });
    let rest = super::super::fit::without(&plan, &BTreeSet::from([&oldest]));
    let root = memory();
    install(&rest, root.path(), &policy(&kit, &[]));
    let files = files(root.path());
    let menu = String::from_utf8(files["EFI/BOOT/refind.conf"].clone()).unwrap();
    assert_eq!(menu.matches("menuentry").count(), 2, "{menu}");
    assert_starts(root.path(), &contents(&[files]), "without the oldest");
}
