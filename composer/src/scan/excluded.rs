//! What is not copied.

use std::path::{Path, PathBuf};

use crate::config::PartitionConfig;

/// Sources and places that are not copied: a place, or with `true` only what is in it.
#[derive(Debug, Default)]
pub struct Excluded {
    sources: Vec<(PathBuf, bool)>,
    targets: Vec<(String, bool)>,
}

impl Excluded {
    /// What a partition excludes.
    pub fn of(config: &PartitionConfig, base: &Path) -> Self {
        let source = |text: &String| (base.join(text.trim_end_matches('/')), text.ends_with('/'));
        let target = |text: &String| (text.trim_matches('/').to_owned(), text.ends_with('/'));
        Self {
            sources: config.exclude_files.iter().map(source).collect(),
            targets: config.exclude_files_target.iter().map(target).collect(),
        }
    }

    /// Whether something is excluded: it, or with `content` what is in it.
    pub fn has(&self, from: &Path, to: &str, content: bool) -> bool {
        let is_source = |(path, only): &(PathBuf, bool)| path == from && *only == content;
        let is_target = |(path, only): &(String, bool)| path == to && *only == content;
        self.sources.iter().any(is_source) || self.targets.iter().any(is_target)
    }
}
