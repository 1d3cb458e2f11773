//! A model of the firmware `pulse_count` for virtual boards.

use crate::counter::line;
use icefarm_sim::fpga::Window;
use icefarm_sim::{CountError, Firmware, FirmwarePort, VirtualHardware};
use icefarm_state_kit::firmware::{Measure, run};
use std::io;

/// Counts the pulses that a circuit makes, by simulating it, with the firmware's own text protocol.
#[derive(Debug, Default)]
pub struct PulseCountFirmware;

icefarm_sim::firmware!("pulse_count", PulseCountFirmware);

impl Firmware for PulseCountFirmware {
    async fn run(self, port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
        run(self, port, board).await
    }
}

impl Measure for PulseCountFirmware {
    const ANNOUNCES: Option<&'static str> = None;

    async fn measure(&mut self, board: &VirtualHardware) -> Result<String, CountError> {
        let count = board.count_pulses(Window::SECOND).await?;
        Ok(line(count.pulses, count.uncertainty))
    }
}
