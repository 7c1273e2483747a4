//! ASN.1 in DER: values are read through the `der` crate, which this module alone
//! names, and written as nested byte strings.
//!
//! Specification: ITU-T X.690.

pub(crate) use der::DateTime;
use der::asn1::AnyRef;
pub(crate) use der::asn1::ObjectIdentifier;
use der::{Decode, Reader as _, SliceReader, Tag, Tagged};

use crate::error::Error;

/// The object identifiers of signatures, certificates and keys.
pub(crate) mod oid {
    use der::asn1::ObjectIdentifier as Oid;

    pub(crate) const RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");
    pub(crate) const SHA256_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.11");
    pub(crate) const SHA384_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.12");
    pub(crate) const SHA512_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.13");
    pub(crate) const SHA256: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.1");
    pub(crate) const SHA384: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.2");
    pub(crate) const SHA512: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.3");
    pub(crate) const DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.1");
    pub(crate) const SIGNED_DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.2");
    pub(crate) const CONTENT_TYPE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.3");
    pub(crate) const MESSAGE_DIGEST: Oid = Oid::new_unwrap("1.2.840.113549.1.9.4");
    pub(crate) const SPC_INDIRECT_DATA: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.4");
    pub(crate) const SPC_PE_IMAGE_DATA: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.15");
    pub(crate) const COMMON_NAME: Oid = Oid::new_unwrap("2.5.4.3");
    pub(crate) const SUBJECT_KEY_IDENTIFIER: Oid = Oid::new_unwrap("2.5.29.14");
    pub(crate) const BASIC_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.19");
}

/// Tags as they are written.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
    /// `[0]`, primitive.
    pub(crate) const CONTEXT_0: u8 = 0x80;
    /// `[0]`, constructed.
    pub(crate) const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
    /// `[1]`, constructed.
    pub(crate) const CONTEXT_1_CONSTRUCTED: u8 = 0xa1;
    /// `[2]`, constructed.
    pub(crate) const CONTEXT_2_CONSTRUCTED: u8 = 0xa2;
    /// `[3]`, constructed.
    pub(crate) const CONTEXT_3_CONSTRUCTED: u8 = 0xa3;
}

/// One value: a tag, a length, and the parts one after another.
pub(crate) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    if length < 0x80 {
        bytes.push(length.to_le_bytes()[0]);
    } else {
        let digits = length.to_be_bytes();
        let digits = trim(&digits);
        bytes.push(0x80 | digits.len().to_le_bytes()[0]);
        bytes.extend_from_slice(digits);
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A SEQUENCE of values.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(tag::SEQUENCE, parts)
}

/// A SET OF values, in the one order that DER allows.
pub(crate) fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    value(tag::SET, &parts)
}

/// An OBJECT IDENTIFIER.
pub(crate) fn object(identifier: ObjectIdentifier) -> Vec<u8> {
    value(tag::OID, &[identifier.as_bytes()])
}

/// An `AlgorithmIdentifier` whose parameters are NULL.
pub(crate) fn algorithm(identifier: ObjectIdentifier) -> Vec<u8> {
    sequence(&[&object(identifier), &value(tag::NULL, &[])])
}

/// An INTEGER that is not negative, from its bytes, the most significant first.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits = trim(bytes);
    match digits.first() {
        None => value(tag::INTEGER, &[&[0]]),
        Some(first) if *first >= 0x80 => value(tag::INTEGER, &[&[0], digits]),
        Some(_) => value(tag::INTEGER, &[digits]),
    }
}

/// A BIT STRING of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    value(tag::BIT_STRING, &[&[0], bytes])
}

fn trim(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Reads values one after another.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    reader: SliceReader<'a>,
    what: &'static str,
}

/// One value that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    /// The whole value with its tag.
    pub(crate) raw: &'a [u8],
    /// What it holds.
    pub(crate) content: &'a [u8],
    tag: Tag,
    what: &'static str,
}

impl<'a> Values<'a> {
    /// The values in these bytes; `what` names the structure in messages.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Result<Self, Error> {
        let reader = SliceReader::new(bytes).map_err(|error| damaged(what, error))?;
        Ok(Self { reader, what })
    }

    /// The values of the one SEQUENCE that these bytes are.
    pub(crate) fn of_sequence(bytes: &'a [u8], what: &'static str) -> Result<Self, Error> {
        let mut outer = Self::new(bytes, what)?;
        let inner = outer.sequence()?;
        outer.end()?;
        Ok(inner)
    }

    pub(crate) fn item(&mut self) -> Result<Item<'a>, Error> {
        let read = |reader: &mut SliceReader<'a>| -> der::Result<Item<'a>> {
            let raw = reader.tlv_bytes()?;
            let any = AnyRef::from_der(raw)?;
            Ok(Item {
                raw,
                content: any.value(),
                tag: any.tag(),
                what: self.what,
            })
        };
        read(&mut self.reader).map_err(|error| damaged(self.what, error))
    }

    /// Whether the next value has this tag.
    pub(crate) fn peek(&self, tag: u8) -> bool {
        self.reader.peek_byte() == Some(tag)
    }

    /// The next value, when its tag is this one.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Item<'a>>, Error> {
        if self.peek(tag) {
            return self.item().map(Some);
        }
        Ok(None)
    }

    /// The next value, whose tag must be this one.
    pub(crate) fn required(&mut self, tag: u8, name: &str) -> Result<Item<'a>, Error> {
        self.optional(tag)?.ok_or_else(|| Error::Der {
            what: self.what,
            reason: format!("there is no {name} where one should be"),
        })
    }

    pub(crate) fn sequence(&mut self) -> Result<Self, Error> {
        self.required(tag::SEQUENCE, "sequence")?.values()
    }

    pub(crate) fn set(&mut self) -> Result<Self, Error> {
        self.required(tag::SET, "set")?.values()
    }

    pub(crate) fn object(&mut self) -> Result<ObjectIdentifier, Error> {
        let item = self.required(tag::OID, "object identifier")?;
        ObjectIdentifier::from_bytes(item.content).map_err(|error| Error::Der {
            what: self.what,
            reason: error.to_string(),
        })
    }

    /// The identifier of an `AlgorithmIdentifier`; parameters are not looked at.
    pub(crate) fn algorithm(&mut self) -> Result<ObjectIdentifier, Error> {
        self.sequence()?.object()
    }

    /// The bytes of an INTEGER that is not negative, without leading zeros.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], Error> {
        let item = self.required(tag::INTEGER, "integer")?;
        match item.content {
            [] => Err(self.refuse("an integer is empty")),
            [first, ..] if *first >= 0x80 => Err(self.refuse("an integer is negative")),
            digits => Ok(trim(digits)),
        }
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], Error> {
        Ok(self.required(tag::OCTET_STRING, "octet string")?.content)
    }

    /// The bytes of a BIT STRING that has whole ones.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], Error> {
        match self.required(tag::BIT_STRING, "bit string")?.content {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(self.refuse("a bit string has no whole bytes")),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    /// Refuses values that are left.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        Err(self.refuse("there are bytes after its end"))
    }

    pub(crate) fn refuse(&self, reason: &str) -> Error {
        Error::Der {
            what: self.what,
            reason: reason.to_owned(),
        }
    }
}

impl<'a> Item<'a> {
    /// The values inside.
    pub(crate) fn values(self) -> Result<Values<'a>, Error> {
        Values::new(self.content, self.what)
    }

    /// Whether the value is of a string type whose bytes are text.
    pub(crate) fn text(self) -> Option<&'a str> {
        match self.tag {
            Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
                std::str::from_utf8(self.content).ok()
            }
            _ => None,
        }
    }
}

fn damaged(what: &'static str, error: der::Error) -> Error {
    Error::Der {
        what,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_short_as_they_can_be() {
        for (length, head) in [
            (0, vec![4, 0]),
            (127, vec![4, 127]),
            (128, vec![4, 0x81, 128]),
            (256, vec![4, 0x82, 1, 0]),
            (65536, vec![4, 0x83, 1, 0, 0]),
        ] {
            let bytes = value(tag::OCTET_STRING, &[&vec![7; length]]);
            assert_eq!(bytes[..head.len()], head, "{length}");
            let mut values = Values::new(&bytes, "a test").unwrap();
            assert_eq!(values.octets().unwrap().len(), length);
            values.end().unwrap();
        }
    }

    #[test]
    fn numbers_with_a_high_bit_do_not_become_negative() {
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned(&[]), [2, 1, 0]);
        assert!(
            Values::new(&[2, 1, 0x80], "it")
                .unwrap()
                .unsigned()
                .is_err()
        );
    }

    #[test]
    fn damaged_values_are_refused_with_the_name_of_the_structure() {
        for bytes in [
            &[0x30_u8, 0x05, 1][..],
            &[0x30, 0x80, 0, 0],
            &[0x31, 0],
            &[0x30, 0, 0],
            &[],
        ] {
            let error = Values::of_sequence(bytes, "the thing").unwrap_err();
            assert!(error.to_string().starts_with("the thing is damaged: "));
        }
    }
}
