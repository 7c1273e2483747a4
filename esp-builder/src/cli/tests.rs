use std::num::NonZeroUsize;
use std::path::Path;

use super::*;
use bootloaders::grub;
use clap::CommandFactory;
use esp_builder::settings::{GenerationInput, Input, Settings};

fn resolve(arguments: &str) -> Result<Settings, String> {
    let arguments = std::iter::once("esp-builder").chain(arguments.split_whitespace());
    let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
    cli.choices
        .flags
        .resolve()
        .map_err(|failure| failure.to_string())
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_fits_a_terminal() {
    let help = Cli::command().render_help().to_string();
    assert!(
        help.lines().all(|line| line.chars().count() <= 80),
        "{help}"
    );
    insta::assert_snapshot!(help);
}

#[test]
fn flags_that_do_not_go_together_are_usage_errors() {
    for (arguments, why) in [
        ("out", "nothing to boot"),
        ("--bootspec b", "<OUT>"),
        ("--bootspec b --kernel k out", "exclude each other"),
        ("--bootspec b --cmdline x out", "--cmdline needs --kernel"),
        ("--initrd i out", "nothing to boot"),
        ("--kernel k --default 1 out", "--kernel has none"),
        (
            "--bootspec b --layout type2 out",
            "[possible values: type1, uki, type1-uki]",
        ),
        ("--bootspec b --stub s out", "need --layout uki"),
        (
            "--bootspec b --layout type1 --uki-extra d out",
            "need --layout uki",
        ),
        ("--bootspec b --timeout never out", "`never` is not seconds"),
        ("--bootspec b --machine-id 1 out", "is not a machine ID"),
        (
            "--bootspec b --default gnome out",
            "expected [PROFILE/]NUMBER",
        ),
        ("--profile p --kernel k out", "exclude each other"),
        ("--generations l --title x out", "--title needs --kernel"),
        ("--kernel k --toplevel t out", "--kernel has none"),
        ("--kernel k --limit 1 out", "--kernel has none"),
        ("--bootspec b --limit -1 out", "unexpected argument"),
        ("--bootspec b --limit many out", "invalid digit"),
        (
            "--bootspec b --default 1 --toplevel t out",
            "cannot be used with",
        ),
        ("--toplevel t out", "nothing to boot"),
        ("--bootspec b --date today out", "expected YYYY-MM-DD"),
        ("--kernel k --arch vax out", "is not a known architecture"),
        (
            "--kernel k --date 2026-01-01 out",
            "--date is for the titles",
        ),
        ("--kernel k --distro-name x out", "--kernel is --title"),
        ("--kernel k --entry-name nixos-x out", "as the names of gen"),
        (
            "--bootspec b --entry-name x out",
            "--entry-name needs --kernel",
        ),
        ("--bootspec b --measure --dry-run", "cannot be used with"),
        ("--generate man out", "cannot be used"),
        ("--bootspec b --windows 11=HD0b out", "needs --edk2-shell"),
        ("--bootspec b --windows 11 out", "expected NAME=HANDLE"),
        ("--bootspec b --extra-file x out", "expected NAME=PATH"),
    ] {
        let error = resolve(arguments).unwrap_err();
        assert!(error.contains(why), "{arguments}: {error}");
    }
    assert!(resolve("--bootspec b --dry-run").is_ok());
}

#[test]
fn boot_loaders_take_their_own_flags_alone() {
    for (arguments, why) in [
        (
            "--loader g",
            "GRUB, Limine and rEFInd, not for systemd-boot",
        ),
        (
            "--bootloader grub --set beep=yes",
            "--set is for systemd-boot",
        ),
        ("--bootloader refind --boot-volume ABCD-1234", "for GRUB"),
        ("--bootloader grub --limine-config any", "for Limine"),
        ("--device-tree-dir d", "for extlinux, not for systemd-boot"),
        (
            "--bootloader grub --efi-driver d",
            "and rEFInd, not for GRUB",
        ),
        (
            "--bootloader grub --loader g --grub-mkimage m",
            "exclude each",
        ),
        ("--bootloader grub --tries 3", "GRUB has one menu"),
        ("--bootloader grub --layout uki", "GRUB has one menu"),
        (
            "--bootloader refind --layout type1-uki",
            "rEFInd has one menu",
        ),
        ("--bootloader uki --layout type1-uki", "needs a boot loader"),
        ("--bootloader refind --xbootldr", "on the ESP alone"),
        ("--bootloader grub --boot-volume ABC-1234", "volume ID"),
        ("--bootloader extlinux --shim s", "extlinux brings none"),
        ("--bootloader uki --xbootldr", "firmware starts a Unified"),
        (
            "--bootloader efi-stub --tries 3",
            "firmware starts the kernel's",
        ),
        ("--mok-manager m", "needs --shim"),
        ("--menu-preamble m", "not systemd-boot"),
        ("--bootloader lilo", "invalid value 'lilo'"),
    ] {
        let error = resolve(&format!("--bootspec b {arguments} out")).unwrap_err();
        assert!(error.contains(why), "{arguments}: {error}");
    }
    let arguments = "--bootspec b --bootloader grub --loader g --boot-volume abcd-1234 out";
    let chosen = resolve(arguments).unwrap().boot_loader;
    assert_eq!(
        chosen.partition,
        grub::Partition::Volume("ABCD-1234".to_owned())
    );
}

#[test]
fn what_firmware_starts_alone_has_no_flags_of_a_menu() {
    for (arguments, why) in [
        (
            "--bootloader uki --memtest86 m",
            "--memtest86 needs a boot loa",
        ),
        (
            "--bootloader uki --extra-entry x.conf=x",
            "needs a boot loader",
        ),
        (
            "--bootloader uki --entry-names content",
            "needs a boot loader",
        ),
        (
            "--bootloader efi-stub --layout uki",
            "firmware starts the kern",
        ),
        ("--bootloader efi-stub --uki-extra d", "or --bootloader uki"),
    ] {
        let error = resolve(&format!("--bootspec b {arguments} out")).unwrap_err();
        assert!(error.contains(why), "{arguments}: {error}");
    }
    let settings = resolve("--bootspec b --bootloader uki --uki-extra d out").unwrap();
    assert_eq!(settings.images.companions.as_deref(), Some(Path::new("d")));
}

#[test]
fn flags_of_trees_are_not_for_partitions_in_use() {
    for flags in ["--by-reference", "--by-reference --digests never"] {
        let arguments = format!("esp-builder --bootspec b {flags} out");
        let cli = Cli::try_parse_from(arguments.split_whitespace()).unwrap();
        let refused = cli.choices.flags.for_install(None, false);
        let message = refused.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("--by-reference is for trees"), "{message}");
    }
}

#[test]
fn a_file_chooses_one_thing_too() {
    for (text, why) in [
        ("default = \"1\"\ntoplevel = \"t\"", "default and toplevel"),
        ("secure-boot-key = \"k\"\nsign-command = \"c\"", "exclude"),
    ] {
        let flags: Flags = toml::from_str(&format!("bootspec = [\"b\"]\n{text}")).unwrap();
        let signer = crate::notary::signer(&flags).map(|_| ());
        let refused = signer.and_then(|()| flags.resolve().map(|_| ()));
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn any_setting_of_the_menu_can_be_set() {
    let settings = resolve("--bootspec b --set auto-firmware=no --set timeout=7 --tries 3 out");
    let settings = settings.unwrap();
    assert_eq!(settings.menu.auto_firmware, Some(false));
    assert_eq!(settings.menu.timeout, Some(Timeout::Seconds(7)));
    assert_eq!(settings.tries.map(u16::from), Some(3));
    for arguments in [
        "--set auto-firmwear=no",
        "--set beep=loud",
        "--set default=x",
    ] {
        assert!(
            resolve(&format!("--bootspec b {arguments} out")).is_err(),
            "{arguments}"
        );
    }
}

#[test]
fn flags_become_settings() {
    let settings = resolve("--bootspec 3=a --bootspec b --timeout menu-force --no-editor out");
    let settings = settings.unwrap();
    assert_eq!(settings.menu.timeout, Some(Timeout::MenuForce));
    assert_eq!(settings.menu.editor, Some(false));
    let Input::Generations(input) = settings.input else {
        panic!("not generations");
    };
    assert_eq!(input.bootspecs[0].number, Some(3));
    assert_eq!(input.bootspecs[1].path, Path::new("b"));
    assert_eq!(input.limit, None);
    let settings = resolve("--profile p --profile q --generations l --limit 7 --toplevel t out");
    let settings = settings.unwrap();
    let expected = GenerationInput {
        list: Some("l".into()),
        profiles: vec!["p".into(), "q".into()],
        limit: NonZeroUsize::new(7),
        ..GenerationInput::default()
    };
    assert!(matches!(settings.input, Input::Generations(input) if input == expected));
    assert_eq!(settings.default, Some(DefaultChoice::Toplevel("t".into())));
    let settings = resolve("--bootspec b --limit 0 out").unwrap();
    assert!(matches!(settings.input, Input::Generations(input) if input.limit.is_none()));
    let settings = resolve("--kernel k --cmdline -x out").unwrap();
    assert!(matches!(settings.input, Input::Kernel(kernel) if kernel.cmdline.as_str() == "-x"));
}

#[test]
fn extras_become_settings() {
    let settings = resolve(
        "--bootspec b --extra-file EFI/a=b=c --extra-entry x.conf=x --memtest86 m \
         --netbootxyz n --edk2-shell s --windows 11=HD0b --efi-driver d out",
    );
    insta::assert_debug_snapshot!(settings.unwrap().extras);
}

#[test]
fn flags_of_an_image_are_checked_before_a_file_is_read() {
    for (arguments, why) in [
        ("-o x", "--kernel <FILE>"),
        ("--kernel k", "--output <FILE>"),
        ("--kernel k --addon -o x", "cannot be used with"),
        ("--kernel k --arch x64 -o x", "cannot be used with"),
        ("--addon -o x", "--arch <ARCH>"),
        ("--kernel k --section .x -o x", "expected NAME:TEXT"),
        (
            "--kernel k --section .toolong9:x -o x",
            "longer than 8 bytes",
        ),
        (
            "--kernel k --profile debug -o x",
            "expected ID[:TITLE]=CMDLINE",
        ),
        ("--kernel k --profile a@b=c -o x", "is no name of a profile"),
        (
            "--kernel k --base-profile a:'$x -o x",
            "a title cannot have",
        ),
    ] {
        let arguments = ["esp-builder", "uki"]
            .into_iter()
            .chain(arguments.split(' '));
        let error = Cli::try_parse_from(arguments).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn flags_of_an_image_become_its_input() {
    let profile = "debug:For debugging=a=b c";
    let arguments = ["esp-builder", "uki", "--kernel=k", "--cmdline=-x", "-oo"];
    let more = ["--section=.a:b:c", "--section=.b:@f", "--profile", profile];
    let cli = Cli::try_parse_from(arguments.into_iter().chain(more)).unwrap();
    let Some(Command::Uki(args)) = cli.command else {
        panic!("another command");
    };
    insta::assert_debug_snapshot!(args.input());
}

#[test]
fn help_of_every_command_fits_a_terminal_and_has_examples() {
    fn check(command: &mut clap::Command) {
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            let wide = help.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None);
            assert!(help.contains("Examples:\n"), "{help}");
        }
        command.get_subcommands_mut().for_each(check);
    }
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    check(&mut command);
}
