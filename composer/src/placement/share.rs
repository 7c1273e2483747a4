//! Shares space by weight, within bounds.

use super::Bounds;
use crate::size::round_up;

/// Something that wants a share of the space.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    bounds: Bounds,
    takes_rest: bool,
    is_fixed: bool,
    share: Option<u64>,
}

impl Demand {
    /// A demand. What nobody asked for goes to those that take the rest.
    pub fn new(bounds: Bounds, takes_rest: bool, is_fixed: bool) -> Self {
        Self {
            bounds,
            takes_rest,
            is_fixed,
            share: None,
        }
    }
}

/// Who gets a share in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Those that stay as they are.
    Fixed,
    /// Those whose fair share would be below their least.
    BelowLeast,
    /// Those whose fair share would be above their most.
    AboveMost,
    /// All that are left.
    Rest,
}

/// Gives every demand its share of `space` bytes, in multiples of `grain`. The least
/// of all must fit.
///
/// Those that would get less than their least, and then those that would get more than
/// their most, are settled first, until the rest can share.
pub fn share(demands: &mut [Demand], mut space: u64, grain: u64) -> Vec<u64> {
    let mut weights: u64 = demands.iter().map(|demand| demand.bounds.weight).sum();
    for round in [
        Round::Fixed,
        Round::BelowLeast,
        Round::AboveMost,
        Round::Rest,
    ] {
        loop {
            let mut again = false;
            for demand in demands.iter_mut().filter(|demand| demand.share.is_none()) {
                let Bounds {
                    least,
                    most,
                    weight,
                } = demand.bounds;
                let fair = fair_share(space, weight, weights);
                let share = match round {
                    Round::Fixed => demand.is_fixed.then_some(least),
                    Round::BelowLeast => (least > fair).then_some(least),
                    Round::AboveMost => (most < fair).then_some(most),
                    Round::Rest => Some((fair / grain * grain).clamp(least, most)),
                };
                let Some(share) = share else {
                    continue;
                };
                demand.share = Some(share);
                space = space.saturating_sub(round_up(share, grain));
                weights -= weight;
                again |= matches!(round, Round::BelowLeast | Round::AboveMost);
            }
            if !again {
                break;
            }
        }
    }
    for demand in demands.iter_mut().filter(|demand| demand.takes_rest) {
        let share = demand.share.unwrap_or_default();
        let more = ((share + space) / grain * grain)
            .max(share)
            .min(demand.bounds.most);
        let more = more.max(share);
        space = space.saturating_sub(round_up(more - share, grain));
        demand.share = Some(more);
    }
    demands
        .iter()
        .map(|demand| demand.share.unwrap_or_default())
        .collect()
}

fn fair_share(space: u64, weight: u64, weights: u64) -> u64 {
    if weight == 0 {
        return 0;
    }
    let share = u128::from(space) * u128::from(weight) / u128::from(weights);
    u64::try_from(share).unwrap_or(u64::MAX)
}
