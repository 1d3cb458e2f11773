//! Whose board it is: the decisions about leases and fencing tokens, apart from everything that
//! takes time.

use super::check::Check;
use super::queue::{Command, Commands, QueueLimits};
use icefarm_core::wire::{
    EndedLease, ErrorCode, ErrorDetail, LeasePhase, LeaseReport, ReserveBoard,
};
use icefarm_core::{ClientName, LeaseId, Value};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a state is told apart from commands, before any command that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgent {
    Reboot,
    Added(icefarm_core::Face),
    Removed,
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
    /// The worker is stopping.
    Drained(String),
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
    fn new(terms: ReserveBoard, now: Instant, limits: QueueLimits) -> Self {
        Self {
            ends: now + Duration::from_millis(terms.expires_in_ms),
            phase: LeasePhase::Initializing,
            over: None,
            commands: Commands::new(limits),
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
    pub(crate) lease: LeaseId,
    pub(crate) client: ClientName,
    /// Whether a state runs for it.
    pub(crate) present: bool,
    /// Who still waits for the answer to the `/reserve`.
    pub(crate) answer: Option<oneshot::Sender<Result<(), ErrorDetail>>>,
}

/// Who is to be told that a lease was ended because the worker is stopping.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) lease: LeaseId,
    pub(crate) client: ClientName,
    pub(crate) reason: String,
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

    /// Takes a lease, unless the token says that it is over.
    pub(crate) fn reserve(
        &mut self,
        terms: ReserveBoard,
        now: Instant,
        limits: QueueLimits,
    ) -> Result<Taken, ErrorDetail> {
        if let Some(tenant) = self.living_mut().filter(|tenant| tenant.is(terms.lease)) {
            tenant.renew(terms.lease_rev, terms.expires_in_ms, now);
            return Ok(Taken::Already);
        }
        if Check::Lease.is_made() && terms.lease <= self.token {
            return Err(self.stale(terms.lease));
        }
        self.supersede(terms.lease);
        self.next = Some(Tenant::new(terms, now, limits));
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
    pub(crate) fn fail(&mut self, reason: &str, code: Option<ErrorCode>) -> Option<Failed> {
        let tenant = self.living_mut()?;
        tenant.over = Some(Over::Failed(reason.to_owned()));
        let (lease, client) = (tenant.terms.lease, tenant.terms.client.clone());
        let reason = reason.to_owned();
        self.ended = Some(EndedLease { lease, reason, code, drained: false });
        let (present, answer) = match self.next.take() {
            Some(waited) => (false, waited.answer),
            None => (true, self.present.as_mut().and_then(|tenant| tenant.answer.take())),
        };
        Some(Failed { lease, client, present, answer })
    }

    /// The worker is stopping: the present lease, or the one that waits, is ended. What is told of
    /// it is told when its state is gone, after all that the state still tells; that is now if no
    /// state runs for it.
    pub(crate) fn drain(&mut self, reason: &str) -> Option<Drained> {
        let tenant = self.living_mut()?;
        tenant.over = Some(Over::Drained(reason.to_owned()));
        let mut waited = self.next.take()?;
        self.drained(&mut waited)
    }

    /// Whom to tell, if the lease was ended because the worker is stopping.
    fn drained(&mut self, tenant: &mut Tenant) -> Option<Drained> {
        let Some(Over::Drained(reason)) = &tenant.over else { return None };
        let (lease, client) = (tenant.terms.lease, tenant.terms.client.clone());
        let (reason, drained) = (reason.clone(), true);
        self.ended = Some(EndedLease { lease, reason: reason.clone(), code: None, drained });
        Some(Drained { lease, client, reason, answer: tenant.answer.take() })
    }

    /// The next lease becomes the present one, for which a state is to be started.
    pub(crate) fn enter(&mut self) -> Option<&mut Tenant> {
        self.present = self.next.take();
        self.present.as_mut()
    }

    /// The state of the present lease is gone. Returns whom to tell if that is so because the
    /// worker is stopping.
    pub(crate) fn vacate(&mut self) -> Option<Drained> {
        let mut tenant = self.present.take()?;
        self.drained(&mut tenant)
    }

    /// Takes a command for the lease that `client` holds.
    pub(crate) fn command(&self, client: &ClientName, command: Command) {
        let tenant = self.living();
        match (tenant, self.check_command(client, command.lease, tenant)) {
            (Some(tenant), Ok(())) => tenant.commands.push(command),
            // Whoever asked may be gone.
            (_, refused) => drop(command.answer.send(refused.map(|()| Value::Null))),
        }
    }

    /// Whether `client` holds the board, and under the lease that its command names. A command may
    /// have been on its way for so long that its sender holds the board anew.
    fn check_command(
        &self,
        client: &ClientName,
        meant: Option<LeaseId>,
        tenant: Option<&Tenant>,
    ) -> Result<(), ErrorDetail> {
        let held = check_holder(tenant.map(|tenant| &tenant.terms.client), client);
        match (meant, &held) {
            (Some(meant), _) if meant > self.token => {
                let message =
                    format!("lease {meant} has not arrived here yet; wait for `initialized`");
                Err(ErrorDetail::new(ErrorCode::NotReserved, message))
            }
            // Of somebody else's lease nothing is told.
            (Some(meant), Ok(())) if tenant.is_some_and(|tenant| !tenant.is(meant)) => {
                Err(self.stale(meant))
            }
            (Some(meant), Err(_)) if tenant.is_none() => {
                let message = format!("lease {meant} is over here");
                Err(ErrorDetail::new(ErrorCode::StaleLease, message))
            }
            _ => held,
        }
    }

    /// Whether a reboot under this lease hits nobody who holds the board under a later one.
    pub(crate) fn check_reboot(&self, meant: Option<LeaseId>) -> Result<(), ErrorDetail> {
        match meant {
            Some(meant) if meant < self.token => Err(self.stale(meant)),
            _ => Ok(()),
        }
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
            && matches!(tenant.over, None | Some(Over::Drained(_)))
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

/// Whether the one who holds the board, if anybody does, is `client`.
pub(crate) fn check_holder(
    holder: Option<&ClientName>,
    client: &ClientName,
) -> Result<(), ErrorDetail> {
    let (code, message) = match holder {
        Some(holder) if holder == client || !Check::Holder.is_made() => return Ok(()),
        Some(_) => (ErrorCode::NotHolder, format!("the board is not leased to `{client}`")),
        None => {
            let message = "nobody holds a lease on this board; reserve it at control";
            (ErrorCode::NotReserved, message.to_owned())
        }
    };
    Err(ErrorDetail::new(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::{Kind, Object, Serial};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LIMITS: QueueLimits = QueueLimits { commands: 4, bytes: 1000 };

    fn terms(lease: u64, rev: u64) -> ReserveBoard {
        ReserveBoard {
            serial: Serial::new("S").unwrap(),
            kind: Kind::new("k").unwrap(),
            args: Object::new(),
            lease: LeaseId(lease),
            lease_rev: rev,
            client: ClientName::new("me").unwrap(),
            name: None,
            expires_in_ms: 1000,
        }
    }

    fn take(tenancy: &mut Tenancy, lease: u64) -> Result<Taken, ErrorCode> {
        let taken = tenancy.reserve(terms(lease, 1), Instant::now(), LIMITS);
        taken.map_err(|error| error.code)
    }

    #[test]
    fn a_lease_is_taken_once_and_lower_ones_never() {
        let mut tenancy = Tenancy::default();
        assert_eq!(take(&mut tenancy, 5), Ok(Taken::New));
        assert_eq!(take(&mut tenancy, 5), Ok(Taken::Already));
        assert_eq!(take(&mut tenancy, 4), Err(ErrorCode::StaleLease));
        tenancy.enter();
        assert_eq!(take(&mut tenancy, 5), Ok(Taken::Already));
        tenancy.end(LeaseId(5)).unwrap();
        assert_eq!(take(&mut tenancy, 5), Err(ErrorCode::StaleLease));
        assert_eq!(tenancy.report().0.unwrap().phase, LeasePhase::Ending);
        tenancy.vacate();
        assert_eq!(tenancy.report(), (None, None));
    }

    #[test]
    fn a_higher_lease_ends_the_one_that_is_served() {
        let mut tenancy = Tenancy::default();
        take(&mut tenancy, 1).unwrap();
        tenancy.enter();
        assert_eq!(take(&mut tenancy, 2), Ok(Taken::New));
        assert_eq!(tenancy.present.as_ref().unwrap().over, Some(Over::Superseded));
        assert_eq!(tenancy.report().0.unwrap().lease, LeaseId(2));
        // The end of a lease that was never seen here ends all before it.
        tenancy.end(LeaseId(9)).unwrap();
        assert!(!serves(&tenancy, 2));
        assert_eq!(take(&mut tenancy, 9), Err(ErrorCode::StaleLease));
        assert_eq!(tenancy.end(LeaseId(8)).unwrap_err().code, ErrorCode::StaleLease);
    }

    #[test]
    fn a_failed_lease_is_reported_until_control_ends_it() {
        let mut tenancy = Tenancy::default();
        take(&mut tenancy, 3).unwrap();
        tenancy.enter();
        assert!(tenancy.fail("broke", None).is_some_and(|failed| failed.present));
        assert!(tenancy.fail("again", None).is_none(), "it fails once");
        tenancy.vacate();
        let reason = "broke".to_owned();
        let ended = EndedLease { lease: LeaseId(3), reason, code: None, drained: false };
        assert_eq!(tenancy.report(), (None, Some(ended)));
        let stale = tenancy.reserve(terms(3, 1), Instant::now(), LIMITS).unwrap_err();
        assert_eq!(stale.message, "lease 3 is over here; the latest is 3: broke");
        tenancy.end(LeaseId(3)).unwrap();
        assert_eq!(tenancy.report(), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn an_extension_counts_once_and_in_order() {
        let mut tenancy = Tenancy::default();
        take(&mut tenancy, 1).unwrap();
        let ends = |tenancy: &Tenancy| tenancy.next.as_ref().unwrap().ends;
        let before = ends(&tenancy);
        let now = Instant::now();
        tenancy.extend(LeaseId(1), 3, 9000, now).unwrap();
        assert_eq!(ends(&tenancy) - before, Duration::from_millis(8000));
        tenancy.extend(LeaseId(1), 2, 60_000, now).unwrap();
        assert_eq!(ends(&tenancy) - before, Duration::from_millis(8000), "it came late");
        let unknown = tenancy.extend(LeaseId(2), 1, 1, now).unwrap_err();
        assert_eq!(unknown.code, ErrorCode::NotReserved);
    }

    fn serves(tenancy: &Tenancy, lease: u64) -> bool {
        tenancy.living().is_some_and(|tenant| tenant.is(LeaseId(lease)))
    }

    #[test]
    fn a_drained_lease_is_told_of_when_its_state_is_gone() {
        let mut tenancy = Tenancy::default();
        take(&mut tenancy, 3).unwrap();
        tenancy.enter();
        assert!(tenancy.drain("stops").is_none(), "the state may still tell something");
        assert_eq!(tenancy.report().0.unwrap().phase, LeasePhase::Ending);
        assert!(tenancy.fail("broke", None).is_none(), "it is over");
        let drained = tenancy.vacate().unwrap();
        assert_eq!((drained.lease, drained.reason.as_str()), (LeaseId(3), "stops"));
        let reason = "stops".to_owned();
        let ended = EndedLease { lease: LeaseId(3), reason, code: None, drained: true };
        assert_eq!(tenancy.report(), (None, Some(ended)));
        assert!(tenancy.vacate().is_none() && tenancy.drain("stops").is_none());

        // One that waits has no state.
        take(&mut tenancy, 4).unwrap();
        assert_eq!(tenancy.drain("stops").unwrap().lease, LeaseId(4));
        assert!(tenancy.report().0.is_none());

        // Control ends it meanwhile: then there is nothing to tell.
        take(&mut tenancy, 5).unwrap();
        tenancy.enter();
        tenancy.drain("stops");
        tenancy.end(LeaseId(5)).unwrap();
        assert!(tenancy.vacate().is_none());
        assert_eq!(tenancy.report(), (None, None));
    }

    fn ask(tenancy: &Tenancy, client: &str, lease: Option<u64>) -> Option<ErrorCode> {
        let (answer, mut answered) = oneshot::channel();
        let lease = lease.map(LeaseId);
        let contents = std::sync::Arc::default();
        let command = Command { lease, event: "e".into(), contents, bytes: 1, answer };
        tenancy.command(&ClientName::new(client).unwrap(), command);
        answered.try_recv().ok().map(|answer| answer.unwrap_err().code)
    }

    #[test]
    fn a_command_of_an_earlier_lease_is_not_taken_for_the_present_one() {
        let mut tenancy = Tenancy::default();
        assert_eq!(ask(&tenancy, "me", Some(1)), Some(ErrorCode::NotReserved));
        take(&mut tenancy, 1).unwrap();
        tenancy.end(LeaseId(1)).unwrap();
        assert_eq!(ask(&tenancy, "me", Some(1)), Some(ErrorCode::StaleLease));
        assert_eq!(ask(&tenancy, "me", None), Some(ErrorCode::NotReserved));
        take(&mut tenancy, 3).unwrap();
        assert_eq!(ask(&tenancy, "me", Some(1)), Some(ErrorCode::StaleLease));
        assert_eq!(ask(&tenancy, "me", Some(4)), Some(ErrorCode::NotReserved), "it may come");
        assert_eq!(ask(&tenancy, "me", Some(3)), None);
        assert_eq!(ask(&tenancy, "me", None), None, "old clients name no lease");
        assert_eq!(ask(&tenancy, "you", Some(3)), Some(ErrorCode::NotHolder));
    }

    #[test]
    fn a_reboot_of_an_earlier_lease_hits_nobody() {
        let mut tenancy = Tenancy::default();
        take(&mut tenancy, 1).unwrap();
        tenancy.end(LeaseId(1)).unwrap();
        take(&mut tenancy, 2).unwrap();
        let refused = tenancy.check_reboot(Some(LeaseId(1))).unwrap_err();
        assert_eq!(refused.code, ErrorCode::StaleLease);
        for meant in [None, Some(LeaseId(2)), Some(LeaseId(3))] {
            tenancy.check_reboot(meant).unwrap();
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Reserve(u64),
        Extend(u64),
        End(u64),
        Fail,
        Drain,
        Enter,
        Vacate,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let lease = 1..8u64;
        let step = prop_oneof![
            lease.clone().prop_map(Step::Reserve),
            lease.clone().prop_map(Step::Extend),
            lease.prop_map(Step::End),
            Just(Step::Fail),
            Just(Step::Drain),
            Just(Step::Enter),
            Just(Step::Vacate),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn what_is_over_is_never_served_again(steps in steps()) {
            let mut tenancy = Tenancy::default();
            let (mut over, mut token) = (BTreeSet::new(), LeaseId(0));
            for step in steps {
                let before: Vec<u64> = (1..8).filter(|n| serves(&tenancy, *n)).collect();
                match step {
                    Step::Reserve(lease) => {
                        let _ = tenancy.reserve(terms(lease, lease), Instant::now(), LIMITS);
                    }
                    Step::Extend(lease) => {
                        let _ = tenancy.extend(LeaseId(lease), 9, 1, Instant::now());
                    }
                    Step::End(lease) => {
                        let _ = tenancy.end(LeaseId(lease));
                        prop_assert!(!serves(&tenancy, lease));
                    }
                    Step::Fail => {
                        tenancy.fail("x", None);
                    }
                    Step::Drain => {
                        tenancy.drain("x");
                    }
                    // As the supervisor does it: one state after the other.
                    Step::Enter if tenancy.present.is_none() => {
                        tenancy.enter();
                    }
                    Step::Vacate if tenancy.present.as_ref().is_some_and(|t| t.over.is_some()) => {
                        tenancy.vacate();
                    }
                    Step::Enter | Step::Vacate => {}
                }
                let after: Vec<u64> = (1..8).filter(|n| serves(&tenancy, *n)).collect();
                over.extend(before.into_iter().filter(|n| !after.contains(n)));
                prop_assert!(after.len() <= 1, "one board, one lease");
                prop_assert!(after.iter().all(|n| !over.contains(n)));
                prop_assert!(after.iter().all(|n| LeaseId(*n) == tenancy.token()));
                prop_assert!(tenancy.token() >= token);
                token = tenancy.token();
            }
        }
    }
}
