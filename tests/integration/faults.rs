use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;

use integration_tests::{Machine, Mounted, Peer, TinyPe, binary};

use crate::kit::{Kit, esp, noise};
use crate::live::{add_generations, live, toplevel, with_profile};

/// The calls that change a file system.
pub const CHANGES: &str = "pwrite64,write,copy_file_range,ftruncate,?rename,renameat,renameat2,\
    ?mkdir,mkdirat,?unlink,unlinkat,?rmdir,fallocate,syncfs,fsync";

/// A program of ours in which something happens at the `number`th of the calls of each
/// thread.
pub fn struck(kit: &Kit, program: &str, calls: &str, fault: &str, number: u32) -> Peer {
    Peer::host("strace")
        .dir(kit.root())
        .env("HOME", kit.root())
        .args(["-f", "-qqq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:{fault}:when={number}")])
        .arg(binary::built(program))
}

/// Runs until a fault comes too late to strike; returns how many struck. `run` says how
/// the program ended with the fault at a call.
pub fn strike_everywhere(step: u32, mut run: impl FnMut(u32) -> Output) -> u32 {
    let late = (0..400).find(|count| run(1 + count * step).status.success());
    late.unwrap()
}

/// An image of a tree, a partition that is copied, and the image as it should be.
fn images() -> (Kit, Vec<u8>) {
    let kit = Kit::empty();
    kit.write("tree/EFI/BOOT/BOOTX64.EFI", noise(1, 100_000));
    kit.write("tree/loader/loader.conf", "timeout 1\n");
    kit.write("blocks", noise(2, 200_000));
    let more = "[[partition]]\ntype = \"linux-generic\"\ncopy-blocks = \"blocks\"\n";
    kit.describe("", &(esp("") + more));
    kit.compose().args(["-q", "image.toml"]).ok();
    let image = fs::read(kit.image()).unwrap();
    fs::remove_file(kit.image()).unwrap();
    (kit, image)
}

#[test]
fn an_image_is_whole_or_not_there_whatever_write_fails() {
    let (kit, expected) = images();
    let before = kit.names();
    for fault in ["error=ENOSPC", "error=EIO"] {
        let count = strike_everywhere(1, |number| {
            let compose = struck(&kit, "compose", CHANGES, fault, number);
            let output = compose.args(["-q", "--sync", "image.toml"]).run();
            if !output.status.success() {
                // The write that fails may be one that removes what is left.
                let left = kit.names();
                assert!(left.len() <= before.len() + 1, "{number}: {left:?}");
                assert!(!kit.image().exists(), "{fault} {number}");
            }
            output
        });
        assert!(count > 5, "{count}");
        assert!(fs::read(kit.image()).unwrap() == expected, "{fault}");
        fs::remove_file(kit.image()).unwrap();
        kit.compose().args(["-q", "image.toml"]).ok();
        fs::remove_file(kit.image()).unwrap();
        assert_eq!(kit.names(), before);
    }
}

#[test]
fn calls_that_signals_interrupt_are_made_again() {
    let (kit, expected) = images();
    for calls in ["pwrite64", "copy_file_range", "ftruncate"] {
        for number in 1..6 {
            let compose = struck(&kit, "compose", calls, "error=EINTR", number);
            compose.args(["-q", "image.toml"]).ok();
            assert!(
                fs::read(kit.image()).unwrap() == expected,
                "{calls} {number}"
            );
            fs::remove_file(kit.image()).unwrap();
        }
    }
}

#[test]
fn what_a_killed_compose_left_goes_with_the_next_run() {
    let (kit, expected) = images();
    kit.write("image.raw", "an older image");
    let before = kit.names();
    for (signal, killed_by) in [("SIGKILL", 9), ("SIGINT", 2), ("SIGTERM", 15)] {
        let fault = format!("signal={signal}");
        strike_everywhere(2, |number| {
            kit.write("image.raw", "an older image");
            let compose = struck(&kit, "compose", CHANGES, &fault, number);
            let output = compose.args(["-q", "image.toml"]).run();
            if output.status.success() {
                return output;
            }
            assert_eq!(output.status.signal(), Some(killed_by), "{output:?}");
            let image = fs::read(kit.image()).unwrap();
            assert!(image == b"an older image" || image == expected, "{number}");
            output
        });
        kit.compose().args(["-q", "image.toml"]).ok();
        assert_eq!(kit.names(), before, "{signal}");
        assert!(fs::read(kit.image()).unwrap() == expected);
    }
}

#[test]
fn what_a_killed_esp_builder_left_goes_with_the_next_run() {
    let kit = Kit::with_made_up_system();
    let build = |peer: Peer| {
        peer.args(["-q", "--root", ".", "--bootspec", "boot.json"])
            .args(["--systemd-boot", "systemd-bootx64.efi", "out"])
    };
    build(kit.esp_builder()).ok();
    let (before, expected) = (kit.names(), tree(&kit.path("out")));
    for fault in ["signal=SIGKILL", "signal=SIGINT", "error=ENOSPC"] {
        let count = strike_everywhere(2, |number| {
            let esp_builder = struck(&kit, "esp-builder", CHANGES, fault, number);
            let output = build(esp_builder).run();
            assert_eq!(tree(&kit.path("out")), expected, "{fault} {number}");
            output
        });
        assert!(count > 3, "{count}");
        build(kit.esp_builder()).ok();
        assert_eq!(kit.names(), before, "{fault}");
    }
}

#[test]
fn what_is_written_for_signing_is_whole_or_not_there() {
    let kit = Kit::with_made_up_system();
    kit.esp_builder()
        .args(["-q", "--root", ".", "--bootspec", "boot.json"])
        .args(["--systemd-boot", "systemd-bootx64.efi", "out"])
        .ok();
    for command in [
        ["keys", "generate", "made"],
        ["digests", "out", "--to=made"],
    ] {
        for number in 1..=3 {
            let esp_builder = struck(&kit, "esp-builder", "write", "error=ENOSPC", number);
            let said = esp_builder.args(command).fails(1);
            assert!(said.contains("cannot write `made/"), "{said}");
            let written = tree(&kit.path("made")).len();
            assert_eq!(written, number as usize - 1, "{command:?}");
            fs::remove_dir_all(kit.path("made")).unwrap();
        }
    }
}

/// Every file below a folder, but for the manifest, whose paths are the same anyway.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let listed = Peer::host("find")
        .dir(folder)
        .args([".", "-type", "f"])
        .ok();
    let read = |name: &str| (name.to_owned(), fs::read(folder.join(name)).unwrap());
    listed.lines().map(read).collect()
}

/// Everything that boots, boots: each entry finds its kernel and initrd, whole.
fn boots(kit: &Kit) {
    let entries = fs::read_dir(kit.path("esp/loader/entries")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    assert!(!names.is_empty());
    for name in names {
        let text = fs::read_to_string(kit.path(&format!("esp/loader/entries/{name}"))).unwrap();
        let files = text.lines().filter_map(|line| {
            line.strip_prefix("linux /")
                .or_else(|| line.strip_prefix("initrd /"))
        });
        for file in files {
            let found = fs::metadata(kit.path(&format!("esp/{file}")));
            let length = found.unwrap_or_else(|_| panic!("{name}: {file}")).len();
            assert!(length >= 40_000, "{name}: {file} has {length} bytes");
        }
    }
    assert!(kit.path("esp/EFI/Microsoft/Boot/bootmgfw.efi").exists());
}

#[test]
fn a_killed_installation_boots_and_the_next_one_heals_it() {
    let kit = with_profile(2);
    live(&kit, "install").arg(toplevel(2)).ok();
    // Two more generations.
    fs::remove_dir_all(kit.path("nix")).unwrap();
    kit.write("nix/store/1111-initrd/initrd", vec![7; 70_000]);
    add_generations(&kit, 4, 50_000);
    fs::rename(kit.path("esp"), kit.path("old")).unwrap();
    let copy = |from: &str, to: &str| {
        Peer::host("cp").dir(kit.root()).args(["-a", from, to]).ok();
    };
    let install = |peer: Peer| {
        peer.args(["install", "-q", "--esp", "esp", "--no-mount-check"])
            .args(["--root", ".", "--systemd-boot", "systemd-bootx64.efi"])
            .args(["--no-variables", "--efivars", "efivars", "--limit", "2"])
            .arg(toplevel(4))
    };
    copy("old", "esp");
    install(kit.esp_builder()).ok();
    let expected = tree(&kit.path("esp"));
    for fault in ["signal=SIGKILL", "error=EIO", "signal=SIGTERM"] {
        let count = strike_everywhere(1, |number| {
            fs::remove_dir_all(kit.path("esp")).unwrap();
            copy("old", "esp");
            let output = install(struck(&kit, "esp-builder", CHANGES, fault, number)).run();
            boots(&kit);
            if !output.status.success() {
                install(kit.esp_builder()).ok();
            }
            live(&kit, "verify").ok();
            assert_eq!(tree(&kit.path("esp")), expected, "{fault} {number}");
            output
        });
        assert!(count > 5, "{count}");
    }
}

#[test]
fn a_full_disk_is_told_with_numbers_and_left_as_it_was() {
    let kit = Kit::with_made_up_system();
    let disk = Mounted::small(2);
    kit.write("tree/big", noise(3, 5 << 20));
    kit.describe("", &esp(""));
    let image = disk.path().join("image.raw");
    let said = kit
        .compose()
        .args(["image.toml", "-o"])
        .arg(&image)
        .fails(1);
    assert!(
        said.contains("takes 5.") && said.contains("has 2 MiB"),
        "{said}"
    );
    assert!(said.contains("hint: free space"), "{said}");
    kit.write("nix/store/1111-initrd/initrd", noise(4, 5 << 20));
    let esp_builder = kit.esp_builder().args(["--root", ".", "--bootspec"]);
    let said = esp_builder
        .args(["boot.json", "--systemd-boot", "systemd-bootx64.efi"])
        .arg(disk.path().join("out"))
        .fails(1);
    assert!(said.contains("the trees take 5."), "{said}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

#[test]
fn two_at_once_make_one_output() {
    let (kit, expected) = images();
    let before = kit.names();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| kit.compose().args(["-q", "image.toml"]).ok());
        }
    });
    assert!(fs::read(kit.image()).unwrap() == expected);
    assert_eq!(kit.names().len(), before.len() + 1);
}

#[test]
fn a_second_installation_is_told_to_wait() {
    let kit = with_profile(1);
    live(&kit, "install").arg(toplevel(1)).ok();
    let held = Peer::host("flock").dir(kit.root()).args(["esp"]);
    let said = held
        .arg(binary::built("esp-builder"))
        .args(["install", "--esp", "esp", "--no-mount-check", "--root", "."])
        .args(["--systemd-boot", "systemd-bootx64.efi", "--no-variables"])
        .args(["--efivars", "efivars", &toplevel(1)])
        .fails(1);
    assert!(said.contains("`esp`") && said.contains("hint: "), "{said}");
    live(&kit, "install").arg(toplevel(1)).ok();
}

/// What lies at a name that a run would take is neither followed nor written to.
#[test]
fn planted_links_are_not_followed() {
    let kit = with_profile(1);
    kit.write("victim", "as it was");
    live(&kit, "install").arg(toplevel(1)).ok();
    let name = "nixos-generation-1.conf";
    fs::remove_file(kit.path(&format!("esp/loader/entries/{name}"))).unwrap();
    let temporary = format!("esp/loader/entries/.{name}.esp-builder-tmp");
    let victim = kit.path("victim").display().to_string();
    kit.link(&victim, &temporary);
    let _ = live(&kit, "install").arg(toplevel(1)).run();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    // An image takes the place of a link, and does not go where it leads.
    kit.write("tree/file", TinyPe::new(Machine::X86_64, 700).bytes());
    kit.describe("", &esp(""));
    kit.link(&victim, "image.raw");
    kit.compose().args(["-q", "image.toml"]).ok();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    assert!(fs::symlink_metadata(kit.image()).unwrap().is_file());
    // A link in the place of a folder that is ours.
    fs::remove_dir_all(kit.path("esp/loader/entries")).unwrap();
    fs::create_dir(kit.path("elsewhere")).unwrap();
    kit.link("../../elsewhere", "esp/loader/entries");
    let _ = live(&kit, "install").arg(toplevel(1)).run();
    assert_eq!(fs::read_dir(kit.path("elsewhere")).unwrap().count(), 0);
}
