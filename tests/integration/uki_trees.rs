use std::collections::BTreeSet;
use std::fs;

use integration_tests::{BootOptions, Mounted, Peer, binary, boot, lab};
use serde_json::{Value, json};

use crate::boots::compose_system;
use crate::kit::{Kit, noise};
use crate::live::{live, toplevel, with_profile};
use crate::sharing::shared_bytes;
use crate::system::real_document;
use crate::ukis::{agree, ukify};

/// A kit with two systems; the older one has a specialisation `other` and one whose
/// label and name are its own.
fn two_systems() -> Kit {
    let kit = Kit::with_real_system();
    let mut old = real_document("25.11");
    let mut own = real_document("25.11-own");
    own.as_object_mut()
        .unwrap()
        .remove("org.nixos.specialisation.v1");
    old["org.nixos.specialisation.v1"]["Own $name"] = own;
    kit.write("old.json", old.to_string());
    kit
}

const DOCUMENTS: [&str; 4] = ["--bootspec", "1=old.json", "--bootspec", "2=boot.json"];

/// Builds a tree of the kit's systems.
fn build(kit: &Kit, arguments: &[&str], out: &str) {
    let builder = kit.esp_builder().args(DOCUMENTS).args(arguments);
    let builder = builder.arg("--systemd-boot").arg(lab::systemd_boot());
    builder.arg(out).ok();
}

/// The arguments that make images.
fn of_images() -> [String; 4] {
    let stub = lab::systemd_stub().display().to_string();
    ["--layout".into(), "uki".into(), "--stub".into(), stub]
}

/// The arguments that make images which entries name.
fn named_images() -> [String; 4] {
    let [layout, _, stub, file] = of_images();
    [layout, "type1-uki".into(), stub, file]
}

/// What bootctl lists of an ESP.
fn listed(kit: &Kit, esp: &str) -> Vec<Value> {
    let bootctl = Peer::sid("bootctl")
        .env("SYSTEMD_RELAX_ESP_CHECKS", "1")
        .dir(kit.root());
    let esp = format!("--esp-path={}", kit.path(esp).display());
    let said = bootctl.args([&esp, "list", "--json=short"]).ok();
    serde_json::from_str(&said).unwrap()
}

/// What people see of entries, and what is booted.
fn seen(entries: &[Value]) -> BTreeSet<String> {
    let keys = ["title", "version", "sortKey", "options", "isDefault"];
    let of_entry = |entry: &Value| {
        let values = keys.map(|key| entry[key].to_string());
        values.join(" ")
    };
    entries.iter().map(of_entry).collect()
}

#[test]
fn bootctl_shows_images_as_it_shows_entries() {
    let kit = two_systems();
    let stub = of_images();
    let arguments: Vec<&str> = stub.iter().map(String::as_str).collect();
    for default in ["1", "1:other", "1:Own $name", "2"] {
        build(&kit, &["--default", default], "texts");
        build(
            &kit,
            &[&arguments, &["--default", default][..]].concat(),
            "images",
        );
        let images = listed(&kit, "images/esp");
        assert_eq!(seen(&images), seen(&listed(&kit, "texts/esp")), "{default}");
    }
    let images = listed(&kit, "images/esp");
    let ids: Vec<_> = images
        .iter()
        .map(|entry| entry["id"].as_str().unwrap())
        .collect();
    let expected = [
        "nixos-generation-2.efi",
        "nixos-generation-2.efi@other",
        "nixos-generation-1.efi@_4fwn_20_24name",
        "nixos-generation-1.efi",
        "nixos-generation-1.efi@other",
    ];
    assert_eq!(ids, expected);
    for entry in images {
        assert_eq!(entry["uname"], lab::kernel_release().as_str());
    }
}

/// bootctl 262 shows no options of an image that an entry names.
#[test]
fn bootctl_lists_entries_that_name_images() {
    let kit = two_systems();
    let named = named_images();
    let arguments: Vec<&str> = named.iter().map(String::as_str).collect();
    build(&kit, &["--default", "1:other"], "texts");
    let arguments = [&arguments, &["--default", "1:other"][..]].concat();
    build(&kit, &arguments, "named");
    let shown = |entries: &[Value]| -> BTreeSet<String> {
        let keys = ["id", "title", "version", "sortKey", "isDefault"];
        let of_entry = |entry: &Value| keys.map(|key| entry[key].to_string()).join(" ");
        entries.iter().map(of_entry).collect()
    };
    let entries = listed(&kit, "named/esp");
    assert_eq!(shown(&entries), shown(&listed(&kit, "texts/esp")));
    let other = entries.iter().find(|entry| entry["isDefault"] == true);
    let other = other.unwrap();
    assert_eq!(other["type"], "type1");
    let uki = other["uki"].as_str().unwrap();
    assert!(uki.contains("/EFI/nixos/"), "{other}");
    assert!(
        kit.path("named/esp")
            .join(uki.trim_start_matches('/'))
            .exists(),
        "{other}"
    );
    let images = kit.path("named/esp/EFI/nixos").read_dir().unwrap();
    assert_eq!(images.count(), 2);
}

#[test]
fn images_of_a_tree_are_those_that_ukify_makes() {
    let kit = two_systems();
    let stub = of_images();
    let arguments: Vec<&str> = stub.iter().map(String::as_str).collect();
    build(&kit, &arguments, "out");
    kit.write(
        "os",
        "ID=nixos\nPRETTY_NAME=NixOS\nVERSION=\"Generation 1 25.11\"\n",
    );
    kit.write(
        "own",
        "ID=nixos\nPRETTY_NAME=NixOS\nVERSION=\"Generation 1 25.11-own\"\n",
    );
    kit.write("first", "# The image itself.\n");
    // The chroot does not see what is in the cache.
    let stub = lab::systemd_stub();
    fs::copy(stub.with_file_name("addonx64.efi.stub"), kit.path("addon")).unwrap();
    for (name, from) in [
        ("stub", stub),
        ("kernel", lab::vmlinuz()),
        ("initrd", lab::guest_initrd()),
    ] {
        fs::copy(from, kit.path(name)).unwrap();
    }
    let profile = |name: &str, text: &str, arguments: &[&str]| {
        kit.write(&format!("{name}.profile"), text);
        ukify(&kit)
            .arg("--stub=addon")
            .arg(format!("--profile=@{name}.profile"))
            .args(arguments)
            .arg(format!("--output={name}.efi"))
            .ok();
    };
    let cmdline = "init=/init console=ttyS0 quiet";
    let own = ["--os-release=@own", &format!("--cmdline={cmdline}")];
    profile("own", "ID=_4fwn_20_24name\nTITLE='Own $name'\n", &own);
    let other = format!("--cmdline={cmdline} other=yes");
    profile("other", "ID=other\nTITLE=\"other\"\n", &[&other]);
    ukify(&kit)
        .args(["--stub=stub", "--linux=kernel", "--initrd=initrd"])
        .arg(format!("--cmdline={cmdline}"))
        .args(["--os-release=@os", "--profile=@first"])
        .args(["--join-profile=own.efi", "--join-profile=other.efi"])
        .arg("--output=theirs.efi")
        .ok();
    agree(
        &kit,
        "out/esp/EFI/Linux/nixos-generation-1.efi",
        "theirs.efi",
    );
}

/// A kit with a profile of systems that have their own systemd, with a stub.
fn with_stubs() -> Kit {
    let kit = with_profile(3);
    let stub = fs::read(lab::systemd_stub()).unwrap();
    let systemd = format!("nix/store/{:032}-systemd", 9);
    kit.write(
        &format!("{systemd}/lib/systemd/boot/efi/linuxx64.efi.stub"),
        stub,
    );
    for number in 1..=3 {
        let link = format!("{}/systemd", toplevel(number).trim_start_matches('/'));
        kit.link(&format!("/{systemd}"), &link);
    }
    kit
}

#[test]
fn a_menu_of_entries_becomes_one_of_images_and_back() {
    let kit = with_stubs();
    // Profiles need a boot loader that lists them.
    let loader = lab::systemd_boot();
    fs::copy(loader, kit.path("systemd-bootx64.efi")).unwrap();
    let install = |arguments: &[&str]| {
        let peer = live(&kit, "install").args(arguments);
        peer.arg(toplevel(2)).ok()
    };
    let entries = || {
        let entries = listed(&kit, "esp");
        let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
        let default = entries.iter().find(|entry| entry["isDefault"] == true);
        (
            default.map(id).unwrap(),
            entries.iter().map(id).collect::<Vec<_>>(),
        )
    };
    install(&[]);
    let of_texts = entries();
    assert_eq!(of_texts.0, "nixos-generation-2.conf");
    install(&["--layout", "uki"]);
    let (default, ids) = entries();
    assert_eq!(default, "nixos-generation-2.efi");
    let expected = [3, 2, 1].map(|number| format!("nixos-generation-{number}.efi"));
    assert_eq!(ids, expected);
    assert!(!kit.path("esp/EFI/nixos").read_dir().unwrap().any(|_| true));
    live(&kit, "verify").ok();
    // The store vouches for its files: another content of one length is not seen.
    let source = kit.path(&format!("nix/store/{:032}-linux/bzImage", 1));
    let mut content = fs::read(&source).unwrap();
    content[5000] ^= 1;
    fs::write(&source, content).unwrap();
    let said = install(&["--layout", "uki"]);
    assert!(said.contains("nothing to do"), "{said}");
    let status = live(&kit, "status").arg("--json").ok();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["entries"][0]["title"], "NixOS");
    assert_eq!(status["entries"][0]["file"], "nixos-generation-1.efi");
    install(&[]);
    assert_eq!(entries(), of_texts);
    assert!(!kit.path("esp/EFI/Linux").read_dir().unwrap().any(|_| true));
}

#[test]
fn an_image_by_reference_shares_the_blocks_of_its_kernel_and_initrd() {
    let xfs = Mounted::xfs_with_reflink();
    let place = |name: &str| xfs.path().join(name);
    let kernel = fs::read(lab::vmlinuz()).unwrap();
    fs::write(place("kernel"), &kernel).unwrap();
    fs::write(place("initrd"), noise(5, 6_000_001)).unwrap();
    let build = |arguments: &[&str]| {
        binary::esp_builder(&xfs.path())
            .args([
                "--kernel",
                "kernel",
                "--initrd",
                "initrd",
                "--cmdline",
                "quiet",
            ])
            .args(of_images())
            .arg("--systemd-boot")
            .arg(lab::systemd_boot())
            .args(arguments)
            .ok();
    };
    build(&["--by-reference", "out"]);
    assert!(!place("out/esp/EFI/Linux").exists());
    build(&["copied"]);
    let description = "[image]\noutput = \"image.raw\"\n[[partition]]\ntype = \"esp\"\n\
        format = \"vfat\"\ntree = \"out/manifest.json#esp\"\n";
    fs::write(place("image.toml"), description).unwrap();
    let compose = || binary::compose(&xfs.path());
    compose().args(["-q", "image.toml"]).ok();
    let cat = compose().args(["cat", "image.raw", "EFI/Linux/linux.efi"]);
    let copied = place("copied/esp/EFI/Linux/linux.efi");
    assert!(cat.run().stdout == fs::read(&copied).unwrap());
    let expected = kernel.len() as u64 / 4096 * 4096 + 6_000_001 / 4096 * 4096;
    for file in [place("image.raw"), copied] {
        let shared = shared_bytes(&file);
        assert!(shared >= expected, "{shared} of {expected} in {file:?}");
    }
}

/// The counter is in the name of the entry, and the profile in its text.
#[test]
fn an_entry_boots_a_profile_of_the_image_that_it_names_and_counts_its_tries() {
    let kit = two_systems();
    let named = named_images();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let chosen = ["--default", "1:other", "--tries", "3"];
    let arguments = [&DOCUMENTS[..], &named, &chosen].concat();
    compose_system(&kit, &arguments, "");
    let options = BootOptions {
        write: true,
        ..BootOptions::default()
    };
    let report = boot(&kit.image(), &options);
    let selected = "nixos-generation-1-specialisation-other.conf";
    assert_eq!(report.efi("LoaderEntrySelected"), Some(selected));
    assert!(report.cmdline().ends_with(" other=yes"), "{report:?}");
    assert!(report.efi("StubInfo").is_some(), "{report:?}");
    let entries = kit.compose().args(["ls", "image.raw", "/loader/entries"]);
    let tried = "nixos-generation-1-specialisation-other+2-1.conf";
    assert!(entries.ok().contains(tried));
}

#[test]
fn an_image_takes_the_addon_and_the_credential_that_lie_beside_it() {
    let kit = Kit::with_real_system();
    let stub = lab::systemd_stub().with_file_name("addonx64.efi.stub");
    fs::create_dir(kit.path("extra")).unwrap();
    kit.esp_builder()
        .args(["uki", "--quiet", "--addon", "--cmdline=added=yes"])
        .arg(format!("--stub={}", stub.display()))
        .arg("--output=extra/console.addon.efi")
        .ok();
    kit.write("extra/token.cred", "a secret\n");
    let arguments = of_images();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let chosen = ["--bootspec", "boot.json", "--uki-extra", "extra"];
    let arguments = [&arguments, &chosen[..], &["--tries", "3"]].concat();
    compose_system(&kit, &arguments, "");
    let report = boot(&kit.image(), &BootOptions::default());
    let selected = report.efi("LoaderEntrySelected");
    assert_eq!(selected, Some("nixos-generation-1.efi"));
    let end = "init=/init console=ttyS0 quiet added=yes";
    assert!(report.cmdline().ends_with(end), "{report:?}");
    let credential = report.get("credential.token.cred");
    assert_eq!(credential, Some("a secret"), "{report:?}");
}

/// Neither is the newest, which would start without being chosen.
#[test]
fn the_default_of_a_menu_of_images_boots_whatever_its_profile() {
    let kit = two_systems();
    let mut old = real_document("25.11");
    let params = json!(["console=ttyS0", "quiet", "old=yes"]);
    old["org.nixos.bootspec.v1"]["kernelParams"] = params;
    kit.write("old.json", old.to_string());
    let stub = of_images();
    let stub: Vec<&str> = stub.iter().map(String::as_str).collect();
    for (default, selected, end) in [
        ("1", "nixos-generation-1.efi", " old=yes"),
        ("1:other", "nixos-generation-1.efi@other", " other=yes"),
    ] {
        let arguments = [&DOCUMENTS[..], &stub, &["--default", default]].concat();
        compose_system(&kit, &arguments, "");
        let report = boot(&kit.image(), &BootOptions::default());
        assert_eq!(report.efi("LoaderEntrySelected"), Some(selected));
        assert!(report.cmdline().ends_with(end), "{report:?}");
        let entries = report.efi("LoaderEntries").unwrap();
        assert!(
            entries.contains("nixos-generation-2.efi@other"),
            "{entries}"
        );
    }
}
