//! Has what a program writes reach the disk while it runs.
//!
//! File systems that share blocks share those that are on the disk, and write out the others
//! first. A program leaves all in memory; the disk then has to do afterwards what it could
//! have done meanwhile.
#![expect(clippy::disallowed_methods, reason = "flushes files")]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long the program goes on before what it wrote by then is flushed again.
const PAUSE: Duration = Duration::from_millis(100);

/// Does some work that writes a file, and flushes that meanwhile.
///
/// # Errors
/// The first of the work, or of flushing: nobody else is told of that.
pub fn during<T, E>(
    path: &Path,
    failed: impl FnOnce(io::Error) -> E,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    thread::scope(|scope| {
        let (going, ended) = mpsc::channel();
        let flushing = scope.spawn(move || flush_until(path, &ended));
        let done = work();
        drop(going);
        let flushed = flushing.join();
        let flushed = flushed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let done = done?;
        flushed.map_err(failed)?;
        Ok(done)
    })
}

fn flush_until(path: &Path, ended: &Receiver<()>) -> io::Result<()> {
    while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        match File::open(path) {
            Ok(file) => file.sync_data()?,
            // It is not there yet, or made anew.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_and_a_file_that_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let work = |result: Result<u8, &'static str>, pauses: u32| {
            move || {
                thread::sleep(PAUSE * pauses);
                result
            }
        };
        let of = |path: &Path, work: &dyn Fn() -> Result<u8, &'static str>| {
            during(path, |_| "flushing failed", work)
        };
        assert_eq!(of(&path, &work(Ok(1), 2)), Ok(1));
        std::fs::write(&path, "x").unwrap();
        assert_eq!(of(&path, &work(Ok(1), 2)), Ok(1));
        assert_eq!(of(&path, &work(Err("work failed"), 0)), Err("work failed"));
        // A file is no folder.
        let wrong = path.join("image");
        assert_eq!(of(&wrong, &work(Ok(1), 2)), Err("flushing failed"));
        assert_eq!(of(&wrong, &work(Err("work failed"), 2)), Err("work failed"));
    }
}
