//! Texts as systemd-repart's definitions: refused, or written and read back as the same.
#![no_main]

use std::path::Path;

use composer::config::ImageConfig;
use composer::definitions::{self, DefinitionFile, Specifiers, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| {
    let specifiers = Specifiers {
        name: Some("name".to_owned()),
        version: Some("1".to_owned()),
        architecture: Some("x86-64".to_owned()),
    };
    let read = |name: &str, text: &str| DefinitionFile {
        path: name.into(),
        text: text.to_owned(),
    };
    let files = [read("a.conf", texts.0), read("b.conf", texts.1)];
    let files = if texts.1.is_empty() {
        &files[..1]
    } else {
        &files
    };
    let Ok(partition) = definitions::parse(files, &specifiers) else {
        return;
    };
    let base = Path::new("/base");
    let config = ImageConfig {
        partitions: vec![partition],
        ..ImageConfig::default()
    };
    let Ok(settled) = config.settle(Path::new("image.toml")) else {
        return;
    };
    let Ok(written) = render::render(&settled, base) else {
        return;
    };
    let again = definitions::parse(&[read("a.conf", &written[0].text)], &specifiers);
    let config = ImageConfig {
        partitions: vec![again.unwrap_or_else(|error| panic!("{error}\n{}", written[0].text))],
        ..ImageConfig::default()
    };
    let again = config
        .settle(Path::new("image.toml"))
        .expect("our own text");
    let twice = render::render(&again, base).expect("our own text");
    assert_eq!(written[0].text, twice[0].text);
});
