//! How long to wait before the next try.

use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 0.1 s to 5 s. A part of each wait depends on who waits, so that a thousand clients
/// of a server that restarts do not come back at once; it is drawn from no random source, so that
/// a simulation repeats itself.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    who: u64,
    tries: u32,
}

impl Backoff {
    pub(crate) fn new(who: &str) -> Self {
        Self { who: hash(who), tries: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }

    /// Between half of the full wait and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        let share = hash(&(self.who, self.tries)) % 1000;
        self.tries = self.tries.saturating_add(1);
        full / 2 + (full / 2).mul_f64(share as f64 / 1000.0)
    }
}

fn hash(what: &(impl std::hash::Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ_between_clients() {
        let waits = |who: &str| {
            let mut backoff = Backoff::new(who);
            (0..12).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        let a = waits("a");
        assert!(a[0] >= FIRST / 2 && a[0] <= FIRST);
        assert!(a.iter().all(|wait| *wait <= LONGEST) && a[11] >= LONGEST / 2);
        assert_eq!(a, waits("a"));
        assert_ne!(a, waits("b"));
    }
}
