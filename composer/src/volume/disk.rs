//! What the file system reads: a partition, with a limit for readers that loop.
//!
//! `fatfs` reads an entry of a table, or a field of a directory, at a time. Such reads are
//! served from blocks that are kept.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use crate::window::{Window, sought};

/// Bytes that are read at once for small reads.
const BLOCK: usize = 4096;

/// How many blocks are kept: tables and directories of large volumes are not read in order.
const SLOTS: u64 = 256;

/// A partition that the file system reads and we limit.
#[derive(Debug, Clone)]
pub struct Disk(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    window: Window,
    position: u64,
    /// What may still be read; a reader that loops runs into it.
    budget: u64,
    /// The number of a block and its bytes, in the slot of that number.
    blocks: Vec<Option<(u64, Vec<u8>)>>,
}

impl Disk {
    pub fn new(window: Window) -> Self {
        let state = State {
            window,
            position: 0,
            budget: u64::MAX,
            blocks: (0..SLOTS).map(|_| None).collect(),
        };
        Self(Rc::new(RefCell::new(state)))
    }

    pub fn size(&self) -> u64 {
        self.0.borrow().window.size()
    }

    /// Lets at most so many more bytes be read.
    pub fn limit(&self, budget: u64) {
        self.0.borrow_mut().budget = budget;
    }

    /// The boot sector must not claim more than the partition has.
    pub fn check_size(&self) -> Result<(), String> {
        let state = self.0.borrow();
        let mut sector = [0; 512];
        state
            .window
            .read_exact_at(&mut sector, 0)
            .map_err(|error| error.to_string())?;
        if sector[510..] != [0x55, 0xaa] {
            return Err("its first sector is not a boot sector".to_owned());
        }
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
        let sectors = if u16_at(19) != 0 {
            u16_at(19)
        } else {
            u32_at(32)
        };
        let claimed = sectors * u16_at(11);
        let size = state.window.size();
        if claimed == 0 || claimed > size {
            return Err(format!(
                "it claims {claimed} bytes and the partition has {size}"
            ));
        }
        Ok(())
    }
}

impl State {
    /// The block that holds the position, from there on.
    fn block(&mut self) -> io::Result<&[u8]> {
        let number = self.position / BLOCK as u64;
        let slot = usize::try_from(number % SLOTS).unwrap_or(0);
        let kept = &mut self.blocks[slot];
        if kept.as_ref().is_none_or(|(kept, _)| *kept != number) {
            let start = number * BLOCK as u64;
            let left = self.window.size() - start;
            let mut bytes = vec![0; usize::try_from(left).unwrap_or(BLOCK).min(BLOCK)];
            self.window.read_exact_at(&mut bytes, start)?;
            *kept = Some((number, bytes));
        }
        let bytes = kept.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let offset = usize::try_from(self.position % BLOCK as u64).unwrap_or(BLOCK);
        Ok(bytes.get(offset..).unwrap_or_default())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.window.size().saturating_sub(self.position);
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let buffer = &mut buffer[..count];
        let count = match count {
            0 => 0,
            1..BLOCK => {
                let block = self.block()?;
                let count = block.len().min(buffer.len());
                buffer[..count].copy_from_slice(&block[..count]);
                count
            }
            _ => {
                self.window.read_exact_at(buffer, self.position)?;
                count
            }
        };
        self.position += count as u64;
        let budget = self.budget.checked_sub(count as u64);
        self.budget = budget.ok_or_else(|| io::Error::other("it loops"))?;
        Ok(count)
    }
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Write for Disk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut state = self.0.borrow_mut();
        state.position = sought(state.position, state.window.size(), to)?;
        Ok(state.position)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    /// A disk of 3 blocks and a byte, which begins at the 5th byte of a file.
    fn disk() -> (Vec<u8>, Disk) {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * BLOCK + 1).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 5).unwrap();
        let size = bytes.len() as u64;
        (bytes, Disk::new(Window::new(&file, 5, size).unwrap()))
    }

    #[test]
    fn reads_of_every_length_see_the_same_bytes() {
        let (bytes, mut disk) = disk();
        for length in [1, 3, 32, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK] {
            disk.seek(SeekFrom::Start(0)).unwrap();
            let mut seen = Vec::new();
            let mut buffer = vec![0; length];
            loop {
                let count = Read::read(&mut disk, &mut buffer).unwrap();
                seen.extend_from_slice(&buffer[..count]);
                if count == 0 {
                    break;
                }
            }
            assert!(seen == bytes, "{length}");
        }
    }

    #[test]
    fn behind_the_end_there_is_nothing() {
        let (bytes, mut disk) = disk();
        for start in [bytes.len() as u64, 10 * BLOCK as u64, u64::MAX / 2] {
            disk.seek(SeekFrom::Start(start)).unwrap();
            assert_eq!(Read::read(&mut disk, &mut [0; 7]).unwrap(), 0);
            assert_eq!(Read::read(&mut disk, &mut [0; 2 * BLOCK]).unwrap(), 0);
        }
    }

    #[test]
    fn what_is_kept_counts_as_read() {
        let (_, mut disk) = disk();
        disk.limit(20);
        for _ in 0..2 {
            disk.seek(SeekFrom::Start(0)).unwrap();
            disk.read_exact(&mut [0; 8]).unwrap();
        }
        disk.seek(SeekFrom::Start(0)).unwrap();
        let error = disk.read_exact(&mut [0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "it loops");
    }
}
