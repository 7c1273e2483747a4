//! Shares the space of an image among its partitions, as systemd-repart does.

/// What a partition asks for, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The least size it works with.
    pub least: u64,
    /// The greatest size it may have.
    pub most: u64,
    /// Its share of what is left, against that of the others.
    pub weight: u64,
}

/// Gives every claim its size out of `space` bytes, in multiples of `grain`.
///
/// The minimum sizes must fit. What is left goes to the claims by weight; those
/// that would get less than their least, and then those that would get more
/// than their most, are settled first, until the rest can share.
#[must_use]
pub fn share(claims: &[Claim], space: u64, grain: u64) -> Vec<u64> {
    let mut settled: Vec<Option<u64>> = vec![None; claims.len()];
    loop {
        let open = || {
            claims
                .iter()
                .zip(&settled)
                .filter(|(_, size)| size.is_none())
        };
        let taken: u64 = settled.iter().flatten().sum();
        let free = space.saturating_sub(taken);
        let weights: u64 = open().map(|(claim, _)| claim.weight).sum();
        let fair = |claim: &Claim| share_of(free, claim.weight, weights);
        let too_small = |claim: &Claim| fair(claim) < claim.least;
        let too_large = |claim: &Claim| fair(claim) > claim.most;
        let (misfits, bound): (Vec<usize>, fn(&Claim) -> u64) =
            match indices(claims, &settled, too_small) {
                misfits if !misfits.is_empty() => (misfits, |claim| claim.least),
                _ => (indices(claims, &settled, too_large), |claim| claim.most),
            };
        if misfits.is_empty() {
            let size = |(claim, size): (&Claim, &Option<u64>)| {
                size.unwrap_or_else(|| (fair(claim) / grain * grain).max(claim.least))
            };
            return claims.iter().zip(&settled).map(size).collect();
        }
        for index in misfits {
            settled[index] = Some(bound(&claims[index]));
        }
    }
}

fn indices(
    claims: &[Claim],
    settled: &[Option<u64>],
    misfit: impl Fn(&Claim) -> bool,
) -> Vec<usize> {
    let is_open = |index: &usize| settled[*index].is_none();
    (0..claims.len())
        .filter(is_open)
        .filter(|index| misfit(&claims[*index]))
        .collect()
}

fn share_of(free: u64, weight: u64, weights: u64) -> u64 {
    if weights == 0 {
        return 0;
    }
    let share = u128::from(free) * u128::from(weight) / u128::from(weights);
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(least: u64, most: u64, weight: u64) -> Claim {
        Claim {
            least,
            most,
            weight,
        }
    }

    #[test]
    fn space_is_shared_by_weight_within_bounds() {
        let max = u64::MAX;
        for (claims, space, sizes) in [
            (vec![claim(10, max, 1000)], 100, vec![100]),
            (vec![claim(10, 50, 1000)], 100, vec![50]),
            (
                vec![claim(0, max, 1000), claim(0, max, 3000)],
                100,
                vec![25, 75],
            ),
            (
                vec![claim(60, max, 1000), claim(0, max, 1000)],
                100,
                vec![60, 40],
            ),
            (
                vec![claim(0, 20, 1000), claim(0, max, 1000)],
                100,
                vec![20, 80],
            ),
            (
                vec![claim(7, max, 0), claim(0, max, 1000)],
                100,
                vec![7, 93],
            ),
            (
                vec![claim(40, 40, 1000), claim(60, 60, 1000)],
                100,
                vec![40, 60],
            ),
        ] {
            assert_eq!(share(&claims, space, 1), sizes, "{claims:?}");
        }
    }

    #[test]
    fn shares_are_multiples_of_the_grain() {
        let claims = vec![claim(0, u64::MAX, 1000); 3];
        assert_eq!(share(&claims, 100, 8), [32, 32, 32]);
    }
}
