use super::policy::Policies;
use super::uki::{PhasePath, Variant, after, variants};
use super::*;
use crate::testkit::ALICE;

fn banks() -> Banks {
    HashAlgorithm::ALL.into()
}

#[test]
fn a_register_is_extended_in_every_bank() {
    let mut register = Register::zero(&banks());
    register.measure(b"event");
    for (bank, value) in register.values().iter() {
        let zeros = vec![0; bank.length()];
        let expected = bank.digest(&[zeros, bank.digest(b"event")].concat());
        assert_eq!(value, expected, "{}", bank.name());
    }
    let mut twice = register.clone();
    twice.extend(&Digests::of(&[HashAlgorithm::Sha1].into(), b"more"));
    let differs = |(one, other): ((_, &[u8]), (HashAlgorithm, &[u8]))| one.1 != other.1;
    let changed = register.values().iter().zip(twice.values().iter());
    let changed: Vec<_> = changed.map(differs).collect();
    assert_eq!(changed, [true, false, false, false]);
}

#[test]
fn sections_are_measured_in_the_order_of_the_stub() {
    let show = |names: &[&str]| {
        let line = |variant: Variant| {
            let sections = variant.sections.iter();
            let sections: Vec<_> = sections
                .map(|(name, index)| format!("{name}@{index}"))
                .collect();
            let (profile, devicetree) = (variant.profile, variant.devicetree);
            format!("{profile} {devicetree:?}: {}\n", sections.join(" "))
        };
        variants(names).into_iter().map(line).collect::<String>()
    };
    let shared = [
        ".text", ".osrel", ".cmdline", ".dtbauto", ".dtbauto", ".uname", ".pcrpkey", ".linux",
        ".initrd", ".efifw", ".sbat",
    ];
    let own = [
        ".profile", ".pcrsig", ".profile", ".cmdline", ".pcrsig", ".profile", ".dtbauto",
    ];
    insta::assert_snapshot!(format!(
        "{}--\n{}--\n{}",
        show(&shared),
        show(&[&shared[..], &own].concat()),
        show(&[".linux", ".sbat", ".linux"])
    ));
}

#[test]
fn phases_are_words() {
    let usual: Vec<_> = PhasePath::usual()
        .iter()
        .map(PhasePath::to_string)
        .collect();
    assert_eq!(usual[0], "enter-initrd");
    assert_eq!(usual[3], "enter-initrd:leave-initrd:sysinit:ready");
    for (text, shown) in [(":", ":"), ("::a::b:", "a:b"), ("a", "a")] {
        let path: PhasePath = text.parse().unwrap();
        assert_eq!(path.to_string(), shown);
    }
    for text in ["", "a b", "a\n", "é"] {
        let said = text.parse::<PhasePath>().unwrap_err().to_string();
        assert!(said.contains("is no path of boot phases"), "{said}");
    }
    let start = Register::zero(&banks());
    let mut expected = start.clone();
    expected.measure(b"a");
    expected.measure(b"b");
    assert_eq!(after(&start, &"a:b".parse().unwrap()), expected);
    assert_eq!(after(&start, &":".parse().unwrap()), start);
}

#[test]
fn banks_have_names() {
    assert_eq!("SHA384".parse::<HashAlgorithm>().unwrap().name(), "sha384");
    let said = "md5".parse::<HashAlgorithm>().unwrap_err().to_string();
    assert_eq!(said, "`md5` is none of sha1, sha256, sha384 and sha512");
}

#[test]
fn a_policy_is_signed_once() {
    let register = Register::zero(&[HashAlgorithm::Sha256].into());
    let mut policies = Policies::default();
    for _ in 0..2 {
        policies.sign(&ALICE.key, uki::NUMBER, &register).unwrap();
    }
    let text = policies.to_json();
    assert!(text.starts_with("{\"sha256\": [{\"pcrs\": [11], \"pkfp\": \""));
    assert_eq!(text.matches("\"sig\"").count(), 1, "{text}");
    let zeros = register.values().iter().next().unwrap().1;
    let signed = policy::digest(HashAlgorithm::Sha256, uki::NUMBER, zeros);
    assert!(text.contains(&hex(&signed)), "{text}");
}

#[test]
fn images_are_measured_after_what_the_boot_manager_says() {
    let image = Digests::of(&banks(), b"image");
    let mut expected = Register::zero(&banks());
    expected.measure(b"Calling EFI Application from Boot Option");
    expected.measure(&[0; 4]);
    expected.extend(&image);
    assert_eq!(boot::predict(&banks(), [&image]), expected);
}
