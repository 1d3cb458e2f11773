//! How far the work is, for people at a terminal. Nothing is shown elsewhere.

use icefarm_client::CircuitOutcome;
use icefarm_core::Value;
use icefarm_core::evaluation::Outcome;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// How often the bar is drawn while nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// How long outcomes must have come before anything is said about those to come.
const ENOUGH: Duration = Duration::from_secs(2);

pub(super) struct Progress {
    bar: ProgressBar,
    total: usize,
    done: usize,
    refused: usize,
    failed: usize,
    /// When the first outcome came. Boards that are being made ready would spoil every rate.
    first: Option<Instant>,
}

impl Progress {
    pub(super) fn new(outcomes: usize) -> Self {
        let total = u64::try_from(outcomes).unwrap_or(u64::MAX);
        // On stderr, and hidden by itself where that is no terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        // The template is fixed: an error in it would only cost its beauty.
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message("making the boards ready");
        bar.enable_steady_tick(TICK);
        Self { bar, total: outcomes, done: 0, refused: 0, failed: 0, first: None }
    }

    pub(super) fn step(&mut self, outcome: &CircuitOutcome<Value>) {
        self.done += 1;
        match &outcome.evaluated.outcome {
            Outcome::Reading { .. } => {}
            Outcome::Refused { .. } => self.refused += 1,
            Outcome::Failed { .. } => self.failed += 1,
        }
        let since = self.first.get_or_insert_with(Instant::now).elapsed();
        self.bar.inc(1);
        self.bar.set_message(self.message(since));
    }

    /// What is said beside the bar when the first outcome came so long ago.
    fn message(&self, since: Duration) -> String {
        let mut parts = Vec::new();
        // The first outcome is where the time begins, and counts in no rate.
        let later = self.done.saturating_sub(1);
        if since >= ENOUGH && later > 0 {
            let rate = count(later) / since.as_secs_f64();
            parts.push(format!("{rate:.1}/s"));
            let left = count(self.total.saturating_sub(self.done)) / rate;
            if left >= 1.0 {
                parts.push(format!("{} left", time(left)));
            }
        }
        for (count, word) in [(self.refused, "refused"), (self.failed, "failed")] {
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        parts.join(", ")
    }

    /// Says something that stays above the bar.
    pub(super) fn beside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Precise enough for people.
#[expect(clippy::cast_precision_loss, reason = "nobody counts so many outcomes one by one")]
fn count(number: usize) -> f64 {
    number as f64
}

fn time(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).as_secs();
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

/// An interrupted run leaves no half bar behind.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_from_the_first_outcome() {
        let mut progress = Progress::new(101);
        (progress.done, progress.refused) = (1, 1);
        assert_eq!(progress.message(Duration::from_secs(9)), "1 refused");
        progress.done = 21;
        assert_eq!(progress.message(Duration::from_secs(1)), "1 refused");
        assert_eq!(progress.message(Duration::from_secs(10)), "2.0/s, 40 s left, 1 refused");
        (progress.done, progress.refused, progress.failed) = (101, 0, 2);
        assert_eq!(progress.message(Duration::from_secs(50)), "2.0/s, 2 failed");
    }
}
