//! Where everything in a volume is.

use std::ops::Range;

use super::contents::{Contents, Object};
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
                    *place = place_object(object, &mut room);
                }
            }
        }
        if room.missing > 0 {
            let needed = geometry.grown_by(room.missing);
            return Err(Shortage { needed });
        }
        let taken = room.taken(&geometry);
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

fn place_object(object: &Object<'_>, room: &mut Room) -> Place {
    room.place(&object.runs(), object.attributes.block.is_some())
}

/// Blocks that are free, of which the first are taken first.
struct Room {
    free: Vec<Range<u64>>,
    /// Which of those is begun.
    next: usize,
    /// Its first block that is still free.
    at: u64,
    /// How many blocks were asked for when there were none.
    missing: u64,
}

impl Room {
    fn of(geometry: &Geometry) -> Self {
        let mut free = Vec::new();
        let mut at = 0;
        let end = geometry.blocks;
        for taken in geometry.taken() {
            free.push(at..taken.start);
            at = taken.end;
        }
        free.push(at..end);
        free.retain(|range| !range.is_empty());
        let at = free.first().map_or(end, |range| range.start);
        Self {
            free,
            next: 0,
            at,
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
            let Some(range) = self.free.get(self.next) else {
                self.missing += count;
                return;
            };
            let length = count.min(range.end - self.at).min(LONGEST);
            runs.push(Run {
                // Files have at most so many blocks.
                logical: u32::try_from(logical).unwrap_or(u32::MAX),
                start: self.at,
                length,
            });
            (logical, count) = (logical + length, count - length);
            self.at += length;
            if self.at == range.end {
                self.next += 1;
                self.at = self
                    .free
                    .get(self.next)
                    .map_or(range.end, |next| next.start);
            }
        }
    }

    /// What is taken by now, in order, with what was before.
    fn taken(&self, geometry: &Geometry) -> Vec<Range<u64>> {
        let begun = self.free.get(self.next).map(|range| range.start..self.at);
        let begun = begun.filter(|range| !range.is_empty());
        let full = self.free.iter().take(self.next).cloned();
        let mut all: Vec<_> = geometry
            .taken()
            .into_iter()
            .chain(full)
            .chain(begun)
            .collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in all {
            match joined.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => joined.push(range),
            }
        }
        joined
    }
}
