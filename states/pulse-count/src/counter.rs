//! What the firmware `pulse_count` says of a circuit: `, pulses: 2000`, after one second. A virtual
//! board whose count may be off says so behind it: `, pulses: 2000, off by up to 1`.

use crate::{IMAGE, Pulses};
use icefarm_core::Value;
use icefarm_state_kit::{Instrument, Said, digits};
use std::time::Duration;

/// The nominal window in which the firmware counts, in microseconds. On a real board it is up to
/// 1 ms shorter, because the firmware begins it in the middle of a millisecond.
pub const WINDOW_US: u64 = 1_000_000;

/// Between a count and by how much it may be off.
const OFF_BY: &str = ", off by up to ";

/// Counts pulses.
#[derive(Debug)]
pub(crate) struct Counter;

impl Instrument for Counter {
    type Reading = Pulses;
    const IMAGE: &'static str = IMAGE;
    const STATE_VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const MEASURING: Duration = Duration::from_micros(WINDOW_US);
    const WINDOW_US: u64 = WINDOW_US;

    fn read(&self, line: &str) -> Said<Pulses> {
        match line.strip_prefix(", pulses: ").and_then(pulses) {
            Some(pulses) => Said::Reading(pulses),
            None if line.contains("pulses") => Said::Damaged,
            None => Said::Nothing,
        }
    }

    /// Old clients know a text of digits.
    fn plain(&self, reading: &Pulses) -> Value {
        reading.pulses.to_string().into()
    }
}

fn pulses(text: &str) -> Option<Pulses> {
    match text.split_once(OFF_BY) {
        None => Some(Pulses { pulses: digits(text)?, uncertainty: None }),
        Some((pulses, most)) => {
            Some(Pulses { pulses: digits(pulses)?, uncertainty: Some(digits(most)?) })
        }
    }
}

/// The line of the figure, as a virtual board writes it.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn line(pulses: u64, uncertainty: u64) -> String {
    match uncertainty {
        0 => format!(", pulses: {pulses}"),
        most => format!(", pulses: {pulses}{OFF_BY}{most}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_clients_get_text() {
        assert_eq!(
            Counter.plain(&Pulses { pulses: 2000, uncertainty: Some(1) }),
            Value::from("2000")
        );
    }

    #[test]
    fn a_damaged_figure_is_none() {
        for line in [
            ", pulses: ",
            ", pulses: -1",
            "pulses: 2000",
            ", pulses: 2000IDLE",
            ", pulses: 2000, off by up to ",
        ] {
            assert_eq!(Counter.read(line), Said::Damaged, "{line}");
        }
        assert_eq!(Counter.read("IDLE"), Said::Nothing);
    }

    proptest! {
        #[test]
        fn a_figure_is_read_only_from_its_own_line(
            text in "[ -~]{0,40}",
            pulses: u64,
            uncertainty in prop_oneof![Just(0), any::<u64>()],
        ) {
            let uncertain = Some(uncertainty).filter(|most| *most > 0);
            let figure = Said::Reading(Pulses { pulses, uncertainty: uncertain });
            let own = line(pulses, uncertainty);
            prop_assume!(text != own);
            prop_assert_ne!(Counter.read(&text), figure.clone());
            prop_assert_eq!(Counter.read(&own), figure);
        }
    }
}
