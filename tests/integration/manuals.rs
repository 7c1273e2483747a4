use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use integration_tests::{Peer, binary, lab};

const PROGRAMS: [&str; 2] = ["esp-builder", "compose"];

/// The manual pages of both programs, in one folder.
fn manuals() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in PROGRAMS {
        let ours = Peer::ours(&binary::built(program), folder.path());
        ours.args(["--manual", "man1"]).ok();
    }
    folder
}

fn pages(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder.join("man1")).unwrap();
    let pages = files.map(|file| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let text = Peer::host("mandoc").args(["-Tutf8", "-O", "width=80"]);
        // Bold and underlined letters are struck over.
        let text = text.arg(file.path()).ok();
        let plain = Peer::host("col").args(["-b", "-x"]).input(text).ok();
        (name, plain)
    });
    pages.collect()
}

#[test]
fn manual_pages_please_mandoc() {
    let folder = manuals();
    for page in fs::read_dir(folder.path().join("man1")).unwrap() {
        let lint = Peer::host("mandoc").args(["-Tlint", "-W", "warning"]);
        let said = lint.arg(page.unwrap().path()).run().stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut wrong = said.lines().filter(|line| !line.contains("missing date"));
        assert_eq!(wrong.next(), None);
    }
}

#[test]
fn manual_pages_say_all_and_refer_to_pages_that_exist() {
    let folder = manuals();
    let pages = pages(folder.path());
    let names: BTreeSet<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for sub in ["install", "keys-generate", "uki"] {
        assert!(
            names.contains(format!("esp-builder-{sub}.1").as_str()),
            "{names:?}"
        );
    }
    for (name, text) in &pages {
        let headings: BTreeSet<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
            assert!(headings.contains(heading), "{name}: {headings:?}");
        }
        for heading in ["EXIT STATUS", "FILES", "SEE ALSO"] {
            assert!(headings.contains(heading), "{name}: {headings:?}");
        }
        let words = text.split([' ', '\n', ',']);
        let ours = words.filter_map(|word| word.strip_suffix("(1)"));
        let ours = ours.filter(|word| PROGRAMS.iter().any(|program| word.starts_with(program)));
        let missing: Vec<_> = ours
            .filter(|word| !names.contains(format!("{word}.1").as_str()))
            .collect();
        assert_eq!(missing, <[&str; 0]>::default(), "{name}");
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let folder = tempfile::tempdir().unwrap();
    for (program, word) in [("esp-builder", "uki\n"), ("compose", "update\n")] {
        let ours = || Peer::ours(&binary::built(program), folder.path());
        let script = ours().args(["--generate", "bash"]).ok();
        // The function that the script names is given the first letter of a command.
        let ask = format!(
            "{script}\nCOMP_WORDS=({program} u) COMP_CWORD=1\n\
            $(complete -p {program} | grep -o -e '-F [^ ]*' | cut -c4-) {program} u {program}\n\
            printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let bash = Peer::host("bash").arg("/dev/stdin").input(ask);
        assert_eq!(bash.ok(), word, "{program}");
        for shell in ["zsh", "fish"] {
            let script = ours().args(["--generate", shell]).ok();
            assert!(script.contains("Print nothing but"), "{shell}: {script}");
        }
    }
}

#[test]
fn the_reference_of_flags_is_what_the_programs_read() {
    let folder = tempfile::tempdir().unwrap();
    for program in PROGRAMS {
        let ours = Peer::ours(&binary::built(program), folder.path());
        let text = ours.args(["--generate", "markdown"]).ok();
        let path = format!("docs/reference/{program}.md");
        let written = fs::read_to_string(lab::root().join(&path)).unwrap();
        assert!(
            text == written,
            "`{path}` is old: {program} --generate markdown > {path}"
        );
    }
}

#[test]
fn a_misspelt_command_is_told_what_it_was_meant_to_be() {
    let folder = tempfile::tempdir().unwrap();
    for (program, arguments, meant) in [
        ("esp-builder", &["instal"][..], "install"),
        ("esp-builder", &["stauts", "--esp", "/boot"], "status"),
        ("compose", &["inspct", "disk.raw"], "inspect"),
    ] {
        let ours = Peer::ours(&binary::built(program), folder.path());
        let said = ours.args(arguments).fails(2);
        assert!(said.contains(&format!("did you mean `{meant}`?")), "{said}");
    }
}
