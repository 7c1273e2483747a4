use clap::builder::PossibleValue;
use clap::{Arg, ArgAction};

use super::*;

fn tool() -> Command {
    let level = Arg::new("level")
        .long("level")
        .value_parser(["low", "high"])
        .default_value("low")
        .help("How much to `say` | to hide, as in a.b");
    Command::new("tool")
        .version("1.0")
        .about("Does one thing.")
        .after_help(
            "Examples:\n  tool look x\n    | sort\n\nAll of it\nis done.\n\nExit status:\n  0  done",
        )
        .arg(level)
        .subcommand(
            Command::new("look")
                .about("Looks at a <file>")
                .long_about("Looks at a <file>\n\nNothing\nis written.")
                .arg(Arg::new("file").required(true).help(".dotted first"))
                .arg(
                    Arg::new("quiet")
                        .short('q')
                        .long("quiet")
                        .visible_alias("silent")
                        .action(ArgAction::SetTrue)
                        .help("Say nothing"),
                )
                .arg(
                    Arg::new("where")
                        .long("where")
                        .value_name("PLACE")
                        .value_parser([
                            PossibleValue::new("here").help("At `this` place"),
                            PossibleValue::new("there").help("At another"),
                        ]),
                ),
        )
        .subcommand(Command::new("secret").hide(true))
}

#[test]
fn a_page_has_what_its_command_says() {
    let pages = pages(tool(), &["other(5)"]);
    assert_eq!(pages.keys().collect::<Vec<_>>(), ["tool-look.1", "tool.1"]);
    insta::assert_snapshot!(pages["tool.1"]);
    insta::assert_snapshot!(pages["tool-look.1"]);
    assert_eq!(first_page(tool(), &["other(5)"]), pages["tool.1"]);
}

#[test]
fn a_reference_has_every_command() {
    insta::assert_snapshot!(reference(tool()));
}

#[test]
fn a_slip_in_a_command_is_found() {
    let error = misspelt(tool(), "lok").unwrap().to_string();
    let expected = "error: there is no command `lok`; did you mean `look`?";
    assert!(error.starts_with(expected), "{error}");
    for word in ["look", "file.txt", "", "--look", "-look"] {
        assert!(misspelt(tool(), word).is_none(), "{word}");
    }
}

#[test]
fn completions_know_the_subcommands() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        assert!(completion(tool(), shell).contains("look"), "{shell}");
    }
}
