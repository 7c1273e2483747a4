use super::*;

const MAX: u64 = u64::MAX;

fn claim(least: u64, most: u64, weight: u64) -> Claim {
    Claim {
        size: Bounds {
            least,
            most,
            weight,
        },
        padding: Bounds {
            least: 0,
            most: MAX,
            weight: 0,
        },
        priority: 0,
        existing: None,
    }
}

fn disk(start: u64, end: u64) -> Usable {
    Usable {
        start,
        end,
        grain: 1,
    }
}

fn sizes(claims: &[Claim], space: u64) -> Vec<u64> {
    let places = place(claims, disk(0, space)).unwrap();
    places
        .into_iter()
        .map(|place| place.map_or(0, |place| place.size))
        .collect()
}

#[test]
fn space_is_shared_by_weight_within_bounds() {
    for (claims, space, expected) in [
        (vec![claim(10, MAX, 1000)], 100, vec![100]),
        (vec![claim(10, 50, 1000)], 100, vec![50]),
        (
            vec![claim(0, MAX, 1000), claim(0, MAX, 3000)],
            100,
            vec![25, 75],
        ),
        (
            vec![claim(60, MAX, 1000), claim(0, MAX, 1000)],
            100,
            vec![60, 40],
        ),
        (
            vec![claim(0, 20, 1000), claim(0, MAX, 1000)],
            100,
            vec![20, 80],
        ),
        (
            vec![claim(7, MAX, 0), claim(0, MAX, 1000)],
            100,
            vec![7, 93],
        ),
        (
            vec![claim(40, 40, 1000), claim(60, 60, 1000)],
            100,
            vec![40, 60],
        ),
    ] {
        assert_eq!(sizes(&claims, space), expected, "{claims:?}");
    }
}

#[test]
fn padding_takes_part_in_sharing() {
    let mut first = claim(0, MAX, 1000);
    first.padding.weight = 1000;
    let mut second = claim(0, MAX, 1000);
    second.padding.least = 40;
    let places = place(&[first, second], disk(0, 100)).unwrap();
    let places: Vec<_> = places
        .into_iter()
        .flatten()
        .map(|place| (place.start, place.size))
        .collect();
    assert_eq!(places, [(0, 20), (40, 20)]);
}

#[test]
fn what_does_not_fit_is_left_out_by_priority() {
    let with = |priority, size| Claim {
        priority,
        ..claim(size, size, 1000)
    };
    let claims = [with(0, 50), with(2, 30), with(1, 40), with(2, 10)];
    assert_eq!(sizes(&claims, 95), [50, 0, 40, 0]);
    assert_eq!(sizes(&claims, 130), [50, 30, 40, 10]);
    assert_eq!(sizes(&claims, 60), [50, 0, 0, 0]);
    assert_eq!(place(&claims, disk(0, 49)), None);
}

#[test]
fn partitions_that_exist_stay_and_grow() {
    let existing = |number, start, size, is_foreign| {
        Some(Existing {
            number,
            start,
            size,
            is_foreign,
        })
    };
    let foreign = Claim {
        existing: existing(1, 10, 10, true),
        ..claim(10, 10, 1000)
    };
    let own = Claim {
        existing: existing(3, 50, 10, false),
        ..claim(10, MAX, 1000)
    };
    let new = claim(25, 25, 1000);
    let places = place(&[own, new, foreign], disk(10, 100)).unwrap();
    let place = |number, start, size| {
        Some(Place {
            number,
            start,
            size,
        })
    };
    // The new one goes to the smallest area that has room; the rest stays free.
    assert_eq!(
        places,
        [place(3, 50, 50), place(2, 20, 25), place(1, 10, 10)]
    );
}

#[test]
fn more_than_can_be_counted_does_not_fit() {
    let mut kept = claim(MAX, MAX, 1000);
    kept.padding.least = MAX;
    kept.existing = Some(Existing {
        number: 1,
        start: 10,
        size: 10,
        is_foreign: false,
    });
    assert_eq!(place(&[kept], disk(10, 1000)), None);
    assert_eq!(needed(&[kept, kept], disk(10, 1000)), MAX);
}

#[test]
fn what_is_needed_is_what_fits() {
    let claims = [claim(7, MAX, 1), claim(5, 5, 1)];
    assert_eq!(needed(&claims, disk(10, 10)), 22);
    assert!(place(&claims, disk(10, 22)).is_some());
    assert_eq!(place(&claims, disk(10, 21)), None);
}
