//! What mkfs.xfs is told, and how large an XFS file system must be to hold a tree.
//!
//! Specification: `man mkfs.xfs`, on prototype files. A prototype names each file with
//! its owner, its permissions and the file that has its bytes, so that no tree is copied.
#![expect(clippy::disallowed_methods, reason = "makes what a prototype names")]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, absolute};

use tree_manifest::TreePath;

use super::program::Program;
use super::{Order, staged};
use crate::error::{self, Error};
use crate::label::cut;
use crate::size::SectorSize;
use crate::source::Sources;
use crate::tools::Tool;
use crate::tree::{FileContent, FileTree, Node};

const BLOCK: u64 = 4096;

/// The least size mkfs.xfs makes.
const LEAST: u64 = 300 << 20;

/// The least journal it makes.
const LEAST_LOG: u64 = 64 << 20;

/// The least size that holds a tree, in bytes; a little more than is needed.
#[must_use]
pub fn least_size(tree: &FileTree) -> u64 {
    let mut bytes = 0;
    for (path, node) in tree.iter() {
        // An inode, and the entry of its directory.
        bytes += 512 + 64 + 2 * path.name().len() as u64;
        bytes += match node {
            Node::File(content) => content.size().next_multiple_of(BLOCK),
            Node::Directory => 2 * BLOCK,
            Node::Symlink(leads) => (leads.len() as u64 / 300) * BLOCK,
        };
    }
    // What is kept for reverse maps, reference counts and free space, by size.
    let size = bytes + bytes / 16 + (32 << 20);
    let log = (size / 2048).max(LEAST_LOG);
    (size + log).max(LEAST)
}

/// The program that makes a file system of a tree, after what it reads was written to
/// `folder`.
///
/// # Errors
/// When a prototype cannot say what a tree has, or cannot be written.
pub fn program<'a>(
    order: Order<'a>,
    tree: &FileTree,
    sources: &Sources,
    folder: &Path,
) -> Result<Program<'a>, Error> {
    fs::create_dir(folder).map_err(error::write(folder))?;
    let text = prototype(tree, sources, folder)?;
    let path = folder.join("prototype");
    fs::write(&path, text).map_err(error::write(&path))?;
    let mut program = Program::new(order.tools, Tool::MkfsXfs);
    let uuid = format!("uuid={}", order.file_system());
    program.add(&["-q", "-K", "-m", &uuid, "-L", cut(order.volume_label(), 12)]);
    if order.sector == SectorSize::S4096 {
        program.add(&["-s", "size=4096"]);
    }
    program.add(&["-p", "slashes_are_spaces=1,file=prototype"]);
    program.run_in(folder);
    Ok(program)
}

/// The text of a prototype. What it cannot name where it is gets a name in `folder`.
fn prototype(tree: &FileTree, sources: &Sources, folder: &Path) -> Result<Vec<u8>, Error> {
    // A boot block and two numbers that nothing is made of, then the root.
    let mut text = format!("/\n0 0\nd--{:o} 0 0\n", FileTree::ROOT_MODE).into_bytes();
    let mut open: Vec<&TreePath> = Vec::new();
    for (number, (path, node)) in tree.iter().enumerate() {
        while open.last().is_some_and(|above| !is_in(path, above)) {
            open.pop();
            text.extend_from_slice(b"$\n");
        }
        text.extend_from_slice(name(path)?.as_bytes());
        match node {
            Node::Directory => {
                text.extend_from_slice(format!(" d{} 0 0\n", mode(tree, path)?).as_bytes());
                open.push(path);
            }
            Node::Symlink(leads) => {
                if leads.is_empty() || !is_word(leads.as_bytes()) {
                    return Err(refuse(path, "mkfs.xfs makes no link to a name with blanks"));
                }
                text.extend_from_slice(format!(" l--777 0 0 {leads}\n").as_bytes());
            }
            Node::File(content) => {
                text.extend_from_slice(format!(" -{} 0 0 ", mode(tree, path)?).as_bytes());
                text.extend(named(content, sources, folder, number)?);
                text.push(b'\n');
            }
        }
    }
    text.extend(b"$\n".repeat(open.len() + 1));
    Ok(text)
}

fn is_in(path: &TreePath, above: &TreePath) -> bool {
    let rest = path.as_str().strip_prefix(above.as_str());
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Where the bytes of a file are, from `folder`.
fn named(
    content: &FileContent,
    sources: &Sources,
    folder: &Path,
    number: usize,
) -> Result<Vec<u8>, Error> {
    let own = number.to_string();
    let place = folder.join(&own);
    match content {
        FileContent::Source(id, _) => {
            let path = &sources.get(*id).path;
            let path = absolute(path).map_err(error::read(path))?;
            let bytes = path.as_os_str().as_bytes();
            if is_word(bytes) {
                return Ok(bytes.to_vec());
            }
            symlink(&path, &place).map_err(error::write(&place))?;
        }
        content => staged::copy_content(content, sources, &place)?,
    }
    Ok(own.into_bytes())
}

/// Whether a prototype can have this as one word.
fn is_word(bytes: &[u8]) -> bool {
    !bytes.starts_with(b":") && !bytes.iter().any(u8::is_ascii_whitespace)
}

/// A name, with slashes for its blanks.
fn name(path: &TreePath) -> Result<String, Error> {
    let name = path.name();
    let written = name.replace(' ', "/");
    if name == "$" || !is_word(written.as_bytes()) {
        return Err(refuse(path, "mkfs.xfs can make no file of this name"));
    }
    Ok(written)
}

/// The permissions as a prototype has them.
fn mode(tree: &FileTree, path: &TreePath) -> Result<String, Error> {
    let mode = tree.mode(path);
    if mode & 0o1000 != 0 {
        return Err(refuse(path, "mkfs.xfs makes nothing with the sticky bit"));
    }
    let set = |bit: u32, letter| if mode & bit != 0 { letter } else { '-' };
    let (user, group) = (set(0o4000, 'u'), set(0o2000, 'g'));
    Ok(format!("{user}{group}{:03o}", mode & 0o777))
}

fn refuse(path: &TreePath, reason: &'static str) -> Error {
    Error::NotAPlace {
        path: path.as_str().to_owned(),
        reason,
    }
}
