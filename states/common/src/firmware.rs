//! The model of a firmware that takes circuits, for virtual boards.

use crate::BITSTREAM_BYTES;
use icefarm_sim::{CountError, FirmwarePort, VirtualHardware};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout_at};

/// How long the firmware waits for a circuit to be complete, from its first byte on. It waits for
/// its host, whose time is not the board's.
const WATCHDOG: Duration = Duration::from_secs(2);

/// What a real board takes for a circuit beside measuring and configuring: USB and the protocol.
/// iCEFARM's README gives 0.24 s for all of it; 24 ms are the FPGA's.
const TRANSFER: Duration = Duration::from_millis(216);

/// Clearing the FPGA's memory, and writing 104,090 bytes at 4 system clocks of 150 MHz a bit.
const OPENING: Duration = Duration::from_micros(1_300);
const WRITING: Duration = Duration::from_micros(22_206);

/// How often a board whose figure takes longer tells that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// What a firmware does with a circuit once it is on the FPGA.
///
/// ```
/// use icefarm_sim::fpga::Window;
/// use icefarm_sim::{CountError, Firmware, FirmwarePort, VirtualHardware};
/// use icefarm_state_kit::firmware::{Measure, run};
/// use std::io;
///
/// /// Tells how often the pin rises in a second.
/// #[derive(Default)]
/// struct Hertz;
///
/// impl Measure for Hertz {
///     const ANNOUNCES: Option<&'static str> = None;
///
///     async fn measure(&mut self, board: &VirtualHardware) -> Result<String, CountError> {
///         let count = board.count_pulses(Window::SECOND).await?;
///         Ok(format!("hertz: {}", count.pulses))
///     }
/// }
///
/// impl Firmware for Hertz {
///     async fn run(self, port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
///         run(self, port, board).await
///     }
/// }
///
/// icefarm_sim::firmware!("hertz", Hertz);
/// # fn main() {}
/// ```
pub trait Measure: Send {
    /// The line between the flash times and the measurement. `None` for a firmware that measures
    /// first and writes the flash times with the figure.
    const ANNOUNCES: Option<&'static str>;

    /// The line with the figure, without its end.
    fn measure(
        &mut self,
        board: &VirtualHardware,
    ) -> impl Future<Output = Result<String, CountError>> + Send;
}

/// The program of the firmware: everything but the measurement.
///
/// # Errors
/// The simulation was interrupted, as by a panic in it. That says nothing about the circuit.
pub async fn run(
    mut measure: impl Measure,
    port: FirmwarePort,
    board: VirtualHardware,
) -> io::Result<()> {
    let mut session = Session { dtr: port.dtr(), port, board };
    loop {
        session.port.opened().await;
        session.say("USB Connected :)").await?;
        let circuit = session.receive().await?;
        session.answer(circuit, &mut measure).await?;
        session.say("IDLE").await?;
    }
}

struct Session {
    port: FirmwarePort,
    dtr: watch::Receiver<bool>,
    board: VirtualHardware,
}

/// What came of waiting for bytes.
enum Heard {
    Bytes,
    /// The host has closed the port.
    Closed,
    /// Nothing more in time.
    Silence,
}

impl Session {
    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.port.write_all(format!("{line}\r\n").as_bytes()).await
    }

    /// The next circuit that comes in complete.
    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut circuit = Vec::with_capacity(BITSTREAM_BYTES);
        loop {
            circuit.clear();
            self.say("Waiting for bitstream transfer").await?;
            if let Heard::Bytes = self.hear(&mut circuit, None).await? {
                self.say("Bitstream transfer started").await?;
                self.say("Receiving bitstream").await?;
                let begun = Instant::now();
                let begun_us = self.board.now_us();
                match self.fill(&mut circuit, begun + WATCHDOG).await? {
                    Heard::Bytes => {
                        self.board.sleep(TRANSFER).await;
                        let took = self.board.now_us() - begun_us;
                        self.say(&format!("Received bitstream in {took} us :)")).await?;
                        return Ok(circuit);
                    }
                    Heard::Silence => {
                        let received = circuit.len();
                        let line = format!(
                            "Watchdog timeout, {received} bytes received of {BITSTREAM_BYTES}"
                        );
                        self.say(&line).await?;
                        continue;
                    }
                    Heard::Closed => {}
                }
            }
            self.say("USB Disconnected :(").await?;
            self.port.opened().await;
            self.say("USB Reconnected :)").await?;
        }
    }

    /// Hears until the circuit is complete.
    async fn fill(&mut self, circuit: &mut Vec<u8>, end: Instant) -> io::Result<Heard> {
        while circuit.len() < BITSTREAM_BYTES {
            match self.hear(circuit, Some(end)).await? {
                Heard::Bytes => {}
                other => return Ok(other),
            }
        }
        Ok(Heard::Bytes)
    }

    async fn hear(&mut self, circuit: &mut Vec<u8>, end: Option<Instant>) -> io::Result<Heard> {
        let mut input = (&mut self.port).take((BITSTREAM_BYTES - circuit.len()) as u64);
        let heard = async {
            tokio::select! {
                biased;
                read = input.read_buf(circuit) => read.map(|_| Heard::Bytes),
                _ = self.dtr.wait_for(|open| !open) => Ok(Heard::Closed),
            }
        };
        match end {
            None => heard.await,
            Some(end) => timeout_at(end, heard).await.unwrap_or(Ok(Heard::Silence)),
        }
    }

    /// Configures the FPGA, measures, and writes the answer.
    async fn answer<M: Measure>(&mut self, circuit: Vec<u8>, measure: &mut M) -> io::Result<()> {
        self.say("Flashing FPGA").await?;
        self.board.sleep(OPENING + WRITING).await;
        self.board.configure(circuit);
        if let Some(announcement) = M::ANNOUNCES {
            self.say_times().await?;
            self.say(announcement).await?;
        }
        let answer = match self.measure(measure).await? {
            Ok(figure) => figure,
            // That says nothing about the circuit: a firmware that crashes is tried again.
            Err(error @ CountError::Interrupted(_)) => return Err(io::Error::other(error)),
            Err(error) => refusal(&error),
        };
        if M::ANNOUNCES.is_none() {
            self.say_times().await?;
        }
        if let Some(reason) = self.board.falsified() {
            self.say(&format!("falsified: {reason}")).await?;
        }
        self.say(&answer).await
    }

    async fn say_times(&mut self) -> io::Result<()> {
        let (opening, writing) = (OPENING.as_micros(), WRITING.as_micros());
        let times = format!("init 0, start 0, open {opening}, write {writing}, close 0");
        self.say(&format!("FPGA Flash times (us): {times}")).await
    }

    /// Measures for as long as it takes.
    async fn measure<M: Measure>(
        &mut self,
        measure: &mut M,
    ) -> io::Result<Result<String, CountError>> {
        let board = self.board.clone();
        let mut figure = std::pin::pin!(measure.measure(&board));
        let mut alive = interval_at(Instant::now() + SIGN_OF_LIFE, SIGN_OF_LIFE);
        loop {
            tokio::select! {
                biased;
                figure = &mut figure => return Ok(figure),
                _ = alive.tick() => self.say("simulating").await?,
            }
        }
    }
}

/// A refusal on one line that is not too long for one.
fn refusal(error: &CountError) -> String {
    let text = format!("refused: {} {error}", error.code());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect()
}
