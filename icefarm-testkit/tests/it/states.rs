//! A state with its firmware, good and bad as the test wants it.

use icefarm_core::{
    Device, Face, Residue, SerialPort, State, StateError, Value, register, reservable,
};
use icefarm_sim::{Firmware, FirmwarePort, VirtualHardware};
use icefarm_testkit::json;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

pub(crate) struct Tester {
    device: Device,
    exit: Option<String>,
    port: Option<BufReader<SerialPort>>,
}

#[reservable("tester", "exit")]
impl Tester {
    fn new(device: Device, exit: Option<String>) -> Self {
        Self { device, exit, port: None }
    }

    #[register("ask", "data")]
    async fn ask(&mut self, data: String) -> Result<String, StateError> {
        let port = self.port.as_mut().ok_or("the port is not open")?;
        port.write_all(format!("{data}\n").as_bytes()).await?;
        let mut line = String::new();
        port.read_line(&mut line).await?;
        self.device.emit("results", json!({"data": line.trim_end()}));
        Ok(line.trim_end().to_owned())
    }

    #[register("load")]
    fn load(&mut self) -> Value {
        let Residue { sequence, .. } = self.device.load_circuit("00");
        sequence.into()
    }

    #[register("later", "seconds")]
    fn later(&mut self, seconds: u64) {
        let device = self.device.clone();
        self.device.spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            device.emit("late", json!({"seconds": seconds}));
        });
    }

    #[register("panic")]
    fn panic(&mut self) {
        panic!("as the test wants it");
    }

    #[register("hang")]
    async fn hang(&mut self) {
        std::future::pending().await
    }
}

impl State for Tester {
    async fn start(&mut self) -> Result<(), StateError> {
        self.device.flash("tester").await?;
        self.port = Some(BufReader::new(self.device.open().await?));
        Ok(())
    }

    async fn removed(&mut self) -> Result<(), StateError> {
        self.device.emit("removed", ());
        Ok(())
    }

    async fn added(&mut self, face: Face) -> Result<(), StateError> {
        self.port = Some(BufReader::new(self.device.open().await?));
        self.device.emit("added", json!({"face": face}));
        Ok(())
    }

    async fn reboot(&mut self) -> Result<(), StateError> {
        self.device.restart().await?;
        self.port = Some(BufReader::new(self.device.open().await?));
        self.device.emit("rebooted", ());
        Ok(())
    }

    async fn exit(&mut self) {
        match self.exit.as_deref() {
            Some("panic") => panic!("as the test wants it"),
            Some("hang") => std::future::pending().await,
            _ => {}
        }
    }
}

/// Writes each line in lower case.
#[derive(Default)]
struct Lower;

impl Firmware for Lower {
    async fn run(self, port: FirmwarePort, _: VirtualHardware) -> io::Result<()> {
        let mut port = BufReader::new(port);
        loop {
            let mut line = String::new();
            port.read_line(&mut line).await?;
            port.write_all(line.to_lowercase().as_bytes()).await?;
        }
    }
}

icefarm_sim::firmware!("tester", Lower);

/// Cannot start: there is no such image.
pub(crate) struct NoImage(Device);

#[reservable("no image")]
impl NoImage {
    fn new(device: Device) -> Self {
        Self(device)
    }
}

impl State for NoImage {
    async fn start(&mut self) -> Result<(), StateError> {
        self.0.flash("what is this").await?;
        Ok(())
    }
}
