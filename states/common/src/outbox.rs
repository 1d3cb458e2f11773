//! Outcomes on their way to the client.

use crate::{Instrument, Settings};
use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{EvaluationId, Object, Value, to_value};
use std::sync::Arc;
use tokio::time::Instant;

/// So many outcomes are pushed whatever the settings say, so that an event does not grow without
/// end.
const MAX_OUTCOMES: usize = 256;

/// The outcomes of a batch, by its id.
type Batch<R> = (Arc<str>, Vec<Evaluated<R>>);

/// Outcomes that were not pushed yet, and when they are to be.
pub(crate) struct Outbox<I: Instrument> {
    instrument: Arc<I>,
    settings: Settings,
    batches: Vec<Batch<I::Reading>>,
    oldest: Option<Instant>,
}

impl<I: Instrument> Outbox<I> {
    pub(crate) fn new(instrument: Arc<I>, settings: Settings) -> Self {
        Self { instrument, settings, batches: Vec::new(), oldest: None }
    }

    pub(crate) fn push(&mut self, batch: &Arc<str>, outcome: Evaluated<I::Reading>, now: Instant) {
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
            .map(|(batch, outcomes)| contents(&*self.instrument, &batch, &outcomes))
            .collect()
    }
}

/// `results` is for old clients, which know pairs of an id and a plain figure, or null.
fn contents<I: Instrument>(
    instrument: &I,
    batch: &str,
    outcomes: &[Evaluated<I::Reading>],
) -> Object {
    let result = |evaluated: &Evaluated<I::Reading>| {
        let figure = match &evaluated.outcome {
            Outcome::Reading { reading } => instrument.plain(reading),
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
    use crate::toy::Counter;
    use icefarm_core::Kind;
    use icefarm_core::evaluation::Provenance;
    use std::time::Duration;

    fn outcome(id: &str, outcome: Outcome<u64>) -> Evaluated<u64> {
        let provenance = Provenance::of_circuit("00", Kind::new("counter").unwrap());
        Evaluated { id: id.into(), outcome, provenance }
    }

    fn reading(id: &str) -> Evaluated<u64> {
        outcome(id, Outcome::Reading { reading: 2000 })
    }

    fn outbox() -> Outbox<Counter> {
        let settings = Settings { interval: Duration::from_secs(10), remaining: 25 };
        Outbox::new(Arc::new(Counter), settings)
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
        assert_eq!(json[0]["outcomes"][1]["reading"], 2000);
        assert_eq!(json[1]["outcomes"][0]["code"], "pll");
        assert!(!outbox.has(&"1".into()));
    }
}
