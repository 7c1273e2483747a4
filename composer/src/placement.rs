//! Gives every partition its place, as systemd-repart does.
//!
//! Free space is shared by weight, between partitions and the free space behind them,
//! within their bounds; where there is too little, partitions are left out by priority.
//! Partitions that exist stay where they are and never shrink. Reference: `man repart.d`
//! and `man systemd-repart`; a test compares the tables of both programs.

mod share;

use crate::size::round_up;
use share::{Demand, share};

/// What a partition asks for, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Its size.
    pub size: Bounds,
    /// The free space behind it.
    pub padding: Bounds,
    /// Those with the greatest are left out first; with 0 or less, never.
    pub priority: i32,
    /// Where it is, if it is there already.
    pub existing: Option<Existing>,
}

/// How much is asked for, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least that serves.
    pub least: u64,
    /// The most that may be had.
    pub most: u64,
    /// The share of what is left, against that of others.
    pub weight: u64,
}

/// Where a partition is that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing {
    /// Its number.
    pub number: u32,
    /// Where it starts, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub size: u64,
    /// Whether no definition is for it, so that it stays as it is.
    pub is_foreign: bool,
}

impl Existing {
    fn end(self) -> u64 {
        self.start + self.size
    }
}

/// The bytes of a disk that partitions may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usable {
    /// The first, a multiple of the grain.
    pub start: u64,
    /// The first behind them, a multiple of the grain.
    pub end: u64,
    /// What starts and lengths are multiples of.
    pub grain: u64,
}

/// The place of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1.
    pub number: u32,
    /// Where it starts, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub size: u64,
}

/// The least size a disk has room for all of the claims in, from the first usable byte.
#[must_use]
pub fn needed(claims: &[Claim], usable: Usable) -> u64 {
    let end = |claim: &Claim| {
        let existing = claim.existing?;
        let size = claim.size.least.saturating_add(claim.padding.least);
        Some(existing.start.saturating_add(size).max(existing.end()))
    };
    let taken = claims.iter().filter_map(end).max();
    let taken = taken.unwrap_or(usable.start);
    let new = claims.iter().filter(|claim| claim.existing.is_none());
    new.fold(round_up(taken, usable.grain), |sum, claim| {
        sum.saturating_add(with_padding(claim, usable.grain))
    })
}

/// Places the claims; `None` is one that is left out. Nothing when those that must not
/// be left out do not fit.
#[must_use]
pub fn place(claims: &[Claim], usable: Usable) -> Option<Vec<Option<Place>>> {
    let mut disk = Disk {
        claims: claims.to_vec(),
        usable,
        areas: areas(claims, usable),
        homes: vec![None; claims.len()],
        left_out: vec![false; claims.len()],
    };
    while !disk.allocate() {
        if !disk.leave_out() {
            return None;
        }
    }
    Some(disk.settle())
}

fn with_padding(claim: &Claim, grain: u64) -> u64 {
    round_up(claim.size.least.saturating_add(claim.padding.least), grain)
}

/// Free space between partitions.
#[derive(Debug)]
struct Area {
    size: u64,
    /// What is promised of it.
    taken: u64,
    /// The partition before it.
    after: Option<usize>,
}

fn areas(claims: &[Claim], usable: Usable) -> Vec<Area> {
    let grain = usable.grain;
    let existing: Vec<(usize, Existing)> = claims
        .iter()
        .enumerate()
        .filter_map(|(index, claim)| Some((index, claim.existing?)))
        .collect();
    let mut areas = Vec::new();
    for (index, one) in &existing {
        let starts = existing.iter().map(|(_, other)| other.start);
        let next = starts.filter(|start| *start >= one.end()).min();
        let next = next.unwrap_or(usable.end) / grain * grain;
        let size = next.saturating_sub(round_up(one.end(), grain));
        if size > 0 {
            areas.push(Area {
                size,
                taken: 0,
                after: Some(*index),
            });
        }
    }
    let first = existing.iter().map(|(_, one)| one.start).min();
    let end = first.unwrap_or(usable.end) / grain * grain;
    if end > usable.start {
        areas.push(Area {
            size: end - usable.start,
            taken: 0,
            after: None,
        });
    }
    areas
}

struct Disk {
    claims: Vec<Claim>,
    usable: Usable,
    areas: Vec<Area>,
    /// The area that each new partition is in.
    homes: Vec<Option<usize>>,
    left_out: Vec<bool>,
}

impl Disk {
    /// What an area has for new partitions, when the partition before it has what it
    /// needs; `None` when it needs more than there is.
    fn available(&self, area: &Area) -> Option<u64> {
        let free = area.size - area.taken;
        let Some((claim, existing)) = area
            .after
            .and_then(|index| Some((&self.claims[index], self.claims[index].existing?)))
        else {
            return Some(free);
        };
        let grain = self.usable.grain;
        let end = round_up(existing.end(), grain) + free;
        let needed = claim.size.least.saturating_add(claim.padding.least);
        let needed = existing.start.saturating_add(needed);
        end.checked_sub(round_up(needed, grain))
    }

    /// Finds an area for each new partition: the smallest that has room.
    fn allocate(&mut self) -> bool {
        let grain = self.usable.grain;
        self.homes.fill(None);
        for area in &mut self.areas {
            area.taken = 0;
        }
        let mut areas = std::mem::take(&mut self.areas);
        areas.sort_by_key(|area| self.available(area).unwrap_or(0));
        self.areas = areas;
        if self.areas.iter().any(|area| self.available(area).is_none()) {
            return false;
        }
        for index in 0..self.claims.len() {
            let claim = &self.claims[index];
            if self.left_out[index] || claim.existing.is_some() {
                continue;
            }
            let required = with_padding(claim, grain);
            let has_room = |area: &Area| self.available(area) >= Some(required);
            let Some(home) = self.areas.iter().position(has_room) else {
                return false;
            };
            self.areas[home].taken += required;
            self.homes[index] = Some(home);
        }
        true
    }

    /// Leaves out the partitions of the greatest priority; those that exist stay as
    /// they are instead. Tells whether there were any.
    fn leave_out(&mut self) -> bool {
        let kept = self.claims.iter().zip(&self.left_out);
        let kept = kept.filter(|(_, left_out)| !**left_out);
        let greatest = kept.map(|(claim, _)| claim.priority).max().unwrap_or(0);
        if greatest <= 0 {
            return false;
        }
        for (claim, left_out) in self.claims.iter_mut().zip(&mut self.left_out) {
            if claim.priority != greatest {
                continue;
            }
            match &mut claim.existing {
                Some(existing) => {
                    existing.is_foreign = true;
                    claim.priority = 0;
                    claim.size = Bounds {
                        least: existing.size,
                        most: existing.size,
                        weight: 1000,
                    };
                    claim.padding = Bounds {
                        least: 0,
                        most: u64::MAX,
                        weight: 0,
                    };
                }
                None => *left_out = true,
            }
        }
        true
    }

    /// Shares every area, and counts the places out.
    fn settle(&self) -> Vec<Option<Place>> {
        let existing = self.claims.iter().map(|claim| claim.existing);
        let mut places: Vec<Option<Place>> = existing
            .map(|existing| {
                let Existing {
                    number,
                    start,
                    size,
                    ..
                } = existing?;
                Some(Place {
                    number,
                    start,
                    size,
                })
            })
            .collect();
        for (home, area) in self.areas.iter().enumerate() {
            let mut start = self.usable.start;
            let mut space = area.size;
            let before = area.after.and_then(|index| self.claims[index].existing);
            if let Some(existing) = before {
                space += round_up(existing.end(), self.usable.grain) - existing.start;
                start = existing.start;
            }
            let is_member =
                |index: &usize| area.after == Some(*index) || self.homes[*index] == Some(home);
            let members: Vec<usize> = (0..self.claims.len()).filter(is_member).collect();
            let mut demands = Vec::new();
            for index in &members {
                let claim = &self.claims[*index];
                let is_foreign = claim.existing.is_some_and(|existing| existing.is_foreign);
                demands.push(Demand::new(
                    claim.size,
                    claim.existing.is_none(),
                    is_foreign,
                ));
                demands.push(Demand::new(claim.padding, false, false));
            }
            let shares = share(&mut demands, space, self.usable.grain);
            // The one that is there comes first, wherever it is among the claims.
            let mut shares: Vec<_> = members.into_iter().zip(shares.chunks(2)).collect();
            shares.sort_by_key(|(index, _)| area.after != Some(*index));
            for (index, share) in shares {
                let (size, padding) = (share[0], share[1]);
                let number = match self.claims[index].existing {
                    Some(existing) => existing.number,
                    None => unused(&places),
                };
                places[index] = Some(Place {
                    number,
                    start,
                    size,
                });
                start += size + padding;
                if area.after == Some(index) {
                    start = round_up(start, self.usable.grain);
                }
            }
        }
        places
    }
}

/// The least number that no partition has.
fn unused(places: &[Option<Place>]) -> u32 {
    let is_unused = |number: &u32| places.iter().flatten().all(|place| place.number != *number);
    (1..=u32::MAX).find(is_unused).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
