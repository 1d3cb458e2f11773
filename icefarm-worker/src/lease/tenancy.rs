//! Whose board it is: the decisions about leases and fencing tokens, apart from everything that
//! takes time.

use icefarm_core::wire::{
    EndedLease, ErrorCode, ErrorDetail, LeasePhase, LeaseReport, ReserveBoard,
};
use icefarm_core::{ClientName, LeaseId, Object, Value};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A command of the lease's holder.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) event: String,
    pub(crate) contents: Object,
    pub(crate) answer: oneshot::Sender<Result<Value, ErrorDetail>>,
}

/// What a state is told apart from commands, before any command that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgent {
    Reboot,
    Added(icefarm_core::Face),
    Removed,
}

/// Commands that wait for the state. They wait from the moment that the lease is taken, so that
/// nobody is refused who is a little early.
#[derive(Debug)]
pub(crate) struct Commands {
    sender: mpsc::Sender<Command>,
    receiver: Option<mpsc::Receiver<Command>>,
}

impl Commands {
    pub(crate) fn new(bound: usize) -> Self {
        let (sender, receiver) = mpsc::channel(bound.max(1));
        Self { sender, receiver: Some(receiver) }
    }

    /// The state's end, once.
    pub(crate) fn take(&mut self) -> mpsc::Receiver<Command> {
        self.receiver.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    pub(crate) fn push(&self, command: Command) {
        let (code, command) = match self.sender.try_send(command) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(command)) => (ErrorCode::Overloaded, command),
            Err(mpsc::error::TrySendError::Closed(command)) => (ErrorCode::NotReserved, command),
        };
        let message = match code {
            ErrorCode::Overloaded => {
                format!("{} commands wait at this board; send more later", self.sender.max_capacity())
            }
            _ => "the lease is over".to_owned(),
        };
        // Whoever asked may be gone.
        let _ = command.answer.send(Err(ErrorDetail::new(code, message)));
    }
}

/// Why a lease is not served any longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Over {
    /// Control ended it.
    Ended,
    /// Control gave a later lease.
    Superseded,
    /// It could not go on here.
    Failed(String),
}

/// A lease that is served, or that waits for its board.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) terms: ReserveBoard,
    pub(crate) ends: Instant,
    pub(crate) phase: LeasePhase,
    pub(crate) over: Option<Over>,
    pub(crate) commands: Commands,
    /// Who waits to hear whether the arguments made a state.
    pub(crate) answer: Option<oneshot::Sender<Result<(), ErrorDetail>>>,
}

impl Tenant {
    fn new(terms: ReserveBoard, now: Instant, bound: usize) -> Self {
        Self {
            ends: now + Duration::from_millis(terms.expires_in_ms),
            phase: LeasePhase::Initializing,
            over: None,
            commands: Commands::new(bound),
            answer: None,
            terms,
        }
    }

    fn is(&self, lease: LeaseId) -> bool {
        self.terms.lease == lease && self.over.is_none()
    }

    fn renew(&mut self, rev: u64, expires_in_ms: u64, now: Instant) {
        if rev > self.terms.lease_rev {
            self.terms.lease_rev = rev;
            self.ends = now + Duration::from_millis(expires_in_ms);
        }
    }

    fn report(&self) -> LeaseReport {
        LeaseReport {
            lease: self.terms.lease,
            client: self.terms.client.clone(),
            phase: if self.over.is_some() { LeasePhase::Ending } else { self.phase },
        }
    }
}

/// Who is to be told that a lease failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) client: ClientName,
    /// Whether a state runs for it.
    pub(crate) present: bool,
    /// Who still waits for the answer to the `/reserve`.
    pub(crate) answer: Option<oneshot::Sender<Result<(), ErrorDetail>>>,
}

/// What came of a `/reserve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The lease is new here.
    New,
    /// It is served, or waits, already.
    Already,
}

/// The leases of one board: the one that a state runs for, and the one that comes next.
#[derive(Debug, Default)]
pub(crate) struct Tenancy {
    token: LeaseId,
    /// The lease that a state runs for, until the state is gone.
    pub(crate) present: Option<Tenant>,
    /// The lease that is served once the board is ready.
    pub(crate) next: Option<Tenant>,
    ended: Option<EndedLease>,
}

impl Tenancy {
    /// The highest token that was seen.
    pub(crate) fn token(&self) -> LeaseId {
        self.token
    }

    /// Whether `lease` is served, or waits, and is not over.
    pub(crate) fn serves(&self, lease: LeaseId) -> bool {
        self.living().is_some_and(|tenant| tenant.is(lease))
    }

    /// Takes a lease, unless the token says that it is over.
    pub(crate) fn reserve(
        &mut self,
        terms: ReserveBoard,
        now: Instant,
        bound: usize,
    ) -> Result<Taken, ErrorDetail> {
        if let Some(tenant) = self.living_mut().filter(|tenant| tenant.is(terms.lease)) {
            tenant.renew(terms.lease_rev, terms.expires_in_ms, now);
            return Ok(Taken::Already);
        }
        if terms.lease <= self.token {
            return Err(self.stale(terms.lease));
        }
        self.supersede(terms.lease);
        self.next = Some(Tenant::new(terms, now, bound));
        Ok(Taken::New)
    }

    /// Moves the end of a lease. A revision that is not higher than the last changes nothing.
    pub(crate) fn extend(
        &mut self,
        lease: LeaseId,
        rev: u64,
        expires_in_ms: u64,
        now: Instant,
    ) -> Result<(), ErrorDetail> {
        if let Some(tenant) = self.living_mut().filter(|tenant| tenant.is(lease)) {
            tenant.renew(rev, expires_in_ms, now);
            return Ok(());
        }
        if lease <= self.token {
            return Err(self.stale(lease));
        }
        Err(ErrorDetail::new(
            ErrorCode::NotReserved,
            format!("lease {lease} was never taken here; reserve it first"),
        ))
    }

    /// Control says that `lease`, and with it every earlier one, is over.
    pub(crate) fn end(&mut self, lease: LeaseId) -> Result<(), ErrorDetail> {
        if lease < self.token {
            return Err(self.stale(lease));
        }
        match self.living_mut() {
            Some(tenant) if tenant.is(lease) => tenant.over = Some(Over::Ended),
            _ => self.supersede(lease),
        }
        self.next = None;
        self.ended = None;
        self.token = lease;
        Ok(())
    }

    /// The present lease, or the one that waits, cannot go on. Returns whom to tell, once.
    pub(crate) fn fail(&mut self, reason: &str) -> Option<Failed> {
        let tenant = self.living_mut()?;
        tenant.over = Some(Over::Failed(reason.to_owned()));
        let (lease, client) = (tenant.terms.lease, tenant.terms.client.clone());
        self.ended = Some(EndedLease { lease, reason: reason.to_owned() });
        let (present, answer) = match self.next.take() {
            Some(waited) => (false, waited.answer),
            None => (true, self.present.as_mut().and_then(|tenant| tenant.answer.take())),
        };
        Some(Failed { client, present, answer })
    }

    /// The next lease becomes the present one, for which a state is to be started.
    pub(crate) fn enter(&mut self) -> Option<&mut Tenant> {
        self.present = self.next.take();
        self.present.as_mut()
    }

    /// The state of the present lease is gone.
    pub(crate) fn vacate(&mut self) {
        self.present = None;
    }

    /// Takes a command for the lease that `client` holds.
    pub(crate) fn command(&self, client: &ClientName, command: Command) {
        let code = match self.living() {
            Some(tenant) if tenant.terms.client == *client => {
                tenant.commands.push(command);
                return;
            }
            Some(_) => ErrorCode::NotHolder,
            None => ErrorCode::NotReserved,
        };
        let message = match code {
            ErrorCode::NotHolder => format!("the board is not leased to `{client}`"),
            _ => "nobody holds a lease on this board; reserve it at control".to_owned(),
        };
        let _ = command.answer.send(Err(ErrorDetail::new(code, message)));
    }

    /// What control is told: the lease, and the one that failed.
    pub(crate) fn report(&self) -> (Option<LeaseReport>, Option<EndedLease>) {
        let tenant = self.next.as_ref().or(self.present.as_ref());
        (tenant.map(Tenant::report), self.ended.clone())
    }

    fn living(&self) -> Option<&Tenant> {
        let alive = |tenant: &&Tenant| tenant.over.is_none();
        self.next.as_ref().or(self.present.as_ref()).filter(alive)
    }

    fn living_mut(&mut self) -> Option<&mut Tenant> {
        let tenant = if self.next.is_some() { &mut self.next } else { &mut self.present };
        tenant.as_mut().filter(|tenant| tenant.over.is_none())
    }

    fn supersede(&mut self, lease: LeaseId) {
        if let Some(tenant) = &mut self.present
            && tenant.over.is_none()
        {
            tenant.over = Some(Over::Superseded);
        }
        self.next = None;
        self.ended = None;
        self.token = lease;
    }

    fn stale(&self, lease: LeaseId) -> ErrorDetail {
        let why = match &self.ended {
            Some(ended) if ended.lease == lease => format!(": {}", ended.reason),
            _ => String::new(),
        };
        ErrorDetail::new(
            ErrorCode::StaleLease,
            format!("lease {lease} is over here; the latest is {}{why}", self.token),
        )
        .with("token", self.token.0)
    }
}
