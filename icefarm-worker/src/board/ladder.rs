//! In which order a board that failed is tried to be brought back.

use std::time::Duration;

/// One thing to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    /// Start the firmware that is there once more.
    Restart,
    /// Write the default image once more.
    Reflash,
    /// Cut the power, then write the default image.
    PowerCycle,
    /// Leave the board alone for a while.
    Pause(Duration),
}

impl Rung {
    /// The word for operators.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reflash => "reflash",
            Self::PowerCycle => "power_cycle",
            Self::Pause(_) => "pause",
        }
    }
}

/// From what costs least to what costs most, a bounded number of times, with pauses that grow:
/// what does not help at once may help once a hub or a host has settled.
pub(crate) fn ladder(rounds: u32, pause: Duration) -> impl Iterator<Item = Rung> {
    (0..rounds).flat_map(move |round| {
        let before = round
            .checked_sub(1)
            .map(|doublings| Rung::Pause(pause.saturating_mul(1 << doublings.min(16))));
        before.into_iter().chain([Rung::Restart, Rung::Reflash, Rung::PowerCycle])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_bounded_and_pauses_grow() {
        let pause = Duration::from_secs(5);
        let rungs: Vec<Rung> = ladder(3, pause).collect();
        assert_eq!(rungs.len(), 11);
        assert_eq!(
            rungs[..4],
            [Rung::Restart, Rung::Reflash, Rung::PowerCycle, Rung::Pause(pause)]
        );
        assert_eq!(rungs[7], Rung::Pause(pause * 2));
        assert_eq!(ladder(0, pause).count(), 0);
        assert_eq!(ladder(100, Duration::MAX).count(), 399);
    }
}
