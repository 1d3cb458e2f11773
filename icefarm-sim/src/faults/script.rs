//! One board's part in the plan, followed while the board lives.

use super::{Effect, Fault, FaultPlan, Trigger};
use crate::board::Pace;
use icefarm_core::{ImageName, Serial};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What a board goes through.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment<'a> {
    Power,
    Bootloader,
    /// An image begins to be written, which takes so long.
    Flash(&'a ImageName, Duration),
    Start(&'a ImageName),
    Circuit,
    Answer,
}

/// A fault that happens now, with the number by which people find it in the plan.
#[derive(Debug, Clone)]
pub(crate) struct Injected {
    pub(crate) effect: Effect,
    pub(crate) by: Arc<str>,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by)
    }
}

/// What of a moment its owner must see to at once.
#[derive(Debug, Default)]
pub(crate) struct Happening {
    /// The last fault that belongs to the moment itself: of images and answers.
    pub(crate) inline: Option<Injected>,
    /// Whether something else is due to happen to the board now.
    pub(crate) due: bool,
}

/// The script of one board. It outlives the power, and the runtime that drives the board.
#[derive(Debug)]
pub(crate) struct Script {
    serial: Serial,
    pace: Pace,
    seed: u64,
    rules: Vec<Rule>,
    state: Mutex<State>,
    /// Told when something new is due.
    news: Notify,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    /// `fault 2 (hang)`.
    by: Arc<str>,
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    /// For each rule: how often its moment came, and how often it struck.
    counts: Vec<(u64, u64)>,
    due: Vec<(Instant, Due)>,
    running: Option<ImageName>,
    /// Bytes of the circuit that is on its way.
    received: u64,
    /// Bytes per second that the serial line carries; `None` for what it can.
    rate: Option<u32>,
}

#[derive(Debug, Clone)]
enum Due {
    Strike(Injected),
    /// The time of a rule, by its place.
    Tick(usize),
    LinkRestored,
}

impl Script {
    /// The part of the board at `index` in the plan.
    pub(crate) fn new(plan: &FaultPlan, index: usize, serial: Serial, pace: Pace) -> Self {
        let numbered = (1..).zip(plan.faults());
        let rules: Vec<Rule> = numbered
            .filter(|(_, fault)| fault.is_for(index, &serial))
            .map(|(number, fault)| Rule {
                fault: fault.clone(),
                by: format!("fault {number} ({})", fault.effect).into(),
                number,
            })
            .collect();
        let state = State { counts: vec![(0, 0); rules.len()], ..State::default() };
        let (state, news) = (Mutex::new(state), Notify::new());
        Self { serial, pace, seed: plan.seed(), rules, state, news }
    }

    /// Nothing goes wrong.
    #[cfg(test)]
    pub(crate) fn none() -> Arc<Self> {
        let pace = Pace::new(1.0).unwrap();
        Arc::new(Self::new(&FaultPlan::default(), 0, Serial::new("S").unwrap(), pace))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic is done while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The board has power for the first time: its times begin to run.
    pub(crate) fn begin(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.begun, true) {
            return;
        }
        for (place, rule) in self.rules.iter().enumerate() {
            if let Trigger::Time { first, .. } = rule.fault.trigger {
                let at = Instant::now() + self.pace.of(first);
                state.due.push((at, Due::Tick(place)));
            }
        }
        self.news.notify_one();
    }

    /// Tells what the board is just going through.
    pub(crate) fn happens(&self, moment: Moment<'_>) -> Happening {
        let mut state = self.state();
        let (firmware, lasts) = match moment {
            Moment::Power | Moment::Bootloader => {
                state.running = None;
                (None, Duration::ZERO)
            }
            Moment::Flash(image, lasts) => (Some(image.clone()), lasts),
            Moment::Start(image) => {
                state.running = Some(image.clone());
                (Some(image.clone()), Duration::ZERO)
            }
            Moment::Circuit | Moment::Answer => (state.running.clone(), Duration::ZERO),
        };
        if !matches!(moment, Moment::Answer) {
            state.received = 0;
        }
        let mut happening = Happening::default();
        for (place, rule) in self.rules.iter().enumerate() {
            let offset = match (rule.fault.trigger, moment) {
                (Trigger::Power, Moment::Power)
                | (Trigger::Bootloader, Moment::Bootloader)
                | (Trigger::Start, Moment::Start(_))
                | (Trigger::Circuit, Moment::Circuit)
                | (Trigger::Answer, Moment::Answer) => Duration::ZERO,
                (Trigger::Flash { percent }, Moment::Flash(..)) => {
                    lasts.mul_f64(f64::from(percent) / 100.0)
                }
                _ => continue,
            };
            let Some(struck) = self.strike(&mut state, place, firmware.as_ref()) else { continue };
            match struck.effect {
                Effect::RefuseImage | Effect::CorruptImage | Effect::WrongAnswer { .. } => {
                    happening.inline = Some(struck);
                }
                _ => {
                    let later = offset + rule.fault.delay;
                    happening.due |= later.is_zero();
                    self.push(&mut state, later, struck);
                }
            }
        }
        happening
    }

    /// The board has received so many more bytes.
    pub(crate) fn received(&self, bytes: usize) {
        let mut state = self.state();
        let before = state.received;
        state.received += bytes as u64;
        let crossed = before + 1..=state.received;
        let firmware = state.running.clone();
        for (place, rule) in self.rules.iter().enumerate() {
            if matches!(rule.fault.trigger, Trigger::Transfer { bytes } if crossed.contains(&bytes))
                && let Some(struck) = self.strike(&mut state, place, firmware.as_ref())
            {
                self.push(&mut state, rule.fault.delay, struck);
            }
        }
    }

    /// Bytes that the serial line carries in a second of `tokio::time`, if it is slow.
    pub(crate) fn rate(&self) -> Option<f64> {
        let rate = self.state().rate?;
        Some(f64::from(rate) / self.pace.of(Duration::from_secs(1)).as_secs_f64())
    }

    /// What noise on the board's line is made of, when it starts for the n-th time.
    pub(crate) fn noise(&self, starts: u64) -> u64 {
        self.dice(&[0, starts])
    }

    /// Waits for the next thing that is to be done to the board.
    pub(crate) async fn due(&self) -> Injected {
        loop {
            let next = {
                let mut state = self.state();
                match earliest(&state.due) {
                    Some((place, at)) if at <= Instant::now() => {
                        let (at, due) = state.due.remove(place);
                        if let Some(struck) = self.take(&mut state, at, due) {
                            return struck;
                        }
                        continue;
                    }
                    other => other.map(|(_, at)| at),
                }
            };
            let time = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.news.notified() => {}
                () = time => {}
            }
        }
    }

    /// Sees to what concerns the script alone; what concerns the board is handed on.
    fn take(&self, state: &mut State, at: Instant, due: Due) -> Option<Injected> {
        match due {
            Due::Strike(Injected {
                effect: Effect::SlowLink { bytes_per_second, lasts }, ..
            }) => {
                state.rate = Some(bytes_per_second);
                state.due.retain(|(_, due)| !matches!(due, Due::LinkRestored));
                if let Some(lasts) = lasts {
                    state.due.push((at + self.pace.of(lasts), Due::LinkRestored));
                }
                None
            }
            Due::Strike(struck) => Some(struck),
            Due::LinkRestored => {
                state.rate = None;
                None
            }
            Due::Tick(place) => {
                let fault = &self.rules[place].fault;
                if let Trigger::Time { every: Some(every), .. } = fault.trigger {
                    // A time shorter than the clock can tell apart would never let go.
                    let every = self.pace.of(every).max(Duration::from_millis(1));
                    state.due.push((at + every, Due::Tick(place)));
                }
                let firmware = state.running.clone();
                if let Some(struck) = self.strike(state, place, firmware.as_ref()) {
                    self.push(state, fault.delay, struck);
                }
                None
            }
        }
    }

    /// Whether the moment of a rule is one at which it strikes.
    fn strike(
        &self,
        state: &mut State,
        place: usize,
        firmware: Option<&ImageName>,
    ) -> Option<Injected> {
        let Rule { fault, by, number } = &self.rules[place];
        if fault.firmware.as_ref().is_some_and(|wanted| Some(wanted) != firmware) {
            return None;
        }
        let (seen, struck) = &mut state.counts[place];
        *seen += 1;
        if *seen <= fault.after || fault.times.is_some_and(|times| *struck >= times) {
            return None;
        }
        // 53 bits are what a float holds.
        let dice = (self.dice(&[*number, *seen]) >> 11) as f64 / (1u64 << 53) as f64;
        if dice >= fault.chance {
            return None;
        }
        *struck += 1;
        tracing::warn!(serial = %self.serial, at = fault.trigger.name(), "{by}");
        Some(Injected { effect: fault.effect, by: Arc::clone(by) })
    }

    fn push(&self, state: &mut State, later: Duration, struck: Injected) {
        state.due.push((Instant::now() + self.pace.of(later), Due::Strike(struck)));
        self.news.notify_one();
    }

    fn dice(&self, numbers: &[u64]) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        for number in numbers {
            hash.update(number.to_le_bytes());
        }
        hash.update(self.serial.as_str());
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// The first of what is due, in the order of its planning among equals.
fn earliest(due: &[(Instant, Due)]) -> Option<(usize, Instant)> {
    due.iter().enumerate().map(|(place, (at, _))| (place, *at)).min_by_key(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use proptest::prelude::*;

    fn script(plan: &FaultPlan, serial: &str) -> Script {
        Script::new(plan, 0, Serial::new(serial).unwrap(), Pace::new(1.0).unwrap())
    }

    fn plan(fault: Fault) -> FaultPlan {
        FaultPlan::new(7).with(fault).unwrap()
    }

    fn hang(trigger: Trigger) -> Fault {
        Fault::new(Effect::Hang, trigger)
    }

    /// At which of the first `occasions` circuits the fault strikes, from 1.
    fn struck(fault: Fault, serial: &str, occasions: u64) -> Vec<u64> {
        let script = script(&plan(fault), serial);
        let strikes = |_: &u64| script.happens(Moment::Circuit).due;
        (1..=occasions).filter(strikes).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn occasions_are_counted() {
        let circuit = || hang(Trigger::Circuit);
        assert_eq!(struck(circuit(), "S", 3), [1, 2, 3]);
        assert_eq!(struck(circuit().after(2), "S", 4), [3, 4]);
        assert_eq!(struck(circuit().after(1).times(2), "S", 9), [2, 3]);
        assert!(struck(circuit().chance(0.0), "S", 9).is_empty());
        assert!(struck(hang(Trigger::Answer), "S", 9).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn chance_is_the_same_every_time_and_another_for_each_board() {
        let rare = || hang(Trigger::Circuit).chance(0.1);
        let (one, other) = (struck(rare(), "S", 2000), struck(rare(), "T", 2000));
        assert_eq!(one, struck(rare(), "S", 2000));
        assert_ne!(one, other);
        for number in [one.len(), other.len()] {
            assert!((130..270).contains(&number), "{number} of 2000 at a chance of 0.1");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn firmware_is_told_apart() {
        let (pulse, other) = (ImageName::new("pulse").unwrap(), ImageName::new("other").unwrap());
        let script = script(&plan(hang(Trigger::Circuit).firmware(pulse.clone())), "S");
        for (image, strikes) in [(&other, false), (&pulse, true)] {
            script.happens(Moment::Start(image));
            assert_eq!(script.happens(Moment::Circuit).due, strikes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_waited_for_and_flashing_counts_by_percent() {
        let image = ImageName::new("pulse").unwrap();
        let late = hang(Trigger::Flash { percent: 50 }).delay(Duration::from_secs(1));
        let script = script(&plan(late), "S");
        assert!(!script.happens(Moment::Flash(&image, Duration::from_secs(4))).due);
        let begun = Instant::now();
        assert_eq!(script.due().await.to_string(), "fault 1 (hang)");
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn times_come_again() {
        let first = Duration::from_secs(5);
        let every = Some(Duration::from_secs(2));
        let script = script(&plan(hang(Trigger::Time { first, every }).times(3)), "S");
        let begun = Instant::now();
        script.begin();
        for seconds in [5, 7, 9] {
            script.due().await;
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
        script.begin();
        assert!(tokio::time::timeout(Duration::from_secs(60), script.due()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_slow_for_a_while() {
        let lasts = Some(Duration::from_secs(3));
        let slow = Effect::SlowLink { bytes_per_second: 100, lasts };
        let script = script(&plan(Fault::new(slow, Trigger::Start)), "S");
        assert_eq!(script.rate(), None);
        script.happens(Moment::Start(&ImageName::new("x").unwrap()));
        assert!(script.due().now_or_never().is_none());
        assert_eq!(script.rate(), Some(100.0));
        assert!(tokio::time::timeout(Duration::from_secs(4), script.due()).await.is_err());
        assert_eq!(script.rate(), None);
    }

    proptest! {
        /// However the bytes come, each circuit crosses the mark once.
        #[test]
        fn a_transfer_strikes_once_a_circuit(
            mark in 1..200u64, circuits in proptest::collection::vec(
                proptest::collection::vec(1..50usize, 1..12), 1..6),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let script = script(&plan(hang(Trigger::Transfer { bytes: mark })), "S");
                for pieces in circuits {
                    let total: usize = pieces.iter().sum();
                    let mut strikes = 0;
                    for piece in pieces {
                        script.received(piece);
                        while script.due().now_or_never().is_some() {
                            strikes += 1;
                        }
                    }
                    assert_eq!(strikes, u32::from(total as u64 >= mark));
                    script.happens(Moment::Circuit);
                }
            });
        }
    }
}
