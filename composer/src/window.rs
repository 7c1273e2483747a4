//! A run of bytes of a file that other programs' libraries can read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// A run of bytes of a file, as a file of its own that cannot be written.
#[derive(Debug)]
pub struct Window {
    file: File,
    start: u64,
    size: u64,
    position: u64,
}

impl Window {
    /// A window into a file.
    ///
    /// # Errors
    /// When the file cannot be opened once more.
    pub(crate) fn new(file: &File, start: u64, size: u64) -> io::Result<Self> {
        Ok(Self {
            file: file.try_clone()?,
            start,
            size,
            position: 0,
        })
    }

    /// Where the next read starts, in bytes.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills a buffer from a place in the window.
    ///
    /// # Errors
    /// When the file cannot be read, or the window ends before the buffer does.
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at
            .checked_add(buffer.len() as u64)
            .filter(|end| *end <= self.size);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, self.start + at)
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self
            .file
            .read_at(&mut buffer[..wanted], self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Window {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(self.position, self.size, to)?;
        Ok(self.position)
    }
}

/// Where a seek from `position` in `size` bytes leads.
///
/// # Errors
/// When it leads before the start.
pub(crate) fn sought(position: u64, size: u64, to: SeekFrom) -> io::Result<u64> {
    let sought = match to {
        SeekFrom::Start(position) => Some(position),
        SeekFrom::End(offset) => size.checked_add_signed(offset),
        SeekFrom::Current(offset) => position.checked_add_signed(offset),
    };
    sought.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
