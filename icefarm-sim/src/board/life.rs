//! What a virtual board goes through from the moment that it has power: one task per board.

use super::pace::{
    ENUMERATION, FLASHING, OUT_OF_BOOTLOADER, POWER_OFF, Pace, TO_BOOTLOADER, TO_RESTART,
};
use super::wire::{HostPort, Wire};
use crate::faults::{Effect, Injected, Moment, Script};
use crate::firmware::{FirmwarePort, Image, Images, Simulation, VirtualHardware};
use futures::FutureExt as _;
use icefarm_core::board::Presence;
use icefarm_core::{Face, ImageInfo, ImageName, Serial};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// What stays of a board whatever drives it: its hardware, and what its flash holds.
#[derive(Debug)]
pub(super) struct Hardware {
    pub(super) serial: Serial,
    pub(super) presence: watch::Sender<Presence>,
    pub(super) images: Arc<Images>,
    pub(super) pace: Pace,
    script: Arc<Script>,
    simulation: Simulation,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    plugged: bool,
    /// What the flash holds; `None` if the power went while it was written.
    image: Option<Arc<Image>>,
    /// How often the firmware was started, for the noise of its serial line.
    starts: u64,
}

impl Hardware {
    /// A board that is plugged in and holds the default firmware.
    pub(super) fn new(
        serial: Serial,
        images: Arc<Images>,
        pace: Pace,
        script: Script,
        simulation: Simulation,
    ) -> Self {
        let image = Some(Arc::clone(images.default_image()));
        let memory = Mutex::new(Memory { plugged: true, image, starts: 0 });
        let (presence, script) = (watch::Sender::default(), Arc::new(script));
        Self { serial, presence, images, pace, script, simulation, memory }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing that can panic is done while the lock is held.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn around_firmware(&self) -> VirtualHardware {
        let script = Arc::clone(&self.script);
        VirtualHardware::new(self.serial.clone(), self.pace, self.simulation.clone(), script)
    }

    /// What the flash holds.
    pub(super) fn image(&self) -> Option<ImageInfo> {
        self.memory().image.as_ref().map(|image| image.info.clone())
    }

    pub(super) fn set_plugged(&self, plugged: bool) {
        self.memory().plugged = plugged;
    }
}

/// Why a board did not do what it was asked. What the caller makes of it depends on the request.
#[derive(Debug, Clone)]
pub(super) enum Unable {
    /// It is not on the bus, or left it meanwhile.
    Gone,
    /// It shows another face than the request needs.
    WrongFace { wanted: Face, is: Face },
    /// It does something else at the moment.
    Busy,
    /// It does not answer, through a fault of its script if there is one.
    Silent(Option<Injected>),
    /// Its flash did not take an image.
    Flash(Injected),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Unable>>;

/// What can be asked of, or done to, a board.
#[derive(Debug)]
pub(super) enum Ask {
    EnterBootloader(Reply<()>),
    Restart(Reply<()>),
    WriteImage(Arc<Image>, Reply<()>),
    Open(Reply<HostPort>),
    PowerCycle(Reply<()>),
    Plug,
    /// For so much of the board's time, or until it is plugged.
    Unplug(Option<Duration>),
    Hang(Option<Injected>),
    Stall,
    /// So many bytes.
    Garble(usize),
}

/// What a board starts into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    /// The boot ROM.
    Rom,
    /// The firmware in its flash.
    Flash,
}

/// What comes after a part of a board's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Boot(Boot),
    /// The power is off for a moment.
    PowerCycle,
    /// For so much of the board's time, or until it is plugged.
    Unplugged(Option<Duration>),
    /// Nobody can ask it anything any more.
    Forgotten,
}

/// How a board does.
#[derive(Debug, Clone)]
enum Health {
    Sound,
    /// The firmware's program stands still, its USB side answers. Ends with the next start.
    Stalled,
    /// Nothing in it answers, through a fault of its script if there is one. Ends when the power
    /// goes.
    Hung(Option<Injected>),
}

/// Drives a board until nobody can ask it anything any more.
///
/// A board that was driven before, in a runtime that is gone, has lost its power in between.
pub(super) async fn live(hardware: Arc<Hardware>, asks: mpsc::UnboundedReceiver<Ask>) {
    let plugged = hardware.memory().plugged;
    hardware.script.begin();
    hardware.presence.send_if_modified(|presence| presence.face.take().is_some());
    let mut life = Life { hardware, asks, health: Health::Sound };
    let mut next = if plugged { life.power_on() } else { Next::Unplugged(None) };
    loop {
        next = match next {
            Next::Boot(boot) => life.on(boot).await,
            Next::PowerCycle => {
                life.health = Health::Sound;
                let interrupted = life.wait(POWER_OFF, Unable::Gone).await;
                interrupted.unwrap_or_else(|| life.power_on())
            }
            Next::Unplugged(lasts) => {
                life.health = Health::Sound;
                life.unplugged(lasts).await
            }
            Next::Forgotten => return,
        }
    }
}

struct Life {
    hardware: Arc<Hardware>,
    asks: mpsc::UnboundedReceiver<Ask>,
    health: Health,
}

impl Life {
    /// The board has power again.
    fn power_on(&self) -> Next {
        self.hardware.script.happens(Moment::Power);
        Next::Boot(Boot::Flash)
    }

    /// The next thing that is asked of the board, or done to it by its script.
    async fn ask(&mut self) -> Option<Ask> {
        tokio::select! {
            biased;
            ask = self.asks.recv() => ask,
            struck = self.hardware.script.due() => Some(strike(struck)),
        }
    }

    /// From a reset to the next one.
    async fn on(&mut self, boot: Boot) -> Next {
        if let Some(next) = self.wait(ENUMERATION, Unable::Gone).await {
            return next;
        }
        let image = match boot {
            Boot::Rom => None,
            Boot::Flash => self.hardware.memory().image.clone(),
        };
        let next = match image {
            // Also without a valid image in its flash an RP2350 stays in its boot ROM.
            None => {
                self.arrive(Face::Bootloader);
                self.hardware.script.happens(Moment::Bootloader);
                self.rom().await
            }
            Some(image) => {
                self.arrive(image.face());
                self.firmware(&image).await
            }
        };
        self.hardware.presence.send_modify(|presence| presence.face = None);
        next
    }

    fn arrive(&self, face: Face) {
        self.hardware.presence.send_modify(|presence| {
            presence.face = Some(face);
            presence.arrivals += 1;
        });
    }

    async fn unplugged(&mut self, lasts: Option<Duration>) -> Next {
        self.hardware.set_plugged(lasts.is_some());
        let back = lasts.map(|lasts| Instant::now() + self.hardware.pace.of(lasts));
        let back = async {
            match back {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let mut back = std::pin::pin!(back);
        loop {
            let ask = tokio::select! {
                biased;
                ask = self.ask() => ask,
                () = &mut back => Some(Ask::Plug),
            };
            match ask {
                None => return Next::Forgotten,
                Some(Ask::Plug) => return self.power_on(),
                // Whoever pulls the plug of a board that will come back wants it to stay away.
                Some(Ask::Unplug(None)) => return Next::Unplugged(None),
                Some(ask) => decline(ask, Unable::Gone),
            }
        }
    }

    /// Waits for `duration` of the board's time, or until something about its power ends that.
    /// Other requests are declined.
    async fn wait(&mut self, duration: Duration, reason: Unable) -> Option<Next> {
        let mut sleep = std::pin::pin!(tokio::time::sleep(self.hardware.pace.of(duration)));
        loop {
            let ask = tokio::select! {
                biased;
                ask = self.ask() => ask,
                () = &mut sleep => return None,
            };
            match power(ask) {
                Ok(next) => return Some(next),
                Err(Ask::Hang(by)) => self.health = Health::Hung(by),
                Err(ask) => decline(ask, reason.clone()),
            }
        }
    }

    /// The boot ROM at work.
    async fn rom(&mut self) -> Next {
        loop {
            let ask = match power(self.ask().await) {
                Ok(next) => return next,
                Err(ask) => ask,
            };
            let (boot, reply) = match ask {
                Ask::Hang(by) => {
                    self.health = Health::Hung(by);
                    continue;
                }
                ask if let Health::Hung(by) = &self.health => {
                    decline(ask, Unable::Silent(by.clone()));
                    continue;
                }
                Ask::EnterBootloader(reply) => (Boot::Rom, reply),
                Ask::Restart(reply) => (Boot::Flash, reply),
                Ask::WriteImage(image, reply) => {
                    let moment = Moment::Flash(&image.info.name, FLASHING);
                    let fault = self.hardware.script.happens(moment).inline;
                    if let Some(fault) = fault.clone().filter(|f| f.effect == Effect::RefuseImage) {
                        answer(reply, Err(Unable::Flash(fault)));
                        continue;
                    }
                    self.hardware.memory().image = None;
                    if let Some(next) = self.wait(FLASHING, Unable::Busy).await {
                        answer(reply, Err(Unable::Gone));
                        return next;
                    }
                    if let Health::Hung(by) = &self.health {
                        answer(reply, Err(Unable::Silent(by.clone())));
                        continue;
                    }
                    if let Some(fault) = fault {
                        answer(reply, Err(Unable::Flash(fault)));
                        continue;
                    }
                    self.hardware.memory().image = Some(image);
                    (Boot::Flash, reply)
                }
                other => {
                    let wanted = Face::Application;
                    decline(other, Unable::WrongFace { wanted, is: Face::Bootloader });
                    continue;
                }
            };
            answer(reply, Ok(()));
            let interrupted = self.wait(OUT_OF_BOOTLOADER, Unable::Busy).await;
            return interrupted.unwrap_or(Next::Boot(boot));
        }
    }

    /// A firmware at work.
    async fn firmware(&mut self, image: &Image) -> Next {
        let starts = {
            let mut memory = self.hardware.memory();
            memory.starts += 1;
            memory.starts
        };
        let script = Arc::clone(&self.hardware.script);
        let (wire, port) = Wire::new(starts, Arc::clone(&script));
        let _cut = Cut(&wire);
        let board = self.hardware.around_firmware();
        let mut program = std::pin::pin!(run(image, port, board));
        if matches!(self.health, Health::Stalled) {
            self.health = Health::Sound;
        }
        script.happens(Moment::Start(&image.info.name));
        loop {
            let sound = matches!(self.health, Health::Sound);
            let ask = tokio::select! {
                biased;
                ask = self.ask() => ask,
                end = &mut program, if sound => {
                    self.health = end;
                    continue;
                }
            };
            let ask = match power(ask) {
                Ok(next) => return next,
                Err(ask) => ask,
            };
            let (boot, delay, reply) = match ask {
                Ask::Hang(by) => {
                    self.health = Health::Hung(by);
                    continue;
                }
                ask if let Health::Hung(by) = &self.health => {
                    decline(ask, Unable::Silent(by.clone()));
                    continue;
                }
                Ask::Stall => {
                    self.health = Health::Stalled;
                    continue;
                }
                Ask::Garble(bytes) => {
                    wire.garble(bytes);
                    continue;
                }
                Ask::Open(reply) => {
                    // If nobody waits for the port any more, it closes again by that.
                    let _ = reply.send(Ok(wire.open()));
                    continue;
                }
                Ask::EnterBootloader(reply) => (Boot::Rom, TO_BOOTLOADER, reply),
                Ask::Restart(reply) => (Boot::Flash, TO_RESTART, reply),
                other => {
                    let wanted = Face::Bootloader;
                    decline(other, Unable::WrongFace { wanted, is: image.face() });
                    continue;
                }
            };
            answer(reply, Ok(()));
            let interrupted = self.wait(delay, Unable::Busy).await;
            return interrupted.unwrap_or(Next::Boot(boot));
        }
    }
}

/// Runs a firmware; what is left of it when it has ended.
async fn run(image: &Image, port: FirmwarePort, board: VirtualHardware) -> Health {
    let serial = board.serial().clone();
    let name = &image.info.name;
    match AssertUnwindSafe(image.model.start(port, board)).catch_unwind().await {
        Ok(Ok(())) => {
            ended(&serial, name, "nothing is left of it to do");
            Health::Stalled
        }
        Ok(Err(error)) => {
            ended(&serial, name, &error.to_string());
            Health::Stalled
        }
        Err(_) => {
            tracing::error!(%serial, image = %name, "the firmware model has panicked");
            Health::Hung(None)
        }
    }
}

/// Says that a firmware has ended: by the program's log, or if it has none, as in tests, on standard
/// error, where panics are told as well.
fn ended(serial: &Serial, image: &ImageName, why: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!(%serial, %image, why, "the firmware's program has ended");
    } else {
        #[expect(clippy::print_stderr, reason = "nobody would hear of it")]
        {
            eprintln!("the program of the firmware `{image}` has ended on board {serial}: {why}");
        }
    }
}

/// Cuts the line when the firmware is gone, also when that is because its runtime is.
struct Cut<'a>(&'a Wire);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// What a request about the board's power leads to; any other request is handed back.
fn power(ask: Option<Ask>) -> Result<Next, Ask> {
    match ask {
        None => Ok(Next::Forgotten),
        Some(Ask::Unplug(lasts)) => Ok(Next::Unplugged(lasts)),
        Some(Ask::PowerCycle(reply)) => {
            answer(reply, Ok(()));
            Ok(Next::PowerCycle)
        }
        Some(ask) => Err(ask),
    }
}

/// Who asked may have gone away; the board does as it was told all the same.
fn answer<T>(reply: Reply<T>, result: Result<T, Unable>) {
    let _ = reply.send(result);
}

fn decline(ask: Ask, reason: Unable) {
    match ask {
        Ask::EnterBootloader(reply)
        | Ask::Restart(reply)
        | Ask::PowerCycle(reply)
        | Ask::WriteImage(_, reply) => answer(reply, Err(reason)),
        Ask::Open(reply) => answer(reply, Err(reason)),
        Ask::Plug | Ask::Unplug(_) | Ask::Hang(_) | Ask::Stall | Ask::Garble(_) => {}
    }
}

/// What the script does to a board, as if it was done by hand.
fn strike(struck: Injected) -> Ask {
    match struck.effect {
        Effect::Unplug { lasts } => Ask::Unplug(lasts),
        Effect::Hang => Ask::Hang(Some(struck)),
        Effect::Stall => Ask::Stall,
        Effect::Garbage { bytes } => Ask::Garble(bytes),
        // These are seen to where they belong and never come this way.
        Effect::SlowLink { .. }
        | Effect::RefuseImage
        | Effect::CorruptImage
        | Effect::WrongAnswer { .. } => Ask::Garble(0),
    }
}
