//! Files that are put together from pieces of others, such as Unified Kernel Images.

use std::path::PathBuf;

use extents::{ExtentMap, SourceId};

/// A file that is put together: where its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Every piece of it, and where it goes.
    pub map: ExtentMap,
    /// The files whose slices the map names.
    pub sources: Pieces,
}

/// The files whose slices a map names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces(Vec<Piece>);

/// A file of which slices are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes when the plan was made.
    pub size: u64,
}

impl Pieces {
    /// Adds a file. One that is there already is the same.
    pub fn add(&mut self, piece: Piece) -> SourceId {
        let there = self.0.iter().position(|other| *other == piece);
        SourceId::new(there.unwrap_or_else(|| {
            self.0.push(piece);
            self.0.len() - 1
        }))
    }

    /// The file of a name given by [`Pieces::add`].
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Piece {
        &self.0[id.index()]
    }

    /// Every file, in the order of addition.
    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter()
    }
}
