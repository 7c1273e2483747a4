use super::*;
use proptest::prelude::*;

/// Each is older than every one after it: systemd's own list.
const OLDEST_FIRST: [&str; 24] = [
    "~1",
    "",
    "ab",
    "abb",
    "abc",
    "0001",
    "002",
    "12",
    "122",
    "122.9",
    "123~rc1",
    "123",
    "123-a",
    "123-a.1",
    "123-a1",
    "123-a1.1",
    "123-3",
    "123-3.1",
    "123^patch1",
    "123^1",
    "123.a-1",
    "123.1-1",
    "123a-1",
    "124",
];

fn version(text: &str) -> LoaderVersion {
    LoaderVersion::from_info(&format!("systemd-boot {text}")).unwrap()
}

#[test]
fn the_order_is_that_of_systemd() {
    for (index, first) in OLDEST_FIRST.iter().enumerate() {
        for (other, second) in OLDEST_FIRST.iter().enumerate() {
            assert_eq!(
                compare(first, second),
                index.cmp(&other),
                "{first} {second}"
            );
        }
    }
}

#[test]
fn the_examples_of_the_specification_hold() {
    use Ordering::{Equal, Greater, Less};
    for (first, order, second) in [
        ("11", Equal, "11"),
        ("systemd-123", Equal, "systemd-123"),
        ("bar-123", Less, "foo-123"),
        ("123a", Greater, "123"),
        ("123.a", Greater, "123"),
        ("123.a", Less, "123.b"),
        ("123a", Greater, "123.a"),
        ("11α", Equal, "11β"),
        ("B", Less, "a"),
        ("", Less, "0"),
        ("0.", Greater, "0"),
        ("0.0", Greater, "0"),
        ("0", Greater, "~"),
        ("", Greater, "~"),
        ("1_", Equal, "1"),
        ("_1", Equal, "1"),
        ("1_", Less, "1.2"),
        ("1_2_3", Greater, "1.3.3"),
        ("1+", Equal, "1"),
        ("+1", Equal, "1"),
        ("1+", Less, "1.2"),
        ("1+2+3", Greater, "1.3.3"),
        // From systemd's tests.
        ("123.45-67.9", Less, "123.45-67.89"),
        ("123~rc1-99.99", Less, "123^aa2-67.89"),
        ("12_3", Less, "123"),
        ("123..0", Less, "123.0"),
        ("10.0001", Equal, "10.1"),
        ("1.0~rc1~git123", Less, "1.0~rc1"),
        ("1.0^git1~pre", Less, "1.0^git1"),
        ("1.0^20160101^git1", Less, "1.0^20160102"),
        // No number is too long.
        ("99999999999999999999998", Less, "99999999999999999999999"),
    ] {
        assert_eq!(compare(first, second), order, "{first} {second}");
        assert_eq!(compare(second, first), order.reverse(), "{second} {first}");
    }
}

#[test]
fn only_systemd_boot_has_a_version() {
    for (info, expected) in [
        ("systemd-boot 262", Some("262")),
        ("systemd-boot 252.39-1~deb12u2", Some("252.39-1~deb12u2")),
        ("systemd-boot 260~rc1", Some("260~rc1")),
        ("systemd-boot 000.0-1-notnixos", Some("000.0-1-notnixos")),
        ("systemd-stub 262", None),
        ("systemd-boot ", None),
        ("systemd-boot", None),
        ("GRUB 2.12", None),
    ] {
        let version = LoaderVersion::from_info(info).map(|version| version.to_string());
        assert_eq!(version.as_deref(), expected, "{info}");
    }
    let stub = LoaderVersion::from_stub_info("systemd-stub 257.1").unwrap();
    assert!(stub.has(Feature::Profiles) && !stub.has(Feature::Preferred));
    assert!(LoaderVersion::from_stub_info("systemd-boot 257").is_none());
}

#[test]
fn release_candidates_can_what_the_release_can() {
    for (text, preferred, counting) in [
        ("000.0-1-notnixos", false, false),
        ("239", false, false),
        ("240", false, true),
        ("252.39-1~deb12u2", false, true),
        ("259.9", false, true),
        ("260~devel", false, true),
        ("260~rc1", true, true),
        ("260", true, true),
        ("262.1-1", true, true),
        ("1000", true, true),
    ] {
        let version = version(text);
        assert_eq!(version.has(Feature::Preferred), preferred, "{text}");
        assert_eq!(version.has(Feature::BootCounting), counting, "{text}");
    }
}

#[test]
fn a_newer_binary_is_never_replaced() {
    let at_hand = version("262.1-1");
    assert_eq!(update(None, &at_hand), LoaderUpdate::Install);
    for text in ["000.0-1-notnixos", "252.39-1~deb12u2", "262.1~rc1", "262"] {
        let expected = LoaderUpdate::Update {
            from: version(text),
            to: at_hand.clone(),
        };
        assert_eq!(update(Some(&version(text)), &at_hand), expected, "{text}");
    }
    for text in ["262.1-1", "0262.1-1"] {
        assert_eq!(
            update(Some(&version(text)), &at_hand),
            LoaderUpdate::Current
        );
    }
    for text in ["262.1-2", "263~devel", "1000"] {
        let installed = version(text);
        let expected = LoaderUpdate::Newer {
            installed: installed.clone(),
        };
        assert_eq!(update(Some(&installed), &at_hand), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn the_order_has_no_circles(
        first in "[01aB~^._-]{0,5}",
        second in "[01aB~^._-]{0,5}",
        third in "[01aB~^._-]{0,5}",
    ) {
        prop_assert_eq!(compare(&first, &second), compare(&second, &first).reverse());
        let (one, two) = (compare(&first, &second), compare(&second, &third));
        if one == two || two == Ordering::Equal {
            prop_assert_eq!(compare(&first, &third), one);
        }
    }
}
