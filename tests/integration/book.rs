use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use integration_tests::{Peer, lab};

/// A page by its path in the tree.
pub fn page(path: &str) -> String {
    fs::read_to_string(lab::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a language in a page.
pub fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let after = page.split(fence.as_str()).skip(1);
    after.filter_map(|rest| rest.split("```").next()).collect()
}

/// The pages of the book, and those beside it.
fn pages() -> BTreeMap<String, String> {
    let folders = ["", "docs/", "docs/reference/"];
    let files = folders.into_iter().flat_map(|folder| {
        let items = fs::read_dir(lab::root().join(folder)).unwrap();
        items.map(move |item| {
            let name = item.unwrap().file_name().into_string().unwrap();
            format!("{folder}{name}")
        })
    });
    let pages = files.filter(|path| Path::new(path).extension() == Some("md".as_ref()));
    pages.map(|path| (path.clone(), page(&path))).collect()
}

/// The targets of the links in a page, but for those elsewhere.
fn links(text: &str) -> Vec<&str> {
    let mut code = false;
    let lines = text.lines().filter(|line| {
        code ^= line.starts_with("```");
        !code
    });
    let targets = lines.flat_map(|line| line.split("](").skip(1));
    let targets = targets.filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// What a heading is called in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let anchor = |name: String| -> String {
        let kept = name.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            letter => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect()
    };
    names.map(anchor).collect()
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path {
        if part == ".." {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

#[test]
fn every_page_is_in_the_book_and_every_link_leads_somewhere() {
    let pages = pages();
    let contents: BTreeSet<_> = links(&pages["docs/SUMMARY.md"])
        .into_iter()
        .map(|target| format!("docs/{target}"))
        .collect();
    let there: BTreeSet<_> = pages
        .keys()
        .filter(|path| path.starts_with("docs/") && !path.ends_with("SUMMARY.md"))
        .cloned()
        .collect();
    assert_eq!(contents, there);
    for (path, text) in &pages {
        for link in links(text) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(path).parent().unwrap();
            let target = match target {
                "" => PathBuf::from(path),
                target => normal(&folder.join(target)),
            };
            assert!(
                lab::root().join(&target).exists(),
                "{path}: `{link}` leads nowhere"
            );
            let known = pages
                .get(target.to_str().unwrap())
                .map(|text| anchors(text));
            let known = anchor.is_empty() || known.is_none_or(|known| known.contains(anchor));
            assert!(known, "{path}: `{link}` names no heading");
        }
    }
}

#[test]
fn examples_for_nixos_are_parts_of_files_that_are_evaluated() {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let pages = pages();
    let examples = pages.values().flat_map(|text| blocks(text, "nix"));
    let of_files = examples.filter_map(|example| {
        let (file, example) = example.split_once('\n')?;
        Some((file.strip_prefix("# examples/nixos/")?, example))
    });
    let mut tried = BTreeSet::new();
    for (file, example) in of_files {
        let (whole, part) = (page(&format!("examples/nixos/{file}")), lines(example));
        let is_part = lines(&whole).windows(part.len()).any(|some| some == part);
        assert!(is_part, "{file} does not hold\n{example}");
        tried.insert(file);
    }
    let files = fs::read_dir(lab::root().join("examples/nixos")).unwrap();
    assert_eq!(tried.len(), files.count());
}

/// Where the options of our modules are.
const OPTIONS: [&str; 3] = [
    "boot.loader.espBuilder",
    "image.compose",
    "virtualisation.composeImage",
];

#[test]
fn options_of_nixos_that_pages_name_exist() {
    let reference = page("docs/reference/nixos-options.md");
    let known = reference.lines().filter_map(|line| {
        let name = line.strip_prefix("### `")?;
        name.strip_suffix('`')
    });
    let known: BTreeSet<_> = known.collect();
    for (path, text) in pages() {
        let named = OPTIONS
            .into_iter()
            .flat_map(|root| text.match_indices(root));
        for (at, _) in named {
            let rest = &text[at..];
            let end =
                rest.find(|letter: char| !letter.is_alphanumeric() && !"._-".contains(letter));
            let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
            let is_one = known.contains(name)
                || known
                    .iter()
                    .any(|option| option.starts_with(&format!("{name}.")));
            assert!(is_one, "{path}: there is no option `{name}`");
        }
    }
}

#[test]
fn examples_of_image_descriptions_please_their_schema() {
    let validate = "import json, sys, tomllib, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.validate(tomllib.loads(sys.stdin.read()), schema)";
    let schema = lab::root().join("composer/schema/image-v1.schema.json");
    let mut tried = 0;
    for (path, text) in pages() {
        for example in blocks(&text, "toml") {
            let python = Peer::host("python3").args(["-c", validate]).arg(&schema);
            let said = python.input(example).run();
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            assert_eq!(said, "", "{path}:\n{example}");
            tried += 1;
        }
    }
    assert!(tried > 6, "{tried}");
}

#[test]
fn examples_in_json_are_json() {
    for (path, text) in pages() {
        for example in blocks(&text, "json") {
            // A member of an object is shown as it stands there.
            let member = example.starts_with('"').then(|| format!("{{{example}}}"));
            let example = member.as_deref().unwrap_or(example);
            let parsed = serde_json::from_str::<serde_json::Value>(example);
            assert!(parsed.is_ok(), "{path}: {parsed:?}\n{example}");
        }
    }
}

#[test]
fn every_key_of_an_image_description_has_its_place_in_the_reference() {
    let schema = page("composer/schema/image-v1.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let text = page("docs/image-toml.md");
    let mut keys = 0;
    for of in ["ImageSection", "PartitionConfig"] {
        for key in schema["$defs"][of]["properties"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(text.contains(&format!("`{key}`")), "`{key}` of {of}");
            keys += 1;
        }
    }
    assert!(keys > 40, "{keys}");
}

/// Flags of other programs that pages tell of.
const FOREIGN: [&str; 14] = [
    "--detach",
    "--detached",
    "--dump",
    "--dump-db",
    "--image-variant",
    "--list-generations",
    "--load-db",
    "--offline",
    "--pin",
    "--prepare-offline-signing",
    "--release",
    "--secure-boot-auto-enroll",
    "--signed-data",
    "--signed-data-signature",
];

/// The words of a text that are spelt as flags.
fn flags(text: &str) -> BTreeSet<&str> {
    let is_flag = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let words = text.split(|letter| !is_flag(letter));
    let words = words.filter(|word| {
        let name = word.strip_prefix("--");
        name.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
    });
    words.collect()
}

#[test]
fn flags_that_pages_name_are_flags() {
    let pages = pages();
    let ours = ["esp-builder", "compose"].map(|name| &pages[&format!("docs/reference/{name}.md")]);
    let known: BTreeSet<&str> = ours.into_iter().flat_map(|text| flags(text)).collect();
    // These tell of many programs.
    let others = [
        "benchmarks",
        "comparison",
        "migration",
        "packaging",
        "testing",
    ];
    let others = others.map(|name| format!("docs/{name}.md"));
    for (path, text) in &pages {
        if others.contains(path) || !(path.starts_with("docs/") || path == "README.md") {
            continue;
        }
        let unknown: Vec<_> = flags(text)
            .into_iter()
            .filter(|flag| !known.contains(flag) && !FOREIGN.contains(flag))
            .filter(|flag| !flag.starts_with("--tpm2-"))
            .collect();
        assert_eq!(unknown, <[&str; 0]>::default(), "{path}");
    }
}
