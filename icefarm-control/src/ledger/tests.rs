use super::{Beside, Desk, Ledger, LedgerError, Outlet, Trims, Wanted};
use crate::access::Tokens;
use crate::machine::lab::{ask, free, registration};
use crate::machine::{Answer, Change, Command, Rules};
use crate::store::{AuditWanted, Batch, Letter, SqliteStore, Store, StoreError, Stored};
use futures::FutureExt;
use icefarm_core::wire::{AuditEntry, Event, Selection};
use icefarm_core::{ClientName, SteadyClock, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const START: Timestamp = Timestamp(1_000_000);

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Outlet for Heard {
    fn deliver(&self, client: &ClientName, seq: u64, letter: &Letter) {
        let names: Vec<_> = letter.contents.iter().map(|event| event.event.as_str()).collect();
        let line = format!("{seq} {client} {}: {}", letter.serial, names.join("+"));
        self.0.lock().unwrap().push(line);
    }
    fn announce(&self, event: Event) {
        self.0.lock().unwrap().push(format!("all: {} {:?}", event.event, event.fields));
    }
    fn whisper(&self, client: &ClientName, event: Event) {
        self.0.lock().unwrap().push(format!("{client}: {} {:?}", event.event, event.fields));
    }
    fn committed(&self, _: &[Change], _: Duration) {}
    fn failed(&self) {}
}

/// A store that counts, fails or panics on demand.
struct Moody {
    store: SqliteStore,
    mood: Arc<Mutex<&'static str>>,
    commits: Arc<AtomicUsize>,
}

impl Store for Moody {
    fn load(&mut self, rules: Rules, started: Timestamp) -> Result<Stored, StoreError> {
        self.store.load(rules, started)
    }
    fn commit(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        match *self.mood.lock().unwrap() {
            "fail" => Err(StoreError::Failed { source: "the disk is full".into() }),
            "panic" => panic!("the store is beside itself"),
            _ => {
                self.commits.fetch_add(1, Ordering::SeqCst);
                self.store.commit(batch)
            }
        }
    }
    fn audit(&mut self, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit(wanted)
    }
}

struct Bench {
    ledger: Ledger,
    heard: Arc<Heard>,
    mood: Arc<Mutex<&'static str>>,
    commits: Arc<AtomicUsize>,
    trims: Arc<Trims>,
}

fn bench(desk: Desk) -> Bench {
    let (mood, commits) = (Arc::new(Mutex::new("")), Arc::default());
    let store = SqliteStore::in_memory().unwrap();
    let mut store = Moody { store, mood: Arc::clone(&mood), commits: Arc::clone(&commits) };
    let stored = store.load(Rules::default(), START).unwrap();
    let (trims, heard) = (Arc::<Trims>::default(), Arc::<Heard>::default());
    let clock = SteadyClock::starting_at(START);
    let outlet = Arc::clone(&heard) as Arc<dyn Outlet>;
    let tokens = Arc::new(Tokens::new(Vec::new()));
    let beside = Beside { trims: Arc::clone(&trims), tokens, audit_kept: 100 };
    let ledger = Ledger::start(Box::new(store), stored, beside, outlet, clock, desk).unwrap();
    Bench { ledger, heard, mood, commits, trims }
}

impl Bench {
    async fn join(&self, boards: usize) {
        let boards: Vec<_> = (0..boards).map(|n| free(&format!("B{n:03}"), 0, 1)).collect();
        let registration = Box::new(registration("w", "w1", boards.clone()));
        let url = "http://w:8081".to_owned();
        self.ledger.submit(Command::Register { registration, url }).await.unwrap();
        let (worker, incarnation) = ("w".parse().unwrap(), "w1".into());
        self.ledger.submit(Command::Heartbeat { worker, incarnation, boards }).await.unwrap();
    }

    async fn reserve(&self, amount: u32) -> Result<Answer, LedgerError> {
        let request = Box::new(ask("ann", Selection::Amount(amount)));
        self.ledger.submit(Command::Reserve { request, reservation: "r".into() }).await
    }

    async fn end(&self) -> Result<Answer, LedgerError> {
        let client = "ann".parse().unwrap();
        self.ledger.submit(Command::End { client, serials: None, instance: None }).await
    }
}

async fn commands_are_answered_and_told(desk: Desk) {
    let bench = bench(desk);
    bench.join(2).await;
    assert!(matches!(bench.reserve(2).await, Ok(Answer::Reserved(_))));
    assert_eq!(bench.ledger.farm().leases.len(), 2, "who was answered sees what was done");
    assert!(matches!(bench.reserve(1).await, Err(LedgerError::Refused(_))));
    bench.end().await.unwrap();
    bench.ledger.close().await;
    let heard = bench.heard.0.lock().unwrap().clone();
    assert_eq!(
        heard,
        [
            "all: devices_available {\"amount\": 2}",
            "1 ann B000: reservation end",
            "2 ann B001: reservation end"
        ]
    );
    assert!(matches!(bench.reserve(1).await, Err(LedgerError::Closed)));
    assert!(bench.ledger.complaint().is_some());
    let page = bench.ledger.chronicle().page(&Wanted { limit: 99, ..Wanted::default() });
    assert!(page.events.iter().any(|entry| entry.text.contains("ann reserved board B000")));
}

#[tokio::test]
async fn a_thread_answers() {
    commands_are_answered_and_told(Desk::Thread).await;
}

#[tokio::test]
async fn the_task_itself_answers() {
    commands_are_answered_and_told(Desk::Inline).await;
}

#[tokio::test]
async fn commands_that_come_together_share_a_commit() {
    let bench = bench(Desk::Thread);
    bench.join(100).await;
    let before = bench.commits.load(Ordering::SeqCst);
    // The writer stands at the first commit until everything else has come.
    let all = futures::future::join_all((0..100).map(|_| bench.reserve(1)));
    let mut all = Box::pin(all);
    {
        let _gate = bench.mood.lock().unwrap();
        assert!((&mut all).now_or_never().is_none());
    }
    let all = all.await;
    assert!(all.iter().all(Result::is_ok));
    let commits = bench.commits.load(Ordering::SeqCst) - before;
    assert!(commits <= 2, "{commits} commits for 100 reservations");
    assert_eq!(bench.ledger.farm().leases.len(), 100);
}

#[tokio::test]
async fn a_store_that_fails_is_seen_and_nothing_happens() {
    let bench = bench(Desk::Thread);
    bench.join(1).await;
    *bench.mood.lock().unwrap() = "fail";
    let error = bench.reserve(1).await.unwrap_err();
    assert_eq!(error.detail().code, icefarm_core::wire::ErrorCode::Internal);
    assert!(bench.ledger.farm().leases.is_empty());
    assert!(bench.ledger.complaint().unwrap().contains("disk is full"));
    *bench.mood.lock().unwrap() = "";
    bench.reserve(1).await.unwrap();
    assert_eq!(bench.ledger.complaint(), None);
}

#[tokio::test]
async fn a_writer_that_panics_leaves_nobody_waiting() {
    let bench = bench(Desk::Thread);
    bench.join(1).await;
    *bench.mood.lock().unwrap() = "panic";
    let error = bench.reserve(1).await.unwrap_err();
    assert_eq!(error.detail().code, icefarm_core::wire::ErrorCode::Unavailable);
    assert!(matches!(bench.reserve(1).await, Err(LedgerError::Closed)));
    assert!(bench.ledger.complaint().unwrap().contains("ended"));
    bench.ledger.close().await;
}

#[tokio::test]
async fn trims_are_written_down() {
    let bench = bench(Desk::Inline);
    bench.join(2).await;
    bench.reserve(2).await.unwrap();
    bench.end().await.unwrap();
    let ann = "ann".parse().unwrap();
    bench.trims.note(&ann, 2, 1);
    bench.trims.note(&ann, 1, 0);
    let before = bench.commits.load(Ordering::SeqCst);
    *bench.mood.lock().unwrap() = "fail";
    assert!(bench.ledger.tidy().await.is_err());
    *bench.mood.lock().unwrap() = "";
    bench.ledger.tidy().await.unwrap();
    bench.ledger.tidy().await.unwrap();
    assert_eq!(bench.commits.load(Ordering::SeqCst), before + 1);
}
