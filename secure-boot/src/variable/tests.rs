use super::*;
use crate::asn1::oid;
use crate::cms::SignedData;
use crate::testkit::{ALICE, MALLORY};

const OWNER_GUID: Uuid = uuid::uuid!("01234567-89ab-cdef-0123-456789abcdef");

#[test]
fn a_list_states_its_sizes_and_owner_before_each_certificate() {
    let both = [ALICE.certificate.clone(), MALLORY.certificate.clone()];
    let lists = signature_lists(OWNER_GUID, &both).unwrap();
    let first = LIST_HEAD + OWNER + both[0].der().len();
    let number = |offset: usize| u32::from_le_bytes(lists[offset..offset + 4].try_into().unwrap());
    assert_eq!(lists[..4], [0xa1, 0x59, 0xc0, 0xa5]);
    assert_eq!(number(16) as usize, first);
    assert_eq!(number(20), 0);
    assert_eq!(number(24) as usize, first - LIST_HEAD);
    assert_eq!(lists[28..32], [0x67, 0x45, 0x23, 0x01]);
    assert_eq!(lists[44..first], *both[0].der());
    assert_eq!(lists[first..first + 4], [0xa1, 0x59, 0xc0, 0xa5]);
}

#[test]
fn an_update_signs_name_vendor_attributes_time_and_content() {
    let lists = signature_lists(OWNER_GUID, std::slice::from_ref(&MALLORY.certificate)).unwrap();
    // 2026-02-28 23:59:58
    let seconds = 1_772_323_198;
    let update = signed_update(
        Variable::Db,
        seconds,
        &lists,
        &ALICE.key,
        &ALICE.certificate,
    )
    .unwrap();
    let time = [0xea, 7, 2, 28, 23, 59, 58, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(update[..16], time);
    let length = u32::from_le_bytes(update[16..20].try_into().unwrap()) as usize;
    assert_eq!(update[20..24], [0, 2, 0xf1, 0x0e]);
    assert_eq!(update[16 + length..], lists);
    let pkcs7 = &update[40..16 + length];
    // Where EDK2 looks for the identifier of SHA-256.
    assert_eq!(pkcs7[13..22], *oid::SHA256.as_bytes());
    let mut message = b"d\0b\0".to_vec();
    message.extend(SECURITY_DATABASE.to_bytes_le());
    message.extend([0x27, 0, 0, 0]);
    message.extend(time);
    message.extend(&lists);
    let signed = SignedData::parse(pkcs7).unwrap();
    assert_eq!(signed.content(), None);
    assert_eq!(signed.signer_of(&message).unwrap(), &ALICE.certificate);
    message[0] = b'D';
    assert!(signed.signer_of(&message).is_err());
}

#[test]
fn an_update_with_the_key_of_another_is_refused() {
    let error = signed_update(Variable::Pk, 0, &[], &MALLORY.key, &ALICE.certificate);
    assert!(matches!(error, Err(Error::Certificate { .. })));
}
