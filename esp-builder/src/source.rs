//! Where content comes from: finding files, naming them, looking at their heads.
//!
//! With a root directory, absolute paths of documents are looked up below it, and
//! so are the targets of symbolic links: a link to `/nix/store/x` inside the root
//! never leads to the host's store.
#![expect(clippy::disallowed_methods, reason = "finding files reads directories")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bootloaders::BootFile;
use bootloaders::pe::{self, PeImage};
use rustix::fs::{Mode, OFlags};
use tree_manifest::{Sha256, TreePath};

use crate::error::Error;
use crate::parallel;

mod root;

use root::{Root, below};

/// Where kernels and their like lie on the boot partition.
pub(crate) const DIRECTORY: &str = "EFI/nixos";

/// Finds files of documents and of the host. What was found is remembered:
/// generations share kernels, and no head is read twice.
#[derive(Debug)]
pub struct Sources {
    root: Option<Root>,
    store_dir: PathBuf,
    /// Documents' paths, links unresolved, and the files they lead to. As keys, paths
    /// are compared byte by byte: store paths differ late.
    found: BTreeMap<OsString, OsString>,
    /// The files by their host's path.
    looked_at: BTreeMap<OsString, (BootFile, Option<PeImage>)>,
    /// What files are named after that were read ahead, by their host's path.
    contents: BTreeMap<PathBuf, String>,
}

/// A regular file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where to read it: an absolute path of the host, free of symbolic links.
    pub host: PathBuf,
    /// The same seen from inside the root.
    pub inside: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// When its inode last changed, in seconds since 1970.
    pub changed: i64,
}

/// What needs a file, and as what; for messages.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// The entry.
    pub whose: &'a str,
    /// What the file is to it.
    pub what: &'static str,
}

impl Sources {
    /// Looks files up below a root, or on the host.
    ///
    /// # Errors
    /// When the root is not there.
    pub fn new(root: Option<&Path>, store_dir: &Path) -> Result<Self, Error> {
        let open = |given: &Path| {
            Root::new(given).map_err(|source| Error::Root {
                path: given.into(),
                source,
            })
        };
        let root = root.map(open).transpose()?;
        Ok(Self {
            // The host's own root moves nothing.
            root: root.filter(|root| root.canonical != Path::new("/")),
            store_dir: store_dir.into(),
            found: BTreeMap::new(),
            looked_at: BTreeMap::new(),
            contents: BTreeMap::new(),
        })
    }

    /// Whether paths are looked up elsewhere than on the host.
    #[must_use]
    pub fn is_relocated(&self) -> bool {
        self.root.is_some()
    }

    /// A path that may be one of the host, as documents would name it: without the
    /// root, when it is below it.
    #[must_use]
    pub fn inside(&self, path: &Path) -> PathBuf {
        let roots = self.root.iter();
        let inner = roots
            .flat_map(|root| [&root.canonical, &root.given])
            .find_map(|root| path.strip_prefix(root).ok());
        inner.map_or_else(|| path.into(), |inner| Path::new("/").join(inner))
    }

    /// A path that a document names, without symbolic links; seen from inside the
    /// root.
    ///
    /// # Errors
    /// When it leads nowhere.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        match &self.root {
            Some(root) => root.resolve(path),
            None => fs::canonicalize(path),
        }
    }

    /// Finds a file that a document names.
    ///
    /// # Errors
    /// When it is not there, or is not a regular file.
    pub fn locate(&self, path: &Path) -> io::Result<Located> {
        let inside = self.resolve(path)?;
        located(self.on_host(&inside), inside)
    }

    /// Finds a file in a directory that was resolved before.
    ///
    /// # Errors
    /// As [`Sources::locate`].
    pub fn locate_in(&self, directory: &Path, name: &str) -> io::Result<Located> {
        let inside = directory.join(name);
        let host = self.on_host(&inside);
        let metadata = fs::symlink_metadata(&host)?;
        if metadata.is_symlink() {
            return self.locate(&inside);
        }
        of_metadata(host, inside, &metadata)
    }

    /// Opens a regular file that a document names, whatever links lead there, and says
    /// what it is. The kernel walks the path; when it does not get there,
    /// [`Sources::locate`] says why.
    ///
    /// # Errors
    /// When it cannot be opened, is no regular file, or when Linux is older than 5.6.
    pub fn open(&self, path: &Path) -> io::Result<(File, Metadata)> {
        // What is no file must not make us wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = match &self.root {
            Some(root) => root.open(path, flags)?,
            None => rustix::fs::open(path, flags, Mode::empty())?,
        };
        let file = File::from(opened);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_a_file());
        }
        Ok((file, metadata))
    }

    /// A path of a document as the host reads it, links unresolved; for messages
    /// and searches.
    #[must_use]
    pub fn on_host(&self, path: &Path) -> PathBuf {
        self.root
            .as_ref()
            .map_or_else(|| path.into(), |root| below(&root.canonical, path))
    }

    /// A file that a document names, as it will be on the boot partition.
    ///
    /// # Errors
    /// When it cannot be read, or when its name or size does not fit.
    pub fn document_file(&mut self, path: &Path, need: Need<'_>) -> Result<BootFile, Error> {
        let known = self.found.get(path.as_os_str());
        if let Some((file, _)) = known.and_then(|host| self.looked_at.get(host)) {
            return Ok(file.clone());
        }
        let located = self
            .locate(path)
            .map_err(|source| need.missing(&self.on_host(path), source))?;
        self.found.insert(path.into(), located.host.clone().into());
        self.boot_file(located, need)
    }

    /// Reads those of a document's files that are named after their content, each once and
    /// several at a time. What cannot be read, is refused by name when it is asked for.
    pub fn read_ahead<'a>(&mut self, paths: impl Iterator<Item = &'a Path>) {
        let outside = paths.filter(|path| !path.starts_with(&self.store_dir));
        let found = outside.filter_map(|path| self.locate(path).ok());
        let found = found.filter(|found| !found.inside.starts_with(&self.store_dir));
        let files: BTreeSet<PathBuf> = found.map(|found| found.host).collect();
        let files: Vec<_> = files.into_iter().collect();
        let read = parallel::map(&files, |file| Ok(content_name(file).ok()));
        let named = files.into_iter().zip(read.unwrap_or_default());
        let named = named.filter_map(|(file, name)| Some((file, name?)));
        self.contents.extend(named);
    }

    /// A file of the host, as it will be on the boot partition. When it is inside the
    /// root it is named as a document would name it.
    ///
    /// # Errors
    /// As [`Sources::document_file`].
    pub fn host_file(&mut self, path: &Path, need: Need<'_>) -> Result<BootFile, Error> {
        let found = fs::canonicalize(path).and_then(|host| {
            let inside = self.inside(&host);
            located(host, inside)
        });
        self.boot_file(found.map_err(|source| need.missing(path, source))?, need)
    }

    /// What the head of a file says that was found before; `None` when it is not a
    /// PE image.
    #[must_use]
    pub fn image(&self, file: &BootFile) -> Option<&PeImage> {
        let (_, image) = self.looked_at.get(file.source.as_os_str())?;
        image.as_ref()
    }

    fn boot_file(&mut self, located: Located, need: Need<'_>) -> Result<BootFile, Error> {
        if let Some((file, _)) = self.looked_at.get(located.host.as_os_str()) {
            return Ok(file.clone());
        }
        let path = self.tree_path(&located, need)?;
        let image =
            read_image(&located.host).map_err(|source| need.missing(&located.host, source))?;
        let file = BootFile {
            source: located.host.clone(),
            path,
            size: located.size,
            signature: image.as_ref().map(|image| image.signature),
        };
        self.looked_at
            .insert(located.host.into(), (file.clone(), image));
        Ok(file)
    }

    /// Names a file after its store path, or after its content: no two contents
    /// ever have one name, whatever else is in the tree.
    fn tree_path(&self, located: &Located, need: Need<'_>) -> Result<TreePath, Error> {
        let unfit = |reason: String| need.unfit(&located.inside, reason);
        let stem = if let Ok(inner) = located.inside.strip_prefix(&self.store_dir) {
            let parts = inner.components().map(|part| part.as_os_str().to_str());
            parts
                .collect::<Option<Vec<_>>>()
                .map(|parts| parts.join("-"))
        } else {
            let content = match self.contents.get(&located.host) {
                Some(name) => name.clone(),
                None => content_name(&located.host)
                    .map_err(|source| need.missing(&located.host, source))?,
            };
            let name = located.inside.file_name().and_then(|name| name.to_str());
            name.map(|name| format!("{content}-{name}"))
        };
        let stem = stem.ok_or_else(|| unfit("has a name that is not UTF-8".to_owned()))?;
        TreePath::new(format!("{DIRECTORY}/{}.efi", encode(&stem)))
            .map_err(|error| unfit(error.reason.to_owned()))
    }
}

impl Need<'_> {
    pub(crate) fn missing(self, path: &Path, source: io::Error) -> Error {
        Error::Missing {
            whose: self.whose.to_owned(),
            what: self.what,
            path: path.into(),
            source,
        }
    }

    fn unfit(self, path: &Path, reason: String) -> Error {
        Error::Unfit {
            whose: self.whose.to_owned(),
            what: self.what,
            path: path.into(),
            reason,
        }
    }
}

/// The first bytes of a file, as many as [`PeImage::parse`] wants.
///
/// # Errors
/// When it cannot be read.
pub fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    read_at_most(path, pe::HEAD as u64)
}

/// At most `limit` bytes of a file.
///
/// # Errors
/// When it cannot be read.
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(File::open(path)?, limit)
}

/// At most `limit` bytes of a file that is open.
///
/// # Errors
/// When it cannot be read.
fn read_open(file: File, limit: u64) -> io::Result<Vec<u8>> {
    // The length saves reads; a file may have none, or another soon.
    let length = file.metadata()?.len().min(limit);
    read_whole(file.take(limit), length)
}

/// All that a reader has. When that is as long as expected, it is read at once.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_whole(mut reader: impl Read, expected: u64) -> io::Result<Vec<u8>> {
    // One more byte would show that there is more.
    let mut bytes = vec![0; usize::try_from(expected).unwrap_or(0) + 1];
    let count = reader.read(&mut bytes)?;
    let is_all = count as u64 == expected;
    bytes.truncate(count);
    if !is_all {
        reader.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// What the head of a file says, when it is a PE image. Of others, such as initrds,
/// no more than the signature is read.
fn read_image(path: &Path) -> io::Result<Option<PeImage>> {
    let file = File::open(path)?;
    let mut signature = [0; 2];
    file.read_at(&mut signature, 0)?;
    if signature != *b"MZ" {
        return Ok(None);
    }
    let head = read_open(file, pe::HEAD as u64)?;
    Ok(PeImage::parse(&head).ok())
}

/// The first half of a digest: 128 bits are enough to tell any two files apart.
fn content_name(host: &Path) -> io::Result<String> {
    let (digest, _) = Sha256::of_reader(File::open(host)?)?;
    let mut name = digest.to_string();
    name.truncate(32);
    Ok(name)
}

/// Writes what FAT cannot hold as `%xx`: a store path may hold `?`. So are a blank, which
/// ends a path in load options and in settings of Xen, and `#`, which Limine and U-Boot take
/// for its end.
fn encode(name: &str) -> String {
    let reserved = |c: char| c.is_ascii_control() || " #\"*:<>?\\|".contains(c);
    let mut encoded = String::with_capacity(name.len());
    for character in name.chars() {
        if reserved(character) {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{:02x}", u32::from(character));
        } else {
            encoded.push(character);
        }
    }
    encoded
}

fn located(host: PathBuf, inside: PathBuf) -> io::Result<Located> {
    let metadata = fs::symlink_metadata(&host)?;
    of_metadata(host, inside, &metadata)
}

fn of_metadata(host: PathBuf, inside: PathBuf, metadata: &Metadata) -> io::Result<Located> {
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    Ok(Located {
        host,
        inside,
        size: metadata.len(),
        changed: metadata.ctime(),
    })
}

fn not_a_file() -> io::Error {
    io::Error::other("not a regular file")
}
