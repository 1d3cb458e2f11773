//! What the image `lowercase` does, for virtual boards. On a real board it is a program for the
//! RP2350 that behaves in this way.

use icefarm_sim::{Firmware, FirmwarePort, VirtualHardware};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Answers each line with the same in lower case.
#[derive(Default)]
struct Lowercase;

impl Firmware for Lowercase {
    async fn run(self, port: FirmwarePort, _board: VirtualHardware) -> io::Result<()> {
        let mut port = BufReader::new(port);
        loop {
            let mut line = String::new();
            port.read_line(&mut line).await?;
            port.write_all(line.to_lowercase().as_bytes()).await?;
        }
    }
}

icefarm_sim::firmware!("lowercase", Lowercase);
