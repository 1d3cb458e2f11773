//! Which boards would do for a request, and which of them it gets.

use super::queue::{self, Waiting, count};
use super::{Board, Contact, Farm, Obstacle, Refusal};
use icefarm_core::wire::{BoardStatus, ReserveRequest, Selection};
use icefarm_core::{Kind, LeaseId, Object, Serial, WorkerName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a request wants, as the farm is.
pub(super) struct Wanted<'f> {
    farm: &'f Farm,
    ask: &'f ReserveRequest,
    workers: BTreeSet<&'f WorkerName>,
    simulated: bool,
}

impl<'f> Wanted<'f> {
    pub(super) fn of(farm: &'f Farm, ask: &'f ReserveRequest) -> Self {
        Self::in_farm(farm, ask, farm.has_real_boards())
    }

    fn in_farm(farm: &'f Farm, ask: &'f ReserveRequest, has_real_boards: bool) -> Self {
        let offers = |worker: &&Arc<super::Worker>| {
            worker.kind(&ask.kind).is_some_and(|info| info.check_args(&ask.args).is_ok())
        };
        let workers = farm.workers.values().filter(offers).map(|worker| &worker.name).collect();
        let simulated = match (&ask.selection, nature(ask)) {
            (_, Some(simulated)) => simulated,
            (Selection::Amount(_), None) => !has_real_boards,
            // To name a simulated board is to ask for it.
            (Selection::Serials(serials), None) => serials
                .iter()
                .find_map(|serial| farm.boards.get(serial))
                .is_some_and(|board| board.report.simulated),
        };
        Self { farm, ask, workers, simulated }
    }

    /// How many boards.
    pub(super) fn amount(&self) -> usize {
        amount(self.ask)
    }

    /// Whether a board would do, were it free.
    fn fits(&self, board: &Board) -> bool {
        let is_named = match &self.ask.selection {
            Selection::Amount(_) => true,
            Selection::Serials(serials) => serials.contains(board.serial()),
        };
        is_named
            && board.report.simulated == self.simulated
            && self.workers.contains(&board.worker)
            && self.farm.has_labels(board, &self.ask.labels)
    }

    fn number(&self, is_counted: impl Fn(&Board) -> bool) -> usize {
        let boards = self.farm.boards.values();
        boards.filter(|board| self.fits(board) && is_counted(board)).count()
    }

    /// How many boards would do that the farm knows of, in whatever condition.
    pub(super) fn known(&self) -> usize {
        self.number(|_| true)
    }

    /// How many boards would do that are drained.
    pub(super) fn drained(&self) -> usize {
        self.number(|board| self.farm.drain(board).is_some())
    }

    /// Whether enough boards are in service, free or not. If not, nobody knows whether the request
    /// will ever be met, and nothing is set aside for it.
    pub(super) fn is_in_service(&self) -> bool {
        self.number(|board| self.farm.is_in_service(board)) >= self.amount()
    }
}

/// Whether simulated boards are asked for, if anything is said of that.
fn nature(ask: &ReserveRequest) -> Option<bool> {
    let by_label = ask.labels.get("simulated").map(|value| value == "true");
    ask.simulated.or(by_label)
}

/// How many boards a request is for.
pub(super) fn amount(ask: &ReserveRequest) -> usize {
    match &ask.selection {
        Selection::Amount(amount) => usize::try_from(*amount).unwrap_or(usize::MAX),
        Selection::Serials(serials) => queue::distinct(serials).len(),
    }
}

impl Farm {
    /// Whether a board is free, or will be by itself.
    fn is_in_service(&self, board: &Board) -> bool {
        let is_reached =
            self.worker_of(board).is_some_and(|worker| worker.contact == Contact::Reachable);
        let fails = matches!(
            board.report.status,
            BoardStatus::Broken | BoardStatus::Offline | BoardStatus::Draining
        );
        let is_out = match self.obstacle(board) {
            Some(Obstacle::Offline | Obstacle::Draining) => true,
            Some(Obstacle::Leased | Obstacle::Settling | Obstacle::Status(_)) | None => fails,
        };
        // Who holds a board that is drained is its last holder for now.
        is_reached && board.missing.is_none() && !is_out && self.drain(board).is_none()
    }
}

/// The free boards, shared out among those who want some, one after the other.
pub(super) struct Share<'f> {
    farm: &'f Farm,
    has_real_boards: bool,
    free: BTreeMap<&'f Serial, &'f Arc<Board>>,
    /// Free boards that are set aside for somebody who waits for more.
    kept: BTreeSet<&'f Serial>,
}

impl<'f> Share<'f> {
    /// All free boards.
    pub(super) fn of(farm: &'f Farm) -> Self {
        let free = farm.boards.iter().filter(|(_, board)| farm.obstacle(board).is_none());
        let free = free.collect();
        Self { farm, has_real_boards: farm.has_real_boards(), free, kept: BTreeSet::new() }
    }

    /// What those who wait leave over, of whom `before` says that they come first.
    pub(super) fn behind(farm: &'f Farm, before: impl Fn(&Waiting) -> bool) -> Self {
        let mut share = Self::of(farm);
        queue::set_aside_all(&mut share, before);
        share
    }

    pub(super) fn farm(&self) -> &'f Farm {
        self.farm
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// The boards of this nature that are left.
    pub(super) fn left(&self, simulated: bool) -> impl Iterator<Item = &'f Arc<Board>> {
        self.free.values().copied().filter(move |board| board.report.simulated == simulated)
    }

    fn wanted<'a>(&self, ask: &'a ReserveRequest) -> Wanted<'a>
    where
        'f: 'a,
    {
        Wanted::in_farm(self.farm, ask, self.has_real_boards)
    }

    /// The free boards that would do, the best first: those that had the kind last, because they
    /// need not be flashed, and then those that have rested longest, so that boards age alike.
    fn fitting(&self, wanted: &Wanted<'_>) -> Vec<&'f Arc<Board>> {
        let mut fitting: Vec<&Arc<Board>> =
            self.free.values().copied().filter(|board| wanted.fits(board)).collect();
        fitting.sort_by_key(|board| {
            let given = self.farm.given.get(board.serial());
            let is_warm = given.is_some_and(|given| given.kind == wanted.ask.kind);
            (!is_warm, given.map_or(LeaseId(0), |given| given.lease))
        });
        fitting
    }

    /// Takes all boards of a request out, or none. The boards that it names come in its order.
    ///
    /// # Errors
    /// [`Refusal`] says why it does not get them now.
    pub(super) fn take(&mut self, ask: &ReserveRequest) -> Result<Vec<Serial>, Refusal> {
        let wanted = self.wanted(ask);
        let chosen: Vec<Serial> = match &ask.selection {
            Selection::Amount(amount) => {
                let fitting = self.fitting(&wanted);
                let number = wanted.amount();
                if fitting.len() < number {
                    return Err(self.not_enough(&wanted, *amount, fitting.len()));
                }
                fitting.into_iter().take(number).map(|board| board.serial().clone()).collect()
            }
            Selection::Serials(serials) => {
                let serials = queue::distinct(serials);
                for serial in &serials {
                    self.check_free(serial)?;
                }
                serials.into_iter().cloned().collect()
            }
        };
        for serial in &chosen {
            self.free.remove(serial);
        }
        Ok(chosen)
    }

    fn check_free(&self, serial: &Serial) -> Result<(), Refusal> {
        let serial = serial.clone();
        match self.farm.boards.get(&serial) {
            None => Err(Refusal::UnknownSerial { serial }),
            Some(_) if self.kept.contains(&serial) => Err(Refusal::Kept { serial }),
            Some(board) if self.farm.obstacle(board).is_some() => {
                Err(Refusal::NotAvailable { serial, status: self.farm.status(board) })
            }
            Some(_) if !self.free.contains_key(&serial) => Err(Refusal::Kept { serial }),
            Some(_) => Ok(()),
        }
    }

    fn not_enough(&self, wanted: &Wanted<'_>, amount: u32, available: usize) -> Refusal {
        let others = self.left(!wanted.simulated).filter(|board| {
            wanted.workers.contains(&board.worker)
                && self.farm.has_labels(board, &wanted.ask.labels)
        });
        let is_told = nature(wanted.ask).is_none() && !wanted.simulated;
        let simulated = if is_told { others.count() } else { 0 };
        let kept = self.kept.iter().filter_map(|serial| self.farm.boards.get(*serial));
        let kept = kept.filter(|board| wanted.fits(board)).count();
        Refusal::NotEnough { wanted: amount, available, simulated, kept }
    }

    /// Takes out what a request could use that has to wait for more, if it waits for boards that
    /// are in service.
    pub(super) fn set_aside(&mut self, ask: &ReserveRequest) {
        let wanted = self.wanted(ask);
        let fitting = self.fitting(&wanted);
        if fitting.is_empty() || !wanted.is_in_service() {
            return;
        }
        for board in fitting.into_iter().take(wanted.amount()) {
            if let Some((serial, _)) = self.free.remove_entry(board.serial()) {
                self.kept.insert(serial);
            }
        }
    }
}

/// Checks what does not depend on who holds which board at the moment.
///
/// # Errors
/// [`Refusal`] says what will not be met, however long one waits. `is_patient` says whether boards
/// count that nobody can reach at the moment.
pub(super) fn check(farm: &Farm, ask: &ReserveRequest, is_patient: bool) -> Result<(), Refusal> {
    offering(farm, &ask.kind, &ask.args, is_patient)?;
    let wanted = Wanted::of(farm, ask);
    let Selection::Serials(serials) = &ask.selection else {
        let (known, amount) = (wanted.known(), wanted.amount());
        return if is_patient && known < amount {
            Err(Refusal::Impossible { wanted: count(amount), known })
        } else {
            Ok(())
        };
    };
    for serial in queue::distinct(serials) {
        let serial = serial.clone();
        let Some(board) = farm.boards.get(&serial) else {
            return Err(Refusal::UnknownSerial { serial });
        };
        let simulated = board.report.simulated;
        if simulated != wanted.simulated {
            return Err(match nature(ask) {
                None => Refusal::Mixed,
                Some(_) => Refusal::OtherNature { serial, simulated },
            });
        }
        if let Some((key, value)) = farm.lacking(board, &ask.labels) {
            let (key, value) = (key.to_owned(), value.to_owned());
            return Err(Refusal::OtherLabels { serial, key, value });
        }
    }
    for serial in queue::distinct(serials) {
        // What is not free is refused for that; whether it offers the kind is seen when it is.
        let free = |board: &&Arc<Board>| is_patient || farm.obstacle(board).is_none();
        if let Some(board) = farm.boards.get(serial).filter(free)
            && !wanted.workers.contains(&board.worker)
        {
            let (serial, worker, kind) = (serial.clone(), board.worker.clone(), ask.kind.clone());
            return Err(Refusal::NotOffered { serial, worker, kind });
        }
    }
    Ok(())
}

/// Checks that a worker offers the kind with these arguments.
fn offering(farm: &Farm, kind: &Kind, args: &Object, is_patient: bool) -> Result<(), Refusal> {
    let living = || {
        let workers = farm.workers.values();
        workers.filter(|worker| is_patient || !worker.contact.is_gone())
    };
    let mut wrong = None;
    for worker in living() {
        match worker.kind(kind).map(|info| info.check_args(args)) {
            // One worker that takes them is enough: workers of several versions may be about.
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => wrong = Some(error),
            None => {}
        }
    }
    if let Some(error) = wrong {
        return Err(Refusal::BadArguments { kind: kind.clone(), error });
    }
    let known: BTreeSet<_> =
        living().flat_map(|worker| worker.kinds.iter().map(|info| &info.kind)).collect();
    let known = known.into_iter().cloned().collect();
    Err(Refusal::UnknownKind { kind: kind.clone(), known })
}
