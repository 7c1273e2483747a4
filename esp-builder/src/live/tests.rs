//! A machine that loses power, a disk that fills up: after every write.
#![expect(clippy::disallowed_methods, reason = "tests write and look")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use bootloaders::bls::{Starts, Type1Entry};
use bootloaders::systemd_boot::{is_entry_path, without_profile};
use extents::ExtentMap;
use secure_boot::Amendment;
use serde_json::json;
use tree_manifest::{Kind, Provenance, Role, Sha256, Source, TreePath, fat};

use super::changes::Action;
use super::execute::{Mounts, execute};
use super::install::{Installation, Policy, prepare};
use super::known::SourceDigests;
use super::space::Order;
use super::state::load_state;
use super::steps::Step;
use super::verify::{as_plan, damaged, exclusive_bytes, explain, verify};
use crate::assembled::{Assembled, Piece, Pieces};
use crate::content;
use crate::plan::{PlannedFile, Recipe, TreePlan};
use crate::testkit::{Kit, with};
use crate::{Settings, plan};

mod migrations;

/// A kit with five systems in its store, each with a kernel and an initrd of its own.
fn kit() -> Kit {
    let kit = Kit::new();
    for number in 1..=5 {
        let kernel = crate::testkit::pe(crate::testkit::X64, &format!("kernel {number:05}"));
        kit.write(&format!("nix/store/k{number}-linux/bzImage"), kernel);
        let initrd = vec![number; 20_000];
        kit.write(&format!("nix/store/i{number}-initrd/initrd"), initrd);
    }
    kit
}

/// The plan of some of the systems; the fourth has initrd secrets.
fn plan_of(kit: &Kit, numbers: &[u64]) -> TreePlan {
    let mut plan = plan(&settings_of(kit, numbers)).unwrap().plan;
    if numbers.contains(&4) {
        add_secrets(&mut plan, 4, b"a key".repeat(2000));
    }
    plan
}

/// Where the secrets of the tests are.
const SECRETS: &str =
    "EFI/nixos/4444444444444444444444444444444444444444444444444444444444444444-secrets.efi";

/// Gives the entry of a generation another initrd, of secrets.
fn add_secrets(plan: &mut TreePlan, number: u64, secrets: Vec<u8>) {
    let tree = plan.trees.get_mut(&Role::esp()).unwrap();
    let path = TreePath::new(format!("loader/entries/nixos-generation-{number}.conf")).unwrap();
    let Recipe::Text(text) = &mut tree.get_mut(&path).unwrap().recipe else {
        panic!("an entry is a text");
    };
    *text = text.replace("options", &format!("initrd /{SECRETS}\noptions"));
    let file = PlannedFile {
        recipe: Recipe::Secret(secrets.into()),
        provenance: Provenance {
            kind: Kind::Initrd,
            generations: Vec::new(),
            signature: None,
        },
    };
    tree.insert(TreePath::new(SECRETS).unwrap(), file);
}

fn settings_of(kit: &Kit, numbers: &[u64]) -> Settings {
    let documents: Vec<_> = numbers
        .iter()
        .map(|number| {
            let mut document = with(
                "kernel",
                json!(format!("/nix/store/k{number}-linux/bzImage")),
            );
            document["org.nixos.bootspec.v1"]["initrd"] =
                json!(format!("/nix/store/i{number}-initrd/initrd"));
            document
        })
        .collect();
    let mut settings: Settings = kit.settings(&documents);
    if let crate::settings::Input::Generations(input) = &mut settings.input {
        for (document, number) in input.bootspecs.iter_mut().zip(numbers) {
            document.number = Some(*number);
        }
    }
    settings
}

fn is_ours(path: &TreePath) -> bool {
    path.as_str().starts_with("EFI/nixos/") || path.name().starts_with("nixos-")
}

fn policy<'a>(kit: &'a Kit, booted: &[&str]) -> Policy<'a> {
    Policy {
        store_dir: kit.root(),
        booted: booted.iter().map(|name| fat::fold(name)).collect(),
        settled: BTreeSet::new(),
        kept: BTreeSet::new(),
        order: None,
        is_ours: &is_ours,
    }
}

fn mounts(root: &Path) -> Mounts {
    Mounts::from([(Role::esp(), root.to_owned())])
}

fn install(plan: &TreePlan, root: &Path, policy: &Policy<'_>) -> Installation {
    let mounts = mounts(root);
    let installation = prepare(plan, &mounts, policy, &mut SourceDigests::default()).unwrap();
    execute(
        &installation.steps,
        &mounts,
        &installation.digests,
        &mut |_| Ok(()),
    )
    .unwrap();
    installation
}

mod images;

/// Every file below a directory.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for item in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", item.file_name().into_string().unwrap());
            if item.path().is_dir() {
                walk(&item.path(), &format!("{name}/"), found);
            } else {
                found.insert(name, fs::read(item.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, "", &mut found);
    found
}

/// A directory in memory, where waiting for the disk takes no time.
fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn restore(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let root = memory();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// What must be true at any moment: entries refer to complete files, at least one
/// is there, and the default is one of them.
fn assert_entries(root: &Path, complete: &BTreeMap<String, BTreeSet<Sha256>>, when: &str) {
    let files = files(root);
    let mut entries = BTreeSet::new();
    for (path, text) in &files {
        if let Some(name) = path.strip_prefix("EFI/Linux/")
            && is_entry_path(&TreePath::new(path.as_str()).unwrap())
            && !name.starts_with('.')
        {
            let known = &complete[path];
            assert!(
                known.contains(&Sha256::of(text)),
                "{when}: {name} is cut short"
            );
            entries.insert(name.to_owned());
        }
        let Some(name) = path.strip_prefix("loader/entries/") else {
            continue;
        };
        if Path::new(name)
            .extension()
            .is_none_or(|kind| kind != "conf")
        {
            continue;
        }
        let entry = Type1Entry::parse(std::str::from_utf8(text).unwrap()).unwrap();
        let needed = match entry.starts {
            Starts::Linux { linux, initrds, .. } => [vec![linux], initrds].concat(),
            Starts::Uki { image, .. } => vec![image],
            Starts::Efi { program, .. } => vec![program],
        };
        for needed in needed {
            let content = files.get(needed.as_str());
            let content = content.unwrap_or_else(|| panic!("{when}: {path} needs {needed}"));
            let known = &complete[needed.as_str()];
            assert!(
                known.contains(&Sha256::of(content)),
                "{when}: {needed} is cut short"
            );
        }
        entries.insert(name.to_owned());
    }
    assert!(!entries.is_empty(), "{when}: no entry is left");
    let conf = String::from_utf8(files["loader/loader.conf"].clone()).unwrap();
    let default = conf
        .lines()
        .find_map(|line| line.strip_prefix("default "))
        .unwrap();
    assert!(
        entries.contains(without_profile(default)),
        "{when}: the default {default} is gone"
    );
}

/// As [`assert_entries`], and the boot loader is there at both of its places.
fn assert_boots(root: &Path, complete: &BTreeMap<String, BTreeSet<Sha256>>, when: &str) {
    assert_entries(root, complete, when);
    let files = files(root);
    for loader in ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"] {
        assert!(
            complete[loader].contains(&Sha256::of(&files[loader])),
            "{when}: {loader}"
        );
    }
}

/// The contents that every path may have, by all of these trees.
fn contents(trees: &[BTreeMap<String, Vec<u8>>]) -> BTreeMap<String, BTreeSet<Sha256>> {
    let mut contents: BTreeMap<String, BTreeSet<Sha256>> = BTreeMap::new();
    for (path, content) in trees.iter().flatten() {
        contents
            .entry(path.clone())
            .or_default()
            .insert(Sha256::of(content));
    }
    contents
}

/// Half of what a step would write.
fn tear(step: &Step, root: &Path) {
    let Step::Write { to, recipe } = step else {
        return;
    };
    let bytes = match recipe {
        Recipe::Text(text) => text.clone().into_bytes(),
        Recipe::Copy { from, .. } => fs::read(from).unwrap(),
        Recipe::Secret(secret) => secret.bytes().to_vec(),
        Recipe::Assembled(image) => content_of(image),
    };
    fs::write(to.1.on(root), &bytes[..bytes.len() / 2]).unwrap();
}

/// Loses power before each step of an update, and in the middle of each write;
/// whatever is left must boot, and the next run must heal it.
fn assert_survives(kit: &Kit, old: &[u64], new: &[u64], order: Order) {
    assert_survives_between(kit, &plan_of(kit, old), &plan_of(kit, new), order);
}

fn assert_survives_between(kit: &Kit, old: &TreePlan, plan: &TreePlan, order: Order) {
    let start = memory();
    install(old, start.path(), &policy(kit, &[]));
    let before = files(start.path());
    let finished = restore(&before);
    install(plan, finished.path(), &policy(kit, &[]));
    let after = files(finished.path());
    let complete = contents(&[before.clone(), after.clone()]);

    let count = {
        let root = restore(&before);
        prepare_in(plan, root.path(), kit, order).steps.len()
    };
    assert!(count > 15, "{count} steps are too few to be an update");
    for cut in 0..=count {
        for torn in [false, true] {
            let root = restore(&before);
            let installation = prepare_in(plan, root.path(), kit, order);
            let made = &installation.steps[..cut];
            let mounts = mounts(root.path());
            execute(made, &mounts, &installation.digests, &mut |_| Ok(())).unwrap();
            if let (true, Some(step)) = (torn, installation.steps.get(cut)) {
                tear(step, root.path());
            }
            let when = format!("{order:?}, cut at {cut} of {count}, torn: {torn}");
            assert_boots(root.path(), &complete, &when);
            install(plan, root.path(), &policy(kit, &[]));
            assert!(
                files(root.path()) == after,
                "{when}: the next run does not heal"
            );
        }
    }
}

/// An installation in a given order, whatever the room.
fn prepare_in(plan: &TreePlan, root: &Path, kit: &Kit, order: Order) -> Installation {
    let policy = Policy {
        order: Some(order),
        ..policy(kit, &[])
    };
    prepare(plan, &mounts(root), &policy, &mut SourceDigests::default()).unwrap()
}

#[test]
fn an_update_survives_a_power_cut_at_every_write() {
    assert_survives(&kit(), &[1, 2, 3], &[2, 3, 4], Order::WriteFirst);
}

#[test]
fn an_update_on_a_full_disk_survives_a_power_cut_at_every_write() {
    assert_survives(&kit(), &[1, 2, 3], &[2, 3, 4], Order::CollectFirst);
}

#[test]
fn even_replacing_everything_survives() {
    let kit = kit();
    assert_survives(&kit, &[1, 2], &[4, 5], Order::WriteFirst);
    assert_survives(&kit, &[1, 2], &[4, 5], Order::CollectFirst);
}

/// A plan whose images have something at their end, as a signature is.
fn plan_with_ends(kit: &Kit, end: u8) -> TreePlan {
    let mut plan = plan_of(kit, &[1, 2, 3]);
    for file in plan.trees.values_mut().flat_map(BTreeMap::values_mut) {
        if let Recipe::Copy { from, size } = &file.recipe
            && file.provenance.signature.is_some()
        {
            let amendment = Amendment {
                keep: *size,
                replace: vec![(0x98, vec![end; 4]), (0xe8, vec![end; 8])],
                append: vec![end; 2000],
            };
            let image = Assembled::of_file(from, *size).amended(&amendment);
            file.recipe = Recipe::Assembled(image);
        }
    }
    plan
}

/// A signature that comes, goes or is another changes files under their names.
#[test]
fn new_signatures_survive_a_power_cut_at_every_write() {
    let kit = kit();
    let plans = [
        plan_of(&kit, &[1, 2, 3]),
        plan_with_ends(&kit, 1),
        plan_with_ends(&kit, 2),
    ];
    for (old, new) in [(0, 1), (1, 2), (2, 0)] {
        for order in [Order::WriteFirst, Order::CollectFirst] {
            assert_survives_between(&kit, &plans[old], &plans[new], order);
        }
    }
}

/// What a disk does with writes that nothing has waited for: any of them may have
/// been made and any not. Between two waits, each alone and all but one are tried.
#[test]
fn writes_between_two_waits_may_come_in_any_order() {
    let kit = kit();
    let start = memory();
    install(&plan_of(&kit, &[1, 2]), start.path(), &policy(&kit, &[]));
    let before = files(start.path());
    let plan = plan_of(&kit, &[2, 3]);
    let finished = restore(&before);
    install(&plan, finished.path(), &policy(&kit, &[]));
    let complete = contents(&[before.clone(), files(finished.path())]);
    for order in [Order::WriteFirst, Order::CollectFirst] {
        let mut begin = 0;
        let root = restore(&before);
        let steps = prepare_in(&plan, root.path(), &kit, order).steps;
        while let Some(length) = steps[begin..]
            .iter()
            .position(|step| matches!(step, Step::Sync(_)))
        {
            for (chosen, alone) in (0..length).flat_map(|index| [(index, true), (index, false)]) {
                let root = restore(&before);
                let mounts = mounts(root.path());
                let installation = prepare_in(&plan, root.path(), &kit, order);
                let run = |steps: &[Step]| {
                    execute(steps, &mounts, &installation.digests, &mut |_| Ok(()))
                };
                run(&installation.steps[..begin]).unwrap();
                for index in (0..length).filter(|index| (*index == chosen) == alone) {
                    // A write whose directory is not there yet is not made either.
                    let _ = run(&installation.steps[begin + index..=begin + index]);
                }
                let when = format!("{order:?}, {begin}+{chosen}, alone: {alone}");
                assert_boots(root.path(), &complete, &when);
            }
            begin += length + 1;
        }
        assert_eq!(begin, steps.len(), "the last writes are not waited for");
    }
}

#[test]
fn every_write_that_fails_leaves_what_booted() {
    let kit = kit();
    let start = memory();
    install(&plan_of(&kit, &[1, 2]), start.path(), &policy(&kit, &[]));
    let before = files(start.path());
    let plan = plan_of(&kit, &[2, 3]);
    let finished = restore(&before);
    let count = install(&plan, finished.path(), &policy(&kit, &[]))
        .steps
        .len();
    let after = files(finished.path());
    let complete = contents(&[before.clone(), after.clone()]);
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        for failing in 0..count {
            let root = restore(&before);
            let mounts = mounts(root.path());
            let installation = prepare(
                &plan,
                &mounts,
                &policy(&kit, &[]),
                &mut SourceDigests::default(),
            )
            .unwrap();
            let mut step = 0;
            let mut fault = |_: &Step| {
                step += 1;
                if step == failing + 1 {
                    Err(kind.into())
                } else {
                    Ok(())
                }
            };
            let result = execute(
                &installation.steps,
                &mounts,
                &installation.digests,
                &mut fault,
            );
            assert!(result.is_err(), "step {failing} cannot fail");
            assert_boots(root.path(), &complete, &format!("{kind:?} at {failing}"));
            install(&plan, root.path(), &policy(&kit, &[]));
            assert!(
                files(root.path()) == after,
                "{kind:?} at {failing}: not healed"
            );
        }
    }
}

#[test]
fn a_run_that_changes_nothing_writes_nothing() {
    let kit = kit();
    let root = memory();
    let plan = plan_of(&kit, &[1, 2, 3]);
    install(&plan, root.path(), &policy(&kit, &[]));
    let again = prepare(
        &plan,
        &mounts(root.path()),
        &policy(&kit, &[]),
        &mut SourceDigests::default(),
    )
    .unwrap();
    assert_eq!(again.steps, []);
    assert!(
        again
            .changes
            .iter()
            .all(|change| change.action == Action::Keep)
    );
}

#[test]
fn foreign_files_stay_and_what_was_ours_goes() {
    let kit = kit();
    let root = memory();
    for (path, text) in [
        ("EFI/Microsoft/Boot/bootmgfw.efi", "windows"),
        ("loader/entries/arch.conf", "linux /arch\n"),
        ("loader/random-seed", "seed"),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let foreign = files(root.path());
    install(&plan_of(&kit, &[1, 2]), root.path(), &policy(&kit, &[]));
    install(&plan_of(&kit, &[3]), root.path(), &policy(&kit, &[]));
    let found = files(root.path());
    for (path, content) in foreign {
        assert_eq!(found.get(&path), Some(&content), "{path}");
    }
    let ours: Vec<_> = found
        .keys()
        .filter(|path| path.starts_with("EFI/nixos/"))
        .collect();
    assert_eq!(
        ours,
        [
            "EFI/nixos/i3-initrd-initrd.efi",
            "EFI/nixos/k3-linux-bzImage.efi"
        ]
    );
}

#[test]
fn what_nixpkgs_installer_marked_goes_and_other_files_of_its_kind_stay() {
    let kit = kit();
    let old = BTreeMap::from(
        [
            "EFI/nixos/.extra-files/efi/memtest86/memtest.efi",
            "EFI/nixos/.extra-files/loader/entries/memtest86.conf",
            "EFI/nixos/.extra-files/loader/random-seed",
            "EFI/nixos/.extra-files/gone",
            "EFI/memtest86/memtest.efi",
            "EFI/memtest86/notes.txt",
            "loader/entries/memtest86.conf",
            "loader/entries/mine.conf",
            "loader/random-seed",
        ]
        .map(|path| (path.to_owned(), b"efi /x\n".to_vec())),
    );
    let root = restore(&old);
    install(
        &plan_of(&kit, &[1]),
        root.path(),
        &Policy {
            is_ours: &|path| bootloaders::ownership::ours(path).is_some(),
            ..policy(&kit, &[])
        },
    );
    let left: Vec<_> = files(root.path())
        .into_keys()
        .filter(|path| old.contains_key(path))
        .collect();
    let expected = [
        "EFI/memtest86/notes.txt",
        "loader/entries/mine.conf",
        "loader/random-seed",
    ];
    assert_eq!(left, expected);
    let markers = root.path().join("EFI/nixos/.extra-files");
    assert!(!markers.exists(), "empty directories stay");
}

#[test]
fn a_booted_entry_protects_what_it_needs_whatever_it_boots_and_however_spelled() {
    let kit = kit();
    let text = "title Xen\nefi /efi/NIXOS/xen.efi\nuki /EFI/nixos/uki.efi\noptions \u{7}\n";
    let old = BTreeMap::from([
        ("loader/entries/nixos-xen.conf".to_owned(), text.into()),
        ("EFI/nixos/xen.efi".to_owned(), vec![1]),
        ("EFI/nixos/uki.efi".to_owned(), vec![2]),
        ("EFI/nixos/other.efi".to_owned(), vec![3]),
    ]);
    let root = restore(&old);
    let policy = policy(&kit, &["nixos-xen.conf"]);
    install(&plan_of(&kit, &[1]), root.path(), &policy);
    let left = files(root.path());
    let left: Vec<_> = old.keys().filter(|path| left.contains_key(*path)).collect();
    let expected = [
        "EFI/nixos/uki.efi",
        "EFI/nixos/xen.efi",
        "loader/entries/nixos-xen.conf",
    ];
    assert_eq!(left, expected);
    let status = super::status::status(&mounts(root.path()), &policy.booted).unwrap();
    let xen = status.entries.iter().find(|entry| entry.is_booted).unwrap();
    assert_eq!((xen.title.as_str(), xen.size.bytes()), ("Xen", 2));
}

/// The plan of some of the systems, with entries named otherwise.
fn plan_named(kit: &Kit, naming: bootloaders::EntryNaming, numbers: &[u64]) -> TreePlan {
    let mut settings = settings_of(kit, numbers);
    settings.entry_names = naming;
    plan(&settings).unwrap().plan
}

#[test]
fn entries_can_be_named_otherwise_and_back_again() {
    use bootloaders::EntryNaming::{Content, Generation};
    let kit = kit();
    let root = memory();
    let names = || {
        let found = files(root.path()).into_keys();
        let names = found.filter_map(|path| Some(path.strip_prefix("loader/entries/")?.to_owned()));
        names.collect::<BTreeSet<_>>()
    };
    let mut before = BTreeSet::new();
    for naming in [Generation, Content, Generation, Content] {
        // What runs is an entry of before, and stays; the rest of that set goes.
        let booted: Option<String> = before.iter().next().cloned();
        let booted: Vec<&str> = booted.iter().map(String::as_str).collect();
        let plan = plan_named(&kit, naming, &[1, 2]);
        install(&plan, root.path(), &policy(&kit, &booted));
        let after = names();
        assert_eq!(after.len(), 2 + booted.len(), "{naming:?}");
        assert!(booted.iter().all(|name| after.contains(*name)));
        // After the next boot, which is one of the new set, one set is left.
        install(&plan, root.path(), &policy(&kit, &[]));
        before = names();
        assert_eq!(before.len(), 2, "{naming:?}");
    }
}

#[test]
fn a_menu_that_moves_to_an_xbootldr_partition_leaves_none_on_the_esp() {
    let kit = kit();
    let (esp, boot) = (memory(), memory());
    install(&plan_of(&kit, &[1, 2]), esp.path(), &policy(&kit, &[]));
    // A machine that nixpkgs' installer has looked after has no state.
    fs::remove_file(esp.path().join("loader/esp-builder.json")).unwrap();
    let mut settings = settings_of(&kit, &[1, 2]);
    settings.xbootldr = true;
    let plan = plan(&settings).unwrap().plan;
    let mounts = Mounts::from([
        (Role::esp(), esp.path().to_owned()),
        (Role::xbootldr(), boot.path().to_owned()),
    ]);
    for booted in [&["nixos-generation-1.conf"] as &[&str], &[]] {
        let policy = policy(&kit, booted);
        let sources = &mut SourceDigests::default();
        let made = prepare(&plan, &mounts, &policy, sources).unwrap();
        execute(&made.steps, &mounts, &made.digests, &mut |_| Ok(())).unwrap();
        let is_menu = |path: &&String| path.contains("nixos");
        assert_eq!(files(boot.path()).keys().filter(is_menu).count(), 6);
        // The entry that runs stays where it is, with its kernel and initrd.
        let left = files(esp.path()).keys().filter(is_menu).count();
        assert_eq!(left, 3 * booted.len());
    }
}

#[test]
fn the_booted_entry_and_those_being_tried_stay() {
    let kit = kit();
    let root = memory();
    install(&plan_of(&kit, &[1, 2, 3]), root.path(), &policy(&kit, &[]));
    let entries = root.path().join("loader/entries");
    for (from, to) in [("2", "2+2-1"), ("3", "3+0-3")] {
        let name = |number| entries.join(format!("nixos-generation-{number}.conf"));
        fs::rename(name(from), name(to)).unwrap();
    }
    install(
        &plan_of(&kit, &[4]),
        root.path(),
        &policy(&kit, &["nixos-generation-1.conf"]),
    );
    let found = files(root.path());
    let names: Vec<_> = found
        .keys()
        .filter_map(|path| path.strip_prefix("loader/entries/nixos-"))
        .collect();
    assert_eq!(
        names,
        [
            "generation-1.conf",
            "generation-2+2-1.conf",
            "generation-4.conf"
        ]
    );
    for kept in ["k1-linux", "i1-initrd", "k2-linux", "i2-initrd"] {
        assert!(
            found.keys().any(|path| path.contains(kept)),
            "{kept} is gone"
        );
    }
    assert!(
        !found.keys().any(|path| path.contains("k3-linux")),
        "a failed entry is kept"
    );
}

#[test]
fn an_entry_that_is_being_tried_keeps_its_counter() {
    let kit = kit();
    let root = memory();
    let tries = std::num::NonZeroU16::new(3);
    let counted = |numbers: &[u64]| {
        let mut settings = settings_of(&kit, numbers);
        settings.tries = tries;
        plan(&settings).unwrap().plan
    };
    install(&counted(&[1, 2]), root.path(), &policy(&kit, &[]));
    let entries = root.path().join("loader/entries");
    let name = |text: &str| entries.join(format!("nixos-generation-{text}.conf"));
    // systemd-boot counts a boot of the one; the other was blessed.
    fs::rename(name("1+3-0"), name("1+2-1")).unwrap();
    fs::rename(name("2+3-0"), name("2")).unwrap();
    let again = prepare(
        &counted(&[1, 2]),
        &mounts(root.path()),
        &policy(&kit, &[]),
        &mut SourceDigests::default(),
    );
    assert_eq!(
        again
            .unwrap()
            .changes
            .iter()
            .filter(|c| c.action != Action::Keep)
            .count(),
        0
    );
    install(&counted(&[1, 2, 3]), root.path(), &policy(&kit, &[]));
    for kept in ["1+2-1", "2", "3+3-0"] {
        assert!(name(kept).exists(), "{kept}");
    }
    assert_eq!(fs::read_dir(&entries).unwrap().count(), 3);
    let conf = fs::read_to_string(root.path().join("loader/loader.conf")).unwrap();
    assert!(
        conf.contains("preferred nixos-generation-3.conf\ndefault nixos-*\n"),
        "{conf}"
    );
}

#[test]
fn a_boot_loader_that_stays_is_neither_damage_nor_a_change_of_its_source() {
    let kit = kit();
    let root = memory();
    let theirs = root.path().join("EFI/systemd/systemd-bootx64.efi");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "a newer boot loader of another length").unwrap();
    let stays = TreePath::new("EFI/systemd/systemd-bootx64.efi").unwrap();
    let policy = Policy {
        settled: [(Role::esp(), stays)].into(),
        ..policy(&kit, &[])
    };
    // The other place gets a copy of the same source.
    install(&plan_of(&kit, &[1]), root.path(), &policy);
    assert!(root.path().join("EFI/BOOT/BOOTX64.EFI").exists());
    let mounts = mounts(root.path());
    let (state, _) = load_state(&mounts).unwrap();
    assert_eq!(verify(&state, &mounts).unwrap(), []);
    let again = prepare(
        &plan_of(&kit, &[1]),
        &mounts,
        &policy,
        &mut SourceDigests::default(),
    )
    .unwrap();
    assert_eq!(again.steps, []);
}

#[test]
fn truncated_and_changed_files_are_replaced() {
    let kit = kit();
    let root = memory();
    let plan = plan_of(&kit, &[1]);
    install(&plan, root.path(), &policy(&kit, &[]));
    let sound = files(root.path());
    let kernel = root.path().join("EFI/nixos/k1-linux-bzImage.efi");
    fs::write(&kernel, "cut").unwrap();
    fs::write(
        root.path().join("loader/entries/nixos-generation-1.conf"),
        "linux /x\n",
    )
    .unwrap();
    install(&plan, root.path(), &policy(&kit, &[]));
    assert!(files(root.path()) == sound);
}

#[test]
fn a_state_that_is_damaged_is_no_obstacle() {
    let kit = kit();
    let root = memory();
    let plan = plan_of(&kit, &[1]);
    install(&plan, root.path(), &policy(&kit, &[]));
    fs::write(root.path().join("loader/esp-builder.json"), "{").unwrap();
    let again = prepare(
        &plan,
        &mounts(root.path()),
        &policy(&kit, &[]),
        &mut SourceDigests::default(),
    )
    .unwrap();
    assert!(again.damaged_state.is_some());
}

#[test]
fn damage_is_found_repaired_and_explained() {
    let kit = kit();
    let root = memory();
    install(&plan_of(&kit, &[1, 2]), root.path(), &policy(&kit, &[]));
    let sound = files(root.path());
    let mounts = mounts(root.path());
    let (state, _) = load_state(&mounts).unwrap();
    assert_eq!(verify(&state, &mounts).unwrap(), []);

    let kernel = root.path().join("EFI/nixos/k1-linux-bzImage.efi");
    let mut content = fs::read(&kernel).unwrap();
    content[520] ^= 1;
    fs::write(&kernel, content).unwrap();
    fs::remove_file(root.path().join("EFI/nixos/i2-initrd-initrd.efi")).unwrap();
    fs::write(root.path().join("loader/loader.conf"), "timeout").unwrap();
    fs::write(root.path().join("EFI/nixos/stray.efi"), "").unwrap();
    let found = verify(&state, &mounts).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|finding| finding.difference.to_string())
        .collect();
    assert_eq!(
        found,
        [
            "`EFI/nixos/i2-initrd-initrd.efi` is missing",
            "`EFI/nixos/k1-linux-bzImage.efi` has other content",
            "`loader/loader.conf` has 7 bytes instead of 42",
            "`EFI/nixos/stray.efi` is not in the manifest",
        ]
    );

    let (plan, without_source) = as_plan(&state);
    assert_eq!(without_source, []);
    let nothing_vouches = Policy {
        store_dir: Path::new("/nowhere"),
        is_ours: &|_| false,
        ..policy(&kit, &[])
    };
    install(&plan, root.path(), &nothing_vouches);
    fs::remove_file(root.path().join("EFI/nixos/stray.efi")).unwrap();
    assert!(files(root.path()) == sound);

    let why = explain(&state, "/efi/nixos/K1-LINUX-BZIMAGE.EFI");
    assert_eq!(why[0].provenance.generations[0].number, 1);
    let bytes: Vec<_> = exclusive_bytes(&state).into_values().collect();
    assert!(bytes.iter().all(|bytes| *bytes > 20_000), "{bytes:?}");
}

/// A store has one content for ever, below a root too: its files are not read again, here
/// shown by a source that by now has other content of the same length.
#[test]
fn a_source_in_a_store_is_read_once_for_ever_and_others_each_time() {
    let kit = kit();
    let plan = plan_of(&kit, &[1]);
    let actions = |store_dir: &Path| {
        let root = memory();
        let policy = Policy {
            store_dir,
            ..policy(&kit, &[])
        };
        let source = "nix/store/i1-initrd/initrd";
        kit.write(source, vec![1; 20_000]);
        install(&plan, root.path(), &policy);
        kit.write(source, vec![9; 20_000]);
        let mounts = mounts(root.path());
        let again = prepare(&plan, &mounts, &policy, &mut SourceDigests::default()).unwrap();
        let initrds = again
            .changes
            .into_iter()
            .filter(|change| change.kind == Some(Kind::Initrd));
        initrds.map(|change| change.action).collect::<Vec<_>>()
    };
    let canonical = fs::canonicalize(kit.root()).unwrap();
    assert_eq!(actions(&canonical.join("nix/store")), [Action::Keep]);
    let elsewhere = canonical.join("another/store");
    assert_eq!(actions(&elsewhere), [Action::Replace]);
}

#[test]
fn secrets_are_on_the_partition_and_written_down_nowhere() {
    let kit = kit();
    let root = memory();
    let mounts = mounts(root.path());
    install(&plan_of(&kit, &[4, 5]), root.path(), &policy(&kit, &[]));
    let path = TreePath::new(SECRETS).unwrap();
    let content = b"a key".repeat(2000);
    assert!(fs::read(path.on(root.path())).unwrap() == content);
    let (state, _) = load_state(&mounts).unwrap();
    let recorded = super::changes::recorded(&state, &(Role::esp(), path.clone())).unwrap();
    assert_eq!(recorded.source, Source::Nowhere);
    assert_eq!(recorded.sha256, Some(Sha256::of(&content)));
    let again = prepare(
        &plan_of(&kit, &[4, 5]),
        &mounts,
        &policy(&kit, &[]),
        &mut SourceDigests::default(),
    )
    .unwrap();
    assert_eq!(again.steps, []);

    // Others are written, and those of before go when nothing wants any.
    let mut renewed = plan_of(&kit, &[4, 5]);
    let file = renewed.trees.get_mut(&Role::esp()).unwrap();
    file.get_mut(&path).unwrap().recipe = Recipe::Secret(b"b key".repeat(2000).into());
    install(&renewed, root.path(), &policy(&kit, &[]));
    assert!(fs::read(path.on(root.path())).unwrap() == b"b key".repeat(2000));
    install(&plan_of(&kit, &[5]), root.path(), &policy(&kit, &[]));
    assert!(!path.on(root.path()).exists());
}

/// A file of a head, most of a kernel of the kit's store, and zeros; with a secret when
/// there is one.
fn put_together(kit: &Kit, secret: &[u8]) -> Assembled {
    let mut sources = Pieces::default();
    let path = kit.root().join("nix/store/k1-linux/bzImage");
    let size = fs::metadata(&path).unwrap().len();
    let kernel = sources.add(Piece::file(&path, Some(size)));
    let mut map = ExtentMap::hole(9000);
    map.push_bytes(0, *b"head\n");
    map.push_slice(4096, 500, kernel, 20);
    if !secret.is_empty() {
        let length = secret.len() as u64;
        let secret = sources.add(Piece::Secret(secret.to_vec().into()));
        map.push_slice(8000, length, secret, 0);
    }
    Assembled { map, sources }
}

/// The bytes of a file that is put together.
fn content_of(image: &Assembled) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    content::write(image, file.as_file()).unwrap();
    fs::read(file.path()).unwrap()
}

/// A plan with an image that is put together.
fn plan_with(kit: &Kit, image: Assembled) -> (TreePlan, TreePath) {
    let mut plan = plan_of(kit, &[1]);
    let path = TreePath::new("EFI/nixos/image.efi").unwrap();
    let file = PlannedFile {
        recipe: Recipe::Assembled(image),
        provenance: Provenance {
            kind: Kind::Uki,
            generations: Vec::new(),
            signature: None,
        },
    };
    let esp = plan.trees.get_mut(&Role::esp()).unwrap();
    esp.insert(path.clone(), file);
    (plan, path)
}

#[test]
fn what_is_put_together_is_vouched_for_and_repaired() {
    let (kit, root) = (kit(), memory());
    let mounts = mounts(root.path());
    let image = put_together(&kit, b"");
    let (plan, path) = plan_with(&kit, image.clone());
    install(&plan, root.path(), &policy(&kit, &[]));
    let content = content_of(&image);
    let kernel = fs::read(kit.root().join("nix/store/k1-linux/bzImage")).unwrap();
    let zeros = |count| vec![0; count];
    let parts = [b"head\n", &zeros(4091)[..], &kernel[20..520], &zeros(4404)];
    assert!(content == parts.concat());
    let on_disk = path.on(root.path());
    assert!(fs::read(&on_disk).unwrap() == content);
    let (state, _) = load_state(&mounts).unwrap();
    let recorded = super::changes::recorded(&state, &(Role::esp(), path.clone())).unwrap();
    assert!(matches!(&recorded.source, Source::Pieces(pieces) if pieces.len() == 4));

    // The store vouches: nothing is read, so damage of the same length stays.
    fs::write(&on_disk, vec![1; content.len()]).unwrap();
    let again = install(&plan, root.path(), &policy(&kit, &[]));
    assert_eq!(again.steps, []);
    let (repair, without_source) = as_plan(&state);
    assert_eq!(without_source, []);
    let nothing_vouches = Policy {
        store_dir: Path::new("/nowhere"),
        ..policy(&kit, &[])
    };
    install(&repair, root.path(), &nothing_vouches);
    assert!(fs::read(&on_disk).unwrap() == content);
}

#[test]
fn what_is_put_together_with_secrets_is_written_down_without_them() {
    let (kit, root) = (kit(), memory());
    let mounts = mounts(root.path());
    let image = put_together(&kit, b"secret");
    assert!(!format!("{image:?}").contains(&format!("{:?}", b"secret")));
    let (plan, path) = plan_with(&kit, image.clone());
    install(&plan, root.path(), &policy(&kit, &[]));
    assert!(fs::read(path.on(root.path())).unwrap() == content_of(&image));
    let (state, _) = load_state(&mounts).unwrap();
    let place = (Role::esp(), path);
    let recorded = super::changes::recorded(&state, &place).unwrap();
    assert_eq!(recorded.source, Source::Pieces(image.pieces().unwrap()));
    assert_eq!(as_plan(&state).1, std::slice::from_ref(&place));
    // What never changes is not read again: that this did, nobody sees.
    let kernel = kit.root().join("nix/store/k1-linux/bzImage");
    let unchanged = fs::read(&kernel).unwrap();
    fs::write(&kernel, vec![0; unchanged.len()]).unwrap();
    let again = install(&plan, root.path(), &policy(&kit, &[]));
    assert_eq!(again.steps, []);
    fs::write(&kernel, unchanged).unwrap();
    // Secrets are, on both sides.
    let on_disk = place.1.on(root.path());
    let mut damaged = content_of(&image);
    damaged[8005] ^= 1;
    fs::write(&on_disk, damaged).unwrap();
    install(&plan, root.path(), &policy(&kit, &[]));
    assert!(fs::read(&on_disk).unwrap() == content_of(&image));
    let (plan, path) = plan_with(&kit, put_together(&kit, b"Secret"));
    install(&plan, root.path(), &policy(&kit, &[]));
    assert_eq!(
        &fs::read(path.on(root.path())).unwrap()[8000..8006],
        b"Secret"
    );
}

#[test]
fn a_repair_keeps_what_it_cannot_restore() {
    let kit = kit();
    let root = memory();
    let mounts = mounts(root.path());
    install(&plan_of(&kit, &[4, 5]), root.path(), &policy(&kit, &[]));
    let (state, _) = load_state(&mounts).unwrap();
    let (plan, without_source) = as_plan(&state);
    let secrets = (Role::esp(), TreePath::new(SECRETS).unwrap());
    assert_eq!(without_source, std::slice::from_ref(&secrets));
    assert!(damaged(&state, &mounts, &without_source).is_empty());
    fs::write(secrets.1.on(root.path()), "cut").unwrap();
    assert_eq!(damaged(&state, &mounts, &without_source), [&secrets]);
    let policy = Policy {
        kept: without_source.into_iter().collect(),
        ..policy(&kit, &[])
    };
    install(&plan, root.path(), &policy);
    assert_eq!(fs::read(secrets.1.on(root.path())).unwrap(), b"cut");
}

#[test]
fn what_a_booted_entry_names_in_its_settings_stays() {
    let kit = kit();
    kit.write(
        "nix/store/x1-xen/xen.efi",
        crate::testkit::pe(crate::testkit::X64, "xen"),
    );
    let mut document = with("kernel", json!("/nix/store/k1-linux/bzImage"));
    let xen = json!({ "efiPath": "/nix/store/x1-xen/xen.efi" });
    document["org.xenproject.bootspec.v2"] = xen;
    let root = memory();
    let old = plan(&kit.settings(&[document])).unwrap().plan;
    install(&old, root.path(), &policy(&kit, &[]));
    let again = prepare(
        &old,
        &mounts(root.path()),
        &policy(&kit, &[]),
        &mut SourceDigests::default(),
    );
    assert_eq!(again.unwrap().steps, []);
    let before = files(root.path());
    let booted = ["xen-generation-1.conf"];
    install(&plan_of(&kit, &[2]), root.path(), &policy(&kit, &booted));
    let after = files(root.path());
    let mut gone: Vec<_> = before
        .keys()
        .filter(|path| !after.contains_key(*path))
        .collect();
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(
        gone.pop().unwrap(),
        "loader/entries/nixos-generation-1.conf"
    );
}
