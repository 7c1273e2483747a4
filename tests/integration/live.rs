use std::fs;

use integration_tests::Peer;
use serde_json::Value;

use crate::kit::Kit;
use crate::system::made_up_document;

/// A kit whose system profile has so many generations, each with its own kernel.
fn with_profile(count: u32) -> Kit {
    let kit = Kit::with_made_up_system();
    let kernel = fs::read(kit.path("nix/store/0000-linux-6.12/bzImage")).unwrap();
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
    kit.write("esp/EFI/Microsoft/Boot/bootmgfw.efi", "windows");
    kit
}

const PROFILES: &str = "nix/var/nix/profiles";

/// Runs a command on the kit's ESP.
fn live(kit: &Kit, command: &str) -> Peer {
    let peer = kit
        .esp_builder()
        .args([command, "--esp", "esp", "--no-mount-check"]);
    match command {
        "install" | "plan" => peer
            .args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"])
            .args(["--no-variables", "--efivars", "efivars"]),
        _ => peer,
    }
}

fn toplevel(number: u32) -> String {
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
