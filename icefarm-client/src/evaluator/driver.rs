//! The task behind an evaluator: tells the schedule what happens, and does what it says.

use super::circuit::{CircuitOutcome, Evaluation, Placement};
use super::report::{self, Told};
use super::schedule::{Effect, Limits, Places, Schedule, Settled, Upload, Verdict};
use crate::book::{Change, Held, Phase};
use crate::client::Inner;
use crate::hub::{Followed, Notice, Reach};
use crate::loss::{Loss, codes};
use crate::outstanding::CommandFailure;
use icefarm_core::evaluation::{EVALUATE, Evaluated, Outcome, Provenance, RESULTS};
use icefarm_core::wire::{ClientFrame, ErrorCode, GrantedBoard};
use icefarm_core::{EvaluationId, Kind, LeaseId, Object, Serial, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tracing::field::display;

/// The largest circuit, in bytes. With what goes around it, it fits into the largest message that
/// workers take.
const MAX_CIRCUIT: usize = 64 << 20;

/// Where a circuit's outcomes go.
pub(super) type Sink<R> = mpsc::UnboundedSender<CircuitOutcome<R>>;

/// A circuit on its way to the driver.
pub(super) struct Submission<R> {
    pub(super) upload: Arc<Upload>,
    pub(super) placement: Arc<Placement>,
    pub(super) sink: Sink<R>,
    /// Is dropped when the circuit was taken in: the next one may come.
    pub(super) taken: oneshot::Sender<()>,
}

/// The worker did not take a circuit for a board.
struct NotTaken {
    serial: Serial,
    id: EvaluationId,
    failure: CommandFailure,
}

pub(super) struct Driver<K: Evaluation> {
    client: Arc<Inner>,
    kind: Kind,
    leases: BTreeMap<Serial, LeaseId>,
    schedule: Schedule<Sink<K::Reading>>,
    /// What there is no room for yet: one circuit of each who submits.
    parked: VecDeque<Submission<K::Reading>>,
    started: Instant,
    /// Is notified when outcomes are not waited for any more.
    dropped: Arc<Notify>,
    notices: mpsc::UnboundedReceiver<Notice>,
    not_taken: (mpsc::UnboundedSender<NotTaken>, mpsc::UnboundedReceiver<NotTaken>),
}

impl<K: Evaluation> Driver<K> {
    pub(super) fn new(
        client: Arc<Inner>,
        kind: Kind,
        granted: &[GrantedBoard],
        limits: Limits,
        dropped: Arc<Notify>,
    ) -> Self {
        let leases: BTreeMap<Serial, LeaseId> =
            granted.iter().map(|board| (board.serial.clone(), board.lease)).collect();
        let Followed { notices, boards, reach } = client.hub.follow(leases.keys());
        let mut driver = Self {
            client,
            kind,
            leases,
            schedule: Schedule::new(limits),
            parked: VecDeque::new(),
            started: Instant::now(),
            dropped,
            notices,
            not_taken: mpsc::unbounded_channel(),
        };
        let now = driver.now();
        for (serial, Held { url, lease, phase }) in boards {
            driver.schedule.add_board(now, serial.clone(), url);
            match phase {
                _ if driver.leases.get(&serial) != Some(&lease) => {
                    let reason = format!("the lease on {serial} is over: there is a later one");
                    driver.schedule.lost(&serial, Loss::new(codes::LEASE_ENDED, reason));
                }
                Phase::Initializing => {}
                Phase::Ready => driver.schedule.initialized(now, &serial),
                Phase::Lost(loss) => driver.schedule.lost(&serial, loss),
            }
        }
        for (server, reach) in reach {
            match reach {
                Reach::Connected => driver.schedule.connected(now, &server, true),
                Reach::Away => driver.schedule.connected(now, &server, false),
                Reach::Unreachable(loss) => driver.schedule.unreachable(&server, &loss),
            }
        }
        driver
    }

    fn now(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Runs until nobody can submit any more and everything is settled.
    pub(super) async fn run(mut self, mut submissions: mpsc::Receiver<Submission<K::Reading>>) {
        let mut open = true;
        while open || !self.parked.is_empty() || !self.schedule.is_idle() {
            let deadline = self.schedule.next_deadline().map(|at| self.started + at);
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                submission = submissions.recv(), if open => match submission {
                    Some(submission) => self.parked.push_back(submission),
                    None => open = false,
                },
                notice = self.notices.recv() => match notice {
                    Some(notice) => self.notice(notice),
                    None => break,
                },
                Some(not_taken) = self.not_taken.1.recv() => self.refused(not_taken),
                () = self.dropped.notified() => self.schedule.forget(|sink| !sink.is_closed()),
                () = due => {
                    let now = self.now();
                    self.schedule.tick(now);
                }
            }
            self.act();
            while self.admit() {
                self.act();
            }
        }
        self.close(submissions).await;
    }

    /// Takes in the first circuit that there is room for, if there is one. One that waits for a
    /// slow board is no obstacle to those behind it.
    fn admit(&mut self) -> bool {
        // Nobody waits any more for what has a closed sink.
        self.parked.retain(|submission| !submission.sink.is_closed());
        let (schedule, mut any, mut each) = (&self.schedule, None, None);
        let has_room = |submission: &Submission<K::Reading>| {
            let places = places(&submission.placement);
            let room = || schedule.has_room(places);
            match places {
                Places::Any => *any.get_or_insert_with(room),
                Places::Each => *each.get_or_insert_with(room),
                Places::Boards(_) => room(),
            }
        };
        let Some(at) = self.parked.iter().position(has_room) else { return false };
        if let Some(submission) = self.parked.remove(at) {
            self.submit(submission);
        }
        true
    }

    /// Nothing will be heard any more: what is open gets its one outcome here, and what is still
    /// submitted, too. A board that was lost before keeps its own reason.
    async fn close(mut self, mut submissions: mpsc::Receiver<Submission<K::Reading>>) {
        let serials: Vec<Serial> = self.leases.keys().cloned().collect();
        let closed = Loss::new(codes::CLIENT_CLOSED, "the client was closed");
        for serial in &serials {
            self.schedule.lost(serial, closed.clone());
        }
        self.act();
        while let Some(submission) = self.parked.pop_front() {
            self.submit(submission);
            self.act();
        }
        while let Some(submission) = submissions.recv().await {
            self.submit(submission);
            self.act();
        }
    }

    fn submit(&mut self, submission: Submission<K::Reading>) {
        let Submission { upload, placement, sink, taken } = submission;
        let (id, places) = (EvaluationId::from(self.client.new_id()), places(&placement));
        let nowhere = matches!(places, Places::Boards([]));
        if upload.bytes.len() > MAX_CIRCUIT && !nowhere {
            self.too_large(&id, &upload, places, &sink);
        } else {
            self.schedule.submit(sink, id, upload, places);
        }
        drop(taken);
    }

    /// No message can carry the circuit: each of its places is told so.
    fn too_large(
        &self,
        id: &EvaluationId,
        upload: &Upload,
        places: Places<'_>,
        sink: &Sink<K::Reading>,
    ) {
        let places: BTreeSet<Option<&Serial>> = match places {
            Places::Each => self.leases.keys().map(Some).collect(),
            Places::Boards(serials) => serials.iter().map(Some).collect(),
            Places::Any => BTreeSet::from([None]),
        };
        for serial in places {
            let size = upload.bytes.len();
            let reason = format!(
                "the circuit has {size} bytes, and no worker takes more than {MAX_CIRCUIT}"
            );
            let outcome = Outcome::Refused { code: "too_large".to_owned(), reason };
            let mut provenance = Provenance::of_circuit(upload.sha256.clone(), self.kind.clone());
            provenance.serial = serial.cloned();
            provenance.lease = serial.and_then(|serial| self.leases.get(serial)).copied();
            let evaluated = Evaluated { id: id.clone(), outcome, provenance };
            // Who asked may not want to know any more.
            let _ = sink.send(CircuitOutcome { circuit: upload.name.clone(), evaluated });
        }
    }

    fn notice(&mut self, notice: Notice) {
        let now = self.now();
        match notice {
            Notice::Event(event) => {
                if event.event.event == RESULTS && self.leases.contains_key(&event.serial) {
                    let in_flight = self.schedule.in_flight(&event.serial);
                    for told in report::read(&event.event, &in_flight) {
                        self.told(&event.serial, told);
                    }
                }
            }
            Notice::Changed(Change::Initialized(serial)) => {
                self.schedule.initialized(now, &serial);
            }
            Notice::Changed(Change::Lost(serial, loss)) => self.schedule.lost(&serial, loss),
            Notice::Connected(server) => self.schedule.connected(now, &server, true),
            Notice::Away(server) => self.schedule.connected(now, &server, false),
            Notice::Unreachable(server, loss) => self.schedule.unreachable(&server, &loss),
            Notice::Resync(server) => self.schedule.resync(now, &server),
        }
    }

    fn told(&mut self, serial: &Serial, told: Told<K::Reading>) {
        let now = self.now();
        match self.schedule.outcome(now, serial, told.id(), told.gave_up()) {
            Verdict::Ignored => {
                tracing::debug!(%serial, evaluation = %told.id(), "a repeated or unknown outcome");
            }
            Verdict::Elsewhere => {
                tracing::info!(%serial, evaluation = %told.id(), "a board gave up a circuit, which moves");
            }
            Verdict::Deliver(settled) => match told {
                Told::Outcome(evaluated) => {
                    let mut evaluated = *evaluated;
                    // The state counts its own tries on one board; here the boards count.
                    let here = evaluated.provenance.attempt.max(1);
                    evaluated.provenance.attempt = settled.attempt.saturating_add(here - 1);
                    self.deliver(&settled, evaluated);
                }
                Told::Unreadable { reason, .. } => {
                    let evaluated = self.failed(&settled, Loss::new(codes::UNREADABLE, reason));
                    self.deliver(&settled, evaluated);
                }
            },
        }
    }

    fn refused(&mut self, not_taken: NotTaken) {
        let NotTaken { serial, id, failure } = not_taken;
        match failure {
            // A worker that was restarted has not found the board yet, or has not been told of
            // the lease. If the lease is over, control says so.
            CommandFailure::Refused(detail)
                if matches!(detail.code, ErrorCode::NotReserved | ErrorCode::UnknownSerial) =>
            {
                let now = self.now();
                self.schedule.not_ready(now, &serial);
            }
            CommandFailure::Refused(detail) if detail.code == ErrorCode::StaleLease => {
                let reason = format!("the lease on {serial} is over: {}", detail.message);
                self.schedule.lost(&serial, Loss::new(codes::LEASE_ENDED, reason));
            }
            CommandFailure::Refused(detail) if detail.code == ErrorCode::Overloaded => {
                let now = self.now();
                self.schedule.overloaded(now, &serial, &id);
            }
            CommandFailure::Refused(detail) => {
                let loss = Loss::new(detail.code.as_str(), detail.message);
                self.schedule.refused(&serial, &id, loss);
            }
            CommandFailure::Lost(loss) => self.schedule.refused(&serial, &id, loss),
        }
    }

    /// Does what the schedule says.
    fn act(&mut self) {
        let now = self.now();
        for effect in self.schedule.fill(now, |sink| !sink.is_closed()) {
            match effect {
                Effect::Send { worker, serials, id, circuit } => {
                    self.send(&worker, serials, id, &circuit);
                }
                Effect::Failed { settled, loss } => {
                    let evaluated = self.failed(&settled, loss);
                    self.deliver(&settled, evaluated);
                }
            }
        }
    }

    fn send(&self, worker: &Arc<str>, serials: Vec<Serial>, id: EvaluationId, circuit: &Upload) {
        for serial in &serials {
            let (lease, client) = (self.leases.get(serial).map(display), &self.client.name);
            tracing::debug!(evaluation = %id, %serial, lease, %client, %worker, "a circuit is sent");
        }
        let file = (id.to_string(), Value::from(circuit.bytes.clone()));
        let contents = Object::from_iter([
            ("files".to_owned(), Value::Object(Object::from_iter([file]))),
            ("batch_id".to_owned(), id.as_str().into()),
        ]);
        // A board that was reserved anew meanwhile is not this evaluator's to command.
        let lease = |serial: &Serial| Some((serial.clone(), *self.leases.get(serial)?));
        let leases = serials.iter().filter_map(lease).collect();
        let event = EVALUATE.to_owned();
        let frame = ClientFrame { serials, event, contents, id: None, leases };
        let not_taken = self.not_taken.0.clone();
        let answer = Box::new(move |serial: &Serial, result: Result<Value, CommandFailure>| {
            if let Err(failure) = result {
                let (serial, id) = (serial.clone(), id.clone());
                // The driver may be done by now.
                let _ = not_taken.send(NotTaken { serial, id, failure });
            }
        });
        self.client.send_command(worker, frame, answer);
    }

    fn deliver(&self, settled: &Settled<Sink<K::Reading>>, evaluated: Evaluated<K::Reading>) {
        let (evaluation, from) = (&evaluated.id, &evaluated.provenance);
        let (serial, lease) = (from.serial.as_ref().map(display), from.lease.map(display));
        let client = &self.client.name;
        tracing::debug!(%evaluation, serial, lease, %client, "a circuit has its outcome");
        let outcome = CircuitOutcome { circuit: settled.circuit.name.clone(), evaluated };
        // Who asked may not want to know any more.
        let _ = settled.job.send(outcome);
    }

    /// An outcome without an answer of a board, with what is known of where it would be from.
    fn failed<J>(&self, settled: &Settled<J>, loss: Loss) -> Evaluated<K::Reading> {
        let sha256 = settled.circuit.sha256.clone();
        let mut provenance = Provenance::of_circuit(sha256, self.kind.clone());
        provenance.lease =
            settled.serial.as_ref().and_then(|serial| self.leases.get(serial)).copied();
        provenance.serial.clone_from(&settled.serial);
        provenance.attempt = settled.attempt;
        let outcome = Outcome::Failed { code: loss.code, reason: loss.reason };
        Evaluated { id: settled.id.clone(), outcome, provenance }
    }
}

fn places(placement: &Placement) -> Places<'_> {
    match placement {
        Placement::On(serials) => Places::Boards(serials),
        Placement::Each => Places::Each,
        Placement::Any => Places::Any,
    }
}
