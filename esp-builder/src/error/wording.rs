//! The words that messages share.

use std::io;
use std::path::PathBuf;

use tree_manifest::GenerationId;

use crate::generation::describe;

/// A cause in two words where it has them.
pub(super) fn absence(source: &io::Error) -> &'static str {
    if is_absent(source) {
        "is missing"
    } else {
        "cannot be read"
    }
}

/// Whether there is nothing at a path.
pub(crate) fn is_absent(source: &io::Error) -> bool {
    matches!(
        source.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// What a boot loader is by its own word.
pub(super) fn age(info: Option<&str>) -> String {
    info.map_or_else(
        || "does not say which version it is".to_owned(),
        |info| format!("is {info}"),
    )
}

pub(super) fn way_out(instead: Option<&[GenerationId]>) -> String {
    let Some(instead) = instead else {
        return String::new();
    };
    let names: Vec<_> = instead.iter().map(describe).collect();
    if names.is_empty() {
        return "; it would not fit without any other generation either".to_owned();
    }
    format!("; it fits without {}", names.join(", "))
}

pub(super) fn found_nowhere(searched: &[PathBuf]) -> String {
    if searched.is_empty() {
        return "nothing to search was given".to_owned();
    }
    let places = searched.iter().map(|path| format!("`{}`", path.display()));
    format!("searched {}", places.collect::<Vec<_>>().join(", "))
}

pub(super) fn searched_places(searched: &[PathBuf]) -> String {
    if searched.is_empty() {
        return " among the given binaries".to_owned();
    }
    let places = searched.iter().map(|path| format!("`{}`", path.display()));
    format!("; searched {}", places.collect::<Vec<_>>().join(", "))
}
