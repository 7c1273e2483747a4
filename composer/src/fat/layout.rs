//! A tree and a geometry become a volume.

use std::collections::BTreeMap;
use std::sync::Arc;

use extents::ExtentMap;
use tree_manifest::TreePath;

use super::directory::{self, Child, ENTRY, MAX_ENTRIES, Place};
use super::geometry::{FatType, Geometry, Request};
use super::table::{self, FIRST_CLUSTER, Free};
use super::{BLOCK, MAX_SECTORS};
use crate::error::Error;
use crate::size::{ByteSize, SectorSize, round_up};
use crate::tree::{FileContent, FileTree, Node};

/// How a volume is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeId {
    /// The serial number.
    pub serial: u32,
    /// The label, already fit for FAT: at most eleven bytes of upper case.
    pub label: Option<String>,
}

impl VolumeId {
    /// The label as the boot sector has it, which cannot have none.
    pub(super) fn label(&self) -> [u8; 11] {
        self.root_label().unwrap_or(*b"NO NAME    ")
    }

    fn root_label(&self) -> Option<[u8; 11]> {
        let text = self.label.as_deref().filter(|label| !label.is_empty())?;
        let mut label = [b' '; 11];
        for (place, byte) in label.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Some(label)
    }
}

/// A planned volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Where its parts are.
    pub geometry: Geometry,
    /// Clusters in use.
    pub used: u64,
    /// Its bytes, as long as the size that was asked for.
    pub extents: ExtentMap,
}

/// Clusters in a row that belong to one file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first cluster.
    pub first: u64,
    /// How many there are; at least 1.
    pub clusters: u64,
}

impl Run {
    /// The first cluster behind the run.
    pub fn end(&self) -> u64 {
        self.first + self.clusters
    }
}

/// Lays out a volume.
///
/// # Errors
/// When no geometry fulfils the request, a directory has too many entries, or
/// the tree does not fit; the error has the numbers.
pub fn plan(tree: &FileTree, request: &Request, id: &VolumeId) -> Result<Volume, Error> {
    let contents = Contents::of(tree)?;
    let request = Request {
        root_entries: contents.root_entries(),
        ..*request
    };
    let Some(geometry) = Geometry::choose(&request) else {
        return Err(Error::NoGeometry {
            size: ByteSize(request.size),
            fat_type: request.fat_type,
            cluster: request.cluster.map(ByteSize),
        });
    };
    let layout = Layout::of(&contents, &geometry);
    if layout.used() > geometry.clusters {
        return Err(Error::VolumeFull {
            needed: ByteSize(layout.used() * geometry.cluster()),
            available: ByteSize(geometry.clusters * geometry.cluster()),
            least: minimum_size(tree, &request, u64::MAX)?,
        });
    }
    let extents = layout.render(&contents, id, request.size);
    Ok(Volume {
        geometry,
        used: layout.used(),
        extents,
    })
}

/// The smallest size of a volume that holds a tree: the size of `request` if that
/// will do, else a larger one in whole MiB, but never more than `most` bytes.
///
/// # Errors
/// When a directory has too many entries, or no size up to `most` holds the tree.
pub fn minimum_size(tree: &FileTree, request: &Request, most: u64) -> Result<ByteSize, Error> {
    let unit = ByteSize::mib(1).bytes();
    let contents = Contents::of(tree)?;
    // The first cluster count no FAT16 has, at the largest cluster size, is 2 GiB.
    let possible = match request.fat_type {
        Some(FatType::Fat12 | FatType::Fat16) => 2 << 30,
        Some(FatType::Fat32) | None => MAX_SECTORS * request.sector.bytes(),
    };
    let most = most.min(possible);
    let mut size = request
        .size
        .max(round_up(tree.totals().1.max(1), BLOCK))
        .min(most);
    loop {
        let sized = Request {
            size,
            root_entries: contents.root_entries(),
            ..*request
        };
        let missing = match Geometry::choose(&sized) {
            // Too small, or too large, for the wanted type: creep to the next unit.
            None => 1,
            Some(geometry) => {
                let used = Layout::of(&contents, &geometry).used();
                match used.checked_sub(geometry.clusters) {
                    None | Some(0) => return Ok(ByteSize(size)),
                    Some(missing) => missing * geometry.cluster(),
                }
            }
        };
        if size == most {
            return refuse(tree, &sized, most < possible);
        }
        size = round_up(size + missing, unit).min(most);
    }
}

/// Why a volume of this size does not hold the tree; with the size that would,
/// unless the search has been through all there are.
fn refuse(tree: &FileTree, request: &Request, is_bounded: bool) -> Result<ByteSize, Error> {
    if is_bounded {
        let volume = plan(tree, request, &VolumeId::default());
        return volume.map(|_| ByteSize(request.size));
    }
    Err(Error::NoGeometry {
        size: ByteSize(request.size),
        fat_type: request.fat_type,
        cluster: request.cluster.map(ByteSize),
    })
}

/// The directories of a tree with what they hold.
struct Contents<'a> {
    /// In path order; the root has no path and comes first.
    directories: BTreeMap<Option<TreePath>, Vec<(&'a TreePath, &'a Node)>>,
}

impl<'a> Contents<'a> {
    fn of(tree: &'a FileTree) -> Result<Self, Error> {
        let mut directories = BTreeMap::from([(None, Vec::new())]);
        for (path, node) in tree.iter() {
            if *node == Node::Directory {
                directories.entry(Some(path.clone())).or_default();
            }
            directories
                .entry(path.parent())
                .or_default()
                .push((path, node));
        }
        let contents = Self { directories };
        for (path, children) in &contents.directories {
            let entries = entries_of(path.as_ref(), children);
            if entries > MAX_ENTRIES {
                let path = path
                    .as_ref()
                    .map_or_else(|| "/".to_owned(), ToString::to_string);
                return Err(Error::DirectoryFull {
                    path,
                    files: children.len(),
                    entries,
                });
            }
        }
        Ok(contents)
    }

    fn root_entries(&self) -> u64 {
        self.directories
            .get(&None)
            .map_or(0, |children| entries_of(None, children))
    }

    /// The files that are not empty, small ones first. Only those of a block or
    /// more are aligned, so the small ones lie densely packed.
    fn files(&self) -> impl Iterator<Item = (&'a TreePath, &'a FileContent)> {
        let files = || {
            self.directories
                .values()
                .flatten()
                .filter_map(|(path, node)| match node {
                    Node::File(content) if content.size() > 0 => Some((*path, content)),
                    Node::File(_) | Node::Directory | Node::Symlink(_) => None,
                })
        };
        let is_small = |content: &FileContent| content.size() < BLOCK;
        let small = files().filter(move |(_, content)| is_small(content));
        small.chain(files().filter(move |(_, content)| !is_small(content)))
    }
}

fn entries_of(path: Option<&TreePath>, children: &[(&TreePath, &Node)]) -> u64 {
    directory::entry_count(children.iter().map(|(path, _)| path.name()), path.is_none())
}

/// Which clusters everything has.
struct Layout<'a> {
    geometry: &'a Geometry,
    /// In the order of the clusters.
    runs: Vec<Run>,
    /// By path; the root, if it has clusters at all, has no path.
    by_path: BTreeMap<Option<&'a TreePath>, Run>,
}

impl<'a> Layout<'a> {
    fn of(contents: &'a Contents<'a>, geometry: &'a Geometry) -> Self {
        let mut layout = Self {
            geometry,
            runs: Vec::new(),
            by_path: BTreeMap::new(),
        };
        for (path, children) in &contents.directories {
            if path.is_some() || geometry.root_entries == 0 {
                let bytes = entries_of(path.as_ref(), children) * ENTRY;
                layout.allocate(path.as_ref(), bytes);
            }
        }
        for (path, content) in contents.files() {
            layout.allocate(Some(path), content.size());
        }
        layout
    }

    fn allocate(&mut self, path: Option<&'a TreePath>, bytes: u64) {
        let mut first = self.runs.last().map_or(FIRST_CLUSTER, Run::end);
        if bytes >= BLOCK {
            let per_block = (BLOCK / self.geometry.cluster()).max(1);
            first = FIRST_CLUSTER + round_up(first - FIRST_CLUSTER, per_block);
        }
        let run = Run {
            first,
            clusters: self.geometry.clusters_for(bytes),
        };
        self.runs.push(run);
        self.by_path.insert(path, run);
    }

    /// Clusters up to the last one in use; those skipped for alignment count.
    fn used(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end() - FIRST_CLUSTER)
    }

    /// What is left: those skipped for alignment, and those behind the last one.
    fn free(&self) -> Free {
        let occupied: u64 = self.runs.iter().map(|run| run.clusters).sum();
        let next = FIRST_CLUSTER + self.used();
        let last = FIRST_CLUSTER + self.geometry.clusters;
        Free {
            count: self.geometry.clusters - occupied,
            next: (next < last).then_some(next),
        }
    }

    /// The first cluster of something; 0 when it has none.
    fn cluster_of(&self, path: Option<&TreePath>) -> u64 {
        self.by_path.get(&path).map_or(0, |run| run.first)
    }

    fn render(&self, contents: &Contents<'_>, id: &VolumeId, size: u64) -> ExtentMap {
        let geometry = self.geometry;
        let sector = geometry.sector.bytes();
        let mut extents = ExtentMap::hole(size);
        extents.push_bytes(0, table::reserved(geometry, id, self.free()));
        let table: Arc<[u8]> = table::table(geometry, &self.runs).into();
        for copy in 0..2 {
            let start = (geometry.reserved + copy * geometry.table_sectors) * sector;
            extents.push_bytes(start, Arc::clone(&table));
        }
        for (path, children) in &contents.directories {
            let path = path.as_ref();
            let start = match self.by_path.get(&path) {
                Some(run) => geometry.cluster_start(run.first),
                None => geometry.root_start() * sector,
            };
            extents.push_bytes(start, self.directory(path, children, id));
        }
        for (path, content) in contents.files() {
            let start = geometry.cluster_start(self.cluster_of(Some(path)));
            match content {
                FileContent::Bytes(bytes) => extents.push_bytes(start, Arc::clone(bytes)),
                FileContent::Source(source, size) => extents.push_slice(start, *size, *source, 0),
                FileContent::Pieces(map) => extents.append(start, map.clone()),
            }
        }
        extents
    }

    fn directory(
        &self,
        path: Option<&TreePath>,
        children: &[(&TreePath, &Node)],
        id: &VolumeId,
    ) -> Vec<u8> {
        let place = match path {
            None => Place::Root(id.root_label()),
            Some(path) => {
                // The specification has 0 for a parent that is the root.
                let parent = path.parent();
                let parent = parent.map_or(0, |parent| self.cluster_of(Some(&parent)));
                Place::Below {
                    own: self.cluster_of(Some(path)),
                    parent,
                }
            }
        };
        let children: Vec<_> = children
            .iter()
            .map(|(path, node)| Child {
                name: path.name(),
                is_directory: **node == Node::Directory,
                cluster: self.cluster_of(Some(path)),
                size: match node {
                    Node::File(content) => content.size(),
                    Node::Directory | Node::Symlink(_) => 0,
                },
            })
            .collect();
        directory::render(&children, place)
    }
}

impl Request {
    /// The request that leaves everything but size and sector size open.
    #[must_use]
    pub fn of_size(size: u64, sector: SectorSize) -> Self {
        Self {
            size,
            sector,
            fat_type: None,
            cluster: None,
            root_entries: 0,
        }
    }
}
