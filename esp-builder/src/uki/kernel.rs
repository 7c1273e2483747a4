//! What an image takes from its kernel, besides all of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bootloaders::Arch;
use bootloaders::pe::PeImage;
use bootloaders::uki::uname;

use super::{WHOSE, need};
use crate::entries;
use crate::error::Error;
use crate::source::read_at_most;

/// How much of a kernel is searched at once, in bytes.
const CHUNK: usize = 1 << 20;

/// The most that a `.sbat` section may have, in bytes. Kernels have some hundred.
const LONGEST_SBAT: u32 = 64 << 10;

/// What was found out about a kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) path: PathBuf,
    pub(super) arch: Arch,
    pub(super) nx_compat: bool,
    pub(super) sbat: Option<Vec<u8>>,
    pub(super) release: Option<String>,
}

impl Kernel {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| need("kernel").missing(path, source);
        let head = read_at_most(path, uname::HEAD as u64).map_err(failed)?;
        let image = PeImage::parse(&head).ok();
        let arch = entries::bootable(path, image.as_ref(), WHOSE)?;
        let Some(image) = image else {
            unreachable!("what is bootable was parsed");
        };
        let file = File::open(path).map_err(failed)?;
        let release = match uname::of_boot_header(&head) {
            Some(release) => Some(release.to_owned()),
            None => search(&file).map_err(failed)?,
        };
        let sbat = image
            .sections
            .iter()
            .find(|section| section.name == ".sbat");
        let sbat = sbat.map(|section| {
            if section.size > LONGEST_SBAT {
                return Err(io::Error::other("its `.sbat` is longer than 64 KiB"));
            }
            let mut bytes = vec![0; section.size as usize];
            file.read_exact_at(&mut bytes, u64::from(section.offset))?;
            Ok(bytes)
        });
        Ok(Self {
            path: path.into(),
            arch,
            nx_compat: image.nx_compat,
            sbat: sbat.transpose().map_err(failed)?,
            release,
        })
    }
}

/// Searches a kernel that is not of x86 for its banner, piece by piece.
fn search(file: &File) -> io::Result<Option<String>> {
    let mut buffer = vec![0; CHUNK];
    let mut start = 0;
    loop {
        let count = file.read_at(&mut buffer, start)?;
        if let Some(release) = uname::of_banner(&buffer[..count]) {
            return Ok(Some(release.to_owned()));
        }
        if count <= uname::OVERLAP {
            return Ok(None);
        }
        start += (count - uname::OVERLAP) as u64;
    }
}
