//! How far the work is, for people at a terminal. Nothing is shown elsewhere.

use super::complaint;
use icefarm_client::CircuitOutcome;
use icefarm_core::Value;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(outcomes: usize) -> Self {
        let total = u64::try_from(outcomes).unwrap_or(u64::MAX);
        // On stderr, and hidden by itself where that is no terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} outcomes, {per_sec}, {eta} left {wide_msg}",
        );
        // The template is fixed: an error in it would only cost its beauty.
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(super) fn step(&self, outcome: &CircuitOutcome<Value>, silent: bool) {
        self.bar.inc(1);
        if let Some(complaint) = complaint(outcome).filter(|_| !silent) {
            self.bar.set_message(format!("last: {} {complaint}", outcome.circuit));
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// An interrupted run leaves no half bar behind.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
