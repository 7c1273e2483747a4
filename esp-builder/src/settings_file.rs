//! The settings file: the flags, in TOML.
//!
//! Keys are the names of the flags; relative paths start at the file's directory.
#![expect(clippy::disallowed_methods, reason = "`load` reads the file")]

use std::fs;
use std::path::Path;
use std::str::FromStr;

use clap::{Args, Command};
use serde::de::{Deserialize, Deserializer, Error as _};
use tree_manifest::spelling;

use crate::cli::Flags;
use crate::failure::Failure;

/// Reads a settings file.
///
/// # Errors
/// When it cannot be read, is not TOML, or has a key or value that is no flag's.
pub(crate) fn load(path: &Path) -> Result<Flags, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::SettingsRead {
        path: path.into(),
        source,
    })?;
    let flags = parse(&text).map_err(|reason| Failure::Settings {
        path: path.into(),
        reason,
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    Ok(flags.relative_to(directory))
}

fn parse(text: &str) -> Result<Flags, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let known = Flags::augment_args(Command::new(""));
    let known: Vec<_> = known
        .get_arguments()
        .filter_map(|flag| flag.get_long())
        .collect();
    for key in table.keys() {
        if !known.contains(&key.as_str()) {
            let nearest = spelling::nearest(key, known);
            let nearest = nearest.map(|name| format!("; did you mean `{name}`?"));
            let key = key.escape_debug();
            return Err(format!(
                "unknown key `{key}`{}",
                nearest.unwrap_or_default()
            ));
        }
    }
    // From the text, not the table: the errors then show the line.
    toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
}

/// A value that is written as on the command line; numbers need no quotes.
pub(crate) fn value<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    let scalar = toml::Value::deserialize(deserializer)?;
    let text = match scalar {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        other => {
            let found = other.type_str();
            return Err(D::Error::custom(format!("expected text, found {found}")));
        }
    };
    text.parse().map(Some).map_err(D::Error::custom)
}

/// A list of values that are written as on the command line.
pub(crate) fn values<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let values = texts.iter().map(|text| text.parse());
    values.collect::<Result<_, _>>().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn keys_and_values_are_those_of_the_flags() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("esp.toml");
        let text = r#"
            bootspec = ["7=boot.json", "/abs/boot.json"]
            systemd-boot = ["systemd-bootx64.efi"]
            timeout = 3
            console-mode = "max"
            default = 7
            xbootldr = true
        "#;
        fs::write(&path, text).unwrap();
        let file = load(&path).unwrap();
        let cli = Cli::parse_from(["esp-builder", "--timeout", "menu-hidden", "out"]);
        let settings = cli.choices.flags.or(file).resolve().unwrap();
        let text = format!("{settings:#?}").replace(directory.path().to_str().unwrap(), "DIR");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn input_on_the_command_line_replaces_that_of_the_file() {
        let file = parse("kernel = 'k'\ncmdline = 'quiet'\ntimeout = 1").unwrap();
        let cli = Cli::parse_from(["esp-builder", "--bootspec", "b", "out"]);
        assert!(cli.choices.flags.or(file).resolve().is_ok());
    }

    #[test]
    fn generations_are_chosen_as_on_the_command_line() {
        let text = r#"
            generations = "list.json"
            profile = ["system", "/abs/work"]
            limit = 10
            toplevel = "result"
        "#;
        let file = parse(text).unwrap().relative_to(Path::new("/dir"));
        let cli = Cli::parse_from(["esp-builder", "out"]);
        let settings = cli.choices.flags.or(file.clone()).resolve().unwrap();
        let text = format!("{:?}\n{:?}", settings.input, settings.default);
        insta::assert_snapshot!(text);
        // One way to choose the default replaces another, as one input another.
        let cli = Cli::parse_from([
            "esp-builder",
            "--default",
            "work/3",
            "--profile",
            "p",
            "out",
        ]);
        let settings = cli.choices.flags.or(file).resolve().unwrap();
        let text = format!("{:?}\n{:?}", settings.input, settings.default);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn extras_are_files_beside_the_settings() {
        let text = r#"
            bootspec = ["b"]
            extra-file = ["EFI/a.txt=a.txt", "EFI/b.txt=/abs/b.txt"]
            extra-entry = ["arch.conf=arch.conf"]
            memtest86 = "memtest.efi"
            netbootxyz = "/abs/netboot.xyz.efi"
            edk2-shell = "shell.efi"
            windows = ["11=HD0b"]
            efi-driver = ["ext4x64.efi"]
        "#;
        let file = parse(text).unwrap().relative_to(Path::new("/dir"));
        // A list of the command line replaces that of the file.
        let cli = Cli::parse_from(["esp-builder", "--efi-driver", "d", "out"]);
        let settings = cli.choices.flags.or(file).resolve().unwrap();
        insta::assert_debug_snapshot!(settings.extras);
    }

    #[test]
    fn refusals_name_the_key() {
        for (text, why) in [
            (
                "timout = 5",
                "unknown key `timout`; did you mean `timeout`?",
            ),
            ("by_reference = true", "did you mean `by-reference`?"),
            ("out = 'x'", "unknown key `out`"),
            ("timeout = 'never'", "`never` is not seconds"),
            ("timeout = true", "expected text, found boolean"),
            (
                "bootloader = 'lilo'",
                "expected one of `systemd-boot`, `grub`",
            ),
            ("xbootldr = 1", "expected a boolean"),
            ("limit = -1", "expected usize"),
            ("profile = 'p'", "expected a sequence"),
            ("title = \"a\\nb\"", "control character"),
            ("timeout = 1\ntimeout = 2", "duplicate key"),
            ("= 1", "TOML parse error at line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
