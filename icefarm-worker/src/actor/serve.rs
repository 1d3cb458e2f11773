//! A board while it is leased: from the start of its state until nothing of it is left.

use super::Actor;
use super::asks::{Asks, Holds};
use crate::lease::{Launch, Note, Over, Running, Urgent};
use icefarm_core::board::Presence;
use icefarm_core::wire::{BoardStatus, ErrorCode, ErrorDetail, LeasePhase};
use icefarm_core::{ClientName, DeviceInfo, Kind, LeaseId};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Interval, interval_at, sleep_until};

/// How long a state that was aborted may take to be dropped: it only has to let go of its thread.
const DROP: Duration = Duration::from_secs(2);

/// A state at work, with what its supervisor needs beside it.
struct Serving {
    lease: LeaseId,
    client: ClientName,
    kind: Kind,
    running: Running,
    asks: Asks,
    presence: watch::Receiver<Presence>,
    /// The presence that the state knows of.
    seen: Presence,
    /// Until when a board that left the bus may come back.
    grace: Option<Instant>,
    check: Interval,
    pulse: u64,
}

impl Actor {
    /// Serves the lease that waits.
    pub(super) async fn serve(&mut self) {
        let Some(mut serving) = self.launch() else { return };
        if serving.seen.face.is_none() {
            serving.grace = Some(Instant::now() + self.shared.config.board.grace);
        }
        self.accompany(&mut serving).await;
        self.stop(serving).await;
    }

    fn launch(&mut self) -> Option<Serving> {
        let shared = self.shared.clone();
        let tenant = self.tenancy.enter()?;
        let (terms, commands) = (&mut tenant.terms, tenant.commands.take());
        let (lease, client, kind) = (terms.lease, terms.client.clone(), terms.kind.clone());
        let launch = Launch {
            registry: shared.registry.clone(),
            clock: shared.clock.clone(),
            events: shared.events.clone(),
            residue: self.residue.clone(),
            limits: shared.config.lease.clone(),
            info: DeviceInfo {
                serial: self.serial.clone(),
                name: terms.name.clone(),
                simulated: self.board.simulated(),
                worker: shared.worker.clone(),
                client: terms.client.clone(),
                lease,
                kind: kind.clone(),
            },
            args: std::mem::take(&mut terms.args),
            commands,
        };
        self.stand(BoardStatus::Reserved, None);
        self.tell_tenancy();
        let running = match launch.start(&shared.threads) {
            Ok(running) => running,
            Err(error) => {
                self.fail(&format!("no thread could be started for the state: {error}"));
                // It has failed, and was not drained.
                drop(self.tenancy.vacate());
                self.tell_tenancy();
                return None;
            }
        };
        self.urgent = Some(running.urgent.clone());
        self.fence = Some(running.fence.clone());
        let stall = shared.config.lease.stall.max(Duration::from_millis(1));
        let mut presence = self.presence.clone();
        let seen = *presence.borrow_and_update();
        Some(Serving {
            lease,
            client,
            kind,
            running,
            asks: Asks::default(),
            seen,
            presence,
            grace: None,
            check: interval_at(Instant::now() + stall, stall),
            pulse: 0,
        })
    }

    /// Until the lease is over.
    async fn accompany(&mut self, serving: &mut Serving) {
        let linger = self.shared.config.lease.linger;
        loop {
            if self.closing {
                self.fail("the worker is shutting down");
            }
            let Some(tenant) = self.tenancy.present.as_ref() else { return };
            if tenant.over.is_some() {
                return;
            }
            let silent = tenant.ends + linger;
            self.begin(serving);
            tokio::select! {
                biased;
                Some(note) = serving.running.notes.recv() => self.hear(note),
                _ = &mut serving.running.gone => {
                    while let Ok(note) = serving.running.notes.try_recv() {
                        self.hear(note);
                    }
                    self.fail("the task of the state ended without a word");
                    return;
                }
                Some(ask) = serving.running.asks.recv() => serving.asks.push(ask),
                holds = serving.asks.done() => {
                    self.settle(holds);
                    // The state has brought this about itself.
                    let now = *serving.presence.borrow_and_update();
                    serving.seen = Presence { face: serving.seen.face, arrivals: now.arrivals };
                    self.look(serving, now);
                }
                Ok(()) = serving.presence.changed(), if !serving.asks.busy() => {
                    let now = *serving.presence.borrow_and_update();
                    self.look(serving, now);
                }
                () = until(serving.grace) => {
                    let grace = self.shared.config.board.grace;
                    self.fail(&format!(
                        "the board left the bus and did not come back within {} s", grace.as_secs()
                    ));
                }
                () = sleep_until(silent) => self.fail(
                    "the time of the lease is over since long, and control says nothing of it",
                ),
                _ = serving.check.tick() => {
                    let pulse = serving.running.pulse.count();
                    if pulse == std::mem::replace(&mut serving.pulse, pulse) {
                        self.fail(&stuck(&serving.kind, serving.lease));
                    }
                }
                () = self.listen() => {}
            }
        }
    }

    fn hear(&mut self, note: Note) {
        let phase = match note {
            Note::Built => {
                self.answer(Ok(()));
                return;
            }
            Note::Unbuilt(error) => {
                let (code, reason) = (error.code, error.message.clone());
                self.answer(Err(error));
                // A constructor that panics says nothing about the arguments.
                return self
                    .fail_as(Some(code).filter(|code| *code != ErrorCode::Internal), &reason);
            }
            Note::Failed(reason) => return self.fail(&reason),
            Note::Starting => LeasePhase::Initializing,
            Note::Ready => LeasePhase::Ready,
        };
        if let Some(tenant) = &mut self.tenancy.present {
            tenant.phase = phase;
            if phase == LeasePhase::Ready {
                let (lease, client) = (tenant.terms.lease, &tenant.terms.client);
                tracing::info!(serial = %self.serial, %lease, %client, "initialized");
            }
        }
        self.tell_tenancy();
    }

    fn answer(&mut self, answer: Result<(), ErrorDetail>) {
        if let Some(asked) = self.tenancy.present.as_mut().and_then(|tenant| tenant.answer.take()) {
            // Control may have given up on the request; it will repeat it.
            let _ = asked.send(answer);
        }
    }

    fn begin(&mut self, serving: &mut Serving) {
        let (fence, config) = (&serving.running.fence, &self.shared.config.board);
        serving.asks.begin(&self.board, self.running.as_ref(), fence, config);
    }

    fn settle(&mut self, holds: Holds) {
        if let Holds::Now(info) = holds {
            self.running = info;
        }
    }

    /// Tells the state if its board went or came without having been asked to.
    fn look(&mut self, serving: &mut Serving, now: Presence) {
        let before = std::mem::replace(&mut serving.seen, now);
        let came = now.face.filter(|_| now.arrivals != before.arrivals || before.face.is_none());
        let went = before.face.is_some() && (now.face.is_none() || came.is_some());
        // A state that is just ending need not know.
        if went {
            let Serving { lease, client, .. } = &*serving;
            tracing::warn!(serial = %self.serial, %lease, %client, "left the bus");
            let _ = serving.running.urgent.send(Urgent::Removed);
            serving.grace = Some(Instant::now() + self.shared.config.board.grace);
            self.running = None;
        }
        if let Some(face) = came {
            let Serving { lease, client, .. } = &*serving;
            tracing::info!(serial = %self.serial, %lease, %client, "back as {face}");
            let _ = serving.running.urgent.send(Urgent::Added(face));
            serving.grace = None;
        }
    }

    /// Ends the state, with its help or without.
    async fn stop(&mut self, mut serving: Serving) {
        self.urgent = None;
        self.answer(Err(ErrorDetail::new(
            ErrorCode::StaleLease,
            "the lease ended before its state was built",
        )));
        // What sends the signal is the drop.
        serving.running.stop = None;
        let exit = self.shared.config.lease.exit + DROP;
        let mut gone = self.wind_up(&mut serving, exit).await;
        serving.running.fence.cut();
        if !gone {
            serving.running.abort.abort();
            gone = self.wind_up(&mut serving, DROP).await;
        }
        while serving.asks.busy() {
            tokio::select! {
                biased;
                holds = serving.asks.done() => self.settle(holds),
                () = self.listen() => {}
            }
        }
        while let Ok(note) = serving.running.notes.try_recv() {
            if let Note::Failed(reason) = note {
                let span = tracing::info_span!("lease", client = %serving.client);
                span.in_scope(|| {
                    self.shared.events.ended_badly(&self.serial, serving.lease, &reason);
                });
            }
        }
        let ended = self.tenancy.present.as_ref().and_then(|tenant| tenant.over.clone());
        let why = match ended {
            Some(Over::Superseded) => "superseded",
            Some(Over::Failed(_)) => "failed",
            Some(Over::Drained(_)) => "the worker is stopping",
            Some(Over::Ended) | None => "ended",
        };
        let Serving { lease, client, .. } = &serving;
        tracing::info!(serial = %self.serial, %lease, %client, "the state is gone: {why}");
        self.fence = None;
        if let Some(drained) = self.tenancy.vacate() {
            self.tell_drained(drained);
        }
        self.tell_tenancy();
        if !gone {
            self.leave_behind(serving.running.gone, &stuck(&serving.kind, serving.lease)).await;
        }
    }

    /// A state keeps its thread. It reaches neither board nor client any more through us, so the
    /// board goes on without it; what is on it now is not known.
    async fn leave_behind(&mut self, gone: oneshot::Receiver<()>, reason: &str) {
        self.running = None;
        let at_most = self.shared.config.lease.abandoned;
        match self.shared.abandoned.leave(&self.serial, gone, at_most) {
            Ok(()) => tracing::error!(serial = %self.serial, "{reason}; it is left to itself"),
            Err(gone) => self.wait_for_thread(gone, reason).await,
        }
    }

    /// Gives the state so long to end. `true` if nothing of it is left.
    async fn wind_up(&mut self, serving: &mut Serving, limit: Duration) -> bool {
        if serving.running.gone.is_terminated() {
            return true;
        }
        let until = Instant::now() + limit;
        loop {
            self.begin(serving);
            tokio::select! {
                biased;
                // It is only ever closed.
                _ = &mut serving.running.gone => return true,
                () = sleep_until(until) => return false,
                Some(ask) = serving.running.asks.recv() => serving.asks.push(ask),
                holds = serving.asks.done() => self.settle(holds),
                () = self.listen() => {}
            }
        }
    }

    /// Too many states were left to themselves already: nobody gets the board while this one runs.
    async fn wait_for_thread(&mut self, mut gone: oneshot::Receiver<()>, reason: &str) {
        let reason = format!(
            "{reason}; the board is taken back once it does, or when the worker is restarted"
        );
        tracing::error!(serial = %self.serial, "{reason}");
        self.unfit(&reason);
        self.stand(BoardStatus::Broken, Some(reason));
        while !self.closing {
            tokio::select! {
                biased;
                _ = &mut gone => {
                    tracing::info!(serial = %self.serial, "the thread of the state is free");
                    break;
                }
                () = self.listen() => {}
            }
        }
        self.unfit = None;
    }
}

fn stuck(kind: &Kind, lease: LeaseId) -> String {
    format!("the state `{kind}` of lease {lease} does not let go of its thread")
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
