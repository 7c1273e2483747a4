//! Unified Kernel Images and addons: from files to what is in which section.
//!
//! Looks at the stub, the heads of kernels and small texts. Everything else is named
//! and read when the image is written, slice by slice.
#![expect(clippy::disallowed_methods, reason = "looks at the files of an image")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bootloaders::uki::{
    self, Assembly, Contents, FirstProfile, Profile, Section, SectionName, Stub, Uki, efifw, sbat,
};
use bootloaders::{Arch, CommandLine, Line, Secret, systemd_boot};
use extents::SourceId;

use crate::assembled::{Assembled, Piece, Pieces};
use crate::content;
use crate::error::Error;
use crate::loader;
use crate::publish::{put, stage};
use crate::source::{Need, read_at_most};
use crate::warning::Warning;

mod hwids;
mod kernel;
mod parts;
mod policies;

use kernel::Kernel;
pub use parts::Parts;
pub use policies::{PcrPolicy, PcrSigner};

/// Who needs the files, in messages.
const WHOSE: &str = "the image";

/// The most that is read of a stub or a text, in bytes. systemd-stub has some 150 KiB.
const LONGEST: u64 = 16 << 20;

/// What an image or an addon is made of.
#[derive(Debug, Clone, Default)]
pub struct UkiInput {
    /// The kernel; without one the result is an addon.
    pub kernel: Option<PathBuf>,
    /// Initial RAM disks, in their order.
    pub initrds: Vec<PathBuf>,
    /// A RAM disk that is written down nowhere else, after the others.
    pub secret: Option<Secret>,
    /// The kernel command line.
    pub cmdline: CommandLine,
    /// What menus say of the image, as an `os-release` file does.
    pub os_release: Option<SectionInput>,
    /// The release of the kernel, where it is not to be found out.
    pub uname: Option<Line>,
    /// A picture, in the BMP format.
    pub splash: Option<PathBuf>,
    /// A device tree.
    pub dtb: Option<PathBuf>,
    /// Device trees of which the one of the machine is taken.
    pub dtbauto: Vec<PathBuf>,
    /// A directory of descriptions of machines.
    pub hwids: Option<PathBuf>,
    /// Directories of one firmware each, which has the directory's name.
    pub efifw: Vec<PathBuf>,
    /// Microcode updates, as an uncompressed RAM disk.
    pub microcode: Option<PathBuf>,
    /// The public key of signed PCR policies.
    pub pcrpkey: Option<PathBuf>,
    /// Signed PCR policies.
    pub pcrsig: Option<PathBuf>,
    /// Policies to be signed, in place of those.
    pub policy: PcrPolicy,
    /// SBAT texts of the image; without one the usual one.
    pub sbat: Vec<PathBuf>,
    /// Any other sections.
    pub sections: Vec<(SectionName, SectionInput)>,
    /// What is booted when no profile is asked for.
    pub profile: FirstProfile,
    /// Other profiles.
    pub profiles: Vec<ProfileInput>,
    /// The stub; without one it is searched for.
    pub stub: Option<PathBuf>,
    /// What an addon is for, when its stub is searched for.
    pub arch: Option<Arch>,
}

/// A profile and what it has of its own.
#[derive(Debug, Clone)]
pub struct ProfileInput {
    /// What it is called.
    pub profile: Profile,
    /// The kernel command line; an empty one is that of the image.
    pub cmdline: CommandLine,
    /// What menus say of it, if that is not what they say of the image.
    pub os_release: Option<SectionInput>,
}

/// Where the content of a section comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionInput {
    /// This text.
    Text(String),
    /// A file.
    File(PathBuf),
}

/// Finds out where every byte of an image comes from.
///
/// # Errors
/// When a file is missing or is not what it is given as, or when there can be no such
/// image.
pub fn assemble(input: &UkiInput, parts: &mut Parts) -> Result<(Assembled, Vec<Warning>), Error> {
    let mut files = Files::default();
    let kernel = input.kernel.as_deref().map(|path| parts.kernel(path));
    let kernel = kernel.transpose()?;
    let kernel = kernel.as_deref();
    let stub = files.stub(input, kernel, parts)?;
    let mut warnings = Vec::new();
    let mut base = files.contents(input)?;
    if let Some(kernel) = kernel {
        let found = kernel.release.as_deref();
        let release = input.uname.as_ref().map(Line::as_str).or(found);
        base.uname = release.map(text);
        if release.is_none() {
            warnings.push(Warning::UnknownRelease {
                path: kernel.path.clone(),
            });
        }
        if input.os_release.is_none() {
            warnings.push(Warning::NoOsRelease);
        }
    } else {
        base.uname = input.uname.as_ref().map(|line| text(line.as_str()));
    }
    let pcrsig = files.optional(input.pcrsig.as_ref(), "PCR policy")?;
    if base.pcrpkey.is_none() {
        base.pcrpkey = input.policy.public_key().map(|key| text(&key));
    }
    let image = Uki {
        base,
        sbat: Some(text(&merged_sbat(input, &stub, kernel)?)),
        profile: input.profile.clone(),
        pcrsig,
        profiles: files.profiles(&input.profiles)?,
    };
    let image = policies::add(image, &input.policy, &files.pieces)?;
    let sections = image.into_sections().map_err(Error::Uki)?;
    let map = uki::assemble(&Assembly {
        stub: &stub,
        sections: &sections,
        nx_compat: kernel.is_none_or(|kernel| kernel.nx_compat),
    });
    let assembled = Assembled {
        map: map.map_err(Error::Uki)?,
        sources: files.pieces,
    };
    Ok((assembled, warnings))
}

/// Writes an image under its name, or not at all: it is made under a temporary name in
/// the same directory and renamed when it is complete.
///
/// # Errors
/// When a source changed, or when something cannot be read or written.
pub fn write(assembled: &Assembled, out: &Path) -> Result<(), Error> {
    // The umask has its say, as with any file a program writes.
    let staged = stage(out, 0o666)?;
    content::write(assembled, staged.as_file()).map_err(|failure| failure.into_error(out))?;
    put(staged, out)
}

fn text(text: &str) -> uki::Content {
    uki::Content::bytes(text.as_bytes())
}

/// An empty command line has no section: of a profile it is that of the image.
fn of_command_line(cmdline: &CommandLine) -> Option<uki::Content> {
    (!cmdline.is_empty()).then(|| text(cmdline.as_str()))
}

/// The generations of the stub, the kernel and the image itself. An addon does not
/// run its stub.
fn merged_sbat(input: &UkiInput, stub: &Stub, kernel: Option<&Kernel>) -> Result<String, Error> {
    let mut texts = Vec::new();
    if let Some(kernel) = kernel {
        texts.extend(stub.sbat().map(<[u8]>::to_vec));
        texts.extend(kernel.sbat.clone());
    }
    if input.sbat.is_empty() {
        let usual = kernel.map_or(sbat::ADDON, |_| sbat::IMAGE);
        texts.push(usual.as_bytes().to_vec());
    }
    for path in &input.sbat {
        let text = read(path, "SBAT text")?;
        // Alone, so that a refusal can name the file.
        sbat::merge([text.as_slice()])
            .map_err(|refusal| need("SBAT text").missing(path, io::Error::other(refusal)))?;
        texts.push(text);
    }
    sbat::merge(texts.iter().map(Vec::as_slice)).map_err(Error::Uki)
}

fn need(what: &'static str) -> Need<'static> {
    Need { whose: WHOSE, what }
}

/// All of a small file.
fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, Error> {
    let bytes = read_at_most(path, LONGEST + 1);
    let bytes = bytes.map_err(|source| need(what).missing(path, source))?;
    if bytes.len() as u64 > LONGEST {
        return Err(need(what).missing(path, io::Error::other("it is longer than 16 MiB")));
    }
    Ok(bytes)
}

/// The files of an image, as they are looked at.
#[derive(Default)]
struct Files {
    pieces: Pieces,
}

impl Files {
    /// The stub, which is the first of the pieces.
    fn stub(
        &mut self,
        input: &UkiInput,
        kernel: Option<&Kernel>,
        parts: &mut Parts,
    ) -> Result<Arc<Stub>, Error> {
        let path = match &input.stub {
            Some(path) => path.clone(),
            None => find_stub(input.arch, kernel)?,
        };
        let (stub, size) = parts.stub(&path)?;
        self.add(&path, size);
        let refuse = |reason: String| Error::NotAStub { path, reason };
        let wanted = if kernel.is_some() {
            "systemd-stub"
        } else {
            "systemd-addon"
        };
        // Other stubs say nothing of themselves.
        let info = stub.info().filter(|info| !info.starts_with(wanted));
        if let Some(info) = info {
            return Err(refuse(format!("it says that it is `{info}`")));
        }
        if let Some(kernel) = kernel.filter(|kernel| stub.arch() != Some(kernel.arch)) {
            let other = stub
                .arch()
                .map_or("none".to_owned(), |arch| arch.to_string());
            return Err(refuse(format!(
                "it is for {other}, and the kernel for {}",
                kernel.arch
            )));
        }
        Ok(stub)
    }

    /// What every profile has, but for what is found out of the kernel.
    fn contents(&mut self, input: &UkiInput) -> Result<Contents, Error> {
        let mut others = Vec::new();
        for (name, section) in &input.sections {
            let content = self.section(section, "section")?;
            let name = name.clone();
            others.push(Section { name, content });
        }
        let efifw = input.efifw.iter().map(|path| self.firmware(path));
        let efifw = efifw.collect::<Result<_, _>>()?;
        let hwids = input.hwids.as_deref().map(hwids::read).transpose()?;
        let mut initrds = self.all(&input.initrds, "initrd")?;
        initrds.extend(input.secret.as_ref().map(|secret| self.secret(secret)));
        Ok(Contents {
            os_release: self.os_release(input.os_release.as_ref())?,
            cmdline: of_command_line(&input.cmdline),
            dtb: self.optional(input.dtb.as_ref(), "device tree")?,
            dtbauto: self.all(&input.dtbauto, "device tree")?,
            hwids: hwids.map(uki::Content::bytes),
            uname: None,
            splash: self.optional(input.splash.as_ref(), "splash picture")?,
            pcrpkey: self.optional(input.pcrpkey.as_ref(), "public key")?,
            linux: self.optional(input.kernel.as_ref(), "kernel")?,
            initrds,
            efifw,
            ucode: self.optional(input.microcode.as_ref(), "microcode")?,
            others,
        })
    }

    fn profiles(&mut self, given: &[ProfileInput]) -> Result<Vec<(Profile, Contents)>, Error> {
        let mut profiles = Vec::new();
        for input in given {
            let contents = Contents {
                os_release: self.os_release(input.os_release.as_ref())?,
                cmdline: of_command_line(&input.cmdline),
                ..Contents::default()
            };
            profiles.push((input.profile.clone(), contents));
        }
        Ok(profiles)
    }

    fn os_release(&mut self, input: Option<&SectionInput>) -> Result<Option<uki::Content>, Error> {
        let content = input.map(|input| self.section(input, "os-release"));
        content.transpose()
    }

    fn section(&mut self, from: &SectionInput, what: &'static str) -> Result<uki::Content, Error> {
        match from {
            SectionInput::Text(given) => Ok(text(given)),
            SectionInput::File(path) => self.file(path, what),
        }
    }

    fn secret(&mut self, secret: &Secret) -> uki::Content {
        let length = secret.bytes().len() as u64;
        let source = self.pieces.add(Piece::Secret(secret.clone()));
        uki::Content::file(source, length)
    }

    fn optional(
        &mut self,
        path: Option<&PathBuf>,
        what: &'static str,
    ) -> Result<Option<uki::Content>, Error> {
        path.map(|path| self.file(path, what)).transpose()
    }

    fn all(&mut self, paths: &[PathBuf], what: &'static str) -> Result<Vec<uki::Content>, Error> {
        paths.iter().map(|path| self.file(path, what)).collect()
    }

    fn file(&mut self, path: &Path, what: &'static str) -> Result<uki::Content, Error> {
        let failed = |source| need(what).missing(path, source);
        let found = fs::metadata(path).map_err(failed)?;
        if !found.is_file() {
            return Err(failed(io::Error::other("not a regular file")));
        }
        let source = self.add(path, found.len());
        Ok(uki::Content::file(source, found.len()))
    }

    /// The one file of a directory, under the name of the directory.
    fn firmware(&mut self, directory: &Path) -> Result<uki::Content, Error> {
        let failed = |source| need("firmware").missing(directory, source);
        let items = fs::read_dir(directory).map_err(failed)?;
        let items = items.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let [item] = items.as_slice() else {
            return Err(failed(io::Error::other("not a directory of one file")));
        };
        let name = fs::canonicalize(directory).map_err(failed)?;
        let name = name.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::NotUtf8(directory.into()))?;
        let firmware = self.file(&item.path(), "firmware")?;
        efifw::content(name, firmware).map_err(Error::Uki)
    }

    fn add(&mut self, path: &Path, size: u64) -> SourceId {
        self.pieces.add(Piece::file(path, Some(size)))
    }
}

/// Searches for the stub of an architecture.
fn find_stub(wanted: Option<Arch>, kernel: Option<&Kernel>) -> Result<PathBuf, Error> {
    let Some(arch) = kernel.map(|kernel| kernel.arch).or(wanted) else {
        return Err(Error::NoStub {
            name: "addon<arch>.efi.stub".to_owned(),
            searched: Vec::new(),
        });
    };
    let name = systemd_boot::stub_name(arch, kernel.is_none());
    let places = loader::of_host(std::slice::from_ref(&name));
    places
        .iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or(Error::NoStub {
            name,
            searched: places,
        })
}
