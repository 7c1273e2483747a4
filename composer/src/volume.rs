//! Reads the FAT file system of a partition, with the `fatfs` crate.

use std::io::{self, Read, Write};

use tree_manifest::Sha256;

use crate::error::Error;
use crate::image::Image;

mod disk;

use disk::Disk;

/// A directory has at most 65536 entries of 32 bytes; reading one also reads the
/// table. What takes more does not end.
const DIRECTORY_BUDGET: u64 = 16 << 20;

/// Directories in directories; firmware reads paths of some hundred characters.
const MAX_DEPTH: usize = 128;

/// An open FAT file system.
pub struct Volume<'a> {
    image: &'a Image,
    number: u32,
    file_system: fatfs::FileSystem<Disk>,
    disk: Disk,
}

impl std::fmt::Debug for Volume<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A file or directory of a volume.
#[derive(Debug, Clone)]
pub struct Item<'v> {
    /// Its path from the root, without a leading `/`.
    pub path: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its length in bytes; 0 for a directory.
    pub size: u64,
    /// Where it is, so that no directory is searched to read it; the root has none.
    entry: Option<fatfs::DirEntry<'v, Disk>>,
}

/// What a volume says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeInfo {
    /// `FAT12`, `FAT16` or `FAT32`.
    pub fat_type: String,
    /// The label; empty when there is none.
    pub label: String,
    /// The serial number, as `mdir` writes it.
    pub serial: String,
    /// Bytes of a cluster.
    pub cluster_size: u32,
    /// Clusters for data.
    pub clusters: u32,
    /// Those that are free, by the table.
    pub free_clusters: u32,
}

impl<'a> Volume<'a> {
    /// Opens the volume in a partition.
    ///
    /// # Errors
    /// When there is no such partition, or no FAT file system in it.
    pub fn open(image: &'a Image, number: u32) -> Result<Self, Error> {
        let disk = Disk::new(image.partition(number)?);
        disk.check_size()
            .map_err(|reason| not_fat(image, number, &reason))?;
        let options = fatfs::FsOptions::new().update_accessed_date(false);
        let file_system = fatfs::FileSystem::new(disk.clone(), options)
            .map_err(|error| not_fat(image, number, &error.to_string()))?;
        Ok(Self {
            image,
            number,
            file_system,
            disk,
        })
    }

    /// What the volume says of itself.
    ///
    /// # Errors
    /// When its table cannot be read.
    pub fn info(&self) -> io::Result<VolumeInfo> {
        let stats = self.file_system.stats()?;
        let serial = self.file_system.volume_id();
        self.disk.limit(DIRECTORY_BUDGET);
        let label = self.file_system.read_volume_label_from_root_dir();
        Ok(VolumeInfo {
            fat_type: format!("{:?}", self.file_system.fat_type()).to_uppercase(),
            label: label.ok().flatten().unwrap_or_default(),
            serial: format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff),
            cluster_size: stats.cluster_size(),
            clusters: stats.total_clusters(),
            free_clusters: stats.free_clusters(),
        })
    }

    /// What a path names.
    ///
    /// # Errors
    /// When there is nothing of this path.
    pub fn find(&self, path: &str) -> Result<Item<'_>, Error> {
        let path = path.trim_matches('/');
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if path.is_empty() {
            return Ok(Item {
                path: String::new(),
                is_directory: true,
                size: 0,
                entry: None,
            });
        }
        let fold = tree_manifest::fat::fold;
        let found = self.list(directory)?.into_iter().find(|item| {
            let own = item.path.rsplit('/').next().unwrap_or(&item.path);
            fold(own) == fold(name)
        });
        found.ok_or_else(|| self.missing(path))
    }

    /// The content of a directory, by name.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn list(&self, directory: &str) -> Result<Vec<Item<'_>>, Error> {
        let directory = directory.trim_matches('/');
        let opened = self.directory(directory)?;
        self.entries(&opened, directory)
    }

    /// Everything below a directory, directories before what they hold.
    ///
    /// # Errors
    /// When a directory cannot be read, leads back into itself, or shares its
    /// clusters with another.
    pub fn walk(&self, directory: &str) -> Result<Vec<Item<'_>>, Error> {
        let directory = directory.trim_matches('/');
        let opened = self.directory(directory)?;
        let mut walk = Walk {
            volume: self,
            depth: 0,
            // Everything takes a cluster, so no sound volume has more in it.
            room: self.disk.size() / u64::from(self.file_system.cluster_size()).max(1),
            items: Vec::new(),
        };
        walk.enter(&opened, directory)?;
        Ok(walk.items)
    }

    fn directory(&self, path: &str) -> Result<Directory<'_>, Error> {
        self.disk.limit(DIRECTORY_BUDGET);
        let root = self.file_system.root_dir();
        if path.is_empty() {
            return Ok(root);
        }
        root.open_dir(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(path),
            _ => self.failed(path, &error),
        })
    }

    /// What a directory holds, by name.
    fn entries<'v>(&'v self, opened: &Directory<'v>, path: &str) -> Result<Vec<Item<'v>>, Error> {
        self.disk.limit(DIRECTORY_BUDGET);
        let mut entries = Vec::new();
        for entry in opened.iter() {
            let entry = entry.map_err(|error| self.failed(path, &error))?;
            let name = entry.file_name();
            if name == "." || name == ".." {
                continue;
            }
            let path = if path.is_empty() {
                name
            } else {
                format!("{path}/{name}")
            };
            let is_directory = entry.is_dir();
            entries.push(Item {
                path,
                is_directory,
                size: if is_directory { 0 } else { entry.len() },
                entry: Some(entry),
            });
        }
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Copies the content of a file.
    ///
    /// # Errors
    /// When it is no file, is cut short, or `sink` fails; the outer error is
    /// the volume's, the inner one the sink's.
    pub fn read(&self, item: &Item<'_>, sink: &mut dyn Write) -> Result<io::Result<()>, Error> {
        self.disk
            .limit(item.size.saturating_mul(3).saturating_add(DIRECTORY_BUDGET));
        let entry = item.entry.as_ref().filter(|entry| entry.is_file());
        let mut file = entry.ok_or_else(|| self.missing(&item.path))?.to_file();
        let mut buffer = vec![0; 256 * 1024];
        let mut left = item.size;
        while left > 0 {
            let count = file
                .read(&mut buffer)
                .map_err(|error| self.failed(&item.path, &error))?;
            if count == 0 {
                let reason = format!("{left} bytes are missing at its end");
                return Err(self.failed(&item.path, &io::Error::other(reason)));
            }
            left = left.saturating_sub(count as u64);
            if let Err(error) = sink.write_all(&buffer[..count]) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// The digest of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, item: &Item<'_>) -> Result<Sha256, Error> {
        let mut hasher = tree_manifest::Hasher::default();
        self.read(item, &mut hasher)?
            .map_err(|error| self.failed(&item.path, &error))?;
        Ok(hasher.finish().0)
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        let number = self.number;
        Error::image(
            &self.image.path,
            format!("partition {number}: `/{what}`: {error}"),
        )
    }

    fn missing(&self, path: &str) -> Error {
        Error::NotInImage {
            path: self.image.path.clone(),
            what: format!("`/{path}` in partition {}", self.number),
        }
    }
}

/// A directory of a volume.
type Directory<'v> = fatfs::Dir<'v, Disk>;

/// A walk through a volume that may be damaged.
struct Walk<'v, 'i> {
    volume: &'v Volume<'i>,
    depth: usize,
    /// Clusters that have not been met yet.
    room: u64,
    items: Vec<Item<'v>>,
}

impl<'v> Walk<'v, '_> {
    fn enter(&mut self, opened: &Directory<'v>, path: &str) -> Result<(), Error> {
        self.depth += 1;
        let cluster = u64::from(self.volume.file_system.cluster_size()).max(1);
        for item in self.volume.entries(opened, path)? {
            let taken = if item.is_directory {
                1
            } else {
                item.size.div_ceil(cluster)
            };
            let room = self
                .room
                .checked_sub(taken)
                .filter(|_| self.depth <= MAX_DEPTH);
            let Some(room) = room else {
                return Err(self.volume.failed(path, &io::Error::other("it loops")));
            };
            self.room = room;
            let directory = item.entry.as_ref().filter(|entry| entry.is_dir());
            let directory = directory.map(|entry| (entry.to_dir(), item.path.clone()));
            self.items.push(item);
            if let Some((directory, path)) = directory {
                self.enter(&directory, &path)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

fn not_fat(image: &Image, number: u32, reason: &str) -> Error {
    Error::image(
        &image.path,
        format!("partition {number} holds no FAT file system: {reason}"),
    )
}
