//! Signing where no key is at hand: what must be signed goes out, signatures come
//! back.
//!
//! The first step writes a document and, for tools that sign files, the bytes of each
//! image in two files. The second finds signatures by name, checks them, and puts them
//! into the tree.
#![expect(clippy::disallowed_methods, reason = "trees are files")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secure_boot::certificate::Certificate;
use secure_boot::hex;
use secure_boot::sign::ToBeSigned;
use serde::Serialize;
use tree_manifest::{Entry, Manifest, Role, Sha256, SignatureState, Source, TreePath, check};

use crate::error::{Error, SigningError};
use crate::publish::{MANIFEST, put, stage, write_error};
use crate::signing::{OpenImage, read, refused};

/// The document that says what must be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Digests {
    /// What the document is.
    pub format: &'static str,
    /// Its version.
    pub version: u32,
    /// The images, by tree and path.
    pub images: Vec<ImageDigest>,
}

/// What must be signed of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageDigest {
    /// The tree that it is in.
    pub tree: String,
    /// Its path there.
    pub path: String,
    /// The Authenticode digest, SHA-256.
    pub sha256: String,
    /// What an RSA key signs, in hexadecimal digits.
    pub to_be_signed: String,
    /// What a CMS tool signs, detached, in hexadecimal digits.
    pub content: String,
}

/// What was attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// The images that have a new signature.
    pub signed: Vec<(Role, TreePath)>,
    /// Those that still wait for one.
    pub pending: Vec<(Role, TreePath)>,
}

/// An output of this program: its manifest and where it is.
struct Output {
    directory: PathBuf,
    manifest: Manifest,
}

impl Output {
    fn load(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(MANIFEST);
        let manifest =
            check::load(&path).map_err(|source| SigningError::Manifest { path, source })?;
        Ok(Self {
            directory: directory.into(),
            manifest,
        })
    }

    /// The images without a signature, and their digests.
    fn unsigned(&self) -> Vec<(Role, TreePath, PathBuf, Sha256)> {
        let trees = self.manifest.trees.iter();
        let entries = trees.flat_map(|(role, tree)| tree.iter().map(move |it| (role, it)));
        entries
            .filter_map(|(role, (path, entry))| {
                let Entry::File(file) = entry else {
                    return None;
                };
                let state = file.provenance.as_ref()?.signature?;
                let place = match &file.source {
                    Source::Beside(beside) => beside.on(&self.directory),
                    Source::Absolute(absolute) => PathBuf::from(absolute),
                    Source::Text(_) | Source::Pieces(_) | Source::Nowhere => return None,
                };
                let unsigned = state != SignatureState::Signed;
                unsigned.then(|| (role.clone(), path.clone(), place, file.sha256))
            })
            .collect()
    }

    /// Notes what became of an image.
    fn note(&mut self, role: &Role, path: &TreePath, state: SignatureState) {
        if let Some(Entry::File(file)) = self.manifest.tree_mut(role.clone()).get_mut(path)
            && let Some(provenance) = &mut file.provenance
        {
            provenance.signature = Some(state);
        }
    }

    /// Writes the manifest anew, as old as it was: what changed since it was first
    /// written has still to be read to be believed.
    fn save(&self) -> Result<(), Error> {
        let path = self.directory.join(MANIFEST);
        let staged = stage(&path, 0o600)?;
        let fill = || -> io::Result<()> {
            let modified = fs::metadata(&path)?.modified()?;
            fs::write(staged.path(), self.manifest.to_json())?;
            staged.as_file().set_modified(modified)?;
            staged.as_file().sync_all()?;
            fs::set_permissions(staged.path(), fs::metadata(&path)?.permissions())
        };
        fill().map_err(write_error(&path))?;
        put(staged, &path)
    }
}

/// Says what must be signed of an output, and notes that it is asked for. With a
/// directory, writes `TREE/PATH.tbs` (for RSA keys) and `TREE/PATH.content` (for CMS
/// tools) into it.
///
/// # Errors
/// When the output cannot be read or an image is refused.
pub fn digests(output: &Path, to: Option<&Path>) -> Result<Digests, Error> {
    let mut output = Output::load(output)?;
    let mut images = Vec::new();
    for (role, path, place, sha256) in output.unsigned() {
        check_content(&place, sha256)?;
        let image = OpenImage::open(&place)?;
        let to_be_signed = ToBeSigned::of(&image.measured.sha256);
        if let Some(directory) = to {
            let base = beside(directory, &role, &path);
            write(&with_ending(&base, "tbs"), to_be_signed.attributes())?;
            write(&with_ending(&base, "content"), to_be_signed.content())?;
        }
        output.note(&role, &path, SignatureState::Pending);
        images.push(ImageDigest {
            tree: role.to_string(),
            path: path.to_string(),
            sha256: hex(&image.measured.sha256),
            to_be_signed: hex(to_be_signed.attributes()),
            content: hex(to_be_signed.content()),
        });
    }
    output.save()?;
    Ok(Digests {
        format: "esp-builder-digests",
        version: 1,
        images,
    })
}

/// Puts signatures into an output. `TREE/PATH.p7` is a PKCS#7, detached or not, in PEM
/// or DER; `TREE/PATH.sig` is the RSA signature of `TREE/PATH.tbs`, by the owner of the
/// first certificate. Every signature is checked, and when certificates are given must
/// lead to one of them, before anything is written.
///
/// # Errors
/// When there is no signature for any image, or one does not hold.
pub fn attach(
    output: &Path,
    signatures: &Path,
    certificates: &[Certificate],
) -> Result<Attached, Error> {
    let directory = output;
    let mut output = Output::load(directory)?;
    let (mut ready, mut attached) = (Vec::new(), Attached::default());
    for (role, path, place, _) in output.unsigned() {
        let base = beside(signatures, &role, &path);
        let Some((from, signature)) = find(&base)? else {
            attached.pending.push((role, path));
            continue;
        };
        let image = OpenImage::open(&place)?;
        let to_be_signed = ToBeSigned::of(&image.measured.sha256);
        let pkcs7 = if from.extension().is_some_and(|ending| ending == "sig") {
            to_be_signed.join(&signature, certificates)
        } else {
            to_be_signed.complete(&signature, certificates)
        };
        let pkcs7 = pkcs7.map_err(refused(&from))?;
        ready.push((role, path, image, pkcs7, from));
    }
    if ready.is_empty() {
        return Err(SigningError::NoSignatures(signatures.into()).into());
    }
    for (role, path, image, pkcs7, from) in ready {
        let beside = format!("{role}/{path}");
        let target = directory.join(&beside);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(write_error(folder))?;
        }
        // It is there when an earlier run was interrupted.
        let is_there = |there: &[u8]| there.starts_with(&pkcs7);
        let there = image.measured.signatures().map_err(refused(&target))?;
        if there.into_iter().any(is_there) {
            image.write_signed(&[], &target)?;
        } else {
            image.write_signed(&[pkcs7], &target)?;
        }
        recheck(&target, certificates, &from)?;
        let (sha256, size) = content(&target)?;
        if let Some(Entry::File(file)) = output.manifest.tree_mut(role.clone()).get_mut(&path) {
            (file.size, file.sha256) = (size, sha256);
            if let Ok(place) = TreePath::new(beside) {
                file.source = Source::Beside(place);
            }
        }
        output.note(&role, &path, SignatureState::Signed);
        // After each one: a run that is interrupted leaves a manifest that is right.
        output.save()?;
        attached.signed.push((role, path));
    }
    Ok(attached)
}

/// Refuses to have signed what is not what was built.
fn check_content(path: &Path, expected: Sha256) -> Result<(), Error> {
    if content(path)?.0 == expected {
        return Ok(());
    }
    Err(Error::Changed {
        path: path.into(),
        reason: "the manifest states another digest".to_owned(),
    })
}

fn content(path: &Path) -> Result<(Sha256, u64), Error> {
    let read = fs::File::open(path).and_then(Sha256::of_reader);
    read.map_err(|source| Error::Read {
        path: path.into(),
        source,
    })
}

/// Reads the signed image again, as firmware will.
fn recheck(path: &Path, certificates: &[Certificate], from: &Path) -> Result<(), Error> {
    let found = OpenImage::open(path)?.signatures(certificates)?;
    let leads = found.iter().any(|signature| signature.trusted.is_some());
    if certificates.is_empty() || leads {
        return Ok(());
    }
    let reason = "leads to none of the given certificates".to_owned();
    let source = secure_boot::Error::SignedData(reason);
    Err(refused(from)(source))
}

/// The signature of an image, when there is one.
fn find(base: &Path) -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    for ending in ["p7", "sig"] {
        let path = with_ending(base, ending);
        if path.exists() {
            return read(&path).map(|bytes| Some((path, bytes)));
        }
    }
    Ok(None)
}

fn beside(directory: &Path, role: &Role, path: &TreePath) -> PathBuf {
    path.on(&directory.join(role.as_str()))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(write_error(folder))?;
    }
    fs::write(path, bytes).map_err(write_error(path))
}
