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

use crate::assembled::Assembled;
use crate::content;
use crate::error::{Error, SigningError, write_error};
use crate::live::changes::Place;
use crate::publish::{self, MANIFEST, put, stage};
use crate::signing::{OpenImage, read, refused, whole_file, write as write_image};

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

    /// The images without a signature.
    fn unsigned(&self) -> Result<Vec<Unsigned>, Error> {
        let mut images = Vec::new();
        for (role, tree) in &self.manifest.trees {
            for (path, entry) in tree {
                let Entry::File(file) = entry else { continue };
                let state = file.provenance.as_ref().and_then(|why| why.signature);
                if matches!(state, None | Some(SignatureState::Signed)) {
                    continue;
                }
                let is_beside = matches!(file.source, Source::Beside(_));
                let image = if is_beside {
                    // A run that was interrupted may have made it longer.
                    Some(whole_file(&beside(&self.directory, role, path))?)
                } else {
                    Assembled::of_source(file, &self.directory)
                };
                images.extend(image.map(|image| Unsigned {
                    place: (role.clone(), path.clone()),
                    image,
                    is_beside,
                    sha256: file.sha256,
                }));
            }
        }
        Ok(images)
    }

    /// Notes what became of an image.
    fn note(&mut self, (role, path): &Place, state: SignatureState) {
        if let Some(Entry::File(file)) = self.manifest.tree_mut(role.clone()).get_mut(path)
            && let Some(provenance) = &mut file.provenance
        {
            provenance.signature = Some(state);
        }
    }

    /// Puts a signed image where the one without a signature was: a file beside the
    /// manifest is written anew, of others the manifest says how they are put together.
    fn put(&mut self, unsigned: &Unsigned, image: &Assembled) -> Result<(), Error> {
        let (role, path) = &unsigned.place;
        let sha256 = digest(image, &unsigned.name())?;
        let source = if unsigned.is_beside {
            write_image(image, &beside(&self.directory, role, path))?;
            None
        } else {
            image.written_down()?.map(Source::Pieces)
        };
        if let Some(Entry::File(file)) = self.manifest.tree_mut(role.clone()).get_mut(path) {
            (file.size, file.sha256) = (image.map.length(), Some(sha256));
            file.source = source.unwrap_or_else(|| file.source.clone());
        }
        self.note(&unsigned.place, SignatureState::Signed);
        // After each one: a run that is interrupted leaves a manifest that is right.
        self.save()
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

/// An image that waits for a signature.
struct Unsigned {
    place: Place,
    image: Assembled,
    /// Whether it is a file beside the manifest.
    is_beside: bool,
    sha256: Option<Sha256>,
}

impl Unsigned {
    fn name(&self) -> PathBuf {
        self.image.name(&self.place)
    }

    fn open(&self) -> Result<OpenImage, Error> {
        OpenImage::of(self.image.clone(), &self.name())
    }

    /// Refuses to have signed what is not what was built.
    fn check_content(&self) -> Result<(), Error> {
        let path = self.name();
        let Some(sha256) = self.sha256 else {
            return Err(SigningError::NoDigest(path).into());
        };
        if digest(&self.image, &path)? == sha256 {
            return Ok(());
        }
        Err(Error::Changed {
            path,
            reason: "the manifest states another digest".to_owned(),
        })
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
    for unsigned in output.unsigned()? {
        unsigned.check_content()?;
        let image = unsigned.open()?;
        let to_be_signed = ToBeSigned::of(&image.measured.sha256);
        let (role, path) = &unsigned.place;
        if let Some(directory) = to {
            let base = beside(directory, role, path);
            write(&with_ending(&base, "tbs"), to_be_signed.attributes())?;
            write(&with_ending(&base, "content"), to_be_signed.content())?;
        }
        output.note(&unsigned.place, SignatureState::Pending);
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
    let mut output = Output::load(output)?;
    let (mut ready, mut attached) = (Vec::new(), Attached::default());
    for unsigned in output.unsigned()? {
        let (role, path) = &unsigned.place;
        let Some((from, signature)) = find(&beside(signatures, role, path))? else {
            attached.pending.push(unsigned.place);
            continue;
        };
        let image = unsigned.open()?;
        let to_be_signed = ToBeSigned::of(&image.measured.sha256);
        let pkcs7 = if from.extension().is_some_and(|ending| ending == "sig") {
            to_be_signed.join(&signature, certificates)
        } else {
            to_be_signed.complete(&signature, certificates)
        };
        let pkcs7 = pkcs7.map_err(refused(&from))?;
        ready.push((unsigned, image, pkcs7, from));
    }
    if ready.is_empty() {
        return Err(SigningError::NoSignatures(signatures.into()).into());
    }
    for (unsigned, image, pkcs7, from) in ready {
        // It is there when an earlier run was interrupted.
        let is_there = |there: &[u8]| there.starts_with(&pkcs7);
        let there = image.measured.signatures();
        let there = there.map_err(refused(&unsigned.name()))?;
        let signed = if there.into_iter().any(is_there) {
            image.signed(&[])?
        } else {
            image.signed(&[pkcs7])?
        };
        recheck(&signed, &unsigned, certificates, &from)?;
        output.put(&unsigned, &signed)?;
        attached.signed.push(unsigned.place);
    }
    Ok(attached)
}

/// The digest of a file that is put together.
fn digest(image: &Assembled, name: &Path) -> Result<Sha256, Error> {
    content::digest(image, &|_| {}).map_err(|failure| failure.into_error(name))
}

/// Reads the signed image again, as firmware will.
fn recheck(
    signed: &Assembled,
    unsigned: &Unsigned,
    certificates: &[Certificate],
    from: &Path,
) -> Result<(), Error> {
    let found = OpenImage::of(signed.clone(), &unsigned.name())?.signatures(certificates)?;
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
    publish::write(path, bytes)
}
