//! What the worker says of its boards: the latest report of each, and which of them control has
//! not yet been told.

use icefarm_core::Serial;
use icefarm_core::wire::{BoardReport, BoardsReport};
use icefarm_core::{ClientName, Incarnation, WorkerName};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The reports of all boards.
pub(crate) struct Ledger {
    entries: Mutex<BTreeMap<Serial, Entry>>,
    changes: watch::Sender<u64>,
}

struct Entry {
    report: BoardReport,
    listed: bool,
}

/// Which revision of each board control has.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<Serial, (u64, bool)>);

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Adds a board. `false` if there is one of that serial.
    pub(crate) fn add(&self, report: BoardReport) -> bool {
        let mut entries = self.lock();
        if entries.contains_key(&report.serial) {
            return false;
        }
        entries.insert(report.serial.clone(), Entry { report, listed: true });
        drop(entries);
        self.changed();
        true
    }

    /// Changes a report; its revision rises if anything in it did change.
    pub(crate) fn update(&self, serial: &Serial, change: impl FnOnce(&mut BoardReport)) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(serial) else { return };
        let before = entry.report.clone();
        change(&mut entry.report);
        if entry.report == before {
            return;
        }
        entry.report.rev = before.rev + 1;
        drop(entries);
        self.changed();
    }

    /// Whether the board belongs to the worker's inventory.
    pub(crate) fn list(&self, serial: &Serial, listed: bool) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(serial).filter(|entry| entry.listed != listed) else {
            return;
        };
        entry.listed = listed;
        entry.report.rev += 1;
        drop(entries);
        self.changed();
    }

    /// The report of one board that is listed.
    pub(crate) fn get(&self, serial: &Serial) -> Option<BoardReport> {
        let entries = self.lock();
        entries.get(serial).filter(|entry| entry.listed).map(|entry| entry.report.clone())
    }

    /// Whether the client holds any board of the worker.
    pub(crate) fn holds_any(&self, client: &ClientName) -> bool {
        let leases =
            |entry: &Entry| entry.report.lease.as_ref().is_some_and(|l| l.client == *client);
        self.lock().values().any(leases)
    }

    /// Everything that the worker has.
    pub(crate) fn inventory(&self) -> Vec<BoardReport> {
        let entries = self.lock();
        entries.values().filter(|entry| entry.listed).map(|entry| entry.report.clone()).collect()
    }

    /// Everything that the worker has, and a note of it.
    pub(crate) fn inventory_told(&self) -> (Vec<BoardReport>, Told) {
        let entries = self.lock();
        let listed = entries.values().filter(|entry| entry.listed);
        let reports: Vec<BoardReport> = listed.map(|entry| entry.report.clone()).collect();
        let told = reports.iter().map(|report| (report.serial.clone(), (report.rev, true)));
        let told = Told(told.collect());
        (reports, told)
    }

    /// What control has not been told, and the note to keep once it has; `None` if there is
    /// nothing.
    pub(crate) fn untold(
        &self,
        told: &Told,
        worker: &WorkerName,
        incarnation: &Incarnation,
    ) -> Option<(BoardsReport, Told)> {
        let entries = self.lock();
        let mut now = Told::default();
        let (mut boards, mut gone) = (Vec::new(), Vec::new());
        for (serial, entry) in entries.iter() {
            let state = (entry.report.rev, entry.listed);
            now.0.insert(serial.clone(), state);
            match told.0.get(serial) {
                Some(before) if *before == state => {}
                None if !entry.listed => {}
                _ if entry.listed => boards.push(entry.report.clone()),
                _ => gone.push(serial.clone()),
            }
        }
        if boards.is_empty() && gone.is_empty() {
            return None;
        }
        let (worker, incarnation) = (worker.clone(), incarnation.clone());
        Some((BoardsReport { worker, incarnation, boards, gone }, now))
    }

    /// Moves with every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Serial, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::LeaseId;
    use icefarm_core::wire::BoardStatus;

    fn report(serial: &str) -> BoardReport {
        BoardReport {
            serial: Serial::new(serial).unwrap(),
            status: BoardStatus::AwaitFlashDefault,
            reason: None,
            simulated: true,
            labels: BTreeMap::new(),
            token: LeaseId(0),
            rev: 1,
            lease: None,
            ended: None,
        }
    }

    #[test]
    fn control_is_told_what_changed_and_the_latest_of_it() {
        let (worker, incarnation) = (WorkerName::new("w").unwrap(), Incarnation::from("i"));
        let ledger = Ledger::new();
        assert!(ledger.add(report("A")));
        assert!(ledger.add(report("B")));
        assert!(!ledger.add(report("B")));
        let (all, told) = ledger.inventory_told();
        assert_eq!(all.len(), 2);
        assert!(ledger.untold(&told, &worker, &incarnation).is_none());

        let a = Serial::new("A").unwrap();
        for status in [BoardStatus::FlashingDefault, BoardStatus::Testing, BoardStatus::Testing] {
            ledger.update(&a, |report| report.status = status);
        }
        let (changed, told) = ledger.untold(&told, &worker, &incarnation).unwrap();
        assert_eq!(changed.boards.len(), 1);
        assert_eq!((changed.boards[0].status, changed.boards[0].rev), (BoardStatus::Testing, 3));

        ledger.list(&a, false);
        let (changed, told) = ledger.untold(&told, &worker, &incarnation).unwrap();
        assert_eq!((changed.boards.len(), changed.gone.as_slice()), (0, std::slice::from_ref(&a)));
        assert_eq!(ledger.inventory().len(), 1);
        assert!(ledger.get(&a).is_none());

        ledger.list(&a, true);
        let (changed, told) = ledger.untold(&told, &worker, &incarnation).unwrap();
        assert_eq!(changed.boards[0].rev, 5, "a revision is never used twice");
        assert!(ledger.untold(&told, &worker, &incarnation).is_none());
    }
}
