use super::*;

#[test]
fn the_published_schema_is_current() {
    let published = include_str!("../../schema/generations-v1.schema.json");
    assert!(
        schema() == published,
        "the list's types and its published schema differ; if the change is meant, run\n  \
         cargo run -p esp-builder -- --generate generations-schema \\\n    \
         > esp-builder/schema/generations-v1.schema.json\n\
         and raise VERSION when earlier lists are no longer valid"
    );
}

#[test]
fn text_and_value_agree() {
    let text = r#"{
        "format": "generation-list",
        "version": 1,
        "generations": [
            { "number": 2, "bootspec": "b.json", "date": "2026-11-23" },
            { "profile": "work", "number": 1, "bootspec": "/a.json", "date": null }
        ],
        "default": { "profile": "work", "number": 1, "specialisation": "kde" }
    }"#;
    insta::assert_debug_snapshot!(parse(text.as_bytes()).unwrap());
}

/// Every refusal with its hint, as one text to read.
#[test]
fn hostile_lists_are_refused_with_the_place_and_the_way_out() {
    let head = r#""format": "generation-list", "version": 1"#;
    let of = |generation: &str| format!("{{ {head}, \"generations\": [{generation}] }}");
    let with = |key: &str| of(&format!(r#"{{ "number": 1, "bootspec": "b", {key} }}"#));
    let good = r#"{ "number": 1, "bootspec": "b" }"#;
    let after = |rest: &str| format!("{{ {head}, \"generations\": [{good}], {rest} }}");
    let texts = [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        "[".repeat(100_000),
        r#"{ "format": "tree-manifest", "version": 1 }"#.to_owned(),
        r#"{ "format": "generation-list", "version": 2, "new": 1 }"#.to_owned(),
        format!("{{ {head} }}"),
        after(r#""version": 1"#),
        after(r#""extra": 1"#),
        after(r#""default": 1"#),
        after(r#""default": { "number": 2 }"#),
        after(r#""default": { "number": 1, "profile": "work" }"#),
        after(r#""default": { "number": 1, "extra": 1 }"#),
        of("1"),
        of(r#"{ "number": 1 }"#),
        of(r#"{ "bootspec": "b" }"#),
        of(r#"{ "number": -1, "bootspec": "b" }"#),
        of(r#"{ "number": "1", "bootspec": "b" }"#),
        of(r#"{ "number": 1, "bootspec": "" }"#),
        with(r#""numbr": 1"#),
        with(r#""number": 1"#),
        with(r#""profile": """#),
        with(r#""profile": "a/b""#),
        with(r#""profile": "a\ninitrd""#),
        with(r#""profile": " a""#),
        with(r#""date": "today""#),
        with(r#""date": "2026-11-23\n""#),
    ];
    let lines = texts.iter().flat_map(|text| {
        let refusal = parse(text.as_bytes()).unwrap_err();
        let hint = refusal.hint.map(|hint| format!("  hint: {hint}"));
        std::iter::once(refusal.reason).chain(hint)
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    assert!(parse(b"\xff\xfe").is_err());
}
