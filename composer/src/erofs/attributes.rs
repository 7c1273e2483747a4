//! Extended attributes, as they follow an inode.
//!
//! Specification: `struct erofs_xattr_ibody_header` and `struct erofs_xattr_entry`. None
//! are shared between inodes: few files have any.

use crate::tree::{Attribute, inodes};

/// The namespaces, and the numbers that stand for them.
const NAMESPACES: [(&str, u8); 5] = [
    ("user.", 1),
    ("system.posix_acl_access", 2),
    ("system.posix_acl_default", 3),
    ("trusted.", 4),
    ("security.", 6),
];

/// The size of what comes before them.
const HEAD: usize = 12;

/// The most bytes that an inode can tell of, which counts four at a time.
const MOST: usize = HEAD + (u16::MAX as usize - 1) * 4;

/// The bytes of attributes, none for none.
///
/// # Errors
/// With the reason when EROFS cannot hold one.
pub fn render(attributes: &[Attribute]) -> Result<Vec<u8>, String> {
    if attributes.is_empty() {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; HEAD];
    for (name, value) in attributes {
        let refuse = |what: &str| format!("EROFS cannot hold its attribute `{name}`: {what}");
        let (namespace, bare) = inodes::namespaced(name, &NAMESPACES).map_err(refuse)?;
        let length = u8::try_from(bare.len()).unwrap_or(u8::MAX);
        let size = u16::try_from(value.len()).map_err(|_| refuse("it has over 65535 bytes"))?;
        bytes.extend([length, namespace]);
        bytes.extend(size.to_le_bytes());
        bytes.extend_from_slice(bare.as_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if bytes.len() > MOST {
            return Err(refuse("all together have over 262144 bytes"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_numbers_for_namespaces_and_fill_up_four_bytes() {
        let attributes = [
            ("security.capability".to_owned(), b"abcd".to_vec()),
            ("user.x".to_owned(), vec![]),
        ];
        let mut expected = vec![0; 12];
        expected.extend(b"\x0a\x06\x04\0capabilityabcd\0\0");
        expected.extend(b"\x01\x01\0\0x\0\0\0");
        assert_eq!(render(&attributes), Ok(expected));
        assert_eq!(render(&[]), Ok(vec![]));
    }

    #[test]
    fn attributes_that_do_not_fit_are_refused() {
        let of = |name: &str, size| (name.to_owned(), vec![7; size]);
        let many: Vec<_> = (0..5).map(|n| of(&format!("user.{n}"), 65_000)).collect();
        for (attributes, expected) in [
            (
                vec![of("other.x", 1)],
                "`other.x`: it knows no such namespace",
            ),
            (
                vec![of("user.x", 65_536)],
                "`user.x`: it has over 65535 bytes",
            ),
            (
                vec![of(&format!("user.{}", "x".repeat(256)), 1)],
                "its name is too long",
            ),
            (many, "`user.4`: all together have over 262144 bytes"),
        ] {
            let error = render(&attributes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(render(&[of("user.x", 65_535)]).is_ok());
    }
}
