use super::*;
use proptest::prelude::*;

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn everything() -> LoaderConf {
    LoaderConf {
        timeout: Some(Timeout::Seconds(5)),
        preferred: Some(line("nixos-generation-3.conf")),
        default: Some(line("nixos-*")),
        editor: Some(false),
        reboot_for_bitlocker: Some(true),
        console_mode: Some(ConsoleMode::Keep),
        auto_entries: Some(true),
        auto_firmware: Some(false),
        auto_poweroff: Some(true),
        auto_reboot: Some(true),
        beep: Some(true),
        secure_boot_enroll: Some(SecureBootEnroll::IfSafe),
        secure_boot_enroll_action: Some(EnrollAction::Shutdown),
        secure_boot_enroll_timeout: Some(EnrollTimeout::Hidden),
        reboot_on_error: Some(RebootOnError::Auto),
        log_level: Some(LogLevel::Debug),
    }
}

#[test]
fn only_what_is_set_is_written() {
    assert_eq!(LoaderConf::default().render(), "");
    insta::assert_snapshot!(everything().render(), @r"
    timeout 5
    preferred nixos-generation-3.conf
    default nixos-*
    editor no
    reboot-for-bitlocker yes
    console-mode keep
    auto-entries yes
    auto-firmware no
    auto-poweroff yes
    auto-reboot yes
    beep yes
    secure-boot-enroll if-safe
    secure-boot-enroll-action shutdown
    secure-boot-enroll-timeout-sec hidden
    reboot-on-error auto
    log-level debug
    ");
}

#[test]
fn every_setting_can_be_set() {
    let mut conf = LoaderConf::default();
    for (key, value) in everything().values() {
        conf.set(key, &value.unwrap()).unwrap();
    }
    assert_eq!(conf, everything());
}

#[test]
fn words_and_numbers_read_back() {
    for (key, values) in [
        (
            "timeout",
            "0 5 4294967295 menu-force menu-hidden menu-disabled",
        ),
        ("console-mode", "0 2 2147483647 auto max keep"),
        ("default", "@saved nixos-* auto-windows"),
        ("editor", "yes no"),
        ("secure-boot-enroll", "off manual if-safe force"),
        ("secure-boot-enroll-action", "reboot shutdown"),
        ("secure-boot-enroll-timeout-sec", "0 15 hidden"),
        ("reboot-on-error", "yes no auto"),
        (
            "log-level",
            "emerg alert crit err warning notice info debug",
        ),
    ] {
        for value in values.split(' ') {
            let mut conf = LoaderConf::default();
            conf.set(key, value).unwrap();
            assert_eq!(conf.render(), format!("{key} {value}\n"));
        }
    }
}

#[test]
fn a_refusal_says_what_is_allowed() {
    for (key, value, why) in [
        (
            "timout",
            "5",
            "`timout` is not a setting of loader.conf; did you mean `timeout`?",
        ),
        (
            "secure-boot-enrollment",
            "off",
            "`secure-boot-enrollment` is not a setting of loader.conf; did you mean \
             `secure-boot-enroll`?",
        ),
        ("colour", "red", "`colour` is not a setting of loader.conf"),
        ("Timeout", "5", "did you mean `timeout`?"),
        (
            "timeout",
            "never",
            "`timeout`: `never` is not seconds, `menu-force`, `menu-hidden` or `menu-disabled`",
        ),
        ("timeout", "-1", "`timeout`: `-1` is not seconds"),
        ("timeout", "+3", "`timeout`: `+3` is not seconds"),
        ("timeout", "99999999999", "is not seconds"),
        (
            "timeout",
            "5\ndefault evil",
            "`5\\ndefault evil` is not seconds",
        ),
        ("console-mode", "2147483648", "is not a mode's number"),
        ("default", "", "`default`: `` is empty"),
        ("default", "a\nb", "holds a control character"),
        (
            "preferred",
            "@last",
            "is not a pattern of file names or `@saved`",
        ),
        ("editor", "maybe", "`editor`: `maybe` is not `yes` or `no`"),
        (
            "secure-boot-enroll",
            "auto",
            "`manual`, `if-safe` or `force`",
        ),
        ("reboot-on-error", "never", "is not `yes`, `no` or `auto`"),
        ("log-level", "7", "`info` or `debug`"),
    ] {
        let error = LoaderConf::default().set(key, value).unwrap_err();
        assert!(error.to_string().contains(why), "{key} {value:?}: {error}");
    }
}

#[test]
fn reads_what_systemd_boot_reads() {
    let text = "# comment\n\n timeout\t3\r\neditor 0\nbeep on\ndefault \"a b.conf\"\n\
                random-seed-mode off\ntimeout 7\neditor perhaps\nconsole-mode";
    let reading = LoaderConf::parse(text);
    let expected = LoaderConf {
        timeout: Some(Timeout::Seconds(7)),
        default: Some(line("a b.conf")),
        editor: Some(false),
        beep: Some(true),
        ..LoaderConf::default()
    };
    assert_eq!(reading.conf, expected);
    let passed_over: Vec<_> = reading
        .passed_over
        .iter()
        .map(|line| format!("line {}: {}", line.number, line.error))
        .collect();
    insta::assert_snapshot!(passed_over.join("\n"), @r"
    line 7: `random-seed-mode` is not a setting of loader.conf
    line 9: `editor`: `perhaps` is not `yes` or `no`
    line 10: `console-mode`: `` is not a mode's number, `auto`, `max` or `keep`
    ");
}

#[test]
fn an_old_systemd_boot_knows_fewer_settings() {
    for (info, unknown) in [
        ("systemd-boot 262.1-1", ""),
        ("systemd-boot 260~rc1", ""),
        ("systemd-boot 259.5", "preferred"),
        (
            "systemd-boot 252.39-1~deb12u2",
            "preferred auto-poweroff auto-reboot secure-boot-enroll-action \
             secure-boot-enroll-timeout-sec reboot-on-error log-level",
        ),
    ] {
        let version = LoaderVersion::from_info(info).unwrap();
        assert_eq!(
            everything().unknown_to(&version).join(" "),
            unknown,
            "{info}"
        );
    }
    let old = LoaderVersion::from_info("systemd-boot 239").unwrap();
    assert!(LoaderConf::default().unknown_to(&old).is_empty());
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        seconds in any::<u32>(),
        default in r"[^@\p{Cc}]\P{Cc}{0,30}",
        preferred in "[a-z0-9*?.+ -]{1,30}",
        editor in prop::option::of(any::<bool>()),
    ) {
        let conf = LoaderConf {
            timeout: Some(Timeout::Seconds(seconds)),
            default: values::pattern(default.trim()).ok(),
            preferred: values::pattern(&preferred).ok(),
            editor,
            ..everything()
        };
        let reading = LoaderConf::parse(&conf.render());
        prop_assert_eq!(reading.conf, conf);
        prop_assert_eq!(reading.passed_over, []);
    }

    #[test]
    fn any_text_can_be_read(text in r"(\PC|\n| ){0,80}") {
        let reading = LoaderConf::parse(&text);
        prop_assert!(reading.passed_over.len() <= text.lines().count());
    }
}
