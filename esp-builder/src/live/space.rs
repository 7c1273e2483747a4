//! Whether changes fit, and in which order.
//!
//! Writing first and collecting last never leaves a moment without a complete old
//! menu, but needs room for both. Where that is not there, what no kept entry
//! needs goes first, if the numbers prove that the rest then fits.

use std::collections::BTreeMap;

use tree_manifest::{ByteSize, Role};

use super::changes::{Action, Change};
use super::inventory::{Inventory, Space};

/// What a run needs of the room of one partition, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Use {
    /// What the partition has.
    pub total: ByteSize,
    /// What is taken now.
    pub before: ByteSize,
    /// What is taken at the worst moment.
    pub peak: ByteSize,
    /// What is taken afterwards.
    pub after: ByteSize,
}

impl Use {
    /// By how much the worst moment is too much.
    #[must_use]
    pub fn missing(&self) -> Option<ByteSize> {
        let missing = self.peak.bytes().checked_sub(self.total.bytes())?;
        (missing > 0).then_some(ByteSize(missing))
    }
}

/// In which order a run goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Write everything new, then collect what is no longer wanted.
    WriteFirst,
    /// Collect what no kept entry needs, then write.
    CollectFirst,
}

/// The order to take, and what it needs of each partition.
///
/// The order that is asked for, else writing first where that fits. When nothing fits, the answer is collecting
/// first, with a peak that is too much; [`Use::missing`] tells.
#[must_use]
pub fn budget(
    changes: &[Change],
    inventories: &BTreeMap<Role, Inventory>,
    overhead: u64,
    wanted: Option<Order>,
) -> (Order, BTreeMap<Role, Use>) {
    let uses = |order| -> BTreeMap<Role, Use> {
        let one = |(role, inventory): (&Role, &Inventory)| {
            let own = changes.iter().filter(|change| change.place.0 == *role);
            (role.clone(), use_of(own, inventory, overhead, order))
        };
        inventories.iter().map(one).collect()
    };
    if let Some(order) = wanted {
        return (order, uses(order));
    }
    let written_first = uses(Order::WriteFirst);
    if written_first.values().all(|room| room.missing().is_none()) {
        return (Order::WriteFirst, written_first);
    }
    (Order::CollectFirst, uses(Order::CollectFirst))
}

fn use_of<'a>(
    changes: impl Iterator<Item = &'a Change>,
    inventory: &Inventory,
    overhead: u64,
    order: Order,
) -> Use {
    let Space { free, total, .. } = inventory.space;
    let before = total.saturating_sub(free);
    let taken = |size| inventory.space.taken_by(size);
    let (mut written, mut replaced, mut removed, mut last) = (0, 0, 0, 0);
    for change in changes {
        match change.action {
            Action::Add => written += taken(change.size),
            Action::Replace => {
                written += taken(change.size);
                let old = inventory
                    .file(&change.place.1)
                    .map_or(0, |found| found.size);
                replaced += taken(old);
            }
            Action::Remove => removed += taken(change.size),
            Action::RemoveLast => last += taken(change.size),
            Action::Keep | Action::Protect => {}
        }
    }
    // The state and its successor, while there is anything to do at all.
    let notes = if written + removed + last > 0 {
        taken(overhead).saturating_mul(2)
    } else {
        0
    };
    let start = match order {
        Order::WriteFirst => before,
        Order::CollectFirst => before.saturating_sub(removed),
    };
    Use {
        total: ByteSize(total),
        before: ByteSize(before),
        peak: ByteSize(before.max(start + written + notes)),
        after: ByteSize((before + written).saturating_sub(replaced + removed + last)),
    }
}
