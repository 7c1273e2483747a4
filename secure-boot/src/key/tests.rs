use super::*;
use crate::certificate::{Certificate, Statement};
use crate::testkit::ALICE;

#[test]
fn a_key_is_the_same_after_writing_and_reading() {
    let pem = ALICE.key.to_pem().unwrap();
    let again = PrivateKey::parse(pem.as_bytes()).unwrap();
    assert_eq!(again.public(), ALICE.key.public());
    assert_eq!(again.sign(b"x").unwrap(), ALICE.key.sign(b"x").unwrap());
    // DER, and the older form inside it.
    let der = crate::pem::parse(&pem).unwrap().remove(0).der;
    assert!(PrivateKey::parse(&der).is_ok());
    let mut values = Values::of_sequence(&der, "the key").unwrap();
    values.unsigned().unwrap();
    values.algorithm().unwrap();
    let old = pem::render("RSA PRIVATE KEY", values.octets().unwrap());
    assert!(PrivateKey::parse(old.as_bytes()).is_ok());
}

#[test]
fn keys_that_cannot_sign_are_refused_with_a_reason() {
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
        DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let elliptic = asn1::sequence(&[
        &asn1::unsigned(&[0]),
        &asn1::algorithm(oid::SHA256),
        &asn1::value(tag::OCTET_STRING, &[]),
    ]);
    let encrypted = asn1::sequence(&[
        &asn1::algorithm(oid::SHA256),
        &asn1::value(tag::OCTET_STRING, &[&[7; 200]]),
    ]);
    let said: Vec<_> = [
        old.as_bytes(),
        pem::render("ENCRYPTED PRIVATE KEY", &encrypted).as_bytes(),
        &encrypted,
        pem::render("PRIVATE KEY", &elliptic).as_bytes(),
        pem::render("PRIVATE KEY", b"junk").as_bytes(),
        ALICE.certificate.to_pem().as_bytes(),
        b"",
    ]
    .into_iter()
    .map(|file| PrivateKey::parse(file).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(said.join("\n"));
    let short = check_length(1024).unwrap_err().to_string();
    insta::assert_snapshot!(short);
}

#[test]
fn a_private_key_does_not_print_itself() {
    let printed = format!("{:?}", ALICE.key);
    assert_eq!(printed, "PrivateKey(PublicKey(2048 bits))");
}

#[test]
fn certificates_are_read_as_they_were_made() {
    let made = &ALICE.certificate;
    let read = Certificate::parse_all(made.to_pem().as_bytes()).unwrap();
    assert_eq!(read, std::slice::from_ref(made));
    assert_eq!(made.subject(), "Alice");
    assert!(made.is_issued_by(made));
    let two = made.to_pem() + &made.to_pem();
    assert_eq!(Certificate::parse_all(two.as_bytes()).unwrap().len(), 2);
    let long = Statement {
        common_name: "x".repeat(65),
        not_before: 0,
        not_after: 0,
    };
    assert!(Certificate::self_signed(&ALICE.key, &long).is_err());
}
