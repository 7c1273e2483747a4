//! Writes a tree to a program as an archive.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::process::Child;

use tree_manifest::TreePath;

use super::archive;
use crate::error::{self, Error};
use crate::pieces;
use crate::raw::check_unchanged;
use crate::size::round_up;
use crate::source::{Source, Sources};
use crate::tree::{FileContent, FileTree, Node};

/// Bytes that are written to a program at once.
const BUFFER: usize = 256 << 10;

/// Writes a tree to a program as an archive.
pub fn feed(child: &mut Child, tree: &FileTree, sources: &Sources, time: u64) -> Result<(), Fed> {
    let Some(input) = child.stdin.take() else {
        unreachable!("its input is a pipe");
    };
    let mut out = BufWriter::with_capacity(BUFFER, input);
    for (path, node) in tree.iter() {
        member(&mut out, tree, (path, node), sources, time)?;
    }
    out.write_all(&archive::END).map_err(Fed::Closed)?;
    out.flush().map_err(Fed::Closed)
}

/// Why a program did not get all of an archive.
pub enum Fed {
    /// It went away; its own words say why.
    Closed(io::Error),
    /// A source is to blame.
    Source(Error),
}

impl From<Error> for Fed {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

fn member(
    out: &mut dyn Write,
    tree: &FileTree,
    (path, node): (&TreePath, &Node),
    sources: &Sources,
    time: u64,
) -> Result<(), Fed> {
    let kind = match node {
        Node::Directory => archive::Kind::Directory,
        Node::File(content) => archive::Kind::File(content.size()),
        Node::Symlink(target) => archive::Kind::Symlink(target),
    };
    let header = archive::header(path.as_str(), tree.mode(path), kind, time);
    out.write_all(&header).map_err(Fed::Closed)?;
    let Node::File(content) = node else {
        return Ok(());
    };
    match content {
        FileContent::Bytes(bytes) => out.write_all(bytes).map_err(Fed::Closed)?,
        FileContent::Source(id, _) => copy(out, sources.get(*id))?,
        FileContent::Pieces(map) => pieces::read(map, sources, |bytes| {
            out.write_all(bytes).map_err(Fed::Closed)
        })?,
    }
    let filled = round_up(content.size(), archive::BLOCK) - content.size();
    let zeros = usize::try_from(filled).unwrap_or_default();
    out.write_all(&[0; 512][..zeros]).map_err(Fed::Closed)
}

/// Copies a source, which must be before and after what was planned.
fn copy(out: &mut dyn Write, planned: &Source) -> Result<(), Fed> {
    let failed = |error| Fed::Source(error::read(&planned.path)(error));
    let mut file = File::open(&planned.path).map_err(failed)?;
    check_unchanged(&file, planned).map_err(Fed::Source)?;
    let mut buffer = vec![0; BUFFER];
    let mut left = planned.size;
    while left > 0 {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 || count as u64 > left {
            let path = planned.path.clone();
            return Err(Fed::Source(Error::Changed { path }));
        }
        out.write_all(&buffer[..count]).map_err(Fed::Closed)?;
        left -= count as u64;
    }
    check_unchanged(&file, planned).map_err(Fed::Source)
}
