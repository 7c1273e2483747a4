//! Places on a partition that are made of names known beforehand.

use tree_manifest::TreePath;

/// The place of such a name.
pub(crate) fn known(path: impl Into<String>) -> TreePath {
    TreePath::new(path).unwrap_or_else(|error| unreachable!("a path of known names: {error}"))
}
