//! What happens in a round, all of it decided by the seed.

use crate::mutants::random::Random;
use std::fmt;
use std::time::Duration;

/// Whom a blow hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Control,
    /// The worker of this place.
    Worker(usize),
    /// Control and the worker of this place, at the same moment.
    Both(usize),
}

/// Something is killed and started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blow {
    pub(super) target: Target,
    /// It comes when so many readings are there,
    pub(super) readings: usize,
    /// and so much time has passed since then.
    pub(super) delay: Duration,
    /// For so long nothing is started.
    pub(super) down: Duration,
}

/// All of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) blows: Vec<Blow>,
    /// The client is killed when it has so many readings,
    pub(super) client_readings: usize,
    /// and so much time has passed since then.
    pub(super) client_delay: Duration,
}

impl Plan {
    /// Each round has a blow at control, one at a worker and one at both, in any order.
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut milliseconds = |below| Duration::from_millis(random.below(below));
        let times: Vec<_> = (0..3).map(|_| (milliseconds(250), milliseconds(1500))).collect();
        let client_delay = milliseconds(250);
        let mut worker = || random.between(0, 1);
        let mut targets = [Target::Control, Target::Worker(worker()), Target::Both(worker())];
        for place in (1..targets.len()).rev() {
            targets.swap(place, random.between(0, place));
        }
        let mut readings: Vec<_> = targets.iter().map(|_| random.between(0, 150)).collect();
        readings.sort_unstable();
        let blows = targets.into_iter().zip(readings).zip(times);
        let blow = |((target, readings), (delay, down))| Blow { target, readings, delay, down };
        Self {
            blows: blows.map(blow).collect(),
            client_readings: random.between(0, 60),
            client_delay,
        }
    }

    /// What every plan does.
    pub(super) fn in_words() -> &'static str {
        "in each control, a worker, and both at once are killed while 200 circuits are measured, \
         and then a client"
    }

    fn count(&self, is_meant: fn(Target) -> bool) -> usize {
        self.blows.iter().filter(|blow| is_meant(blow.target)).count()
    }

    pub(super) fn control(&self) -> usize {
        self.count(|target| target == Target::Control)
    }

    pub(super) fn workers(&self) -> usize {
        self.count(|target| matches!(target, Target::Worker(_)))
    }

    pub(super) fn both(&self) -> usize {
        self.count(|target| matches!(target, Target::Both(_)))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("control"),
            Self::Worker(place) => write!(f, "worker {}", place + 1),
            Self::Both(place) => write!(f, "control and worker {}", place + 1),
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, readings, delay, down } = self;
        let (delay, down) = (delay.as_millis(), down.as_millis());
        write!(f, "{target} {delay} ms after reading {readings}, down for {down} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_plan_and_seeds_differ() {
        assert_eq!(Plan::of(7), Plan::of(7));
        assert!((8..20).any(|seed| Plan::of(seed) != Plan::of(7)));
    }

    #[test]
    fn everything_is_hit_in_every_round() {
        for seed in 0..500 {
            let plan = Plan::of(seed);
            assert_eq!((plan.control(), plan.workers(), plan.both()), (1, 1, 1), "{plan:?}");
            assert!(plan.blows.is_sorted_by_key(|blow| blow.readings));
            assert!(plan.blows.iter().all(|blow| blow.readings <= 150));
        }
    }
}
