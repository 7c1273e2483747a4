//! Where everything in a volume is.

use std::ops::Range;

use super::contents::Contents;
use super::extent_tree::{self, LONGEST, Run};
use super::geometry::Geometry;
use super::journal;

/// That there are too few blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// How many it takes, about.
    pub needed: u64,
}

/// Where everything is.
#[derive(Debug)]
pub struct Layout {
    /// The groups.
    pub geometry: Geometry,
    /// The journal, if there is one.
    pub journal: Option<Place>,
    /// The block that the inode of room for descriptors names, if there is such room.
    pub resize: Option<u64>,
    /// The places of the objects, in their order.
    pub places: Vec<Place>,
    /// All blocks that are taken, in order.
    pub taken: Vec<Range<u64>>,
}

/// Where the parts of an object are.
#[derive(Debug, Default)]
pub struct Place {
    /// Its content.
    pub runs: Vec<Run>,
    /// The blocks that lead to those.
    pub nodes: Vec<u64>,
    /// The block of its attributes.
    pub attributes: Option<u64>,
}

impl Place {
    /// How many blocks it takes.
    pub fn blocks(&self) -> u64 {
        let data: u64 = self.runs.iter().map(|run| run.length).sum();
        data + self.nodes.len() as u64 + u64::from(self.attributes.is_some())
    }
}

impl Layout {
    /// Gives everything a place in so many blocks, where so many inodes are to spare.
    ///
    /// # Errors
    /// When there are too few.
    pub fn of(contents: &Contents<'_>, blocks: u64, spare: u64) -> Result<Self, Shortage> {
        let geometry = Geometry::of(blocks, contents.inodes(), spare)?;
        let mut room = Room::of(&geometry);
        let resize = (geometry.reserved > 0).then(|| room.take_one());
        let journal = match journal::blocks(geometry.blocks) {
            0 => None,
            blocks => Some(room.place(&[(0, blocks)], false)),
        };
        let mut places = Vec::new();
        places.resize_with(contents.objects.len(), Place::default);
        // Directories lie close to the inodes, for those who look for something.
        for takes_files in [false, true] {
            for (object, place) in contents.objects.iter().zip(&mut places) {
                if object.is_file() == takes_files {
                    let has_attributes = object.attributes.block.is_some();
                    *place = room.place(&object.runs, has_attributes);
                }
            }
        }
        if room.missing > 0 {
            let needed = geometry.grown_by(room.missing);
            return Err(Shortage { needed });
        }
        let taken = room.taken(geometry.blocks);
        Ok(Self {
            geometry,
            journal,
            resize,
            places,
            taken,
        })
    }

    /// How many blocks are taken.
    pub fn taken(&self) -> u64 {
        self.taken.iter().map(|range| range.end - range.start).sum()
    }
}

/// Blocks that are free, of which the first are taken first.
struct Room {
    free: Vec<Range<u64>>,
    /// Which of those is begun.
    next: usize,
    /// How many blocks were asked for when there were none.
    missing: u64,
}

/// What lies between sorted ranges, up to an end.
fn gaps(ranges: &[Range<u64>], end: u64) -> Vec<Range<u64>> {
    let starts = std::iter::once(0).chain(ranges.iter().map(|range| range.end));
    let ends = ranges.iter().map(|range| range.start).chain([end]);
    let gaps = starts.zip(ends).map(|(start, end)| start..end);
    gaps.filter(|gap| !gap.is_empty()).collect()
}

impl Room {
    fn of(geometry: &Geometry) -> Self {
        Self {
            free: gaps(&geometry.taken(), geometry.blocks),
            next: 0,
            missing: 0,
        }
    }

    /// Gives runs of blocks, and what belongs to them, a place.
    fn place(&mut self, runs: &[(u64, u64)], has_attributes: bool) -> Place {
        let mut place = Place::default();
        for (first, count) in runs {
            self.take(*first, *count, &mut place.runs);
        }
        let nodes = extent_tree::nodes(place.runs.len());
        place.nodes = (0..nodes).map(|_| self.take_one()).collect();
        place.attributes = has_attributes.then(|| self.take_one());
        place
    }

    fn take_one(&mut self) -> u64 {
        let mut runs = Vec::new();
        self.take(0, 1, &mut runs);
        runs.first().map_or(0, |run| run.start)
    }

    /// Takes the next blocks for those of a file from `logical` on.
    fn take(&mut self, mut logical: u64, mut count: u64, runs: &mut Vec<Run>) {
        while count > 0 {
            let Some(range) = self.free.get_mut(self.next) else {
                self.missing += count;
                return;
            };
            let length = count.min(range.end - range.start).min(LONGEST);
            runs.push(Run {
                // Files have at most so many blocks.
                logical: u32::try_from(logical).unwrap_or(u32::MAX),
                start: range.start,
                length,
            });
            (logical, count) = (logical + length, count - length);
            range.start += length;
            self.next += usize::from(range.is_empty());
        }
    }

    /// What is taken by now of so many blocks, in order.
    fn taken(&self, blocks: u64) -> Vec<Range<u64>> {
        gaps(&self.free[self.next..], blocks)
    }
}
