//! Signing images for Secure Boot: whose key, and on which files.
//!
//! What a signature is, `secure-boot` knows. Here keys are read and files written: a
//! signed file shares the blocks of the original where the file system can, and
//! appears under its name in one step.
#![expect(clippy::disallowed_methods, reason = "signing reads and writes files")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secure_boot::authenticode::{Image, Measured};
use secure_boot::certificate::Certificate;
use secure_boot::key::PrivateKey;
use secure_boot::sign::ToBeSigned;
use secure_boot::verify;

use crate::assembled::Assembled;
use crate::content::{self, Failure, Reader};
use crate::error::{Error, SigningError, read_error, write_error};
use crate::publish::{put, set_mode, stage};

pub mod earlier;
pub mod key_file;
pub mod keyring;
pub mod offline;
pub mod tree;

/// The longest signature that a command may print, in bytes: that of a key of 8192
/// bits.
const LONGEST_SIGNATURE: usize = 1024;

/// Who signs.
#[derive(Debug, Clone)]
pub struct Signer {
    /// What makes the signature.
    pub method: Method,
    /// The signer's certificate, and after it those that lead to one that firmware
    /// knows.
    pub certificates: Vec<Certificate>,
}

/// What makes a signature.
#[derive(Debug, Clone)]
pub enum Method {
    /// A private key at hand.
    Key(Box<PrivateKey>),
    /// A shell command: it gets the bytes to sign on its standard input and prints
    /// their RSA signature (PKCS#1 v1.5, SHA-256), as it is.
    Command(String),
}

/// What became of a file that was to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a new signature.
    Signed,
    /// The signer's certificate had signed it before; it is as it was.
    AlreadySigned,
}

impl Signer {
    /// Makes the signature of an image with this digest.
    ///
    /// # Errors
    /// When the key is not the certificate's, or the command fails.
    pub fn sign(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let to_be_signed = ToBeSigned::of(sha256);
        let signed = match &self.method {
            Method::Key(key) => to_be_signed.sign(key, &self.certificates),
            Method::Command(command) => {
                let signature = run(command, to_be_signed.attributes())?;
                to_be_signed.join(&signature, &self.certificates)
            }
        };
        signed.map_err(|error| SigningError::Signer(error).into())
    }

    /// Whether an image carries a signature of this signer that holds.
    #[must_use]
    pub fn has_signed(&self, image: &Measured) -> bool {
        let certificate = self.certificates.first();
        certificate.is_some_and(|certificate| verify::is_signed_by(image, certificate))
    }
}

/// Runs a command with bytes as its input and returns what it prints.
fn run(command: &str, input: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| {
        Error::from(SigningError::Command {
            command: command.to_owned(),
            reason,
        })
    };
    let started = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|error| failed(format!("cannot be run: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // The few bytes fit into any pipe; one that does not read them fails below.
        let _ = stdin.write_all(input);
    }
    let mut signature = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout
            .take(LONGEST_SIGNATURE as u64 + 1)
            .read_to_end(&mut signature);
        read.map_err(|error| failed(format!("cannot be read from: {error}")))?;
    }
    let status = child.wait();
    let status = status.map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    if signature.len() > LONGEST_SIGNATURE {
        let reason = format!("printed more than the {LONGEST_SIGNATURE} bytes of a signature");
        return Err(failed(reason));
    }
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    Ok(signature)
}

/// An image that was opened and read.
#[derive(Debug)]
pub struct OpenImage {
    /// What messages call it.
    name: PathBuf,
    image: Assembled,
    /// What signatures need to know of it.
    pub measured: Measured,
}

impl OpenImage {
    /// Reads an image.
    ///
    /// # Errors
    /// When it cannot be read, or is no image that can be signed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::of(whole_file(path)?, path)
    }

    /// Reads an image that is put together; messages call it by its name.
    ///
    /// # Errors
    /// As [`OpenImage::open`].
    pub fn of(mut image: Assembled, name: &Path) -> Result<Self, Error> {
        let failed = |failure: Failure| failure.into_error(name);
        let read = image.clone();
        let mut reader = Reader::open(&read).map_err(failed)?;
        let measured = Image::read(&mut reader)
            .and_then(|layout| layout.measure(&mut reader))
            .map_err(refused(name))?;
        reader.check_untouched().map_err(failed)?;
        // A signature of what was read is none of what somebody writes afterwards.
        image.sources.pin(reader.written());
        Ok(Self {
            name: name.into(),
            image,
            measured,
        })
    }

    /// Checks every signature of it.
    ///
    /// # Errors
    /// When one does not hold.
    pub fn signatures(&self, trusted: &[Certificate]) -> Result<Vec<verify::Signature>, Error> {
        verify::signatures(&self.measured, trusted).map_err(refused(&self.name))
    }

    /// The image with more signatures, or none.
    ///
    /// # Errors
    /// When it would be too large.
    pub fn signed(&self, signatures: &[Vec<u8>]) -> Result<Assembled, Error> {
        if signatures.is_empty() {
            return Ok(self.image.clone());
        }
        let amendment = self.measured.attach(signatures);
        Ok(self.image.amended(&amendment.map_err(refused(&self.name))?))
    }
}

/// A file as something that can be put together with more.
pub(crate) fn whole_file(path: &Path) -> Result<Assembled, Error> {
    let metadata = std::fs::metadata(path).map_err(read_error(path))?;
    Ok(Assembled::of_file(path, metadata.len()))
}

/// Writes a file that is put together; it may take the place of one that it is made of.
pub(crate) fn write(image: &Assembled, to: &Path) -> Result<(), Error> {
    let staged = stage(to, 0o600)?;
    content::write(image, staged.as_file()).map_err(|failure| failure.into_error(to))?;
    set_mode(staged.path(), 0o644)?;
    staged.as_file().sync_all().map_err(write_error(to))?;
    put(staged, to)
}

/// Signs a file, unless the signer has done so before.
///
/// # Errors
/// When the image is refused, the signer fails, or the result cannot be written.
pub fn sign_file(image: &Path, signer: &Signer, to: &Path) -> Result<Outcome, Error> {
    let image = OpenImage::open(image)?;
    if signer.has_signed(&image.measured) {
        write(&image.signed(&[])?, to)?;
        return Ok(Outcome::AlreadySigned);
    }
    let signature = signer.sign(&image.measured.sha256)?;
    write(&image.signed(&[signature])?, to)?;
    Ok(Outcome::Signed)
}

/// The certificates of a file.
///
/// # Errors
/// When it cannot be read or holds none.
pub fn load_certificates(path: &Path) -> Result<Vec<Certificate>, Error> {
    let bytes = read(path)?;
    Certificate::parse_all(&bytes).map_err(refused(path))
}

/// Reads a certificate or a signature.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(read_error(path))
}

/// An error of `secure-boot` about a file.
pub(crate) fn refused(path: &Path) -> impl FnOnce(secure_boot::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| SigningError::Refused { path, source }.into()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::testkit::{X64, stub};

    #[test]
    fn what_changes_after_it_was_measured_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("linux.efi");
        fs::write(&path, stub(X64, "1")).unwrap();
        let read = OpenImage::open(&path).unwrap();
        let signed = read.signed(&[vec![0x30, 0]]).unwrap();
        let out = directory.path().join("signed.efi");
        write(&signed, &out).unwrap();
        // As long as before, by somebody who comes in between.
        fs::write(&path, stub(X64, "2")).unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        let error = write(&signed, &out).unwrap_err().to_string();
        assert!(error.contains("wrote to it since"), "{error}");
    }
}
