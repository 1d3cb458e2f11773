//! What the worker says of its boards: the latest report of each, and which of them control has
//! not yet been told.

use icefarm_core::wire::{BoardReport, BoardStatus, BoardsReport, LeaseReport};
use icefarm_core::{ClientName, Incarnation, Serial, WorkerName};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// The reports of all boards.
pub(crate) struct Ledger {
    entries: Mutex<BTreeMap<Serial, Entry>>,
    changes: watch::Sender<u64>,
    /// When the leases that are left are ended, once the worker is stopping.
    stops: OnceLock<Instant>,
}

struct Entry {
    report: BoardReport,
    listed: bool,
}

/// Which revision of each board control has, and whether it knows that the worker is stopping.
#[derive(Debug, Default)]
pub(crate) struct Told {
    boards: BTreeMap<Serial, (u64, bool)>,
    stops: bool,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), changes: watch::Sender::new(0), stops: OnceLock::new() }
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

    /// The worker is stopping. The first word counts.
    pub(crate) fn stop_at(&self, at: Instant) {
        if self.stops.set(at).is_ok() {
            self.changed();
        }
    }

    /// How long the leases that are left still have, if the worker is stopping.
    pub(crate) fn stops_in_ms(&self) -> Option<u64> {
        let left = self.stops.get()?.saturating_duration_since(Instant::now());
        Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }

    /// The leases that are served or wait: whose each is, and on which board.
    pub(crate) fn leases(&self) -> Vec<(Serial, LeaseReport)> {
        let entries = self.lock();
        let lease =
            |entry: &Entry| Some((entry.report.serial.clone(), entry.report.lease.clone()?));
        entries.values().filter_map(lease).collect()
    }

    /// Waits until nobody holds a board.
    pub(crate) async fn until_nobody_holds(&self) {
        self.until_all(|report| report.lease.is_none()).await;
    }

    /// Waits until nobody holds a board and all are back to what they are between leases.
    pub(crate) async fn until_at_rest(&self) {
        use BoardStatus::{Available, Broken, Offline};
        let is_at_rest = |report: &BoardReport| {
            report.lease.is_none() && matches!(report.status, Available | Broken | Offline)
        };
        self.until_all(is_at_rest).await;
    }

    async fn until_all(&self, fits: impl Fn(&BoardReport) -> bool) {
        let mut changes = self.changes();
        while !self.lock().values().all(|entry| fits(&entry.report)) {
            // The sender lives as long as the ledger.
            let _ = changes.changed().await;
        }
    }

    /// Everything that the worker has, and a note of it.
    pub(crate) fn inventory_told(&self) -> (Vec<BoardReport>, Told) {
        let entries = self.lock();
        let listed = entries.values().filter(|entry| entry.listed);
        let reports: Vec<BoardReport> = listed.map(|entry| entry.report.clone()).collect();
        let told = reports.iter().map(|report| (report.serial.clone(), (report.rev, true)));
        let told = Told { boards: told.collect(), stops: self.stops.get().is_some() };
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
        let stops_in_ms = self.stops_in_ms();
        let mut now = Told { stops: stops_in_ms.is_some(), ..Told::default() };
        let (mut boards, mut gone) = (Vec::new(), Vec::new());
        for (serial, entry) in entries.iter() {
            let state = (entry.report.rev, entry.listed);
            now.boards.insert(serial.clone(), state);
            match told.boards.get(serial) {
                Some(before) if *before == state => {}
                None if !entry.listed => {}
                _ if entry.listed => boards.push(entry.report.clone()),
                _ => gone.push(serial.clone()),
            }
        }
        if boards.is_empty() && gone.is_empty() && now.stops == told.stops {
            return None;
        }
        let (worker, incarnation) = (worker.clone(), incarnation.clone());
        let left = false;
        let report = BoardsReport { worker, incarnation, boards, gone, stops_in_ms, left };
        Some((report, now))
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
    use std::time::Duration;

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

    #[tokio::test(start_paused = true)]
    async fn that_the_worker_stops_is_news_once() {
        let (worker, incarnation) = (WorkerName::new("w").unwrap(), Incarnation::from("i"));
        let ledger = Ledger::new();
        let (_, told) = ledger.inventory_told();
        ledger.stop_at(Instant::now() + Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(20)).await;
        let (report, told) = ledger.untold(&told, &worker, &incarnation).unwrap();
        assert_eq!((report.stops_in_ms, report.left), (Some(40_000), false));
        assert!(ledger.untold(&told, &worker, &incarnation).is_none());
        ledger.stop_at(Instant::now() + Duration::from_secs(600));
        assert_eq!(ledger.stops_in_ms(), Some(40_000));
    }

    #[tokio::test(start_paused = true)]
    async fn boards_are_at_rest_when_nobody_holds_them_and_they_are_ready() {
        let ledger = std::sync::Arc::new(Ledger::new());
        ledger.until_at_rest().await;
        ledger.add(report("A"));
        let waiting = ledger.clone();
        let rest = tokio::spawn(async move { waiting.until_at_rest().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!rest.is_finished());
        let a = Serial::new("A").unwrap();
        ledger.update(&a, |report| report.status = BoardStatus::Available);
        rest.await.unwrap();
    }
}
