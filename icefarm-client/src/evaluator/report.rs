//! The event by which boards tell what came of their circuits, read without trusting it.

use crate::loss::codes;
use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::wire::Event;
use icefarm_core::{EvaluationId, Value, ValueError};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One outcome of a report. What cannot be read is told as that, not passed over.
#[derive(Debug)]
pub(super) enum Told<R> {
    Outcome(Box<Evaluated<R>>),
    Unreadable { id: EvaluationId, reason: String },
}

impl<R> Told<R> {
    pub(super) fn id(&self) -> &EvaluationId {
        match self {
            Self::Outcome(evaluated) => &evaluated.id,
            Self::Unreadable { id, .. } => id,
        }
    }

    /// Whether the board could not finish, though the circuit may be sound.
    pub(super) fn gave_up(&self) -> bool {
        matches!(self, Self::Outcome(evaluated) if matches!(evaluated.outcome, Outcome::Failed { .. }))
    }
}

/// Reads a `results` event of a board that has `in_flight` to answer.
pub(super) fn read<R: DeserializeOwned>(event: &Event, in_flight: &[EvaluationId]) -> Vec<Told<R>> {
    match event.fields.get("outcomes") {
        Some(Value::Array(outcomes)) => outcomes.iter().filter_map(read_one).collect(),
        Some(_) => unreadable(event, in_flight, "its `outcomes` is not a list"),
        None => unreadable(event, in_flight, "it has no `outcomes`: the worker is too old"),
    }
}

fn read_one<R: DeserializeOwned>(outcome: &Value) -> Option<Told<R>> {
    // The reading's type is somebody else's, and so is its way to be read.
    let read = catch_unwind(AssertUnwindSafe(|| evaluated(outcome)));
    let reason = match read {
        Ok(Ok(evaluated)) => return Some(Told::Outcome(Box::new(evaluated))),
        Ok(Err(error)) => format!("the outcome cannot be read: {error}"),
        Err(_) => "reading the outcome panicked".to_owned(),
    };
    let Some(id) = outcome.get("id").and_then(Value::as_str) else {
        tracing::error!(?outcome, reason, "an outcome without an id");
        return None;
    };
    Some(Told::Unreadable { id: id.into(), reason })
}

/// An outcome and its reading, each read by itself: within the flat object that they make serde
/// would not read all that a reading may have, as maps whose keys are numbers.
fn evaluated<R: DeserializeOwned>(outcome: &Value) -> Result<Evaluated<R>, ValueError> {
    let mut fields = outcome.as_object().cloned().unwrap_or_default();
    let reading = match fields.get_mut("reading") {
        Some(reading) => std::mem::replace(reading, Value::Null),
        None => Value::Null,
    };
    let Evaluated { id, outcome, provenance } =
        Evaluated::<()>::deserialize(Value::Object(fields))?;
    let outcome = match outcome {
        Outcome::Reading { reading: () } => Outcome::Reading { reading: R::deserialize(reading)? },
        Outcome::Refused { code, reason } => Outcome::Refused { code, reason },
        Outcome::Failed { code, reason } => Outcome::Failed { code, reason },
    };
    Ok(Evaluated { id, outcome, provenance })
}

/// The circuits that an event without outcomes must have been about: those it names, else its
/// batch, else all that the board has.
fn unreadable<R>(event: &Event, in_flight: &[EvaluationId], why: &str) -> Vec<Told<R>> {
    let first = |pair: &Value| Some(pair.as_array()?.first()?.as_str()?.into());
    let named: Vec<EvaluationId> = match event.fields.get("results") {
        Some(Value::Array(pairs)) => pairs.iter().filter_map(first).collect(),
        _ => Vec::new(),
    };
    let batch = event.fields.get("batch_id").and_then(Value::as_str).map(EvaluationId::from);
    let about = match (named.is_empty(), batch) {
        (false, _) => named,
        (true, Some(batch)) => vec![batch],
        (true, None) => in_flight.to_vec(),
    };
    let reason = format!("the board's `results` cannot be read: {why} ({})", codes::UNREADABLE);
    about.into_iter().map(|id| Told::Unreadable { id, reason: reason.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(fields: serde_json::Value) -> Event {
        let fields = Value::from(fields).as_object().unwrap().clone();
        Event { event: "results".into(), fields }
    }

    fn ids(told: &[Told<u64>]) -> Vec<(&str, bool)> {
        told.iter().map(|t| (t.id().as_str(), matches!(t, Told::Outcome(_)))).collect()
    }

    #[test]
    fn outcomes_are_read_one_by_one() {
        let event = event(json!({"batch_id": "b", "outcomes": [
            {"id": "1", "outcome": "reading", "reading": 7, "sha256": "00", "kind": "k"},
            {"id": "2", "outcome": "reading", "reading": "many", "sha256": "00", "kind": "k"},
            {"id": "3", "outcome": "failed", "code": "c", "reason": "r", "sha256": "", "kind": "k"},
            {"id": "4", "outcome": "of a later version", "sha256": "00", "kind": "k"},
            {"outcome": "reading"},
        ]}));
        let told = read::<u64>(&event, &[]);
        assert_eq!(ids(&told), [("1", true), ("2", false), ("3", true), ("4", false)]);
        assert!(told[2].gave_up() && !told[0].gave_up());
    }

    #[test]
    fn a_reading_may_be_whatever_its_type_can_be_read_from() {
        let counts = std::collections::BTreeMap::from([(1u16, 2u64), (300, 4)]);
        let wanted = Outcome::Reading { reading: counts.clone() };
        let written = icefarm_core::to_value(&counts).unwrap();
        let mut outcome = json!({"id": "1", "outcome": "reading", "sha256": "00", "kind": "k"});
        outcome["reading"] = serde_json::to_value(&written).unwrap();
        let told = read(&event(json!({"outcomes": [outcome]})), &[]);
        let [Told::Outcome(evaluated)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(evaluated.outcome, wanted);
    }

    #[test]
    fn a_report_without_outcomes_is_an_error_of_what_it_is_about() {
        let flying = ["x".into(), "y".into()];
        let named = event(json!({"batch_id": "b", "results": [["1", "7"], ["2", null]]}));
        assert_eq!(ids(&read(&named, &flying)), [("1", false), ("2", false)]);
        assert_eq!(ids(&read(&event(json!({"batch_id": "b"})), &flying)), [("b", false)]);
        assert_eq!(
            ids(&read(&event(json!({"outcomes": 3})), &flying)),
            [("x", false), ("y", false)]
        );
    }
}
