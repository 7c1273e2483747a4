//! Menus of Unified Kernel Images, whether boot loaders list these or entries name them, and
//! the ways between them and to those of Type #1 entries.

use super::*;
use crate::settings::Layout;

/// The plan of some of the systems as images; the fifth has a specialisation of its
/// kernel and initrd, which is its default.
fn images_of(kit: &Kit, numbers: &[u64]) -> TreePlan {
    plan(&image_settings(kit, numbers)).unwrap().plan
}

/// As [`images_of`], with entries that name the images.
fn named_images_of(kit: &Kit, numbers: &[u64]) -> TreePlan {
    let settings = Settings {
        layout: Layout::Type1Uki,
        ..image_settings(kit, numbers)
    };
    plan(&settings).unwrap().plan
}

fn image_settings(kit: &Kit, numbers: &[u64]) -> Settings {
    let mut settings = settings_of(kit, numbers);
    settings.layout = Layout::Uki;
    if numbers.contains(&5) {
        let number = crate::settings::NumberedPath {
            number: Some(5),
            path: kit.write("five.json", five().to_string()),
        };
        if let crate::settings::Input::Generations(input) = &mut settings.input {
            input
                .bootspecs
                .retain(|document| document.number != Some(5));
            input.bootspecs.push(number);
        }
        settings.default = Some("5:other".parse().unwrap());
    }
    settings
}

fn five() -> serde_json::Value {
    let mut document = with("kernel", json!("/nix/store/k5-linux/bzImage"));
    document["org.nixos.bootspec.v1"]["initrd"] = json!("/nix/store/i5-initrd/initrd");
    let mut other = document.clone();
    other["org.nixos.bootspec.v1"]["kernelParams"] = json!(["other"]);
    document["org.nixos.specialisation.v1"]["other"] = other;
    document
}

/// The files of a menu: entries, images and what they need.
fn menu(root: &Path) -> Vec<String> {
    let is_menu = |path: &String| {
        ["EFI/Linux/", "EFI/nixos/", "loader/entries/"]
            .iter()
            .any(|directory| path.starts_with(directory))
    };
    files(root).into_keys().filter(is_menu).collect()
}

#[test]
fn an_update_of_images_survives_a_power_cut_at_every_write() {
    let kit = kit();
    let (old, new) = (images_of(&kit, &[1, 2, 3]), images_of(&kit, &[2, 3, 5]));
    for order in [Order::WriteFirst, Order::CollectFirst] {
        assert_survives_between(&kit, &old, &new, order);
    }
}

#[test]
fn the_way_from_entries_to_images_and_back_survives_too() {
    let kit = kit();
    let (texts, images) = (plan_of(&kit, &[1, 2, 4]), images_of(&kit, &[2, 4, 5]));
    for order in [Order::WriteFirst, Order::CollectFirst] {
        assert_survives_between(&kit, &texts, &images, order);
        assert_survives_between(&kit, &images, &texts, order);
    }
}

#[test]
fn entries_with_images_survive_an_update_and_the_ways_to_others() {
    let kit = kit();
    let named = named_images_of(&kit, &[2, 3, 5]);
    let ways = [
        (named_images_of(&kit, &[1, 2, 3]), Order::WriteFirst),
        (plan_of(&kit, &[1, 2]), Order::CollectFirst),
        (images_of(&kit, &[1, 2]), Order::CollectFirst),
    ];
    for (other, order) in ways {
        assert_survives_between(&kit, &other, &named, order);
        assert_survives_between(&kit, &named, &other, order);
    }
}

#[test]
fn what_runs_keeps_the_image_that_its_entry_names() {
    let kit = kit();
    let root = memory();
    kit.write("extra/token.cred", "credential");
    let named = |numbers: &[u64]| {
        let mut settings = image_settings(&kit, numbers);
        settings.layout = Layout::Type1Uki;
        settings.tries = std::num::NonZeroU16::new(3);
        settings.images.companions = Some(kit.root().join("extra"));
        plan(&settings).unwrap().plan
    };
    install(&named(&[1, 2]), root.path(), &policy(&kit, &[]));
    let both = menu(root.path());
    assert_eq!(both.len(), 6);
    let name = |text: &str| {
        root.path()
            .join(format!("loader/entries/nixos-generation-{text}.conf"))
    };
    fs::rename(name("1+3-0"), name("1")).unwrap();
    fs::rename(name("2+3-0"), name("2+2-1")).unwrap();
    let again = install(&named(&[1, 2]), root.path(), &policy(&kit, &[]));
    let writes =
        |step: &&Step| matches!(step, Step::Write { to, .. } if to.1.as_str().contains("uki"));
    assert_eq!(again.steps.iter().find(writes), None);
    // The one runs, the other is tried.
    let booted = policy(&kit, &["nixos-generation-1.conf"]);
    install(&plan_of(&kit, &[3]), root.path(), &booted);
    let left = menu(root.path());
    let of_images = both.iter().filter(|path| path.starts_with("EFI/nixos/"));
    for path in of_images {
        assert!(left.contains(path), "{path} is gone: {left:?}");
    }
    fs::rename(name("2+2-1"), name("2")).unwrap();
    install(&plan_of(&kit, &[3]), root.path(), &policy(&kit, &[]));
    let left = menu(root.path());
    assert!(!left.iter().any(|path| path.contains("uki")), "{left:?}");
}

#[test]
fn one_menu_is_left_when_entries_become_images_and_back_again() {
    let kit = kit();
    let root = memory();
    let (texts, images) = (plan_of(&kit, &[1, 2]), images_of(&kit, &[1, 2]));
    install(&texts, root.path(), &policy(&kit, &[]));
    let of_texts = menu(root.path());
    // What runs stays until another entry does.
    let booted = ["nixos-generation-1.conf"];
    install(&images, root.path(), &policy(&kit, &booted));
    let kept: Vec<_> = menu(root.path())
        .into_iter()
        .filter(|path| !path.starts_with("EFI/Linux/"))
        .collect();
    assert_eq!(
        kept,
        [
            "EFI/nixos/i1-initrd-initrd.efi",
            "EFI/nixos/k1-linux-bzImage.efi",
            "loader/entries/nixos-generation-1.conf"
        ]
    );
    let booted = ["nixos-generation-1.efi"];
    install(&images, root.path(), &policy(&kit, &booted));
    let of_images = [
        "EFI/Linux/nixos-generation-1.efi",
        "EFI/Linux/nixos-generation-2.efi",
    ];
    assert_eq!(menu(root.path()), of_images);
    let again = install(&images, root.path(), &policy(&kit, &booted));
    assert_eq!(again.steps, []);
    // A machine that lost what was written down knows the names.
    fs::remove_file(root.path().join("loader/esp-builder.json")).unwrap();
    let by_name = Policy {
        is_ours: &|path| bootloaders::ownership::ours(path).is_some(),
        ..policy(&kit, &[])
    };
    install(&texts, root.path(), &by_name);
    assert_eq!(menu(root.path()), of_texts);
}

#[test]
fn an_image_that_is_being_tried_keeps_its_counter_and_what_runs_its_companions() {
    let kit = kit();
    let root = memory();
    kit.write("extra/token.cred", "credential");
    let counted = |numbers: &[u64]| {
        let mut settings = image_settings(&kit, numbers);
        settings.tries = std::num::NonZeroU16::new(3);
        settings.images.companions = Some(kit.root().join("extra"));
        plan(&settings).unwrap().plan
    };
    install(&counted(&[1, 2]), root.path(), &policy(&kit, &[]));
    let name = |text: &str| {
        root.path()
            .join(format!("EFI/Linux/nixos-generation-{text}.efi"))
    };
    fs::rename(name("1+3-0"), name("1+2-1")).unwrap();
    fs::rename(name("2+3-0"), name("2")).unwrap();
    let again = install(&counted(&[1, 2]), root.path(), &policy(&kit, &[]));
    let is_kept = |change: &super::super::changes::Change| change.action == Action::Keep;
    assert!(again.changes.iter().all(is_kept));
    let again = install(&counted(&[1, 2]), root.path(), &policy(&kit, &[]));
    assert_eq!(again.steps, []);
    install(
        &counted(&[3]),
        root.path(),
        &policy(&kit, &["nixos-generation-2.efi"]),
    );
    let expected = [
        "EFI/Linux/nixos-generation-1+2-1.efi",
        "EFI/Linux/nixos-generation-1.efi.extra.d/token.cred",
        "EFI/Linux/nixos-generation-2.efi",
        "EFI/Linux/nixos-generation-2.efi.extra.d/token.cred",
        "EFI/Linux/nixos-generation-3+3-0.efi",
        "EFI/Linux/nixos-generation-3.efi.extra.d/token.cred",
    ];
    assert_eq!(menu(root.path()), expected);
}

#[test]
fn the_menu_of_images_is_shown_found_damaged_and_repaired() {
    let kit = kit();
    let root = memory();
    install(&images_of(&kit, &[4, 5]), root.path(), &policy(&kit, &[]));
    // Somebody else's images stay, and are listed if a menu would list them.
    fs::write(root.path().join("EFI/Linux/arch.efi"), "none").unwrap();
    let mounts = mounts(root.path());
    let selected = ["NIXOS-GENERATION-5.EFI@OTHER".to_owned()].into();
    let status = super::super::status::status(&mounts, &selected).unwrap();
    let lines = status.entries.iter().map(|entry| {
        let marks = (entry.is_default, entry.is_booted);
        let (name, title, version) = (&entry.name, &entry.title, &entry.version);
        let exclusive = entry.exclusive.unwrap() == entry.size;
        format!(
            "{name} {title} {version:?} {:?} {marks:?} {exclusive}",
            entry.profile
        )
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    nixos-generation-4.efi NixOS Some("Generation 4 26.05") None (false, false) true
    nixos-generation-5.efi NixOS Some("Generation 5 26.05") None (false, false) true
    nixos-generation-5.efi NixOS (other) Some("Generation 5 26.05") Some("other") (true, true) true
    "#);

    let sound = files(root.path());
    let (state, _) = load_state(&mounts).unwrap();
    assert_eq!(verify(&state, &mounts).unwrap(), []);
    let image = root.path().join("EFI/Linux/nixos-generation-4.efi");
    let mut content = fs::read(&image).unwrap();
    content[5000] ^= 1;
    fs::write(&image, content).unwrap();
    assert_eq!(verify(&state, &mounts).unwrap().len(), 1);
    let (plan, without_source) = as_plan(&state);
    assert_eq!(without_source, []);
    let nothing_vouches = Policy {
        store_dir: Path::new("/nowhere"),
        is_ours: &|_| false,
        ..policy(&kit, &[])
    };
    install(&plan, root.path(), &nothing_vouches);
    assert!(files(root.path()) == sound);
    let why = explain(&state, "/efi/linux/NIXOS-generation-5.efi");
    assert_eq!(why[0].provenance.generations.len(), 2);
}
