//! Outcomes on their way to the client.

use crate::Pulses;
use crate::settings::Settings;
use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{EvaluationId, Object, Value, to_value};
use std::sync::Arc;
use tokio::time::Instant;

/// So many outcomes are pushed whatever the settings say, so that an event does not grow without
/// end.
const MAX_OUTCOMES: usize = 256;

/// Outcomes that were not pushed yet, and when they are to be.
#[derive(Debug)]
pub(crate) struct Outbox {
    settings: Settings,
    batches: Vec<(Arc<str>, Vec<Evaluated<Pulses>>)>,
    oldest: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, batches: Vec::new(), oldest: None }
    }

    pub(crate) fn push(&mut self, batch: &Arc<str>, outcome: Evaluated<Pulses>, now: Instant) {
        self.oldest.get_or_insert(now);
        match self.batches.iter_mut().find(|(known, _)| known == batch) {
            Some((_, outcomes)) => outcomes.push(outcome),
            None => self.batches.push((Arc::clone(batch), vec![outcome])),
        }
    }

    /// Whether an outcome of this id waits here.
    pub(crate) fn has(&self, id: &EvaluationId) -> bool {
        self.batches.iter().any(|(_, outcomes)| outcomes.iter().any(|outcome| outcome.id == *id))
    }

    /// When the outcomes are due while `waiting` circuits wait at the board; `None` if there are
    /// no outcomes.
    pub(crate) fn due(&self, waiting: usize) -> Option<Instant> {
        let oldest = self.oldest?;
        let outcomes: usize = self.batches.iter().map(|(_, outcomes)| outcomes.len()).sum();
        if waiting <= self.settings.remaining || outcomes >= MAX_OUTCOMES {
            return Some(oldest);
        }
        Some(oldest + self.settings.interval)
    }

    /// The contents of a `results` event for each batch.
    pub(crate) fn take(&mut self) -> Vec<Object> {
        self.oldest = None;
        std::mem::take(&mut self.batches)
            .into_iter()
            .map(|(batch, outcomes)| contents(&batch, &outcomes))
            .collect()
    }
}

/// `results` is for old clients, which know pairs of an id and a text of digits, or null.
fn contents(batch: &str, outcomes: &[Evaluated<Pulses>]) -> Object {
    let result = |evaluated: &Evaluated<Pulses>| {
        let figure = match &evaluated.outcome {
            Outcome::Reading { reading } => Value::from(reading.pulses.to_string()),
            Outcome::Refused { .. } | Outcome::Failed { .. } => Value::Null,
        };
        Value::from(vec![Value::from(evaluated.id.as_str()), figure])
    };
    let outcomes_in_full = to_value(&outcomes).expect("outcomes are texts and numbers");
    Object::from([
        ("batch_id".to_owned(), Value::from(batch)),
        ("results".to_owned(), outcomes.iter().map(result).collect()),
        ("outcomes".to_owned(), outcomes_in_full),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::Kind;
    use icefarm_core::evaluation::Provenance;
    use std::time::Duration;

    fn outcome(id: &str, outcome: Outcome<Pulses>) -> Evaluated<Pulses> {
        let provenance = Provenance::of_circuit("00", Kind::new("pulsecount").unwrap());
        Evaluated { id: id.into(), outcome, provenance }
    }

    fn reading(id: &str) -> Evaluated<Pulses> {
        outcome(id, Outcome::Reading { reading: Pulses { pulses: 2000 } })
    }

    fn outbox() -> Outbox {
        let settings = Settings { interval: Duration::from_secs(10), remaining: 25 };
        Outbox::new(settings)
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_queue_pushes_at_once_and_a_long_one_by_the_clock() {
        let mut outbox = outbox();
        assert_eq!(outbox.due(0), None);
        let first = Instant::now();
        outbox.push(&"b".into(), reading("1"), first);
        for short in [0, 1, 25] {
            assert_eq!(outbox.due(short), Some(first));
        }
        tokio::time::advance(Duration::from_secs(3)).await;
        outbox.push(&"b".into(), reading("2"), Instant::now());
        assert_eq!(outbox.due(26), Some(first + Duration::from_secs(10)));
        outbox.take();
        assert_eq!(outbox.due(26), None);

        let first = Instant::now();
        for n in 0..MAX_OUTCOMES {
            assert_ne!(outbox.due(26), Some(first));
            outbox.push(&"b".into(), reading(&n.to_string()), first);
        }
        assert_eq!(outbox.due(26), Some(first));
    }

    #[test]
    fn each_batch_has_one_content() {
        let mut outbox = outbox();
        let now = Instant::now();
        let refused = Outcome::Refused { code: "pll".into(), reason: "no".into() };
        outbox.push(&"x".into(), reading("1"), now);
        outbox.push(&"y".into(), outcome("2", refused), now);
        outbox.push(&"x".into(), reading("3"), now);
        assert!(outbox.has(&"2".into()) && !outbox.has(&"4".into()));
        let contents = outbox.take();
        let json: Vec<_> = contents
            .into_iter()
            .map(Value::Object)
            .map(|content| serde_json::to_value(&content).unwrap())
            .collect();
        assert_eq!(json[0]["batch_id"], "x");
        assert_eq!(json[0]["results"], serde_json::json!([["1", "2000"], ["3", "2000"]]));
        assert_eq!(json[1]["results"], serde_json::json!([["2", null]]));
        assert_eq!(json[0]["outcomes"][1]["id"], "3");
        assert_eq!(json[0]["outcomes"][1]["outcome"], "reading");
        assert_eq!(json[0]["outcomes"][1]["reading"]["pulses"], 2000);
        assert_eq!(json[1]["outcomes"][0]["code"], "pll");
        assert!(!outbox.has(&"1".into()));
    }
}
