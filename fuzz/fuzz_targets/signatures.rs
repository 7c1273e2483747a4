//! Bytes as signed images, certificates, keys and signed data. Adding a signature to what
//! is accepted leaves its digest as it is and every signature that was there.
#![no_main]

use std::io::Cursor;

use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use secure_boot::authenticode::Image;
use secure_boot::certificate::Certificate;
use secure_boot::cms::SignedData;
use secure_boot::key::PrivateKey;
use secure_boot::sign::ToBeSigned;
use secure_boot::{pem, verify};

fuzz_target!(init: seeds::write(&seeds::signed()), |bytes: &[u8]| {
    documents(bytes);
    let Ok(image) = Image::read(&mut Cursor::new(bytes)) else {
        return;
    };
    let counted = image.counted();
    assert!(counted.iter().all(|range| range.end <= bytes.len() as u64));
    let Ok(measured) = image.measure(&mut Cursor::new(bytes)) else {
        return;
    };
    let _ = verify::signatures(&measured, &[]);
    let Ok(before) = measured.signatures() else {
        return;
    };
    for signature in &before {
        documents(signature);
        let _ = ToBeSigned::of(&measured.sha256).complete(signature, &[]);
    }
    let added = b"signed data".to_vec();
    let Ok(amendment) = measured.attach(std::slice::from_ref(&added)) else {
        return;
    };
    let signed = amendment.apply(bytes);
    assert_eq!(signed.len() as u64, amendment.length());
    let again = Image::read(&mut Cursor::new(&signed)).expect("our own image");
    let again = again.measure(&mut Cursor::new(&signed)).expect("our own");
    assert_eq!(again.sha256, measured.sha256);
    let after = again.signatures().expect("our own table");
    let (last, others) = after.split_last().expect("the one that was added");
    assert_eq!(others, before);
    assert!(last.starts_with(&added));
});

fn documents(bytes: &[u8]) {
    if let Ok(certificates) = Certificate::parse_all(bytes) {
        for certificate in &certificates {
            let _ = certificate.subject();
            let again = Certificate::from_der(certificate.der()).expect("our own");
            assert_eq!(again.der(), certificate.der());
            let _ = certificate.key().is_in(bytes);
            let _ = certificate.is_issued_by(&certificates[0]);
        }
    }
    if let Ok(data) = SignedData::parse(bytes) {
        let _ = data.signer_of(data.content().unwrap_or_default());
    }
    let _ = PrivateKey::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = pem::parse(text);
    }
}
