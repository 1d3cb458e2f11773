//! What this kind reads.

use serde::{Deserialize, Serialize};

/// A reading: how much the pin moved.
///
/// Travels as `{"fitness": 16.38}`, with the samples if the reservation asked for them:
/// `{"fitness": 16.38, "waveform": [0, 4095, ..]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// See [`fitness`]. From 0 for a pin that stands still to almost the full scale of the
    /// converter, 4095, for one that is elsewhere at each look.
    pub fitness: f64,
    /// What the board's analog-to-digital converter read, in its steps from 0 to
    /// [`FULL_SCALE`](crate::FULL_SCALE), each 100 us after the one before; only if the
    /// reservation asked for it with `send_waveform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waveform: Option<Vec<u16>>,
}

/// The sum of the absolute differences of neighbours, divided by the number of samples (not of
/// differences, as iCEFARM has always counted it); 0 for fewer than two.
///
/// ```
/// assert_eq!(icefarm_state_variance::fitness(&[0, 100, 0, 100, 0]), 80.0);
/// ```
#[must_use]
pub fn fitness(samples: &[u16]) -> f64 {
    let moved: u64 = samples.windows(2).map(|two| u64::from(two[0].abs_diff(two[1]))).sum();
    if moved == 0 { 0.0 } else { moved as f64 / samples.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_signals() {
        for (samples, expected) in [
            (&[][..], 0.0),
            (&[42], 0.0),
            (&[100, 100, 100, 100, 100], 0.0),
            (&[0, 100, 0, 100, 0], 80.0),
            (&[0, 1, 2, 3, 4], 0.8),
            (&[4095, 0], 2047.5),
        ] {
            assert_eq!(fitness(samples), expected, "{samples:?}");
        }
    }

    #[test]
    fn a_waveform_travels_only_if_it_is_there() {
        let json = |waveform| serde_json::to_string(&Variation { fitness: 0.0, waveform }).unwrap();
        assert_eq!(json(None), r#"{"fitness":0.0}"#);
        assert_eq!(json(Some(vec![0, 4095])), r#"{"fitness":0.0,"waveform":[0,4095]}"#);
    }

    proptest! {
        #[test]
        fn a_signal_backwards_or_upside_down_moves_as_much(
            samples in proptest::collection::vec(0..=4095u16, 0..600),
        ) {
            let back: Vec<u16> = samples.iter().rev().copied().collect();
            let turned: Vec<u16> = samples.iter().map(|sample| 4095 - sample).collect();
            prop_assert_eq!(fitness(&samples), fitness(&back));
            prop_assert_eq!(fitness(&samples), fitness(&turned));
            prop_assert!((0.0..4095.0).contains(&fitness(&samples)));
        }
    }
}
