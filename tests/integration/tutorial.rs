use std::fs;

use integration_tests::{Peer, binary, lab};

use crate::kit::Kit;

/// The fenced blocks of a language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let after = page.split(fence.as_str()).skip(1);
    after.filter_map(|rest| rest.split("```").next()).collect()
}

/// What the page leaves to its reader: where things are.
fn inputs() -> String {
    format!(
        "root={}\nkernel={}\nsystemd={}\ninitrd=$PWD/initrd\n\
         cmdline='console=ttyS0 quiet guest.root=vda2 init=/usr/local/sbin/hello'\n",
        lab::sid().display(),
        lab::vmlinuz().display(),
        lab::systemd_boot().parent().unwrap().display(),
    )
}

#[test]
fn every_command_of_the_tutorial_runs_and_its_image_boots() {
    let kit = Kit::empty();
    kit.sid_program("bin/mke2fs", "mke2fs");
    Peer::host(lab::script("guest-initrd"))
        .arg(kit.path("initrd"))
        .args(["--module", "ext4"])
        .ok();
    let page = fs::read_to_string(lab::root().join("docs/tutorial.md")).unwrap();
    let blocks = blocks(&page, "sh");
    let (first, rest) = blocks.split_first().unwrap();
    let assigned = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.split_once('='));
        let mut names: Vec<_> = names.map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names
    };
    // The test says what the page says, and nothing more.
    assert_eq!(assigned(first), assigned(&inputs()));
    let script = format!("set -euxo pipefail\n{}{}", inputs(), rest.concat());
    let programs = binary::built("compose");
    let programs = programs.parent().unwrap().display();
    let path = format!(
        "{}:{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
        kit.path("bin").display()
    );
    let bash = Peer::host("bash").arg("/dev/stdin").input(script);
    let said = bash.dir(kit.root()).env("PATH", path).ok();
    // What is written the second time is what differs.
    let updated = said.rsplit("debian.raw: sound").nth(1).unwrap();
    assert!(updated.ends_with("wrote partition 1\n"), "{said}");
}
