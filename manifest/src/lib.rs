//! The directory-tree manifest: the one contract between the program that lays
//! out trees and the program that writes them into an image.
//!
//! A manifest lists, for each tree (the ESP, an XBOOTLDR partition, …), every
//! file with its size, its SHA-256, where its bytes come from, and which
//! generations need it. It is JSON, sorted by path, and lies *beside* the trees
//! it describes, so it never reaches a boot partition by accident.
//!
//! The format is versioned from its first day. A reader refuses versions and
//! keys it does not know: a boot tree is no place to guess. The published schema
//! is `schema/manifest-v1.schema.json`; [`schema`] generates it.
//!
//! ```
//! use tree_manifest::{Entry, File, Manifest, Role, Source, TreePath};
//!
//! let mut manifest = Manifest::default();
//! let text = "timeout 5\n";
//! let path = TreePath::new("loader/loader.conf").expect("a valid path");
//! manifest.tree_mut(Role::esp()).insert(path, Entry::File(File::from_text(text)));
//!
//! let json = manifest.to_json();
//! assert_eq!(Manifest::parse(&json).expect("our own output"), manifest);
//! ```
//!
//! [`check`] reads files; everything else here does no I/O.

pub mod check;
mod digest;
mod error;
pub mod fat;
mod json;
mod model;
mod path;
mod pieces;
mod provenance;
mod size;
pub mod spelling;

pub use digest::{Hasher, Sha256};
pub use error::{Error, PathError};
pub use json::{FORMAT, VERSION, schema};
pub use model::{Entry, File, Manifest, Mode, Piece, Role, Source, Tree};
pub use path::{TreePath, holds_control};
pub use provenance::{GenerationId, Kind, Provenance, SignatureState};
pub use size::{ByteSize, NotASize};
