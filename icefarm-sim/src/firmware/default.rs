//! The farm's default firmware.

use crate::{Firmware, FirmwarePort, VirtualHardware};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What it prints.
const LINE: &[u8] = b"default firmware\r\n";

/// How long it waits for input between two lines (iCEFARM's default firmware reads its input with
/// a timeout of 1 ms).
const PAUSE: Duration = Duration::from_millis(1);

/// Prints its line over and over while a host has the port open. Its input goes nowhere.
#[derive(Debug, Default)]
pub(crate) struct DefaultFirmware;

impl Firmware for DefaultFirmware {
    async fn run(self, mut port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
        let mut input = [0; 64];
        loop {
            port.opened().await;
            port.write_all(LINE).await?;
            tokio::select! {
                read = port.read(&mut input) => drop(read?),
                () = board.sleep(PAUSE) => {}
            }
        }
    }
}
