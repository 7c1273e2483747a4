use std::fs;

use integration_tests::{Machine, Mounted, Peer, TinyPe};
use serde_json::Value;

use crate::kit::Kit;
use crate::system::made_up_document;

/// A kit whose system profile has so many generations, each with its own kernel.
pub fn with_profile(count: u32) -> Kit {
    let kit = Kit::with_made_up_system();
    add_generations(&kit, count, 40_000);
    kit.write("esp/EFI/Microsoft/Boot/bootmgfw.efi", "windows");
    kit
}

/// Gives a kit's system profile so many generations, each with a kernel of this size.
pub fn add_generations(kit: &Kit, count: u32, size: usize) {
    let kernel = TinyPe::new(Machine::X86_64, size).section(".linux", b"x".to_vec());
    let kernel = kernel.bytes();
    for number in 1..=count {
        let store = format!("nix/store/{number:032}");
        kit.write(&format!("{store}-linux/bzImage"), &kernel);
        let mut document = made_up_document("25.11");
        let v1 = &mut document["org.nixos.bootspec.v1"];
        v1["kernel"] = format!("/{store}-linux/bzImage").into();
        v1["toplevel"] = format!("/{store}-nixos").into();
        v1["init"] = format!("/{store}-nixos/init").into();
        kit.write(&format!("{store}-nixos/boot.json"), document.to_string());
        kit.link(
            &format!("/{store}-nixos"),
            &format!("{PROFILES}/system-{number}-link"),
        );
    }
}

const PROFILES: &str = "nix/var/nix/profiles";

/// Runs a command on the kit's ESP.
pub fn live(kit: &Kit, command: &str) -> Peer {
    let peer = kit
        .esp_builder()
        .args([command, "--esp", "esp", "--no-mount-check"]);
    match command {
        "install" | "plan" | "diff" => peer
            .args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"])
            .args(["--no-variables", "--efivars", "efivars"]),
        _ => peer,
    }
}

pub fn toplevel(number: u32) -> String {
    format!("/nix/store/{number:032}-nixos")
}

/// What was said, without the room of the machine that runs the test.
fn without_room(said: &str) -> String {
    let lines = said
        .lines()
        .filter(|line| !line.contains("room:") && !line.contains(" taken"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn an_update_is_shown_made_and_looked_after() {
    let kit = with_profile(3);
    let mut said = String::from("# plan\n");
    said += &without_room(&live(&kit, "plan").arg(toplevel(2)).ok());
    assert!(!kit.path("esp/loader").exists(), "plan writes");
    live(&kit, "install").arg(toplevel(2)).ok();
    said += "\n# status\n";
    said += &without_room(&live(&kit, "status").ok());
    said += "\n# install, with only the newest two\n";
    let again = live(&kit, "install").args(["--limit", "2", &toplevel(3)]);
    said += &without_room(&again.ok());
    said += "\n# again\n";
    let again = live(&kit, "install").args(["--limit", "2", &toplevel(3)]);
    said += &without_room(&again.ok());
    insta::assert_snapshot!(said);
    assert!(kit.path("esp/EFI/Microsoft/Boot/bootmgfw.efi").exists());
}

#[test]
fn differences_are_shown_line_by_line() {
    let kit = with_profile(2);
    let diff = |arguments: &[&str], code| {
        let output = live(&kit, "diff").args(arguments).run();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let first = diff(&["--limit", "1", &toplevel(2)], 3);
    assert!(first.starts_with("esp esp\nadded    EFI/BOOT/"), "{first}");
    assert!(!kit.path("esp/loader").exists(), "diff writes");
    live(&kit, "install").arg(toplevel(1)).ok();
    assert_eq!(diff(&[&toplevel(1)], 0), "");
    let same = r#"{"targets":[{"differences":[],"mounts":["esp"]}],"variables":[]}"#;
    assert_eq!(diff(&["--json", &toplevel(1)], 0).trim_end(), same);

    // Somebody edits a text and cuts a kernel; another generation is to start.
    let entry = kit.path("esp/loader/entries/nixos-generation-2.conf");
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text.trim_end().replace("quiet", "\x1b[8m")).unwrap();
    kit.write(
        &format!("esp/EFI/nixos/{:032}-linux-bzImage.efi", 2),
        b"cut",
    );
    let arguments = ["--limit", "1", &toplevel(2)];
    let mut said = diff(&arguments, 3);
    said += &diff(&[&["--json"], &arguments[..]].concat(), 3);
    insta::assert_snapshot!(said);
    assert_eq!(diff(&[&["--quiet"], &arguments[..]].concat(), 3), "");
    live(&kit, "install").args(arguments).ok();
    assert_eq!(diff(&arguments, 0), "");
}

#[test]
fn damage_is_found_explained_and_repaired() {
    let kit = with_profile(2);
    live(&kit, "install").arg(toplevel(1)).ok();
    assert_eq!(live(&kit, "verify").ok(), "esp: as it was written down\n");
    let kernel = format!("EFI/nixos/{:032}-linux-bzImage.efi", 2);
    let path = kit.path("esp").join(&kernel);
    let mut content = fs::read(&path).unwrap();
    content[5000] ^= 1;
    fs::write(&path, content).unwrap();
    let found = live(&kit, "verify").run();
    assert_eq!(found.status.code(), Some(3));
    let said = String::from_utf8(found.stdout).unwrap();
    assert_eq!(said, format!("esp: `{kernel}` has other content\n"));
    let why = live(&kit, "explain").arg(&kernel).ok();
    assert_eq!(why, format!("esp/{kernel}: kernel\n  generation 2\n"));
    live(&kit, "repair").ok();
    live(&kit, "verify").ok();
}

#[test]
fn the_oldest_generations_are_left_out_where_there_is_no_room() {
    let kit = Kit::with_made_up_system();
    add_generations(&kit, 5, 600_000);
    let (small, larger) = (Mounted::small(2), Mounted::small(3));
    let call = |command| {
        let (small, larger) = (small.path(), larger.path());
        let peer = kit.esp_builder().args([command, "--no-mount-check"]);
        let peer = peer.arg("--esp").arg(larger).arg("--esp").arg(small);
        peer.args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"])
            .args(["--efivars", "efivars"])
    };
    // The second was booted; it stays, and so does the default.
    let value = "nixos-generation-2.conf\0".encode_utf16();
    let value: Vec<u8> = value.flat_map(u16::to_le_bytes).collect();
    let variable = "efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    kit.write(variable, [&[7, 0, 0, 0], value.as_slice()].concat());
    call("install").args(["--limit", "4", "--fit"]).ok();
    let entries = || {
        let names = [&small, &larger].map(|mounted| {
            let found = fs::read_dir(mounted.path().join("loader/entries")).unwrap();
            let names = found.map(|item| item.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(names[0], names[1]);
        names[0].clone()
    };
    let expected = [2, 4, 5].map(|number| format!("nixos-generation-{number}.conf"));
    assert_eq!(entries(), expected.clone().into());
    // Again, and nothing is written; without the flag nothing is touched.
    let said = call("install").args(["--limit", "4", "--fit"]).ok();
    assert_eq!(said.matches("nothing to do").count(), 2, "{said}");
    let said = call("plan").args(["--limit", "4"]).fails(3);
    assert!(said.contains("it fits without generation 3\n"), "{said}");
    let which = format!("the esp partition at `{}` ", small.path().display());
    assert!(said.contains(&which), "{said}");
    let said = call("install").args(["--limit", "4"]).fails(1);
    assert!(said.contains("--fit"), "{said}");
    assert_eq!(entries(), expected.into());
    // What nothing helps is refused all the same.
    kit.write("large", vec![0; 3 << 20]);
    let said = call("install").args(["--fit", "--extra-file", "large=large"]);
    let said = said.fails(1);
    assert!(said.contains("without any other generation"), "{said}");
}

#[test]
fn below_a_root_what_came_from_a_store_is_not_read_again() {
    let kit = with_profile(1);
    live(&kit, "install").arg(toplevel(1)).ok();
    let source = kit.path(&format!("nix/store/{:032}-linux/bzImage", 1));
    let length = fs::metadata(&source).unwrap().len();
    let mut content = fs::read(&source).unwrap();
    content[5000] ^= 1;
    fs::write(&source, content).unwrap();
    assert_eq!(fs::metadata(&source).unwrap().len(), length);
    let said = live(&kit, "install").arg(toplevel(1)).ok();
    assert!(said.contains("nothing to do"), "{said}");
}

/// What `bootctl update` leaves and `bootctl install` replaces, so do we.
#[test]
fn what_somebody_else_put_there_stays_or_is_warned_of() {
    let kit = with_profile(1);
    let esp = format!("--esp-path={}", kit.path("esp").display());
    let bootctl = |verb: &str| {
        let peer = Peer::sid("bootctl").env("SYSTEMD_RELAX_ESP_CHECKS", "1");
        let peer = peer.dir(kit.root()).args([&esp, "--no-variables", verb]);
        peer.run().status.success()
    };
    assert!(bootctl("install"));
    let other = TinyPe::new(Machine::X86_64, 3000).bytes();
    let fallback = "esp/EFI/BOOT/BOOTX64.EFI";
    let is_other = || fs::read(kit.path(fallback)).unwrap() == other;
    kit.write(fallback, &other);
    assert!(!bootctl("update") && is_other(), "bootctl's own opinion");
    kit.write("esp/note.txt", "a user's");
    let install = || {
        let extra = ["--extra-file", "note.txt=boot.json"];
        live(&kit, "install").args(extra).arg(toplevel(1))
    };
    let warnings = |peer: Peer| {
        let output = peer.run();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let mut said = warnings(install());
    assert!(is_other(), "the other boot loader is gone");
    said += "# again\n";
    said += &warnings(install());
    let set = |name| install().env(name, "1");
    for peer in [
        install().arg("--reinstall"),
        set("NIXOS_INSTALL_BOOTLOADER"),
        set("NIXOS_INSTALL_GRUB"),
    ] {
        kit.write(fallback, &other);
        said += "# again, told to install\n";
        said += &warnings(peer);
        assert!(!is_other(), "the other boot loader stays");
    }
    said += "# again\n";
    said += &warnings(install());
    insta::assert_snapshot!(said);
    kit.write(fallback, &other);
    assert!(bootctl("install") && !is_other(), "bootctl's own opinion");
}

#[test]
fn bootctl_agrees_with_what_was_installed() {
    let kit = with_profile(3);
    live(&kit, "install").arg(toplevel(2)).ok();
    let esp = format!("--esp-path={}", kit.path("esp").display());
    let bootctl = Peer::sid("bootctl")
        .env("SYSTEMD_RELAX_ESP_CHECKS", "1")
        .dir(kit.root());
    let listed = bootctl.args([&esp, "list", "--json=short"]).ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let entries = listed.as_array().unwrap();
    let default = entries
        .iter()
        .find(|entry| entry["isDefault"] == true)
        .unwrap();
    assert_eq!(default["id"], "nixos-generation-2.conf");
    assert_eq!(entries.len(), 3);
}

#[test]
fn what_must_not_be_done_is_refused() {
    let kit = with_profile(1);
    let call = |arguments: &[&str]| {
        let peer = kit
            .esp_builder()
            .args(arguments)
            .args(["--root", ".", "--systemd-boot"]);
        peer.arg("systemd-bootx64.efi")
            .fails(1)
            .replace(&kit.root().display().to_string(), "KIT")
    };
    let mut said = call(&["install", "--esp", "esp"]);
    said += &call(&["install", "--esp", "nowhere"]);
    said += &call(&["install", "--no-mount-check", "--esp", "esp", &toplevel(9)]);
    fs::remove_file(kit.path(PROFILES).join("system-1-link")).unwrap();
    said += &call(&["install", "--no-mount-check", "--esp", "esp"]);
    said += &live(&kit, "verify").fails(1);
    said += &live(&kit, "explain").arg("/EFI/x").fails(1);
    insta::assert_snapshot!(said);
    assert!(!kit.path("esp/loader").exists(), "something was written");
}
