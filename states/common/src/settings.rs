//! When outcomes are told, as far as a reservation may choose it.

use std::time::Duration;

/// What the Python clients have always asked for.
const INTERVAL_SECONDS: u64 = 10;
const REMAINING: usize = 25;

/// Beyond these a setting is a slip of the pen.
const MAX_INTERVAL_SECONDS: f64 = 3600.0;
const MAX_REMAINING: i64 = 1_000_000;

/// When outcomes are pushed to the client, as every state that evaluates circuits lets a
/// reservation choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// No reading waits longer than this.
    pub(crate) interval: Duration,
    /// While no more circuits than this wait at the board, readings are pushed at once.
    pub(crate) remaining: usize,
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// `flush_interval_seconds`.
    #[error(
        "`flush_interval_seconds` must be more than 0 and at most {MAX_INTERVAL_SECONDS}, not {0}; \
         leave it out for {INTERVAL_SECONDS}"
    )]
    Interval(f64),
    /// `flush_at_bitstreams_remaining`.
    #[error(
        "`flush_at_bitstreams_remaining` must be from 1 to {MAX_REMAINING}, not {0}; leave it out \
         for {REMAINING}"
    )]
    Remaining(i64),
}

impl Settings {
    /// From the arguments `flush_interval_seconds`, 10 if absent, and
    /// `flush_at_bitstreams_remaining`, 25 if absent.
    ///
    /// # Errors
    /// [`SettingsError`] names the argument and what it may be.
    pub fn new(
        interval_seconds: Option<f64>,
        remaining: Option<i64>,
    ) -> Result<Self, SettingsError> {
        let interval = match interval_seconds {
            None => Duration::from_secs(INTERVAL_SECONDS),
            Some(seconds) if seconds > 0.0 && seconds <= MAX_INTERVAL_SECONDS => {
                Duration::from_secs_f64(seconds)
            }
            Some(wrong) => return Err(SettingsError::Interval(wrong)),
        };
        let remaining = match remaining {
            None => REMAINING,
            Some(wrong) if !(1..=MAX_REMAINING).contains(&wrong) => {
                return Err(SettingsError::Remaining(wrong));
            }
            Some(some) => usize::try_from(some).map_err(|_| SettingsError::Remaining(some))?,
        };
        Ok(Self { interval, remaining })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_may_be_left_out() {
        let default = Settings { interval: Duration::from_secs(10), remaining: 25 };
        assert_eq!(Settings::new(None, None), Ok(default));
        let chosen = Settings { interval: Duration::from_millis(500), remaining: 1 };
        assert_eq!(Settings::new(Some(0.5), Some(1)), Ok(chosen));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 3601.0] {
            assert!(Settings::new(Some(wrong), None).is_err(), "{wrong}");
        }
        for wrong in [0, -25, i64::MAX] {
            assert!(Settings::new(None, Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(
            Settings::new(Some(-1.0), None).unwrap_err().to_string(),
            "`flush_interval_seconds` must be more than 0 and at most 3600, not -1; leave it out \
             for 10"
        );
    }
}
