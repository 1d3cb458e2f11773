//! A model of the firmware `variance` for virtual boards.

use crate::sampler::{FULL_SCALE, SAMPLE_HZ, SAMPLES, STABILIZATION};
use icefarm_sim::fpga::CLOCK_HZ;
use icefarm_sim::{CountError, Firmware, FirmwarePort, Looks, VirtualHardware};
use icefarm_state_kit::firmware::{Measure, run};
use std::io;

/// Cycles of the FPGA from one sample to the next.
const EVERY: u64 = CLOCK_HZ / SAMPLE_HZ;

/// The first sample is taken when the circuit has run for so long, and is the first that is told.
const SKIPPED: usize = (STABILIZATION.as_millis() as u64 * SAMPLE_HZ / 1000 - 1) as usize;

/// Samples what a circuit does, by simulating it, with the firmware's own text protocol. A
/// simulated pin is low or high and nothing in between.
#[derive(Debug, Default)]
pub struct VarianceFirmware;

icefarm_sim::firmware!("variance", VarianceFirmware);

impl Firmware for VarianceFirmware {
    async fn run(self, port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
        run(self, port, board).await
    }
}

impl Measure for VarianceFirmware {
    const ANNOUNCES: Option<&'static str> = Some("Sampling ADC");

    async fn measure(&mut self, board: &VirtualHardware) -> Result<String, CountError> {
        let looks = Looks { pin: "27", every: EVERY, skip: SKIPPED, count: SAMPLES };
        let levels = board.sample(looks).await?;
        let sample = |high: bool| if high { FULL_SCALE } else { 0 };
        let samples: Vec<_> = levels.into_iter().map(|high| sample(high).to_string()).collect();
        Ok(format!("samples: {}", samples.join(",")))
    }
}
