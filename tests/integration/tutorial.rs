use integration_tests::{Peer, binary, lab};

use crate::book::{blocks, page};
use crate::kit::Kit;

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
    Peer::host(lab::script("guest-initrd"))
        .arg(kit.path("initrd"))
        .args(["--module", "ext4"])
        .ok();
    let page = page("docs/tutorial.md");
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
    let said = run(&kit, &format!("{}{}", inputs(), rest.concat()));
    // What is written the second time is what differs.
    let updated = said.rsplit("debian.raw: sound").nth(1).unwrap();
    assert!(updated.ends_with("wrote partition 1\n"), "{said}");
}

#[test]
fn every_command_for_those_who_come_from_other_tools_runs() {
    let page = page("docs/migration.md");
    run(&Kit::empty(), &blocks(&page, "sh").concat());
}

/// Runs commands in the folder of a kit, with our programs, and the programs that the kit
/// has in `bin`; returns what they said.
fn run(kit: &Kit, commands: &str) -> String {
    let programs = binary::built("compose");
    let path = format!(
        "{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
        kit.path("bin").display(),
        programs.parent().unwrap().display()
    );
    let bash = Peer::host("bash").args(["-euxo", "pipefail", "/dev/stdin"]);
    bash.input(commands).dir(kit.root()).env("PATH", path).ok()
}
