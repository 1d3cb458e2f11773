//! What a client printed, held against what is known of the circuits.

use serde_json::Value;
use std::collections::BTreeMap;

/// What the circuits of a round count, by name.
pub(super) type Expected = BTreeMap<String, u64>;

/// The outcomes of one run of `icefarm evaluate --json`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Readings {
    /// Circuits that were read once and rightly.
    pub(super) good: usize,
    /// How many of these took more than one attempt.
    pub(super) repeated_work: usize,
    /// What must not be.
    pub(super) faults: Vec<String>,
}

impl Readings {
    /// Judges the lines that a client printed.
    pub(super) fn of(lines: &[String], expected: &Expected) -> Self {
        let mut readings = Self::default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        for line in lines {
            let Ok(outcome) = serde_json::from_str::<Value>(line) else {
                readings.faults.push(format!("not JSON: {line}"));
                continue;
            };
            let text = |key: &str| outcome[key].as_str().unwrap_or_default().to_owned();
            let (circuit, id) = (text("circuit"), text("id"));
            *ids.entry(id.clone()).or_default() += 1;
            let Some(pulses) = expected.get(&circuit) else {
                readings.faults.push(format!("nobody asked for it: {line}"));
                continue;
            };
            *seen.entry(circuit).or_default() += 1;
            if outcome["outcome"] != "reading" || outcome["reading"]["pulses"] != *pulses {
                readings.faults.push(format!("not a reading of {pulses} pulses: {line}"));
                continue;
            }
            readings.good += 1;
            if outcome["attempt"].as_u64().is_some_and(|attempt| attempt > 1) {
                readings.repeated_work += 1;
            }
        }
        for circuit in expected.keys() {
            match seen.get(circuit).copied().unwrap_or(0) {
                0 => readings.faults.push(format!("no outcome: {circuit}")),
                1 => {}
                times => readings.faults.push(format!("{times} outcomes: {circuit}")),
            }
        }
        for (id, times) in ids.into_iter().filter(|(_, times)| *times > 1) {
            readings.faults.push(format!("{times} outcomes of the evaluation {id}"));
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &[&str]) -> Readings {
        let expected = Expected::from([("a".to_owned(), 7), ("b".to_owned(), 9)]);
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        Readings::of(&lines, &expected)
    }

    const A: &str =
        r#"{"circuit":"a","id":"1","outcome":"reading","reading":{"pulses":7},"attempt":2}"#;
    const B: &str =
        r#"{"circuit":"b","id":"2","outcome":"reading","reading":{"pulses":9},"attempt":1}"#;

    #[test]
    fn each_circuit_once_and_right_is_good() {
        let readings = judged(&[B, A]);
        assert_eq!((readings.good, readings.repeated_work), (2, 1));
        assert!(readings.faults.is_empty(), "{readings:?}");
    }

    #[test]
    fn everything_that_must_not_be_is_found() {
        let faults = |lines: &[&str]| judged(lines).faults.join("\n");
        assert!(faults(&[A]).contains("no outcome: b"));
        assert!(faults(&[A, B, A]).contains("2 outcomes: a"));
        assert!(faults(&[A, B, A]).contains("2 outcomes of the evaluation 1"));
        assert!(faults(&[A, &B.replace('9', "8")]).contains("not a reading of 9 pulses"));
        assert!(
            faults(&[A, &B.replace(r#""reading","#, r#""failed","#)]).contains("not a reading")
        );
        assert!(faults(&[A, B, "{"]).contains("not JSON"));
        assert!(faults(&[A, B, &A.replace(r#":"a""#, r#":"c""#)]).contains("nobody asked"));
    }
}
