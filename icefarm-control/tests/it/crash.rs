//! The writer dies, the machine dies.

use crate::farm::{Farm, quick, wish};
use crate::http::send;
use crate::network::Net;
use crate::worker::FakeWorker;
use icefarm_control::Control;
use icefarm_control::machine::Rules;
use icefarm_control::store::{AuditWanted, Batch, Letter, SqliteStore, Store, StoreError, Stored};
use icefarm_core::Timestamp;
use icefarm_core::wire::{AuditEntry, ErrorCode, Event};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A store that panics on demand.
struct Fragile(SqliteStore, Arc<AtomicBool>);

impl Store for Fragile {
    fn load(&mut self, rules: Rules, started: Timestamp) -> Result<Stored, StoreError> {
        self.0.load(rules, started)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError> {
        assert!(!self.1.load(Ordering::SeqCst), "the test wants it so");
        self.0.commit(batch)
    }

    fn audit(&mut self, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError> {
        self.0.audit(wanted)
    }
}

#[tokio::test]
async fn a_ledger_that_died_is_seen_from_outside() {
    let broken = Arc::new(AtomicBool::new(false));
    let store = Fragile(SqliteStore::in_memory().unwrap(), broken.clone());
    let farm = Farm::start(Net::Tcp, 0, Control::builder().store(store).config(quick())).await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    broken.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let error = farm.post("/reserve", wish("ann", 1)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(farm.get(path).await.unwrap_err().code, ErrorCode::Unavailable);
    }
    let page = send(&farm.control, "GET /", "", "").await;
    assert!(page.body.contains("the ledger has ended"));
    farm.stop().await;
}

const DATABASE: &str = "ICEFARM_TEST_DATABASE";

/// Not a test by itself: the program that the next one starts and kills.
#[test]
fn write_until_killed() {
    let Some(database) = std::env::var_os(DATABASE) else { return };
    let mut store = SqliteStore::open(database).unwrap();
    let letter = || Letter { serial: "A".parse().unwrap(), contents: vec![Event::new("e")] };
    loop {
        let letters = vec![("ann".parse().unwrap(), letter()), ("bob".parse().unwrap(), letter())];
        let numbers = store.commit(&Batch { letters, ..Batch::default() }).unwrap();
        // Past the test harness, which would keep it to itself, and in one piece: it is killed.
        let line = format!("committed {}\n", numbers[0]);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

#[test]
fn what_was_committed_survives_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::write_until_killed", "--nocapture"])
            .env(DATABASE, &database)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut committed = lines.filter_map(|line| {
            line.unwrap().strip_prefix("committed ").map(|number| number.parse::<u64>().unwrap())
        });
        assert!(committed.by_ref().take(20).count() == 20, "it wrote");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts, read or not.
        let last = committed.last();
        let mut store = SqliteStore::open(&database).unwrap();
        let stored = store.load(Rules::default(), Timestamp(0)).unwrap();
        let (ann, bob) = (&stored.streams["ann"], &stored.streams["bob"]);
        assert!(
            last.is_none_or(|last| ann.seq >= last),
            "{last:?} was committed, {} is there",
            ann.seq
        );
        assert_eq!(ann, bob, "a transaction is there as a whole");
        assert!(ann.letters.iter().map(|(seq, _)| *seq).eq(1..=ann.seq));
    }
}
