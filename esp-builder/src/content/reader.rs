//! Reads a file that is put together from any place of it, as if it were one.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use extents::{Content, ExtentMap};

use super::{Failure, Source, slice};
use crate::assembled::{Assembled, Written};

/// A file that is put together, open to be read.
pub(crate) struct Reader<'a> {
    map: &'a ExtentMap,
    sources: Vec<Source<'a>>,
    position: u64,
}

impl<'a> Reader<'a> {
    /// Opens what it is made of.
    pub(crate) fn open(assembled: &'a Assembled) -> Result<Self, Failure> {
        Ok(Self {
            map: &assembled.map,
            sources: Source::all(assembled)?,
            position: 0,
        })
    }

    /// When each of the files was last written to; nothing of a secret.
    pub(crate) fn written(&self) -> impl Iterator<Item = Option<Written>> {
        self.sources.iter().map(|source| match source {
            Source::File(opened) => Some(opened.before.written()),
            Source::Secret(_) => None,
        })
    }

    /// Refuses a file that somebody wrote to since it was opened.
    pub(crate) fn check_untouched(&self) -> Result<(), Failure> {
        self.sources.iter().try_for_each(Source::check_untouched)
    }

    /// Fills a buffer with the bytes at a place.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }

    /// Reads some of the bytes at a place; none only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.map.length().saturating_sub(offset);
        let next = self.map.within(offset..self.map.length()).next();
        let (start, length) = next.as_ref().map_or((self.map.length(), 0), |extent| {
            (extent.start, extent.length)
        });
        if start > offset {
            let zeros = shortest(buffer, left.min(start - offset));
            zeros.fill(0);
            return Ok(zeros.len());
        }
        let buffer = shortest(buffer, length);
        match next.map(|extent| extent.content) {
            None => {}
            Some(Content::Bytes(bytes)) => buffer.copy_from_slice(&bytes[..buffer.len()]),
            Some(Content::Slice { source, offset }) => match &self.sources[source.index()] {
                Source::File(from) => from.file.read_exact_at(buffer, offset)?,
                Source::Secret(secret) => {
                    buffer.copy_from_slice(slice(secret, offset, buffer.len() as u64));
                }
            },
        }
        Ok(buffer.len())
    }
}

/// As much of a buffer as there are bytes for.
fn shortest(buffer: &mut [u8], length: u64) -> &mut [u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let length = length.min(buffer.len());
    &mut buffer[..length]
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (start, distance) = match to {
            SeekFrom::Start(place) => (place, 0),
            SeekFrom::End(distance) => (self.map.length(), distance),
            SeekFrom::Current(distance) => (self.position, distance),
        };
        let place = start.checked_add_signed(distance);
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write and read files")]
mod tests {
    use super::*;
    use crate::assembled::{Piece, Pieces};

    #[test]
    fn a_reader_has_the_bytes_of_every_piece_and_zeros_between() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"0123456789").unwrap();
        let mut sources = Pieces::default();
        let secret = sources.add(Piece::Secret(b"secret".to_vec().into()));
        let file = sources.add(Piece::file(file.path(), Some(10)));
        let mut map = ExtentMap::hole(24);
        map.push_bytes(1, *b"MZ");
        map.push_slice(3, 6, secret, 0);
        map.push_slice(12, 8, file, 2);
        let assembled = Assembled { map, sources };
        let whole = b"\0MZsecret\0\0\x0023456789\0\0\0\0";
        let mut reader = Reader::open(&assembled).unwrap();
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        assert_eq!(found, whole);
        for start in 0..24 {
            for end in start..24 {
                let mut found = vec![1; end - start];
                reader.read_exact_at(&mut found, start as u64).unwrap();
                assert_eq!(found, whole[start..end]);
            }
        }
        assert_eq!(reader.seek(SeekFrom::End(-4)).unwrap(), 20);
        assert_eq!(reader.seek(SeekFrom::Current(-6)).unwrap(), 14);
        let mut two = [0; 2];
        reader.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"45");
        assert!(reader.seek(SeekFrom::Current(-17)).is_err());
        let beyond = reader.read_exact_at(&mut two, 23).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        reader.check_untouched().unwrap();
    }
}
