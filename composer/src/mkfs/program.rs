//! The programs that make file systems, and what they are told.
#![expect(clippy::disallowed_methods, reason = "runs mkfs programs")]

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use super::Order;
use super::feed::{self, Fed};
use crate::error::{self, Error};
use crate::source::Sources;
use crate::tools::{Tool, Tools};
use crate::tree::FileTree;

/// A program with its arguments.
#[derive(Debug)]
pub struct Program<'a> {
    tools: &'a Tools,
    tool: Tool,
    arguments: Vec<OsString>,
    /// Where it runs, if not here.
    folder: Option<PathBuf>,
    /// Whether `SOURCE_DATE_EPOCH` is kept from it.
    is_epoch_hidden: bool,
}

impl<'a> Program<'a> {
    /// A program without arguments.
    pub fn new(tools: &'a Tools, tool: Tool) -> Self {
        Self {
            tools,
            tool,
            arguments: Vec::new(),
            folder: None,
            is_epoch_hidden: false,
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

    /// Keeps `SOURCE_DATE_EPOCH` from it, when its arguments say what time it is.
    pub fn hide_epoch(&mut self) {
        self.is_epoch_hidden = true;
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it is not there or fails.
    pub fn run(self, order: Order<'_>) -> Result<(), Error> {
        let child = self.start(order.time, Stdio::null())?;
        Running::new(child, self.path()).finish(Ok(()))
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
        self.run_fed(order.time, tree, sources)
    }

    fn run_fed(self, time: u64, tree: &FileTree, sources: &Sources) -> Result<(), Error> {
        let child = self.start(time, Stdio::piped())?;
        let mut running = Running::new(child, self.path());
        let fed = feed::feed(&mut running.child, tree, sources, time);
        running.finish(fed)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(self.tools.program(self.tool))
    }

    fn start(&self, time: u64, input: Stdio) -> Result<Child, Error> {
        let mut command = Command::new(self.tools.program(self.tool));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if self.is_epoch_hidden {
            command.env_remove("SOURCE_DATE_EPOCH");
        } else {
            command.env("SOURCE_DATE_EPOCH", time.to_string());
        }
        command
            .args(&self.arguments)
            // mkfs.xfs numbers generations of inodes at random otherwise.
            .env("DETERMINISTIC_SEED", "1")
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.tools.not_started(self.tool, error))
    }
}

/// A program that was started, and what it says.
struct Running {
    child: Child,
    path: PathBuf,
    /// Read all the time: a program that nobody listens to stops.
    said: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn new(mut child: Child, path: PathBuf) -> Self {
        let said = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut said = Vec::new();
                // What was read before an error is all that there is.
                let _ = stderr.read_to_end(&mut said);
                said
            })
        });
        Self { child, path, said }
    }

    /// Waits for its end. What it says of a failure is told before what its pipe says.
    fn finish(self, fed: Result<(), Fed>) -> Result<(), Error> {
        let path = self.path;
        let mut output = self.child.wait_with_output().map_err(error::read(&path))?;
        let said = self.said.and_then(|said| said.join().ok());
        output.stderr = said.unwrap_or_default();
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree_manifest::TreePath;

    use crate::tree::FileContent;

    #[test]
    fn a_program_that_complains_at_length_is_listened_to() {
        let mut tree = FileTree::default();
        let content = FileContent::Bytes(vec![7; 3 << 20].into());
        tree.add_file(TreePath::new("large").unwrap(), content)
            .unwrap();
        // More than pipes hold, before the first byte is taken.
        let script = "i=0; while [ $i -lt 9000 ]; do echo 'a warning of some length' >&2; \
                      i=$((i+1)); done; wc -c >&2; exit 3";
        let mut tools = Tools::default();
        tools.place(Tool::Mksquashfs, "sh".into());
        let mut program = Program::new(&tools, Tool::Mksquashfs);
        program.add(&["-c", script]);
        let error = program.run_fed(0, &tree, &Sources::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("3147264"), "{text}");
    }
}
