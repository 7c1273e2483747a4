//! Work of many parts, on as many threads as there are processors.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does every part of some work; the results are in the order of the parts, whichever
/// thread was quicker.
pub(crate) fn each<T: Send>(parts: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return done;
            }
            done.push((part, work(part)));
        }
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut done = thread::scope(|scope| {
        let others = 1..workers.min(parts);
        let threads: Vec<_> = others.map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for thread in threads {
            let joined = thread.join();
            done.extend(joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(part, _)| *part);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_parts() {
        for parts in [0, 1, 1000] {
            let squares: Vec<usize> = (0..parts).map(|part| part * part).collect();
            assert_eq!(each(parts, |part| part * part), squares);
        }
    }
}
