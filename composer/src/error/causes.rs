//! Errors made of what went wrong elsewhere.

use std::io;
use std::path::Path;
use std::process::Output;

use super::Error;

impl Error {
    /// A program that failed, with the last lines of what it said.
    pub(crate) fn of_program(program: &Path, output: &Output) -> Self {
        /// As many as hold the cause.
        const LINES: usize = 4;
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        Self::Program {
            program: program.into(),
            status: output.status.to_string(),
            said: lines[lines.len().saturating_sub(LINES)..].join("; "),
        }
    }

    pub(crate) fn config(path: &Path, message: impl Into<String>) -> Self {
        Self::Config {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn image(path: &Path, reason: impl Into<String>) -> Self {
        Self::Image {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Makes a read error of a path.
pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Read { path, source }
}

/// Makes a write error of a path.
pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
