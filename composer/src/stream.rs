//! Writes a file where it cannot be written out of order: to standard output, or through
//! a program that compresses it.
//!
//! Compressed output depends on content and version of the program alone: the program
//! works in several threads even where there is one processor, because the output of
//! one thread is another than that of many.
#![expect(clippy::disallowed_methods, reason = "runs compressors")]

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use extents::ExtentMap;

use crate::config::{Compression, Compressor};
use crate::error::{self, Error};
use crate::pieces;
use crate::source::Sources;
use crate::tools::{Tool, Tools};

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// The size of the blocks that xz compresses apart. It decides about the output, and
/// must not be left to the level.
const XZ_BLOCK: u64 = 24 << 20;

/// Writes a file in order.
///
/// `progress` is told how many bytes were written since the last call.
///
/// # Errors
/// When a source cannot be read or changed since it was planned, or `out` fails.
pub fn write(
    map: &ExtentMap,
    sources: &Sources,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    pieces::read(map, sources, |bytes| {
        out.write_all(bytes).map_err(Failure::Closed)?;
        progress(bytes.len() as u64);
        Ok::<_, Failure>(())
    })?;
    out.flush().map_err(Failure::Closed)
}

/// Why a file was not written.
#[derive(Debug)]
pub enum Failure {
    /// Nobody takes what is written.
    Closed(io::Error),
    /// Another reason.
    Source(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

/// How a file is compressed, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Compressing<'a> {
    /// How.
    pub compression: Compression,
    /// Where the programs are.
    pub tools: &'a Tools,
}

impl Compressing<'_> {
    fn tool(self) -> Tool {
        match self.compression.compressor {
            Compressor::Zstd => Tool::Zstd,
            Compressor::Xz => Tool::Xz,
        }
    }

    fn start(self, length: u64, to: File) -> Result<Child, Error> {
        let threads = thread::available_parallelism().map_or(2, |count| count.get().max(2));
        let mut command = Command::new(self.tools.program(self.tool()));
        command.args(["-q", "-c", &format!("-T{threads}")]);
        if let Some(level) = self.compression.level {
            command.arg(format!("-{level}"));
        }
        match self.compression.compressor {
            Compressor::Zstd => command.arg(format!("--stream-size={length}")),
            Compressor::Xz => command.arg(format!("--block-size={XZ_BLOCK}")),
        };
        // Options that users keep there would change the output.
        command.env_remove("XZ_DEFAULTS").env_remove("XZ_OPT");
        command
            .env_remove("ZSTD_CLEVEL")
            .env_remove("ZSTD_NBTHREADS");
        command.stdin(Stdio::piped()).stdout(to);
        let child = command.stderr(Stdio::piped()).spawn();
        child.map_err(|error| self.tools.not_started(self.tool(), error))
    }
}

/// Has a program compress a file into `to`.
///
/// # Errors
/// When the program is not there or fails, or a source cannot be read or changed.
pub fn compress(
    map: &ExtentMap,
    sources: &Sources,
    how: Compressing<'_>,
    to: File,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let path = Path::new(how.tools.program(how.tool()));
    let mut child = how.start(map.length(), to)?;
    let Some(mut input) = child.stdin.take() else {
        unreachable!("its input is a pipe");
    };
    let fed = write(map, sources, &mut input, progress);
    if matches!(fed, Err(Failure::Source(_))) {
        // Its output must not look complete to those who read it.
        child.kill().map_err(error::read(path))?;
    }
    drop(input);
    let output = child.wait_with_output().map_err(error::read(path))?;
    match fed {
        Err(Failure::Source(error)) => Err(error),
        // What the program says of its end goes before what we know of it.
        _ if !output.status.success() => Err(Error::of_program(path, &output)),
        Err(Failure::Closed(error)) => Err(error::write(path)(error)),
        Ok(()) => Ok(()),
    }
}
