use super::*;
use crate::Amendment;
use crate::testkit::{ALICE, MALLORY, Owner, image, measure};
use crate::verify;

fn sign(bytes: &[u8], owners: &[&Owner]) -> Vec<u8> {
    let measured = measure(bytes).unwrap();
    let to_be_signed = ToBeSigned::of(&measured.sha256);
    let signatures: Vec<_> = owners
        .iter()
        .map(|owner| {
            let chain = std::slice::from_ref(&owner.certificate);
            to_be_signed.sign(&owner.key, chain).unwrap()
        })
        .collect();
    measured.attach(&signatures).unwrap().apply(bytes)
}

#[test]
fn a_signed_image_verifies_and_says_who_signed_it() {
    let signed = measure(&sign(&image(), &[&ALICE])).unwrap();
    assert_eq!(signed.image.length() % 8, 0);
    let trusted = [MALLORY.certificate.clone(), ALICE.certificate.clone()];
    let found = verify::signatures(&signed, &trusted).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].signer.subject(), "Alice");
    assert_eq!(found[0].trusted.as_ref(), Some(&ALICE.certificate));
    assert!(verify::is_signed_by(&signed, &ALICE.certificate));
    assert!(!verify::is_signed_by(&signed, &MALLORY.certificate));
}

#[test]
fn signing_twice_adds_a_signature_and_leaves_the_digest() {
    let once = sign(&image(), &[&ALICE]);
    let twice = sign(&once, &[&MALLORY]);
    assert_eq!(twice, sign(&image(), &[&ALICE, &MALLORY]));
    assert!(twice.starts_with(&once[..0x40]));
    let measured = measure(&twice).unwrap();
    assert_eq!(measured.sha256, measure(&image()).unwrap().sha256);
    let trusted = [ALICE.certificate.clone()];
    let found = verify::signatures(&measured, &trusted).unwrap();
    let leads: Vec<_> = found.iter().map(|it| it.trusted.is_some()).collect();
    assert_eq!(leads, [true, false]);
}

#[test]
fn what_is_appended_is_a_signature_by_its_signer_alone() {
    let bytes = image();
    let measured = measure(&bytes).unwrap();
    let [alice, mallory] = [&ALICE, &MALLORY].map(|owner| owner.certificate.clone());
    let to_be_signed = ToBeSigned::of(&measured.sha256);
    let both = [alice.clone(), mallory.clone()];
    for chain in [&both[..1], &both] {
        let signature = to_be_signed.sign(&ALICE.key, chain).unwrap();
        let amendment = measured.attach(&[signature]).unwrap();
        let [found] = amendment.signatures().unwrap()[..] else {
            panic!("one signature was attached");
        };
        let other = measure(&bytes[..bytes.len() - 1]).unwrap();
        assert!(verify::holds(found, &measured) && !verify::holds(found, &other));
        for certificates in [&both[..1], &both, &[mallory.clone(), alice.clone()], &[]] {
            let is_by = verify::is_by(found, certificates);
            assert_eq!(is_by, certificates == chain, "{certificates:?}");
        }
    }
    let cut = Amendment {
        append: vec![1; 12],
        ..measured.attach(&[]).unwrap()
    };
    assert!(cut.signatures().is_err());
}

#[test]
fn the_checksum_is_that_of_the_signed_file() {
    let signed = sign(&image(), &[&ALICE]);
    let field = 0x40 + 24 + 64;
    let stated = u32::from_le_bytes(signed[field..field + 4].try_into().unwrap());
    let mut zeroed = signed.clone();
    zeroed[field..field + 4].fill(0);
    let mut sum = 0_u32;
    for word in zeroed.chunks(2) {
        sum += u32::from(u16::from_le_bytes([word[0], word[1]]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    assert_eq!(stated, sum + u32::try_from(signed.len()).unwrap());
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let signed = sign(&image(), &[&ALICE]);
    let trusted = [ALICE.certificate.clone()];
    let table = usize::try_from(measure(&signed).unwrap().image.content_end()).unwrap();
    // Every byte that firmware starts, and some of the signature.
    for offset in (0..table)
        .step_by(37)
        .chain([table - 1, table + 200, signed.len() - 20])
    {
        if (0x98..0x9c).contains(&offset) {
            continue;
        }
        let mut changed = signed.clone();
        changed[offset] ^= 1;
        let found = measure(&changed).and_then(|it| verify::signatures(&it, &trusted));
        let believed = found.is_ok_and(|found| found.iter().any(|it| it.trusted.is_some()));
        assert!(!believed, "at {offset:#x}");
    }
}

#[test]
fn a_signature_made_elsewhere_is_joined_and_one_of_another_key_is_not() {
    let measured = measure(&image()).unwrap();
    let to_be_signed = ToBeSigned::of(&measured.sha256);
    let raw = ALICE.key.sign(to_be_signed.attributes()).unwrap();
    let chain = std::slice::from_ref(&ALICE.certificate);
    assert_eq!(
        to_be_signed.join(&raw, chain).unwrap(),
        to_be_signed.sign(&ALICE.key, chain).unwrap()
    );
    let wrong = to_be_signed.join(&raw, std::slice::from_ref(&MALLORY.certificate));
    let none = to_be_signed.join(&raw, &[]);
    let said = [wrong, none].map(|result| result.unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_detached_signature_gets_its_content_and_one_of_another_image_is_refused() {
    let measured = measure(&image()).unwrap();
    let to_be_signed = ToBeSigned::of(&measured.sha256);
    let chain = std::slice::from_ref(&ALICE.certificate);
    let whole = to_be_signed.sign(&ALICE.key, chain).unwrap();
    let raw = ALICE.key.sign(to_be_signed.attributes()).unwrap();
    let signer = cms::signer_info(&ALICE.certificate, to_be_signed.attributes(), &raw);
    let info = asn1::sequence(&[&asn1::object(oid::SPC_INDIRECT_DATA)]);
    let detached = cms::render(oid::SHA256, &info, &[], &signer);
    assert_eq!(to_be_signed.complete(&detached, chain).unwrap(), whole);
    assert_eq!(to_be_signed.complete(&whole, &[]).unwrap(), whole);
    let other = ToBeSigned::of(&[7; 32]);
    let said = [
        other.complete(&whole, chain),
        other.complete(&detached, chain),
        to_be_signed.complete(&detached, &[]),
        to_be_signed.complete(&whole[..500], &[]),
        to_be_signed.complete(b"hello", &[]),
    ];
    let said = said.map(|result| result.unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"));
}
