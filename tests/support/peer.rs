//! Runs a program in a small, known environment and judges how it ended: a referee
//! of this machine, a current one of the sid chroot, or a program of this project.

use std::env;
use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::lab;

/// mkfs, fsck and sfdisk are not on a plain user's path on Debian.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The exit code of a shell, or of `chroot`, for a program that does not exist.
const NOT_FOUND: i32 = 127;

/// A call of a program, to be completed with arguments and then run.
#[derive(Debug)]
pub struct Peer {
    command: Command,
    input: Vec<u8>,
}

impl Peer {
    /// A program of this machine, by name or path.
    #[must_use]
    pub fn host(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", SYSTEM_PATH);
        command.env("LC_ALL", "C.UTF-8");
        command.env("ESP_COMPOSE_CACHE", lab::cache());
        for name in ["HOME", "TMPDIR", "QEMU_ACCEL", "OVMF_CODE", "OVMF_VARS"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        let input = Vec::new();
        Self { command, input }
    }

    /// A program of the sid chroot. It sees the temporary folder, the tree and its
    /// working folder at their usual paths.
    #[must_use]
    pub fn sid(program: impl AsRef<OsStr>) -> Self {
        let _ = lab::sid();
        Self::host(lab::script("in-sid")).arg(program)
    }

    /// A program of this project, with `folder` as its working folder and home.
    #[must_use]
    pub fn ours(program: &Path, folder: &Path) -> Self {
        Self::host(program).dir(folder).env("HOME", folder)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the environment. Into the sid chroot only
    /// `SOURCE_DATE_EPOCH`, `TMPDIR` and `SYSTEMD_*` pass.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives bytes to its standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Runs it to its end, whatever that is. Panics only when it does not exist.
    #[must_use]
    pub fn run(mut self) -> Output {
        let call = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped());
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("{call}: not found: run scripts/setup test")
            }
            Err(error) => panic!("{call}: {error}"),
        };
        let mut stdin = child.stdin.take().expect("the input is a pipe");
        let input = self.input;
        // On a thread of its own: a program may fill its output before it reads.
        let writer = std::thread::spawn(move || {
            // A program that does not read its input is no error.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("a child can be waited for");
        writer.join().expect("the writer does not panic");
        assert!(
            output.status.code() != Some(NOT_FOUND),
            "{call}: not found: run scripts/setup test\n{}",
            transcript(&output)
        );
        output
    }

    /// Runs it and returns its standard output; panics with all it said when it fails.
    #[expect(clippy::must_use_candidate, reason = "often run for its verdict alone")]
    pub fn ok(self) -> String {
        let call = format!("{:?}", self.command);
        let output = self.run();
        assert!(
            output.status.success(),
            "{call} failed: {}\n{}",
            output.status,
            transcript(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs it and returns its standard error; panics when it does not fail with `code`.
    #[expect(clippy::must_use_candidate, reason = "often run for its verdict alone")]
    pub fn fails(self, code: i32) -> String {
        let call = format!("{:?}", self.command);
        let output = self.run();
        assert!(
            output.status.code() == Some(code),
            "{call} should have failed with exit code {code}: {}\n{}",
            output.status,
            transcript(&output)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// Both streams of a program, for the message of a failed test.
#[must_use]
pub fn transcript(output: &Output) -> String {
    format!(
        "--- stdout\n{}--- stderr\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_peer_has_its_input_and_a_known_environment() {
        let said = Peer::host("sh")
            .args(["-c", "cat; echo $LC_ALL"])
            .input("in ")
            .ok();
        assert_eq!(said, "in C.UTF-8\n");
    }

    #[test]
    fn a_sid_peer_works_in_the_same_folder_and_keeps_the_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let peer = || Peer::sid("sh").dir(folder.path());
        peer().args(["-c", "pwd > here"]).ok();
        let here = std::fs::read_to_string(folder.path().join("here")).unwrap();
        assert_eq!(here.trim_end(), folder.path().to_str().unwrap());
        peer().args(["-c", "exit 9"]).fails(9);
    }

    #[test]
    #[should_panic(expected = "run scripts/setup test")]
    fn a_missing_peer_fails_the_test_and_says_what_to_do() {
        Peer::sid("no-such-program").ok();
    }
}
