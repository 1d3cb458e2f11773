//! Whether this simulator and the Verilog agree in every cycle.

use super::reference::Level;
use icefarm_sim::fpga::{Bitstream, Circuit, Refusal, Window};

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No difference in any cycle; how many pulses there were.
    Agrees {
        pulses: u64,
    },
    Refused(Refusal),
    Differs(String),
}

/// A pin as a counter sees it: what it showed before it was first driven is no pulse.
struct Pin {
    last: Option<bool>,
    pulses: u64,
}

impl Pin {
    /// Looks at the pin and says what it shows, if that is known.
    fn look(&mut self, level: Level) -> Option<bool> {
        let level = match level {
            b'0' => Some(false),
            b'1' => Some(true),
            _ => None,
        };
        if let (Some(false), Some(true)) = (self.last, level) {
            self.pulses += 1;
        }
        self.last = level;
        level
    }
}

/// Runs a bitstream beside the levels that the Verilog gave.
pub(super) fn compare(bitstream: &[u8], reference: &[Level]) -> Outcome {
    match run(bitstream, reference) {
        Ok(outcome) => outcome,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn run(bitstream: &[u8], reference: &[Level]) -> Result<Outcome, Refusal> {
    let circuit = Circuit::extract(&Bitstream::parse(bitstream)?, Window::SECOND.pin)?;
    let mut simulator = circuit.simulator()?;
    let mut pin = Pin { last: None, pulses: 0 };
    pin.look(reference[0]);
    for (cycle, levels) in reference[1..].chunks_exact(2).enumerate() {
        simulator.run(1)?;
        pin.look(levels[0]);
        let level = pin.look(levels[1]);
        let unknown = levels.contains(&b'x');
        let differs = level.is_some_and(|level| level != simulator.pin());
        if unknown || differs || pin.pulses != simulator.pulses() {
            let theirs = String::from_utf8_lossy(levels).into_owned();
            return Ok(Outcome::Differs(format!(
                "in cycle {cycle}: the pin is {theirs} (clock high, low) in Verilog, {} here; {} \
                 pulses so far there, {} here",
                u8::from(simulator.pin()),
                pin.pulses,
                simulator.pulses()
            )));
        }
    }
    Ok(Outcome::Agrees { pulses: pin.pulses })
}
