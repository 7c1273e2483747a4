//! Profiles and lists in a root of their own.
#![expect(clippy::disallowed_methods, reason = "tests make their own inputs")]

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::testkit::{Kit, describe_error, document};

const PROFILES: &str = "nix/var/nix/profiles";

/// A system of the store with the bootspec document that it would have.
fn system(name: &str) -> Value {
    let mut value = document();
    let toplevel = format!("/nix/store/{name}-nixos");
    let spec = &mut value["org.nixos.bootspec.v1"];
    spec["label"] = json!(name);
    spec["init"] = json!(format!("{toplevel}/init"));
    spec["toplevel"] = json!(toplevel);
    value
}

/// Puts a system into the store and makes a link of a profile lead to it.
fn install(kit: &Kit, link: &str, name: &str, document: &Value) {
    let path = format!("nix/store/{name}-nixos/boot.json");
    kit.write(&path, document.to_string());
    kit.link(
        &format!("/nix/store/{name}-nixos"),
        &format!("{PROFILES}/{link}-link"),
    );
}

/// The system profile with these numbers; the system of 7 is called `s7`.
fn kit_with(numbers: &[u64]) -> Kit {
    let kit = Kit::new();
    for number in numbers {
        let name = format!("s{number}");
        install(&kit, &format!("system-{number}"), &name, &system(&name));
    }
    kit
}

fn profile(path: &str) -> GenerationInput {
    GenerationInput {
        profiles: vec![path.into()],
        ..GenerationInput::default()
    }
}

fn system_profile(limit: usize) -> GenerationInput {
    GenerationInput {
        limit: NonZeroUsize::new(limit),
        ..profile("/nix/var/nix/profiles/system")
    }
}

fn list(kit: &Kit, list: &Value) -> GenerationInput {
    GenerationInput {
        list: Some(kit.write("etc/list.json", list.to_string())),
        ..GenerationInput::default()
    }
}

fn load(kit: &Kit, input: &GenerationInput, default: Option<&str>) -> Result<Loaded, Error> {
    let choice = default.map(|text| match text.strip_prefix("in ") {
        Some(toplevel) => DefaultChoice::Toplevel(toplevel.into()),
        None => text.parse().unwrap(),
    });
    let sources = Sources::new(Some(kit.root()), Path::new("/nix/store")).unwrap();
    GenerationSet::load(input, choice.as_ref(), &sources)
}

/// What was loaded, a line each; `*` is the default.
fn dump(kit: &Kit, loaded: &Loaded) -> String {
    let mut text = String::new();
    for (index, generation) in loaded.generations.as_slice().iter().enumerate() {
        let mark = if index == loaded.default { '*' } else { ' ' };
        let choice = DefaultChoice::Generation(generation.id.clone());
        let label = generation.system.label.as_ref().unwrap();
        let date = generation.date.as_ref().map(|date| format!(", {date}"));
        let origin = generation.origin.display();
        let date = date.unwrap_or_default();
        writeln!(text, "{mark} {choice} {label}{date} `{origin}`").unwrap();
    }
    for warning in &loaded.warnings {
        writeln!(text, "warning: {warning}").unwrap();
    }
    kit.anonymous(&text)
}

/// The generations as choices, the default in brackets.
fn names(loaded: &Loaded) -> String {
    let named = loaded.generations.as_slice().iter().enumerate();
    let named = named.map(|(index, generation)| {
        let choice = DefaultChoice::Generation(generation.id.clone());
        if index == loaded.default {
            format!("[{choice}]")
        } else {
            choice.to_string()
        }
    });
    named.collect::<Vec<_>>().join(" ")
}

#[test]
fn links_are_sorted_by_number_and_may_have_gaps() {
    let kit = kit_with(&[100, 9, 10, 2]);
    kit.link("system-100-link", &format!("{PROFILES}/system"));
    kit.link("/nix/store/s2-nixos", &format!("{PROFILES}/other-3-link"));
    kit.link("/nix/store/s2-nixos", &format!("{PROFILES}/system-03-link"));
    kit.write(&format!("{PROFILES}/system.lock"), "");
    let loaded = load(&kit, &system_profile(0), None).unwrap();
    assert_eq!(names(&loaded), "2 9 10 [100]");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_document_may_be_a_link_inside_the_root() {
    let kit = kit_with(&[1]);
    let place = "nix/store/s1-nixos/boot.json";
    kit.write("nix/store/b1-boot.json", system("linked").to_string());
    fs::remove_file(kit.root().join(place)).unwrap();
    kit.link("/nix/store/b1-boot.json", place);
    let loaded = load(&kit, &system_profile(0), None).unwrap();
    let label = loaded.generations.as_slice()[0].system.label.as_ref();
    assert_eq!(label.unwrap().as_str(), "linked");
}

#[test]
fn a_profile_may_be_named_as_the_host_sees_it() {
    let kit = kit_with(&[1]);
    let path = kit.root().join(PROFILES).join("system");
    let loaded = load(&kit, &profile(path.to_str().unwrap()), None).unwrap();
    assert_eq!(names(&loaded), "[1]");
}

#[test]
fn the_system_profile_brings_its_siblings() {
    let kit = kit_with(&[3, 4]);
    for (link, name) in [
        ("system-profiles/work-12", "w12"),
        ("system-profiles/work-7", "w7"),
        ("system-profiles/test-1", "t1"),
        ("system-profiles/gone-1", "g1"),
    ] {
        install(&kit, link, name, &system(name));
    }
    // Only what is not a link of its own names a profile.
    for name in ["work", "test", "test.lock"] {
        let path = format!("{PROFILES}/system-profiles/{name}");
        kit.link(&format!("{name}-1-link"), &path);
    }
    let mut input = system_profile(1);
    input
        .profiles
        .push("/nix/var/nix/profiles/system-profiles/work".into());
    let loaded = load(&kit, &input, None).unwrap();
    insta::assert_snapshot!(dump(&kit, &loaded));
    // Without a system profile the first one starts.
    let only = profile("/nix/var/nix/profiles/system-profiles/work");
    let loaded = load(&kit, &only, None).unwrap();
    assert_eq!(names(&loaded), "work/7 [work/12]");
    let loaded = load(&kit, &system_profile(0), Some("test/1")).unwrap();
    assert_eq!(names(&loaded), "3 4 [test/1] work/7 work/12");
}

#[test]
fn links_without_a_system_are_passed_over() {
    let kit = kit_with(&[1, 5]);
    kit.link(
        "/nix/store/gone-nixos",
        &format!("{PROFILES}/system-2-link"),
    );
    kit.link("system-3-link", &format!("{PROFILES}/system-3-link"));
    kit.write("nix/store/old-nixos/init", "");
    kit.link("/nix/store/old-nixos", &format!("{PROFILES}/system-4-link"));
    kit.link(
        "/nix/store/old-nixos/init",
        &format!("{PROFILES}/system-6-link"),
    );
    let mut input = system_profile(0);
    input.profiles.push("/nix/var/nix/profiles/none".into());
    let loaded = load(&kit, &input, None).unwrap();
    insta::assert_snapshot!(dump(&kit, &loaded));
    // What cannot boot does not count.
    let loaded = load(&kit, &system_profile(2), None).unwrap();
    assert_eq!(names(&loaded), "1 [5]");
}

#[test]
fn a_limit_counts_generations_and_keeps_the_default() {
    let kit = kit_with(&[1, 2, 4]);
    let mut third = system("s3");
    third["org.nixos.specialisation.v1"]["gnome"] = system("s3-gnome");
    third["org.nixos.specialisation.v1"]["kde"] = system("s3-kde");
    install(&kit, "system-3", "s3", &third);
    for (limit, default, expected) in [
        (1, None, "[4]"),
        (2, None, "3 3:gnome 3:kde [4]"),
        (9, None, "1 2 3 3:gnome 3:kde [4]"),
        (1, Some("3"), "[3] 3:gnome 3:kde 4"),
        (1, Some("3:kde"), "3 3:gnome [3:kde] 4"),
        (2, Some("1"), "[1] 3 3:gnome 3:kde 4"),
        (1, Some("in /nix/store/s1-nixos"), "[1] 4"),
        (
            1,
            Some("in /nix/store/s3-gnome-nixos"),
            "3 [3:gnome] 3:kde 4",
        ),
    ] {
        let loaded = load(&kit, &system_profile(limit), default).unwrap();
        assert_eq!(names(&loaded), expected, "{limit} {default:?}");
        let beyond = default.is_some();
        assert_eq!(loaded.warnings.len(), usize::from(beyond), "{limit}");
    }
    // What is left out is not read.
    kit.write("nix/store/s1-nixos/boot.json", "{");
    assert!(load(&kit, &system_profile(2), Some("3")).is_ok());
    assert!(load(&kit, &system_profile(0), Some("3")).is_err());
}

#[test]
fn the_default_is_the_last_system_with_that_toplevel() {
    let kit = kit_with(&[1, 2, 3]);
    let mut again = system("s1");
    again["org.nixos.specialisation.v1"]["gnome"] = system("gnome");
    install(&kit, "system-4", "s4", &again);
    // Other names of what is activated.
    kit.link("/nix/store/s2-nixos", "run/current-system");
    kit.link("/nix/store/s2-nixos", "nix/store/alias-nixos");
    install(&kit, "system-5", "s5", &system("alias"));
    let on_host = format!("in {}", kit.root().join("nix/store/s3-nixos").display());
    for (toplevel, expected) in [
        ("in /nix/store/s3-nixos", "3"),
        ("in /nix/store/s1-nixos", "4"),
        ("in /nix/store/gnome-nixos", "4:gnome"),
        ("in /nix/var/nix/profiles/system-3-link", "3"),
        ("in /run/current-system", "5"),
        (on_host.as_str(), "3"),
    ] {
        let loaded = load(&kit, &system_profile(0), Some(toplevel)).unwrap();
        let default = &loaded.generations.as_slice()[loaded.default];
        let default = DefaultChoice::Generation(default.id.clone());
        assert_eq!(default.to_string(), expected, "{toplevel}");
    }
    let error = load(&kit, &system_profile(1), Some("in /nix/store/new-nixos")).unwrap_err();
    assert!(matches!(error, Error::NoSuchToplevel(_)), "{error}");
}

#[test]
fn a_list_says_what_documents_do_not() {
    let kit = kit_with(&[1]);
    kit.write("etc/new/boot.json", system("new").to_string());
    let listed = json!({
        "format": "generation-list",
        "version": 1,
        "generations": [
            { "number": 10, "bootspec": "new/boot.json", "date": "2026-11-23" },
            { "profile": null, "number": 9, "bootspec": "/nix/store/s1-nixos/boot.json" },
            { "profile": "work", "number": 1, "bootspec": "new/boot.json" },
        ],
        "default": { "number": 9 },
    });
    let mut input = list(&kit, &listed);
    let loaded = load(&kit, &input, None).unwrap();
    insta::assert_snapshot!(dump(&kit, &loaded));
    // Together with a profile, the limit holds for both.
    input.profiles = system_profile(1).profiles;
    input.limit = NonZeroUsize::new(1);
    let loaded = load(&kit, &input, Some("work/1")).unwrap();
    assert_eq!(names(&loaded), "10 [work/1]");
}

#[test]
fn inputs_that_do_not_fit_are_refused_with_what_to_do() {
    let kit = kit_with(&[1, 2]);
    let one = json!({ "number": 1, "bootspec": "/nix/store/s1-nixos/boot.json" });
    let listed = |generations: Value| json!({ "format": "generation-list", "version": 1, "generations": generations });
    let mut report = String::new();
    let mut refuse = |input: &GenerationInput, default| {
        let error = load(&kit, input, default).unwrap_err();
        writeln!(report, "{}", describe_error(&kit, &error)).unwrap();
    };
    refuse(&GenerationInput::default(), None);
    refuse(&profile("/nix/var/nix/profiles/none"), None);
    refuse(&list(&kit, &listed(json!([]))), None);
    refuse(&profile("/nix/var/profiles/system"), None);
    refuse(&profile("/"), None);
    refuse(&list(&kit, &listed(json!([one, one]))), None);
    let mut both = list(&kit, &listed(json!([one])));
    both.profiles = system_profile(0).profiles;
    refuse(&both, None);
    let gone = json!([{ "number": 3, "bootspec": "gone.json" }]);
    refuse(&list(&kit, &listed(gone)), None);
    let gone = json!([{ "number": 3, "bootspec": "/nix/gone.json" }]);
    refuse(&list(&kit, &listed(gone)), None);
    refuse(&system_profile(0), Some("3"));
    refuse(&system_profile(0), Some("work/2:kde"));
    refuse(&system_profile(1), Some("in /nix/store/new-nixos"));
    kit.write("nix/store/s1-nixos/boot.json", "{");
    refuse(&system_profile(0), None);
    kit.write("nix/store/s1-nixos/boot.json", "{}");
    refuse(&system_profile(0), None);
    fs::remove_file(kit.root().join("etc/list.json")).unwrap();
    let list = GenerationInput {
        list: Some(kit.root().join("etc/list.json")),
        ..GenerationInput::default()
    };
    refuse(&list, None);
    insta::assert_snapshot!(report);
}

#[test]
fn a_missing_document_is_made_from_the_system() {
    let kit = Kit::new();
    let system = kit.root().join("old-nixos");
    for (name, text) in [
        ("nixos-version", "21.11"),
        ("system", "x86_64-linux"),
        ("kernel", ""),
        ("initrd", ""),
        ("init", ""),
        ("kernel-params", "quiet loglevel=4"),
        ("kernel-modules/lib/modules/5.10.1/modules.order", ""),
    ] {
        kit.write(&format!("old-nixos/{name}"), text);
        kit.write(&format!("old-nixos/specialisation/gnome/{name}"), text);
    }
    kit.link(system.to_str().unwrap(), "profiles/system-1-link");
    kit.link("/none", "profiles/system-2-link");
    let profile = profile(kit.root().join("profiles/system").to_str().unwrap());
    let sources = Sources::new(Some(Path::new("/")), Path::new("/nix/store")).unwrap();
    let loaded = GenerationSet::load(&profile, None, &sources).unwrap();
    insta::assert_snapshot!(dump(&kit, &loaded));
    let first = &loaded.generations.as_slice()[0].system;
    let expected = format!("init={}/init quiet loglevel=4", system.display());
    assert_eq!(first.cmdline.as_str(), expected);
    // Links of a system inside a root would be followed on the host.
    let sources = Sources::new(Some(kit.root()), Path::new("/nix/store")).unwrap();
    kit.link("/old-nixos", "profiles/other-1-link");
    let other = super::tests::profile("/profiles/other");
    let error = GenerationSet::load(&other, None, &sources).unwrap_err();
    assert!(matches!(error, Error::NoGenerations { .. }), "{error}");
    // Half a system is none.
    fs::remove_file(system.join("kernel-params")).unwrap();
    let sources = Sources::new(None, Path::new("/nix/store")).unwrap();
    let error = GenerationSet::load(&profile, None, &sources).unwrap_err();
    assert!(matches!(error, Error::NoGenerations { .. }), "{error}");
}

#[test]
fn generations_may_be_dated_by_the_day_they_came_here() {
    use std::os::unix::fs::MetadataExt;
    let kit = kit_with(&[1]);
    let nested = json!({ "gnome": system("s2") });
    let mut document = system("s2");
    document["org.nixos.specialisation.v1"] = nested;
    install(&kit, "system-2", "s2", &document);
    let days = |dates| {
        let input = GenerationInput {
            dates,
            ..system_profile(0)
        };
        let loaded = load(&kit, &input, None).unwrap();
        let generations = loaded.generations.as_slice().iter();
        generations.map(|one| one.date.clone()).collect::<Vec<_>>()
    };
    let file = kit.root().join("nix/store/s1-nixos/boot.json");
    let today = Date::of_unix(fs::metadata(file).unwrap().ctime());
    assert!(today.is_some());
    assert_eq!(days(true), [today.clone(), today.clone(), today]);
    assert_eq!(days(false), [None, None, None]);
}
