//! The bus that virtual boards are plugged to.

use super::life::Hardware;
use super::virtual_board::VirtualBoard;
use crate::Threads;
use crate::board::Pace;
use crate::faults::{FaultError, FaultPlan, Script};
use crate::firmware::{Images, Simulation};
use crate::fpga::Limits;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use icefarm_core::{Blocking, Board, Bus, NameError, Place, Serial};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What the bus is called.
pub(super) const NAME: &str = "virtual";

/// A bus with virtual boards on it. They behave as the real ones: they show their faces one after
/// the other, take firmware in their bootloader, and talk over a serial port.
///
/// ```
/// use icefarm_core::{Board, Face};
/// use icefarm_sim::VirtualBus;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let bus = VirtualBus::builder().boards(2).seed("worker 1").speed(10.0).build().unwrap();
/// let board = &bus.all()[0];
/// assert!(board.serial().as_str().starts_with("SIM"));
///
/// let mut presence = board.presence();
/// presence.wait_for(|now| now.face == Some(Face::Default)).await.unwrap();
/// # }
/// ```
#[derive(Debug)]
pub struct VirtualBus {
    images: Arc<Images>,
    pace: Pace,
    simulation: Simulation,
    faults: FaultPlan,
    boards: watch::Sender<Vec<VirtualBoard>>,
}

/// Says what a [`VirtualBus`] is to have.
pub struct VirtualBusBuilder {
    boards: usize,
    seed: String,
    serials: Vec<Serial>,
    speed: f64,
    blocking: Option<Arc<dyn Blocking>>,
    work: u64,
    faults: FaultPlan,
}

impl fmt::Debug for VirtualBusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualBusBuilder")
            .field("boards", &self.boards)
            .field("seed", &self.seed)
            .field("serials", &self.serials)
            .field("speed", &self.speed)
            .field("work", &self.work)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Why there is no virtual bus, or not this board on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// Two linked crates bring a model for one firmware image.
    #[error(
        "two models are linked for the firmware image `{name}`: {} and {}; leave one of them out",
        places[0],
        places[1]
    )]
    DuplicateImage {
        /// The image.
        name: &'static str,
        /// Where it is registered.
        places: Box<[Place; 2]>,
    },
    /// A model is registered under something that is no image name.
    #[error("the firmware model at {place} is registered as `{name}`: {source}")]
    ImageName {
        /// The name.
        name: &'static str,
        /// Where it is registered.
        place: Place,
        /// What is wrong with it.
        source: NameError,
    },
    /// Two boards have one serial.
    #[error("two virtual boards have the serial `{serial}`; each needs its own")]
    DuplicateSerial {
        /// The serial.
        serial: Serial,
    },
    /// The boards' time cannot run at that speed.
    #[error("the speed of the boards must be a number from 0.000001 to 1000000, not {speed}")]
    Speed {
        /// What was asked for.
        speed: f64,
    },
    /// A fault of the plan is for nothing that there is.
    #[error("fault {number} of the boards: {source}")]
    Fault {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        source: FaultError,
    },
}

impl VirtualBus {
    /// A bus without boards, as fast as real ones, until more is said.
    #[must_use]
    pub fn builder() -> VirtualBusBuilder {
        VirtualBusBuilder {
            boards: 0,
            seed: String::new(),
            serials: Vec::new(),
            speed: 1.0,
            blocking: None,
            work: Limits::default().work,
            faults: FaultPlan::default(),
        }
    }

    /// Every board that was ever plugged to this bus, in the order of their first plugging.
    #[must_use]
    pub fn all(&self) -> Vec<VirtualBoard> {
        self.boards.borrow().clone()
    }

    /// The board of that serial.
    #[must_use]
    pub fn board(&self, serial: &Serial) -> Option<VirtualBoard> {
        self.boards.borrow().iter().find(|board| board.serial() == serial).cloned()
    }

    /// Plugs a new board to the bus.
    ///
    /// # Errors
    /// [`SimError::DuplicateSerial`] if the bus has, or had, one of that serial.
    pub fn add(&self, serial: Serial) -> Result<VirtualBoard, SimError> {
        let mut added = None;
        self.boards.send_if_modified(|boards| {
            if boards.iter().any(|board| *board.serial() == serial) {
                return false;
            }
            let (images, simulation) = (Arc::clone(&self.images), self.simulation.clone());
            let script = Script::new(&self.faults, boards.len(), serial.clone(), self.pace);
            let hardware = Hardware::new(serial.clone(), images, self.pace, script, simulation);
            let board = VirtualBoard::new(hardware);
            boards.push(board.clone());
            added = Some(board);
            true
        });
        added.ok_or(SimError::DuplicateSerial { serial })
    }
}

impl Bus for VirtualBus {
    fn name(&self) -> &str {
        NAME
    }

    fn boards(&self) -> BoxStream<'static, Arc<dyn Board>> {
        let plugged =
            stream::unfold((self.boards.subscribe(), 0), |(mut boards, next)| async move {
                let found = boards.wait_for(|boards| boards.len() > next).await;
                let board = found.ok()?.get(next)?.clone();
                Some((board, (boards, next + 1)))
            });
        // Each is told when it has enumerated, whatever becomes of the others.
        let arrived = plugged
            .map(|board| async move {
                board.arrived().await;
                Arc::new(board) as Arc<dyn Board>
            })
            .buffer_unordered(usize::MAX);
        arrived.boxed()
    }
}

impl VirtualBusBuilder {
    /// Plugs in `number` boards whose serials are `SIM` and 13 upper-case hex digits, made of the
    /// [`seed`](Self::seed) and their place in the row.
    #[must_use]
    pub fn boards(mut self, number: usize) -> Self {
        self.boards = number;
        self
    }

    /// What the serials of the [`boards`](Self::boards) are made of. Give every worker of a farm
    /// another seed, for example its name: no two of them may have the same board.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<String>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Plugs in one more board, with the serial of your choice.
    #[must_use]
    pub fn serial(mut self, serial: Serial) -> Self {
        self.serials.push(serial);
        self
    }

    /// Makes the boards' time run `speed` times as fast as `tokio::time`. What they measure stays
    /// the same: windows are counted in cycles of the FPGA.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Where circuits are simulated: [`Threads`], as many as there are processors, if nothing else
    /// is said; [`Inline`](icefarm_core::blocking::Inline) where everything must happen on one
    /// thread, in one order.
    #[must_use]
    pub fn blocking(mut self, blocking: Arc<dyn Blocking>) -> Self {
        self.blocking = Some(blocking);
        self
    }

    /// How much work one count may be before the circuit is refused, see [`Limits::work`].
    #[must_use]
    pub fn work(mut self, work: u64) -> Self {
        self.work = work;
        self
    }

    /// What is to go wrong with the boards, and when.
    #[must_use]
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.faults = plan;
        self
    }

    /// The bus, with the firmware models of all crates that are linked.
    ///
    /// # Errors
    /// [`SimError`] says what of the above cannot be.
    pub fn build(self) -> Result<VirtualBus, SimError> {
        let pace = Pace::new(self.speed).ok_or(SimError::Speed { speed: self.speed })?;
        let images = Arc::new(Images::collect()?);
        let blocking = self.blocking.unwrap_or_else(|| Arc::new(Threads::default()));
        let simulation = Simulation { blocking, work: self.work };
        let numbered = (0..self.boards).map(|index| serial(&self.seed, index));
        let serials: Vec<Serial> = numbered.chain(self.serials).collect();
        let has_image = |name: &_| images.get(name).is_some();
        if let Some((place, source)) = self.faults.misses(&serials, has_image, &images.names()) {
            return Err(SimError::Fault { number: place + 1, source });
        }
        let (faults, boards) = (self.faults, watch::Sender::default());
        let bus = VirtualBus { images, pace, simulation, faults, boards };
        for serial in serials {
            bus.add(serial)?;
        }
        Ok(bus)
    }
}

/// The serial of the board at `index`: as long as a real one, and not to be taken for one.
fn serial(seed: &str, index: usize) -> Serial {
    let digest = crate::hex(&Sha256::digest(format!("{index}\0{seed}"))).to_uppercase();
    Serial::new(format!("SIM{}", &digest[..13])).expect("letters and digits make a serial")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_stable_and_differ() {
        let serials = |seed: &str| {
            let bus = VirtualBus::builder().boards(3).seed(seed).build().unwrap();
            bus.all().iter().map(|board| board.serial().to_string()).collect::<Vec<_>>()
        };
        let first = serials("a");
        assert_eq!(first, serials("a"));
        let all: std::collections::BTreeSet<_> =
            first.iter().cloned().chain(serials("b")).collect();
        assert_eq!(all.len(), 6);
        for serial in &all {
            assert_eq!(serial.len(), 16);
            assert!(serial.starts_with("SIM"));
            let digit = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
            assert!(serial[3..].chars().all(digit), "{serial}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let name = Serial::new("example pico2ice serial id").unwrap();
        let twice = VirtualBus::builder().serial(name.clone()).serial(name.clone()).build();
        assert_eq!(twice.unwrap_err(), SimError::DuplicateSerial { serial: name });
        let error = VirtualBus::builder().speed(0.0).build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the speed of the boards must be a number from 0.000001 to 1000000, not 0"
        );
    }
}
