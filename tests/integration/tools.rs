use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::{Kit, file_system_programs, noise};

/// The programs that make what [`describe`] has, and the compressor.
const TOOLS: [&str; 5] = ["mkfs.btrfs", "mkfs.erofs", "mkfs.xfs", "mksquashfs", "zstd"];

fn kit() -> Kit {
    let kit = Kit::empty();
    kit.write("tree/bin/program", noise(1, 300_001));
    kit.write("tree/etc/file", "1");
    file_system_programs(&kit);
    let partitions = ["ext4", "btrfs", "erofs", "xfs", "squashfs"].map(|format| {
        let keys = match format {
            "erofs" => "compression = \"lz4\"\n",
            _ => "",
        };
        format!("[[partition]]\ntype = \"root\"\nformat = \"{format}\"\ntree = \"tree\"\n{keys}")
    });
    kit.describe("compress = \"zstd:1\"", &partitions.concat());
    kit
}

/// Puts a program that needs `PATH` to where none can be found; returns its path.
fn hide(kit: &Kit, name: &str) -> String {
    let text = format!(
        "#!/bin/sh\nPATH='{}:/usr/sbin:/usr/bin:/sbin:/bin' exec {name} \"$@\"\n",
        kit.path("sid").display()
    );
    let hidden = format!("hidden/our {name}=");
    kit.write(&hidden, text);
    fs::set_permissions(kit.path(&hidden), fs::Permissions::from_mode(0o755)).unwrap();
    hidden
}

#[test]
fn programs_are_run_where_they_are_said_to_be() {
    let kit = kit();
    kit.compose_with_programs().args(["-q", "image.toml"]).ok();
    let expected = fs::read(kit.image()).unwrap();
    fs::remove_file(kit.image()).unwrap();
    let mut compose = kit.compose().env("PATH", "").args(["-q", "image.toml"]);
    for tool in TOOLS {
        // Relative to the folder of whoever says it, wherever the program runs.
        compose = compose.args(["--tool", &format!("{tool}={}", hide(&kit, tool))]);
    }
    compose.ok();
    assert!(fs::read(kit.image()).unwrap() == expected);
}

#[test]
fn an_update_and_systemd_repart_have_their_programs_named_too() {
    let kit = kit();
    let options = ["--size", "4G", "-o", "disk.raw"];
    let partition = "[[partition]]\ntype = \"root\"\nformat = \"squashfs\"\ntree = \"tree\"\n";
    kit.describe("size = \"64M\"", partition);
    let tool = format!("mksquashfs={}", hide(&kit, "mksquashfs"));
    let compose = || kit.compose().env("PATH", "").args(["-q", "--tool", &tool]);
    compose().arg("image.toml").ok();
    kit.write("tree/etc/file", "2");
    let update = kit.compose().env("PATH", "").args(["update", "image.raw"]);
    let said = update.args(["image.toml", "--tool", &tool]).ok();
    assert!(said.contains("wrote partition 1"), "{said}");
    let said = compose().args(["image.toml", "--engine", "repart"]);
    let said = said.args(options).fails(1);
    assert!(
        said.contains("`systemd-repart` is not there") && said.contains("--tool systemd-repart="),
        "{said}"
    );
    let script = "#!/bin/sh\necho systemd 200\n";
    kit.write("repart", script);
    fs::set_permissions(kit.path("repart"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = compose().args(["image.toml", "--engine", "repart"]);
    let said = said.args(["--tool", "systemd-repart=repart"]).fails(1);
    assert!(said.contains("is of version 200"), "{said}");
}

#[test]
fn what_is_no_program_of_ours_is_refused_with_those_that_are() {
    let kit = kit();
    let said = kit
        .compose()
        .args(["image.toml", "--tool", "mkfs.ext4=/sbin/mkfs.ext4"])
        .fails(2);
    for tool in TOOLS {
        assert!(said.contains(tool), "{said}");
    }
}
