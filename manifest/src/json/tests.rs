use super::*;
use crate::model::Piece;
use crate::provenance::{GenerationId, Kind, SignatureState};

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn sample() -> Manifest {
    let mut manifest = Manifest::default();
    manifest.architectures.insert("x64".to_owned());
    let esp = manifest.tree_mut(Role::esp());
    let kernel = File {
        size: 0,
        sha256: Some(Sha256::of(b"")),
        source: Source::Absolute("/nix/store/abc-linux/bzImage".to_owned()),
        mode: None,
        provenance: Some(Provenance {
            kind: Kind::Kernel,
            generations: vec![
                GenerationId {
                    profile: None,
                    number: 1,
                    specialisation: None,
                },
                GenerationId {
                    profile: Some("work".to_owned()),
                    number: 3,
                    specialisation: Some("gnome".to_owned()),
                },
            ],
            signature: Some(SignatureState::Unsigned),
        }),
    };
    let image = image_of(&kernel);
    let secrets = File {
        source: Source::Nowhere,
        provenance: None,
        ..kernel.clone()
    };
    for (path, entry) in [
        ("EFI/nixos/abc-linux-bzImage.efi", Entry::File(kernel)),
        ("EFI/Linux/linux.efi", Entry::File(image)),
        ("EFI/nixos/abc-secrets.efi", Entry::File(secrets)),
        (
            "loader/loader.conf",
            Entry::File(File::from_text("timeout 5\n")),
        ),
        ("loader/keys", Entry::Directory { mode: None }),
    ] {
        esp.insert(TreePath::new(path).unwrap(), entry);
    }
    let link = Entry::Symlink {
        target: "/run".to_owned(),
    };
    manifest
        .tree_mut("root".parse().unwrap())
        .insert(TreePath::new("var/run").unwrap(), link);
    manifest
}

/// A file of pieces of another, and of bytes.
fn image_of(kernel: &File) -> File {
    File {
        size: 4100,
        source: Source::Pieces(vec![
            Piece::Bytes([b'M', b'Z', 0, 255].into()),
            Piece::Bytes((*b"quiet\n").into()),
            Piece::Zeros(80),
            Piece::Hidden(2),
            Piece::Slice {
                path: "/nix/store/abc-linux/bzImage".to_owned(),
                offset: 8,
                length: 4008,
            },
        ]),
        ..kernel.clone()
    }
}

/// A manifest of one ESP entry, its body given.
fn with_entries(entries: &str) -> String {
    format!(r#"{{"format":"tree-manifest","version":1,"trees":{{"esp":{{{entries}}}}}}}"#)
}

fn file_at(path: &str) -> String {
    format!(r#""{path}":{{"type":"file","size":0,"sha256":"{DIGEST}","source":{{"path":"x"}}}}"#)
}

fn put_together(size: &str, pieces: &str) -> String {
    let source = format!(r#"{{"pieces":[{pieces}]}}"#);
    let file = file_at("a").replace(r#"{"path":"x"}"#, &source);
    file.replace(r#""size":0"#, &format!(r#""size":{size}"#))
}

#[test]
fn json_and_value_agree() {
    let manifest = sample();
    let json = manifest.to_json();
    assert_eq!(Manifest::parse(&json).unwrap(), manifest);
    insta::assert_snapshot!(json);
}

#[test]
fn the_published_schema_is_current() {
    let published = include_str!("../../schema/manifest-v1.schema.json");
    assert!(
        schema() == published,
        "the manifest's types and its published schema differ; if the change is meant, run\n  \
         cargo run -p tree-manifest --example schema > manifest/schema/manifest-v1.schema.json\n\
         and think of the programs that read version 1"
    );
}

#[test]
fn refuses_what_it_does_not_know() {
    for (json, why) in [
        ("", "EOF"),
        ("[]", "not a tree manifest"),
        (r#"{"format":"other","version":1}"#, "`format` is `other`"),
        (
            r#"{"format":"tree-manifest","version":2,"trees":{}}"#,
            "version 2 is not known",
        ),
        (
            r#"{"format":"tree-manifest","version":1,"trees":{},"extra":1}"#,
            "unknown field `extra`",
        ),
        (
            r#"{"format":"tree-manifest","version":1,"trees":{"ESP":{}}}"#,
            "is not a role",
        ),
        (
            r#"{"format":"tree-manifest","version":1,"trees":{"esp":{},"esp":{}}}"#,
            "twice",
        ),
    ] {
        let error = describe(&Manifest::parse(json).unwrap_err());
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn refuses_entries_that_break_a_rule() {
    let twice = [file_at("a"), file_at("a")].join(",");
    let folded = [file_at("EFI/A"), file_at("efi/b")].join(",");
    let under = [file_at("a"), file_at("a/b")].join(",");
    let huge = file_at("a").replace("\"size\":0", "\"size\":4294967296");
    for (entries, why) in [
        (twice.as_str(), "`a` is there twice"),
        (folded.as_str(), "`EFI` and `efi` are one name"),
        (under.as_str(), "lies under `a`"),
        (huge.as_str(), "4294967296 bytes are more"),
        (&file_at("../a"), "leaves the tree"),
        (&file_at("a:b"), "holds none of"),
        (
            &file_at("a").replace("\"x\"", "\"../x\""),
            "leaves the tree",
        ),
        (
            &file_at("a").replace(&DIGEST[..2], "E3"),
            "is not a SHA-256",
        ),
        (
            &file_at("a").replace(r#"{"path":"x"}"#, r#"{"text":"x"}"#),
            "not that of its own text",
        ),
        (
            &file_at("a").replace("\"size\":0", "\"size\":0,\"owner\":0"),
            "unknown field `owner`",
        ),
        (
            &file_at("a").replace("\"size\":0", "\"size\":0,\"mode\":\"0644\""),
            "no permissions",
        ),
        (
            r#""a":{"type":"symlink","target":"b"}"#,
            "no symbolic links",
        ),
        (r#""a":{"type":"directory","mode":"99"}"#, "not octal"),
        (r#""a":{"type":"socket"}"#, "unknown variant `socket`"),
        (
            r#""a":{"type":"directory","size":0}"#,
            "a directory has no `size`",
        ),
        (
            r#""a":{"type":"symlink","target":"b","mode":"0644"}"#,
            "a symlink has no `mode`",
        ),
        (
            &file_at("a").replace("\"size\":0", "\"size\":0,\"target\":\"b\""),
            "a file has no `target`",
        ),
        (
            &file_at("a").replace("\"size\":0,", ""),
            "missing field `size`",
        ),
    ] {
        let error = describe(&Manifest::parse(&with_entries(entries)).unwrap_err());
        assert!(error.contains(why), "{entries}: {error}");
    }
}

#[test]
fn refuses_pieces_that_break_a_rule() {
    for (entries, why) in [
        (put_together("4", r#"{"zeros":3}"#), "pieces have 3 bytes"),
        (put_together("0", r#"{"hex":""}"#), "a piece is empty"),
        (
            put_together(
                "18446744073709551615",
                r#"{"zeros":18446744073709551615},{"zeros":1}"#,
            ),
            "longer than any file",
        ),
        (put_together("1", r#"{"hex":"aF"}"#), "pairs of digits"),
        (put_together("1", r#"{"hex":"abc"}"#), "pairs of digits"),
        (
            put_together("1", r#"{"path":"x","length":1}"#),
            "is absolute",
        ),
        (
            put_together(
                "1",
                r#"{"path":"/x","offset":9223372036854775807,"length":1}"#,
            ),
            "ends beyond any file",
        ),
        (
            put_together("1", r#"{"zeros":1,"hex":"aa"}"#),
            "did not match any variant",
        ),
    ] {
        let error = describe(&Manifest::parse(&with_entries(&entries)).unwrap_err());
        assert!(error.contains(why), "{entries}: {error}");
    }
}

/// An error and its cause, as a program prints them.
fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
