//! Outcomes as a table.

use super::super::table::Table;
use super::complaint;
use icefarm_client::CircuitOutcome;
use icefarm_core::Value;
use icefarm_core::evaluation::Provenance;
use std::collections::BTreeSet;

/// Outcomes, collected for a table: one row each, one column for each plain part of the readings.
#[derive(Default)]
pub(super) struct Readings {
    outcomes: Vec<CircuitOutcome<Value>>,
}

impl Readings {
    pub(super) fn push(&mut self, outcome: CircuitOutcome<Value>) {
        self.outcomes.push(outcome);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    pub(super) fn table(mut self) -> Table {
        self.outcomes.sort_by(|a, b| (&a.circuit, a.serial()).cmp(&(&b.circuit, b.serial())));
        let columns: BTreeSet<String> = self
            .outcomes
            .iter()
            .filter_map(CircuitOutcome::reading)
            .flat_map(|reading| parts(reading).into_iter().map(|(key, _)| key))
            .collect();
        let fixed = ["circuit", "board"].into_iter().map(str::to_owned);
        let head = fixed.chain(columns.iter().cloned());
        let mut table = Table::new(head.chain(["window".to_owned(), "remark".to_owned()]));
        for outcome in &self.outcomes {
            let provenance = &outcome.evaluated.provenance;
            let board = provenance.serial.as_ref().map(ToString::to_string).unwrap_or_default();
            let mut row = vec![outcome.circuit.clone(), board];
            let values = outcome.reading().map(parts).unwrap_or_default();
            for column in &columns {
                let value = values.iter().find(|(key, _)| key == column);
                row.push(value.map(|(_, text)| text.clone()).unwrap_or_default());
            }
            row.push(match (outcome.reading(), provenance.window_us) {
                (Some(_), Some(us)) => window(us),
                _ => String::new(),
            });
            row.push(complaint(outcome).unwrap_or_else(|| remark(provenance)));
            table.row(row);
        }
        table
    }
}

/// What is to be known of a reading.
fn remark(provenance: &Provenance) -> String {
    match &provenance.falsified {
        Some(by) => format!("simulated, WRONG ON PURPOSE: {by}"),
        None if provenance.simulated == Some(true) => "simulated".to_owned(),
        None => String::new(),
    }
}

/// Microseconds as seconds, exactly.
fn window(us: u64) -> String {
    let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
    if rest == 0 { format!("{seconds} s") } else { format!("{seconds}.{rest:06} s") }
}

/// The plain parts of a reading with their names. A reading that is no object is one part.
fn parts(reading: &Value) -> Vec<(String, String)> {
    match reading {
        Value::Object(object) => {
            object.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
        }
        other => plain(other).map(|text| ("reading".to_owned(), text)).into_iter().collect(),
    }
}

/// What fits into a cell. Lists and files do not; `--json` has them.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::I64(value) => Some(value.to_string()),
        Value::U64(value) => Some(value.to_string()),
        Value::F64(value) => Some(value.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bytes(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::evaluation::{Evaluated, Outcome};
    use icefarm_core::{EvaluationId, Kind, Serial};
    use serde_json::json;

    fn outcome(circuit: &str, outcome: Outcome<Value>) -> CircuitOutcome<Value> {
        let mut provenance = Provenance::of_circuit("00", Kind::new("pulsecount").unwrap());
        provenance.serial = Some(Serial::new("SIM1").unwrap());
        provenance.window_us = Some(1_000_000);
        provenance.simulated = Some(true);
        let evaluated = Evaluated { id: EvaluationId::from("1"), outcome, provenance };
        CircuitOutcome { circuit: circuit.to_owned(), evaluated }
    }

    #[test]
    fn readings_and_refusals_stand_in_one_table() {
        let mut readings = Readings::default();
        let reason = "the file is cut off".to_owned();
        readings.push(outcome("b.bin", Outcome::Refused { code: "truncated".to_owned(), reason }));
        let reading = Value::from(json!({"pulses": 2000}));
        readings.push(outcome("a.bin", Outcome::Reading { reading }));
        assert_eq!(
            readings.table().render(false, 80),
            "circuit  board  pulses  window  remark\n\
             a.bin    SIM1     2000  1 s     simulated\n\
             b.bin    SIM1                   refused (truncated): the file is cut off\n"
        );
    }

    #[test]
    fn a_figure_that_is_wrong_on_purpose_cannot_be_overlooked() {
        let reading = Value::from(json!({"pulses": 2005}));
        let mut wrong = outcome("a.bin", Outcome::Reading { reading });
        wrong.evaluated.provenance.falsified = Some("fault 2 (wrong-answer)".to_owned());
        let mut readings = Readings::default();
        readings.push(wrong);
        let table = readings.table().render(false, usize::MAX);
        assert!(table.contains("WRONG ON PURPOSE: fault 2 (wrong-answer)"), "{table}");
    }

    #[test]
    fn windows_are_told_exactly() {
        assert_eq!(window(1_000_000), "1 s");
        assert_eq!(window(999_840), "0.999840 s");
    }
}
