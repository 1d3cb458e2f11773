//! What a firmware model finds around it on its board.

use crate::blocking::in_turns;
use crate::board::Pace;
use crate::faults::{Effect, Moment, Script};
use crate::fpga::{CLOCK_HZ, Count, Counting, Limits, Refusal, Sampling, Window};
use bytes::Bytes;
use icefarm_core::{Blocking, BlockingError, Serial};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How circuits are simulated.
#[derive(Clone)]
pub(crate) struct Simulation {
    pub(crate) blocking: Arc<dyn Blocking>,
    /// See [`Limits::work`].
    pub(crate) work: u64,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("work", &self.work).finish_non_exhaustive()
    }
}

/// The hardware around a firmware: the FPGA, the board's time and its serial number.
///
/// Time on a board runs as many times faster than `tokio::time` as its bus was told. What a
/// firmware waits for on its *host* does not: see [`Self::sleep`].
#[derive(Debug, Clone)]
pub struct VirtualHardware {
    serial: Serial,
    pace: Pace,
    simulation: Simulation,
    script: Arc<Script>,
    started: Instant,
    /// What the FPGA is configured with.
    bitstream: Arc<Mutex<Option<Bytes>>>,
    falsified: Arc<Mutex<Option<String>>>,
}

/// At which moments a pin is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks<'a> {
    /// The pin of the sg48 package.
    pub pin: &'a str,
    /// The distance from one look to the next, and from the start of the FPGA to the first one, in
    /// cycles of its 48 MHz clock.
    pub every: u64,
    /// How many looks are not told.
    pub skip: usize,
    /// How many are told after that.
    pub count: usize,
}

/// Why there is no count, or another measurement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountError {
    /// The FPGA was not configured since the firmware started.
    #[error("the FPGA is not configured")]
    NotConfigured,
    /// The circuit is one that cannot be simulated.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The simulation did not come to its end.
    #[error("the simulation was interrupted")]
    Interrupted(#[from] BlockingError),
}

impl CountError {
    /// A stable word for programs; see [`Refusal::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Refused(refusal) => refusal.code(),
            Self::Interrupted(_) => "simulation_interrupted",
        }
    }
}

impl VirtualHardware {
    pub(crate) fn new(
        serial: Serial,
        pace: Pace,
        simulation: Simulation,
        script: Arc<Script>,
    ) -> Self {
        let started = Instant::now();
        let (bitstream, falsified) = Default::default();
        Self { serial, pace, simulation, script, started, bitstream, falsified }
    }

    /// The board's USB serial number.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Waits for `duration` of the board's time.
    ///
    /// For a timeout on what the host does use `tokio::time` itself: the host is as fast as it
    /// is, however fast the board's time runs.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.pace.of(duration)).await;
    }

    /// The board's time since the firmware started, in microseconds.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.pace.on_board(self.started.elapsed()).as_micros().try_into().unwrap_or(u64::MAX)
    }

    /// Configures the FPGA. As on a real board nothing tells whether the bitstream is any good.
    ///
    /// This takes no time; a model of a firmware that takes some must [`sleep`](Self::sleep).
    pub fn configure(&self, bitstream: impl Into<Bytes>) {
        let mut place = self.bitstream.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(bitstream.into());
        self.script.happens(Moment::Circuit);
    }

    /// What has changed the last measurement on purpose, if anything has: a wrong answer of a
    /// [`FaultPlan`](crate::FaultPlan). A model whose protocol has a place for it tells its host.
    #[must_use]
    pub fn falsified(&self) -> Option<String> {
        self.falsified.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By how much the measurement that is just over is to be wrong.
    async fn concluded(&self) -> Option<i64> {
        let happening = self.script.happens(Moment::Answer);
        let wrong = happening.inline.as_ref();
        *self.falsified.lock().unwrap_or_else(PoisonError::into_inner) =
            wrong.map(ToString::to_string);
        if happening.due {
            // What is done to the board now comes before its answer.
            tokio::task::yield_now().await;
        }
        match wrong?.effect {
            Effect::WrongAnswer { off_by } => Some(off_by),
            _ => None,
        }
    }

    /// Counts the rising edges on a pin in a window that begins when the FPGA starts.
    ///
    /// The count is exact, and takes as much of the board's time as the window is long, or longer
    /// if the simulation does. Giving up the waiting stops the simulation.
    ///
    /// # Errors
    /// [`CountError`], above all for circuits that cannot be simulated; those are told without
    /// waiting for the window.
    pub async fn count_pulses(&self, window: Window<'_>) -> Result<Count, CountError> {
        let (cycles, pin) = (window.cycles, window.pin.to_owned());
        let mut counting = None;
        let count = self.observe(cycles, move |bitstream, limits| {
            let counting = match &mut counting {
                Some(counting) => counting,
                none => none.insert(Counting::parse(bitstream, Window { cycles, pin: &pin })?),
            };
            counting.go_on(Limits::TURN, limits)
        });
        let mut count = count.await?;
        if let Some(off_by) = self.concluded().await {
            let less = || count.pulses + off_by.unsigned_abs();
            count.pulses = count.pulses.checked_add_signed(off_by).unwrap_or_else(less);
        }
        Ok(count)
    }

    /// Looks at a pin at regular intervals from the start of the FPGA on, and tells whether it was
    /// high each time.
    ///
    /// The levels are exact, and take as much of the board's time as the looks, or longer if the
    /// simulation does. Giving up the waiting stops the simulation.
    ///
    /// # Errors
    /// As [`count_pulses`](Self::count_pulses).
    pub async fn sample(&self, looks: Looks<'_>) -> Result<Vec<bool>, CountError> {
        let Looks { every, skip, count, .. } = looks;
        let (pin, all) = (looks.pin.to_owned(), skip.saturating_add(count));
        let mut sampling = None;
        let samples = self.observe(every.saturating_mul(all as u64), move |bitstream, limits| {
            let sampling = match &mut sampling {
                Some(sampling) => sampling,
                none => none.insert(Sampling::parse(bitstream, &pin, every, all)?),
            };
            sampling.go_on(Limits::TURN, limits)
        });
        let mut levels = samples.await?.levels.split_off(skip);
        if let Some(off_by) = self.concluded().await {
            let wrong = usize::try_from(off_by.unsigned_abs()).unwrap_or(usize::MAX);
            levels.iter_mut().take(wrong).for_each(|level| *level = !*level);
        }
        Ok(levels)
    }

    /// Simulates what the FPGA is configured with, in turns until there is a result, while so many
    /// cycles pass on the board.
    async fn observe<T: Send + 'static>(
        &self,
        cycles: u64,
        mut simulate: impl FnMut(&[u8], &Limits<'_>) -> Result<Option<T>, Refusal> + Send + 'static,
    ) -> Result<T, CountError> {
        let bitstream = self.bitstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bitstream = bitstream.ok_or(CountError::NotConfigured)?;
        let given_up = GivenUp::default();
        let (work, cancel) = (self.simulation.work, Arc::clone(&given_up.0));
        let observed = in_turns(&*self.simulation.blocking, move || {
            simulate(&bitstream, &Limits { work, cancel: Some(&cancel) }).transpose()
        });
        let observed = async { Ok::<_, CountError>(observed.await??) };
        let duration = Duration::from_secs_f64(cycles as f64 / CLOCK_HZ as f64);
        let elapsed = async {
            self.sleep(duration).await;
            Ok(())
        };
        let (observed, ()) = tokio::try_join!(observed, elapsed)?;
        Ok(observed)
    }
}

/// Tells a simulation, when it is dropped, that nobody waits for it any more.
#[derive(Debug, Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use icefarm_core::blocking::{Inline, Job};

    fn bundled(name: &str) -> Vec<u8> {
        let circuits = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/circuits");
        std::fs::read(format!("{circuits}/{name}")).unwrap()
    }

    fn hardware(speed: f64, blocking: Arc<dyn Blocking>, work: u64) -> VirtualHardware {
        let simulation = Simulation { blocking, work };
        let (serial, pace) = ("S".parse().unwrap(), Pace::new(speed).unwrap());
        VirtualHardware::new(serial, pace, simulation, Script::none())
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_takes_as_long_as_its_window() {
        let board = hardware(4.0, Arc::new(Inline), u64::MAX);
        let unconfigured = board.count_pulses(Window::SECOND).await.unwrap_err();
        assert_eq!(unconfigured.code(), "not_configured");
        board.configure(bundled("pulses_1000.bin"));
        let begun = Instant::now();
        assert_eq!(board.count_pulses(Window::SECOND).await.unwrap().pulses, 1000);
        assert_eq!(begun.elapsed(), Duration::from_millis(250));
        assert_eq!(board.now_us(), 1_000_000);

        board.configure(bundled("ring_oscillator.bin"));
        let refused = board.count_pulses(Window::SECOND).await.unwrap_err();
        assert_eq!(refused.code(), "combinational_loop");
        assert_eq!(board.now_us(), 1_000_000, "a refusal is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_take_as_long_as_they_are_apart() {
        let board = hardware(2.0, Arc::new(Inline), u64::MAX);
        board.configure(bundled("pulses_1000.bin"));
        let begun = Instant::now();
        let looks = Looks { pin: "27", every: 4800, skip: 7, count: 13 };
        let levels = board.sample(looks).await.unwrap();
        // High in one cycle of 48,000: at the tenth look and each tenth one after it.
        let expected: Vec<bool> = (8..=20).map(|look| look % 10 == 0).collect();
        assert_eq!(levels, expected);
        assert_eq!(begun.elapsed(), Duration::from_millis(1));
        let missing = board.sample(Looks { pin: "99", ..looks }).await.unwrap_err();
        assert_ne!(missing.code(), "not_configured");
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_of_work_is_kept() {
        let board = hardware(1.0, Arc::new(Inline), 1000);
        board.configure(bundled("pulses_1000.bin"));
        assert_eq!(board.count_pulses(Window::SECOND).await.unwrap_err().code(), "too_long");
    }

    /// Keeps a job until the test wants it done.
    #[derive(Default)]
    struct Shelf(Mutex<Option<Job>>);

    impl Blocking for Shelf {
        fn run(&self, job: Job) -> BoxFuture<'static, ()> {
            *self.0.lock().unwrap() = Some(job);
            futures::future::pending().boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulation_that_nobody_waits_for_stops() {
        let shelf = Arc::new(Shelf::default());
        let board = hardware(1.0, shelf.clone(), u64::MAX);
        // A circuit that does not repeat for thousands of millions of cycles.
        board.configure(bundled("lfsr.bin"));
        let window = Window { cycles: u64::MAX, ..Window::SECOND };
        assert!(board.count_pulses(window).now_or_never().is_none());
        let job = shelf.0.lock().unwrap().take().unwrap();
        // Would take minutes otherwise.
        job();
    }
}
