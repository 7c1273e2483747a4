//! Copies a slice of one file into another, by the cheapest way there is.
//!
//! The kernel is asked first: `copy_file_range(2)` shares the blocks where the
//! file system can, and copies without a detour where it cannot. Where it does
//! not serve at all, as between file systems, one buffer does. Neither keeps holes: where
//! they are is asked before.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// The buffer for copies the kernel does not make, in bytes.
const BUFFER: u64 = 1 << 20;

/// The most that is copied between two reports of progress, in bytes.
const STEP: u64 = 64 << 20;

/// The least that is worth the question where its holes are, in bytes.
const MAY_HAVE_HOLES: u64 = 64 << 10;

/// Which bytes go where; all in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// Where they are in the one file.
    pub read_at: u64,
    /// Where they go in the other.
    pub write_at: u64,
    /// How many there are.
    pub length: u64,
}

/// Why a slice was not copied.
#[derive(Debug)]
pub enum Failure {
    /// The source cannot be read.
    Read(io::Error),
    /// The target cannot be written.
    Write(io::Error),
    /// The source ended before the slice did.
    Ended,
}

/// Copies slices; keeps its buffer between them.
#[derive(Debug, Default)]
pub struct Copier {
    buffer: Vec<u8>,
    /// Whether a hole is copied by leaving it out.
    leaves_holes: bool,
}

impl Copier {
    /// For targets that read as zeros where nothing was written: holes of sources stay holes.
    #[must_use]
    pub fn onto_holes() -> Self {
        Self {
            leaves_holes: true,
            ..Self::default()
        }
    }

    /// Copies a slice. `progress` is told the bytes of each step.
    ///
    /// # Errors
    /// When either file fails, or the source is too short.
    pub fn copy(
        &mut self,
        from: &File,
        to: &File,
        slice: Slice,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let mut rest = slice;
        let mut kernel_serves = true;
        let leaves_holes = self.leaves_holes && slice.length >= MAY_HAVE_HOLES;
        while rest.length > 0 {
            let (hole, data) = if leaves_holes {
                hole_and_data(from, rest)?
            } else {
                (0, rest.length)
            };
            let run = Slice {
                length: data,
                ..rest
            };
            let step = if hole == 0 && kernel_serves {
                by_kernel(from, to, run)?
            } else {
                None
            };
            let count = if hole > 0 {
                hole
            } else if let Some(count) = step {
                count
            } else {
                kernel_serves = false;
                self.by_buffer(from, to, run)?
            };
            if count == 0 {
                return Err(Failure::Ended);
            }
            rest.read_at += count;
            rest.write_at += count;
            rest.length -= count;
            progress(count);
        }
        Ok(())
    }

    fn by_buffer(&mut self, from: &File, to: &File, slice: Slice) -> Result<u64, Failure> {
        let wanted = usize::try_from(slice.length.min(BUFFER)).unwrap_or(usize::MAX);
        self.buffer.resize(wanted.max(self.buffer.len()), 0);
        let buffer = &mut self.buffer[..wanted];
        let count = loop {
            match from.read_at(buffer, slice.read_at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(Failure::Read)?,
            }
        };
        to.write_all_at(&buffer[..count], slice.write_at)
            .map_err(Failure::Write)?;
        Ok(count as u64)
    }
}

/// How many bytes at the start of a slice are in a hole, and if none are, how many are not.
fn hole_and_data(from: &File, slice: Slice) -> Result<(u64, u64), Failure> {
    let length_from_start = |at: u64| (at - slice.read_at).min(slice.length);
    let data = match rustix::fs::seek(from, SeekFrom::Data(slice.read_at)) {
        Ok(at) => at,
        // There is none up to the end, which may come before that of the slice.
        Err(Errno::NXIO) => {
            let end = from.metadata().map_err(Failure::Read)?.len();
            return Ok((length_from_start(end.max(slice.read_at)), slice.length));
        }
        // This file system does not know.
        Err(_) => slice.read_at,
    };
    if data > slice.read_at {
        return Ok((length_from_start(data), slice.length));
    }
    let hole = rustix::fs::seek(from, SeekFrom::Hole(slice.read_at));
    Ok((0, hole.map_or(slice.length, length_from_start).max(1)))
}

/// One step by the kernel; `None` where it does not serve.
fn by_kernel(from: &File, to: &File, slice: Slice) -> Result<Option<u64>, Failure> {
    let wanted = usize::try_from(slice.length.min(STEP)).unwrap_or(usize::MAX);
    let (mut read_at, mut write_at) = (slice.read_at, slice.write_at);
    loop {
        let (read_at, write_at) = (Some(&mut read_at), Some(&mut write_at));
        match rustix::fs::copy_file_range(from, read_at, to, write_at, wanted) {
            Ok(count) => return Ok(Some(count as u64)),
            Err(Errno::INTR) => {}
            // Other file systems, old kernels, and sandboxes that forbid the
            // call. After EIO the buffer finds out which file is to blame.
            Err(
                Errno::XDEV
                | Errno::OPNOTSUPP
                | Errno::INVAL
                | Errno::NOSYS
                | Errno::PERM
                | Errno::IO,
            ) => return Ok(None),
            Err(errno) => return Err(Failure::Write(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn both_ways_copy_the_same_bytes() {
        let content: Vec<u8> = (0..3 * BUFFER).map(|byte| byte.to_le_bytes()[0]).collect();
        let from = file(&content);
        let slice = Slice {
            read_at: 5,
            write_at: 7,
            length: 2 * BUFFER + 9,
        };
        let expected = &content[5..][..usize::try_from(slice.length).unwrap()];
        let to = file(b"");
        let mut done = 0;
        Copier::default()
            .copy(&from, &to, slice, &mut |count| done += count)
            .unwrap();
        assert_eq!(done, slice.length);
        let mut found = vec![0; expected.len()];
        to.read_exact_at(&mut found, 7).unwrap();
        assert!(found == expected);

        let to = file(b"");
        let mut buffered = Copier::default();
        let count = buffered.by_buffer(&from, &to, slice).unwrap();
        let count = usize::try_from(count).unwrap();
        to.read_exact_at(&mut found[..count], 7).unwrap();
        assert!(found[..count] == expected[..count]);
    }

    #[test]
    fn holes_stay_holes_and_all_else_is_copied() {
        let from = file(b"");
        from.set_len(64 << 20).unwrap();
        let places = [0_u64, 4096, 20 << 20, (40 << 20) + 5, (64 << 20) - 3];
        for at in places {
            from.write_all_at(b"abc", at).unwrap();
        }
        for slice in [
            (0, 0, 64 << 20),
            (2, 4096, (64 << 20) - 2),
            (21 << 20, 0, 1 << 20),
        ] {
            let (read_at, write_at, length) = slice;
            let slice = Slice {
                read_at,
                write_at,
                length,
            };
            let to = file(b"");
            to.set_len(write_at + length).unwrap();
            let mut done = 0;
            Copier::onto_holes()
                .copy(&from, &to, slice, &mut |count| done += count)
                .unwrap();
            assert_eq!(done, length);
            let bytes = |file: &File, at| {
                let mut bytes = vec![0; usize::try_from(length).unwrap()];
                file.read_exact_at(&mut bytes, at).unwrap();
                bytes
            };
            assert!(bytes(&from, read_at) == bytes(&to, write_at), "{slice:?}");
            let taken = to.metadata().unwrap().blocks() * 512;
            assert!(taken <= 1 << 20, "{slice:?} takes {taken} bytes");
        }
        let beyond = Slice {
            read_at: 63 << 20,
            write_at: 0,
            length: 2 << 20,
        };
        let result = Copier::onto_holes().copy(&from, &file(b""), beyond, &mut |_| {});
        assert!(matches!(result, Err(Failure::Ended)));
    }

    #[test]
    fn a_source_that_ends_early_is_noticed() {
        let slice = Slice {
            read_at: 0,
            write_at: 0,
            length: 10,
        };
        let result = Copier::default().copy(&file(b"short"), &file(b""), slice, &mut |_| {});
        assert!(matches!(result, Err(Failure::Ended)));
    }
}
