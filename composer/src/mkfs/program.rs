//! The programs that make file systems, and what they are told.
#![expect(clippy::disallowed_methods, reason = "runs mkfs programs")]

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Order;
use super::feed::{self, Fed};
use crate::error::{self, Error};
use crate::source::Sources;
use crate::tree::FileTree;

/// A program with its arguments.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    /// The package that has it.
    package: &'static str,
    arguments: Vec<OsString>,
    /// Where it runs, if not here.
    folder: Option<PathBuf>,
}

impl Program {
    /// A program without arguments.
    pub fn new(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            package,
            arguments: Vec::new(),
            folder: None,
        }
    }

    /// Adds words.
    pub fn add(&mut self, words: &[&str]) {
        self.arguments.extend(words.iter().map(OsString::from));
    }

    /// Adds a path.
    pub fn add_path(&mut self, path: &Path) {
        self.arguments.push(path.into());
    }

    /// Has it run in a folder.
    pub fn run_in(&mut self, folder: &Path) {
        self.folder = Some(folder.to_owned());
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it is not there or fails.
    pub fn run(self, order: Order<'_>) -> Result<(), Error> {
        let child = self.start(order, Stdio::null())?;
        finish(child, self.name, Ok(()))
    }

    /// Runs it with a tree as an archive on its standard input.
    ///
    /// # Errors
    /// When it is not there or fails, or a source cannot be read or changed.
    pub fn run_with(
        self,
        order: Order<'_>,
        tree: &FileTree,
        sources: &Sources,
    ) -> Result<(), Error> {
        let mut child = self.start(order, Stdio::piped())?;
        let fed = feed::feed(&mut child, tree, sources, order.time);
        finish(child, self.name, fed)
    }

    fn start(&self, order: Order<'_>, input: Stdio) -> Result<Child, Error> {
        let mut command = Command::new(self.name);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .args(&self.arguments)
            .env("SOURCE_DATE_EPOCH", order.time.to_string())
            // mkfs.xfs numbers generations of inodes at random otherwise.
            .env("DETERMINISTIC_SEED", "1")
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => Error::NoProgram {
                    program: self.name.into(),
                    purpose: "makes this file system",
                    package: self.package,
                },
                _ => error::read(Path::new(self.name))(error),
            })
    }
}

/// Waits for a program. What it says of a failure is told before what its pipe says.
fn finish(child: Child, program: &str, fed: Result<(), Fed>) -> Result<(), Error> {
    let path = PathBuf::from(program);
    let output = child.wait_with_output().map_err(error::read(&path))?;
    if let Err(Fed::Source(error)) = fed {
        return Err(error);
    }
    if !output.status.success() {
        return Err(Error::of_program(&path, &output));
    }
    match fed {
        Err(Fed::Closed(error)) => Err(error::write(&path)(error)),
        _ => Ok(()),
    }
}
