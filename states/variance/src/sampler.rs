//! What the firmware `variance` says of a circuit: 100 ms after it was configured it reads its
//! analog-to-digital converter 500 times, 100 us apart, and writes
//!
//! ```text
//! Sampling ADC
//! samples: 0,4095,0,0,17,..
//! IDLE
//! ```
//!
//! (iCEFARM, `firmware/variance/main.cpp`. On a real board an interval is some microseconds longer,
//! because the firmware waits 100 us beside reading.)

use crate::{IMAGE, Variation, fitness};
use icefarm_core::Value;
use icefarm_state_kit::{Instrument, Said, digits};
use std::time::Duration;

/// How many samples the firmware takes.
pub const SAMPLES: usize = 500;

/// How many of them there are in a second.
pub const SAMPLE_HZ: u64 = 10_000;

/// What the 12-bit converter of the RP2350 reads at its reference voltage.
pub const FULL_SCALE: u16 = 4095;

/// How long the pin is sampled, in microseconds: nominally. On a real board it is a little longer.
pub const WINDOW_US: u64 = 1_000_000 * SAMPLES as u64 / SAMPLE_HZ;

/// How long the firmware lets the circuit run before it takes the first sample.
pub(crate) const STABILIZATION: Duration = Duration::from_millis(100);

/// Samples a pin.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Whether clients get the samples.
    pub(crate) send_waveform: bool,
}

impl Instrument for Sampler {
    type Reading = Variation;
    const IMAGE: &'static str = IMAGE;
    const STATE_VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// Some ten of the milliseconds are for converting and for writing the samples out.
    const MEASURING: Duration = Duration::from_millis(200);
    const WINDOW_US: u64 = WINDOW_US;

    fn read(&self, line: &str) -> Said<Variation> {
        let Some(list) = line.strip_prefix("samples: ") else {
            let damaged = line.contains("samples") || line.matches(',').count() > 3;
            return if damaged { Said::Damaged } else { Said::Nothing };
        };
        // The firmware drops text that its USB buffer has no room for. What is left can look like
        // samples, but is too short or joins two numbers into one.
        match samples(list).filter(|samples| samples.len() == SAMPLES) {
            Some(samples) => Said::Reading(Variation {
                fitness: fitness(&samples),
                waveform: self.send_waveform.then_some(samples),
            }),
            None => Said::Damaged,
        }
    }

    /// Old clients know a number, or a pair of it and the samples.
    fn plain(&self, reading: &Variation) -> Value {
        let fitness = Value::from(reading.fitness);
        match &reading.waveform {
            None => fitness,
            Some(waveform) => {
                let waveform = waveform.iter().map(|sample| Value::from(u64::from(*sample)));
                Value::from(vec![fitness, waveform.collect()])
            }
        }
    }
}

fn samples(list: &str) -> Option<Vec<u16>> {
    let sample = |text: &str| {
        let sample = u16::try_from(digits(text)?).ok()?;
        (sample <= FULL_SCALE).then_some(sample)
    };
    list.split(',').map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(samples: &[u16]) -> String {
        let texts: Vec<String> = samples.iter().map(u16::to_string).collect();
        format!("samples: {}", texts.join(","))
    }

    fn read(line: &str) -> Said<Variation> {
        Sampler { send_waveform: true }.read(line)
    }

    #[test]
    fn old_clients_get_a_number_or_a_pair() {
        let json = |reading: Variation| {
            let plain = Sampler { send_waveform: false }.plain(&reading);
            serde_json::to_string(&plain).unwrap()
        };
        assert_eq!(json(Variation { fitness: 0.0, waveform: None }), "0.0");
        assert_eq!(json(Variation { fitness: 8.19, waveform: None }), "8.19");
        let waveform = Some(vec![0, 4095]);
        assert_eq!(json(Variation { fitness: 2047.5, waveform }), "[2047.5,[0,4095]]");
    }

    #[test]
    fn other_lines_are_none_of_its_business() {
        for text in ["Sampling ADC", "IDLE", "Waiting for bitstream transfer"] {
            assert_eq!(read(text), Said::Nothing, "{text}");
        }
    }

    #[test]
    fn a_damaged_figure_is_none() {
        let whole = line(&[7; SAMPLES]);
        for text in [
            "samples:",
            "samples: ",
            "samples: 1,2,3",
            &line(&[7; SAMPLES - 1]),
            &line(&[7; SAMPLES + 1]),
            &whole.replacen(",7", ",4096", 1),
            &whole.replacen(",7", ",-7", 1),
            &whole.replacen(",7", ", 7", 1),
            &whole.replacen(",7,7", ",77", 1),
            &format!("{whole},"),
            &whole[4..],
            &whole[20..],
        ] {
            assert_eq!(read(text), Said::Damaged, "{text:.40}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            samples in proptest::collection::vec(0..=4095u16, SAMPLES..=SAMPLES),
            send_waveform: bool,
        ) {
            let Said::Reading(reading) = (Sampler { send_waveform }).read(&line(&samples)) else {
                panic!("no figure");
            };
            prop_assert_eq!(reading.fitness, fitness(&samples));
            prop_assert_eq!(reading.waveform, send_waveform.then_some(samples));
        }

        /// As when the board's buffer overflows.
        #[test]
        fn a_line_with_a_gap_is_never_taken_for_a_whole_one(
            samples in proptest::collection::vec(0..=4095u16, SAMPLES..=SAMPLES),
            start in 9..1500usize, length in 1..600usize,
        ) {
            let whole = line(&samples);
            let (start, end) = (start.min(whole.len()), (start + length).min(whole.len()));
            let torn = format!("{}{}", &whole[..start], &whole[end..]);
            prop_assume!(torn.matches(',').count() != SAMPLES - 1);
            prop_assert_eq!(read(&torn), Said::Damaged);
        }
    }
}
