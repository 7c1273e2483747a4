//! Writes a tree to a program as an archive.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::process::{Child, ChildStdin};

use tree_manifest::TreePath;

use super::archive;
use crate::error::{self, Error};
use crate::pieces;
use crate::raw::check_unchanged;
use crate::size::round_up;
use crate::source::{Source, Sources};
use crate::tree::{FileContent, FileTree, Node, links};

/// Bytes that are read and written at once.
const BUFFER: usize = 256 << 10;

/// How much a pipe is asked to hold, so that the two programs wait less for each other.
const PIPE: usize = 1 << 20;

/// Writes a tree to a program as an archive.
pub fn feed(child: &mut Child, tree: &FileTree, sources: &Sources, time: u64) -> Result<(), Fed> {
    let Some(input) = child.stdin.take() else {
        unreachable!("its input is a pipe");
    };
    // It works with any size; there are limits for those who are not root.
    let _ = rustix::pipe::fcntl_setpipe_size(&input, PIPE);
    let mut feed = Feed {
        out: BufWriter::with_capacity(BUFFER, input),
        buffer: vec![0; BUFFER],
        tree,
        sources,
        links: links::of(tree, sources),
        time,
    };
    for (path, node) in tree.iter() {
        feed.member(path, node)?;
    }
    feed.write(&archive::END)?;
    feed.out.flush().map_err(Fed::Closed)
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

struct Feed<'a> {
    out: BufWriter<ChildStdin>,
    buffer: Vec<u8>,
    tree: &'a FileTree,
    sources: &'a Sources,
    links: BTreeMap<&'a TreePath, &'a TreePath>,
    time: u64,
}

impl Feed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fed> {
        self.out.write_all(bytes).map_err(Fed::Closed)
    }

    fn member(&mut self, path: &TreePath, node: &Node) -> Result<(), Fed> {
        let link = self.links.get(path).copied();
        let kind = match (node, link) {
            (Node::File(_), Some(first)) => archive::Kind::Link(first.as_str()),
            (Node::File(content), None) => archive::Kind::File(content.size()),
            (Node::Directory, _) => archive::Kind::Directory,
            (Node::Symlink(target), _) => archive::Kind::Symlink(target),
        };
        let attributes = match kind {
            archive::Kind::Link(_) => &[],
            _ => self.tree.attributes(path),
        };
        let mode = self.tree.mode(path);
        let header = archive::header(path.as_str(), mode, kind, self.time, attributes);
        self.write(&header)?;
        let archive::Kind::File(size) = kind else {
            return Ok(());
        };
        if let Node::File(content) = node {
            self.content(content)?;
        }
        let filled = round_up(size, archive::BLOCK) - size;
        let zeros = usize::try_from(filled).unwrap_or_default();
        self.write(&[0; 512][..zeros])
    }

    fn content(&mut self, content: &FileContent) -> Result<(), Fed> {
        match content {
            FileContent::Bytes(bytes) => self.write(bytes),
            FileContent::Source(id, _) => self.copy(self.sources.get(*id)),
            FileContent::Pieces(map) => pieces::read(map, self.sources, |bytes| {
                self.out.write_all(bytes).map_err(Fed::Closed)
            }),
        }
    }

    /// Copies a source, which must be before and after what was planned.
    fn copy(&mut self, planned: &Source) -> Result<(), Fed> {
        let failed = |error| Fed::Source(error::read(&planned.path)(error));
        let mut file = File::open(&planned.path).map_err(failed)?;
        check_unchanged(&file, planned)?;
        let mut left = planned.size;
        while left > 0 {
            let count = file.read(&mut self.buffer).map_err(failed)?;
            if count == 0 || count as u64 > left {
                let path = planned.path.clone();
                return Err(Fed::Source(Error::Changed { path }));
            }
            let written = self.out.write_all(&self.buffer[..count]);
            written.map_err(Fed::Closed)?;
            left -= count as u64;
        }
        Ok(check_unchanged(&file, planned)?)
    }
}
