//! What one client does all day.

use crate::dice::Dice;
use crate::network::SimConnector;
use crate::probe::{KIND, Probe, circuit};
use crate::witness::{self, Invariant, note};
use futures::StreamExt as _;
use icefarm_client::{
    Bounds, Circuit, Client, ClientError, Evaluator, EvaluatorOptions, Placement, Reservation,
    ReserveOptions,
};
use icefarm_core::Serial;
use icefarm_core::evaluation::Outcome;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How many boards of one client are remembered for commands without a lease.
const REMEMBERED: usize = 4;
/// How long somebody waits for boards when the storm is over.
const CALM_PATIENCE: Duration = Duration::from_secs(60);

/// The parts of a client that outlive its crashes.
pub(crate) struct Character {
    pub(crate) name: String,
    pub(crate) control: String,
    /// With which it waits for boards.
    pub(crate) priority: i32,
    pub(crate) serials: Vec<Serial>,
    pub(crate) seed: u64,
    /// Numbers of processes, requests and circuits, none of which comes twice.
    pub(crate) numbers: Arc<AtomicU64>,
    /// Whether the storm is over: what was begun is finished, and nothing more is begun.
    pub(crate) calm: watch::Receiver<bool>,
    /// How many of the processes have finished for good.
    pub(crate) finished: watch::Sender<bool>,
    /// The boards that it has held last, each with its worker's address.
    pub(crate) held: watch::Sender<Vec<(String, String)>>,
}

impl Character {
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn is_calm(&self) -> bool {
        *self.calm.borrow()
    }

    /// One process, from its start to its end.
    pub(crate) async fn live(self: Arc<Self>) {
        self.finished.send_replace(false);
        let process = self.number();
        let mut dice = Dice::new(self.seed, &format!("{} {process}", self.name));
        let me = format!("{}#{process}", self.name);
        note!("{me}: starts");
        while !self.is_calm() {
            match self.connect(&me, &mut dice).await {
                Ok(client) => {
                    let rounds = dice.between(1, 8);
                    for _ in 0..rounds {
                        if self.is_calm() {
                            break;
                        }
                        self.session(&me, &client, &mut dice).await;
                        self.pause(dice.millis(10, 1500)).await;
                    }
                    if dice.percent(80) {
                        match client.close().await {
                            Ok(()) => note!("{me}: closed"),
                            Err(error) => note!("{me}: closed, but {}", word(&error)),
                        }
                    } else {
                        note!("{me}: drops its client");
                        drop(client);
                    }
                }
                Err(error) => note!("{me}: no connection: {}", word(&error)),
            }
            self.pause(dice.millis(100, 3000)).await;
        }
        note!("{me}: is finished");
        self.finished.send_replace(true);
    }

    /// Waits, unless it is calm.
    async fn pause(&self, time: Duration) {
        let mut calm = self.calm.clone();
        // The sender lives as long as the simulation.
        let _ = tokio::time::timeout(time, calm.wait_for(|calm| *calm)).await;
    }

    async fn connect(self: &Arc<Self>, me: &str, _: &mut Dice) -> Result<Client, ClientError> {
        let bounds = Bounds::default()
            .away(Duration::from_secs(40))
            .retry(Duration::from_secs(15))
            .request(Duration::from_secs(5))
            .command(Duration::from_secs(20));
        let (numbers, prefix) = (self.numbers.clone(), me.to_owned());
        let ids = move || format!("{prefix}-{}", numbers.fetch_add(1, Ordering::Relaxed));
        Client::builder(self.control.clone())
            .name(self.name.clone())
            .bounds(bounds)
            .connector(Arc::new(SimConnector))
            .ids(ids)
            .connect()
            .await
    }

    /// Reserves boards, has circuits evaluated on them, and gives them back or does not.
    async fn session(&self, me: &str, client: &Client, dice: &mut Dice) {
        let mut options = if dice.percent(70) {
            let most = 1 + self.serials.len() as u64 / 2;
            ReserveOptions::new(u32::try_from(dice.between(1, most)).unwrap_or(1), KIND)
        } else {
            let mut serials = self.serials.clone();
            dice.shuffle(&mut serials);
            serials.truncate(1 + dice.below(2));
            ReserveOptions::serials(serials, KIND)
        };
        options = options.ttl_s(*dice.pick(&[20, 30, 60]));
        let reservation = match self.reserve(me, client, options, dice).await {
            None => return,
            Some(Ok(reservation)) => reservation,
            Some(Err(error)) => {
                let word = word(&error);
                note!("{me}: no boards: {word}");
                witness::with(|witness| {
                    *witness.tally.refusals.entry(word).or_default() += 1;
                });
                return;
            }
        };
        for board in reservation.boards() {
            note!("{me}: has lease {} of {}", board.lease, board.serial);
            let (serial, lease) = (board.serial.as_str(), board.lease.0);
            witness::with(|witness| witness.granted(&self.name, serial, lease));
            self.remember(serial, &board.url);
        }
        if dice.percent(50) {
            match reservation.initialized(Duration::from_secs(40)).await {
                Ok(()) => note!("{me}: its boards are ready"),
                Err(error) => note!("{me}: its boards are not ready: {}", word(&error)),
            }
        }
        let batches = dice.between(0, 2);
        for _ in 0..batches {
            if self.is_calm() {
                break;
            }
            self.evaluate(me, client, &reservation, dice).await;
            if dice.percent(20) {
                let extended = reservation.extend().await;
                note!(
                    "{me}: extended {}",
                    extended.map_or_else(|e| word(&e), |s| s.len().to_string())
                );
            }
            if dice.percent(20) {
                // Long enough for leases to be renewed, or not.
                self.pause(dice.millis(1000, 30_000)).await;
            }
        }
        if dice.percent(70) {
            match reservation.end().await {
                Ok(serials) => note!("{me}: gave back {}", serials.len()),
                Err(error) => note!("{me}: could not give back: {}", word(&error)),
            }
        }
    }

    /// Reserves boards and may wait for them; nothing if they are not wanted any more.
    async fn reserve(
        &self,
        me: &str,
        client: &Client,
        mut options: ReserveOptions,
        dice: &mut Dice,
    ) -> Option<Result<Reservation, ClientError>> {
        if dice.percent(60) {
            let seconds = *dice.pick(&[2, 15, 60, 300]);
            note!("{me}: would wait for {seconds} s");
            options = options.wait(Duration::from_secs(seconds));
            if self.priority != 0 || dice.percent(50) {
                options = options.priority(self.priority);
            }
        }
        let patience = dice.percent(20).then(|| dice.millis(500, 30_000));
        let mut calm = self.calm.clone();
        let enough = async {
            match patience {
                Some(patience) => sleep(patience).await,
                None => {
                    // The sender lives as long as the simulation.
                    let _ = calm.wait_for(|calm| *calm).await;
                    sleep(CALM_PATIENCE).await;
                }
            }
        };
        tokio::select! {
            biased;
            reserved = client.reserve(options) => Some(reserved),
            () = enough => {
                note!("{me}: wants no boards any more");
                witness::with(|witness| witness.tally.impatient += 1);
                None
            }
        }
    }

    fn remember(&self, serial: &str, url: &str) {
        self.held.send_modify(|held| {
            held.retain(|(known, _)| known != serial);
            held.push((serial.to_owned(), url.to_owned()));
            if held.len() > REMEMBERED {
                held.remove(0);
            }
        });
    }

    async fn evaluate(
        &self,
        me: &str,
        client: &Client,
        reservation: &Reservation,
        dice: &mut Dice,
    ) {
        let mut options = EvaluatorOptions::default()
            .silence(Duration::from_secs(30))
            .patience(Duration::from_secs(40))
            .credits(1 + dice.below(4));
        options.attempts = 1 + dice.below(3) as u32;
        let evaluator = match Evaluator::<Probe>::with_options(client, reservation, &options) {
            Ok(evaluator) => evaluator,
            Err(error) => {
                let what = format_args!("{me} gets no evaluator: {error}");
                return witness::with(|w| w.broken(Invariant::OneOutcome, what));
            }
        };
        let serials = reservation.serials();
        let placement = match dice.below(4) {
            0 | 1 => Placement::Any,
            2 => Placement::Each,
            _ => Placement::On(vec![dice.pick(&serials).clone()]),
        };
        let places: Vec<Option<String>> = match &placement {
            Placement::Each => serials.iter().map(|serial| Some(serial.to_string())).collect(),
            Placement::On(serials) => {
                serials.iter().map(|serial| Some(serial.to_string())).collect()
            }
            _ => vec![None],
        };
        let names: Vec<String> =
            (0..dice.between(1, 10)).map(|_| format!("c{}", self.number())).collect();
        note!("{me}: evaluates {} circuits on {placement:?}", names.len());
        let mut open: BTreeMap<(String, Option<String>), u32> = names
            .iter()
            .flat_map(|name| places.iter().map(|place| ((name.clone(), place.clone()), 0)))
            .collect();
        let slow = dice.percent(30).then(|| dice.millis(500, 4000));
        let circuits: Vec<Circuit> =
            names.iter().map(|name| Circuit::new(name.clone(), circuit(me, name))).collect();
        let circuits = futures::stream::iter(circuits).then(move |circuit| async move {
            if let Some(slow) = slow {
                sleep(slow).await;
            }
            circuit
        });
        let mut outcomes = evaluator.evaluate_stream(circuits, placement);
        // Some give up in the middle, and want no more of it.
        let patience = dice.percent(10).then(|| dice.below(5));
        let mut heard = 0;
        while let Some(outcome) = outcomes.next().await {
            let serial = outcome.serial().map(ToString::to_string);
            let place = if places == [None] { None } else { serial.clone() };
            let said = match &outcome.evaluated.outcome {
                Outcome::Reading { reading } => {
                    let count = reading.count;
                    let serial = serial.as_deref().unwrap_or_default();
                    witness::with(|witness| witness.reading(serial, count, &outcome.circuit));
                    format!("{count} of {serial}")
                }
                Outcome::Refused { code, .. } => format!("refused: {code}"),
                Outcome::Failed { code, .. } => {
                    witness::with(|witness| {
                        *witness.tally.failures.entry(code.clone()).or_default() += 1;
                    });
                    format!("failed: {code}")
                }
            };
            note!("{me}: {} on {serial:?}: {said}", outcome.circuit);
            match open.get_mut(&(outcome.circuit.clone(), place)) {
                Some(count) => *count += 1,
                None => {
                    let what = format_args!(
                        "{me} got an outcome of {} on {serial:?}, which it did not ask for",
                        outcome.circuit
                    );
                    witness::with(|w| w.broken(Invariant::OneOutcome, what));
                }
            }
            heard += 1;
            if patience.is_some_and(|patience| heard > patience) {
                note!("{me}: wants no more outcomes");
                return;
            }
        }
        for ((name, place), count) in open {
            if count != 1 {
                let what = format_args!("{me} got {count} outcomes of {name} on {place:?}");
                witness::with(|w| w.broken(Invariant::OneOutcome, what));
            }
        }
    }
}

/// A word for an error.
pub(crate) fn word(error: &ClientError) -> String {
    match error {
        ClientError::Refused { code, .. } => code.as_str().to_owned(),
        ClientError::Http { .. } => "no_answer".to_owned(),
        ClientError::Unreachable { .. } => "unreachable".to_owned(),
        ClientError::BoardLost { code, .. } => code.clone(),
        ClientError::NotInitialized { .. } => "not_initialized".to_owned(),
        ClientError::NotHeld { .. } => "not_held".to_owned(),
        ClientError::Closed => "closed".to_owned(),
        other => other.to_string(),
    }
}
