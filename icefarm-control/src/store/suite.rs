//! What every store must do.

use super::{Batch, JOURNAL_KEPT, Letter, SqliteStore, Standing, Store, StoreError, Stored, Trim};
use crate::machine::lab::{Lab, START, ask, free, serial, serving};
use crate::machine::{Change, Command, Decision, Notice, Rules};
use icefarm_core::wire::{BoardStatus, Event, Happening, JournalEntry, ReserveRequest, Selection};
use icefarm_core::{ClientName, LeaseId, Object, Timestamp, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A store, and a way to come back to it as after the end of the program.
trait Place {
    type Store: Store;
    fn open(&mut self) -> &mut Self::Store;
    /// Drops what is open, committed or not.
    fn reopen(&mut self);
}

struct Memory(SqliteStore);

impl Place for Memory {
    type Store = SqliteStore;
    fn open(&mut self) -> &mut SqliteStore {
        &mut self.0
    }
    // The database ends with its connection: what can be seen is that loading reads what is stored.
    fn reopen(&mut self) {}
}

struct File {
    folder: tempfile::TempDir,
    store: Option<SqliteStore>,
}

impl Place for File {
    type Store = SqliteStore;
    fn open(&mut self) -> &mut SqliteStore {
        let path = self.folder.path().join("farm.db");
        self.store.get_or_insert_with(|| SqliteStore::open(path).unwrap())
    }
    fn reopen(&mut self) {
        self.store = None;
    }
}

fn file() -> File {
    File { folder: tempfile::tempdir().unwrap(), store: None }
}

fn batch(decision: &Decision) -> Batch {
    let letter = |notice: &Notice| match notice {
        Notice::Client { client, serial, contents } => {
            Some((client.clone(), Letter { serial: serial.clone(), contents: contents.clone() }))
        }
        Notice::Available { .. } => None,
    };
    Batch {
        at: START,
        changes: decision.changes.clone(),
        letters: decision.notices.iter().filter_map(letter).collect(),
        ..Batch::default()
    }
}

fn load(place: &mut impl Place) -> Stored {
    place.reopen();
    place.open().load(Rules::default(), START).unwrap()
}

fn client(name: &str) -> ClientName {
    name.parse().unwrap()
}

/// A farm with every sort of entry in it, each step committed by itself.
fn live(store: &mut impl Store) -> Lab {
    let mut lab = Lab::empty();
    let mut go = |lab: &mut Lab, command: Command| {
        let decision = lab.run(command);
        store.commit(&batch(&decision)).unwrap();
    };
    let register = |worker: &str, boards| Command::Register {
        registration: Box::new(crate::machine::lab::registration(worker, "i1", boards)),
        url: format!("http://{worker}:8081"),
    };
    let beat = |worker: &str, boards| Command::Heartbeat {
        worker: worker.parse().unwrap(),
        incarnation: "i1".into(),
        boards,
    };
    let boards = vec![free("A", 3, 1), free("B", 0, 1), free("C", 0, 1)];
    go(&mut lab, register("w", boards.clone()));
    go(&mut lab, beat("w", boards));
    go(&mut lab, register("lost", vec![free("D", 0, 1)]));
    let text = Value::from("Ünï \" ' \\ \u{1f600}");
    let args = Object::from([("window".to_owned(), text)]);
    let request = ReserveRequest {
        request: Some("q".into()),
        instance: Some("i".into()),
        ttl_s: Some(60),
        args,
        ..ask("ann \"' ;--", Selection::Amount(2))
    };
    go(&mut lab, Command::Reserve { request: Box::new(request), reservation: "r1".into() });
    go(&mut lab, beat("w", vec![serving("A", 4, 2), free("B", 0, 1), free("C", 0, 1)]));
    let request = Box::new(ask("bob", Selection::Amount(1)));
    go(&mut lab, Command::Reserve { request, reservation: "r2".into() });
    go(&mut lab, Command::End { client: client("bob"), serials: None, instance: None });
    lab.now = lab.now.after(Duration::from_secs(45));
    go(&mut lab, Command::Tick);
    let renew = || Command::Renew { client: client("ann \"' ;--"), instance: "i".into() };
    go(&mut lab, renew());
    lab.now = lab.now.after(Duration::from_secs(140));
    go(&mut lab, renew());
    go(&mut lab, beat("w", vec![serving("A", 4, 2), free("B", 0, 1), free("C", 0, 1)]));
    go(&mut lab, Command::Tick);
    for on in [true, false, true] {
        go(&mut lab, Command::DrainWorker { worker: "w".parse().unwrap(), on });
        go(&mut lab, Command::DrainBoard { serial: serial("C"), on });
    }
    go(&mut lab, register("left", vec![free("E", 0, 1)]));
    let (worker, incarnation) = ("left".parse().unwrap(), "i1".into());
    go(&mut lab, Command::Leave { worker, incarnation });
    lab
}

fn suite<P: Place>(make: impl Fn() -> P) {
    what_was_answered_survives(make());
    a_failed_commit_changes_nothing(make());
    events_are_numbered_and_trimmed(make());
    everything_goes_again(make());
    the_journal_is_kept_and_bounded(make());
    boards_stand_until_they_are_removed(make());
}

fn what_was_answered_survives(mut place: impl Place) {
    let lab = live(place.open());
    let stored = load(&mut place);
    let mut expected = lab.farm.as_stored();
    expected.started = START;
    expected.awake = START;
    assert_eq!(stored.farm, expected);
    assert!(!stored.farm.given.is_empty() && !stored.farm.requests.is_empty());
    assert_eq!((stored.farm.workers.len(), stored.farm.leases.len()), (2, 2));
    assert_eq!(stored.farm.leases[&serial("A")].revision, 3);
    assert_eq!(load(&mut place), stored, "reading changes nothing");
}

fn a_failed_commit_changes_nothing(mut place: impl Place) {
    let mut lab = Lab::with(&["A"]);
    let before = load(&mut place);
    assert_eq!(before.farm.next_lease, LeaseId(1));
    // A lease on a board that the store does not know, behind changes that it could write.
    lab.reserve("ann", 1);
    let lease = Arc::clone(&lab.farm.leases[&serial("A")]);
    let letter = Letter { serial: serial("A"), contents: vec![Event::new("e")] };
    let batch = Batch {
        at: START,
        changes: vec![Change::LeasesMoved { next: LeaseId(77) }, Change::LeaseGranted(lease)],
        letters: vec![(client("ann"), letter)],
        entries: vec![entry(1)],
        ..Batch::default()
    };
    assert!(place.open().commit(&batch).is_err());
    assert_eq!(place.open().load(Rules::default(), START).unwrap(), before);
    assert_eq!(load(&mut place), before);
}

fn events_are_numbered_and_trimmed(mut place: impl Place) {
    let letter = |number: u32| Letter {
        serial: serial("A"),
        contents: vec![Event::new("e").with("n", number), Event::new("f")],
    };
    let send = |store: &mut dyn Store, names: &[(&str, u32)]| {
        let letters = names.iter().map(|(name, n)| (client(name), letter(*n))).collect();
        store.commit(&Batch { at: START, letters, ..Batch::default() }).unwrap()
    };
    assert_eq!(send(place.open(), &[("ann", 1), ("bob", 2), ("ann", 3)]), [1, 1, 2]);
    let epoch = load(&mut place).epoch;
    assert_eq!(send(place.open(), &[("ann", 4)]), [3]);
    let stored = load(&mut place);
    assert_eq!(stored.epoch, epoch);
    let ann = &stored.streams[&client("ann")];
    assert_eq!(ann.letters, [(1, letter(1)), (2, letter(3)), (3, letter(4))]);

    let trim = |name: &str, through, dropped| Trim { client: client(name), through, dropped };
    let trims = vec![trim("ann", 1, 1), trim("ann", 3, 1), trim("bob", 0, 0)];
    place.open().commit(&Batch { trims, ..Batch::default() }).unwrap();
    let stored = load(&mut place);
    let ann = &stored.streams[&client("ann")];
    assert_eq!((ann.seq, ann.dropped, ann.letters.len()), (3, 1, 0));
    assert_eq!(stored.streams[&client("bob")].letters.len(), 1);
    assert_eq!(send(place.open(), &[("ann", 5)]), [4], "numbers outlive the events");
    // A stream is forgotten after a month, but not while it holds an event.
    let trims = vec![trim("ann", 4, 0)];
    place.open().commit(&Batch { trims, ..Batch::default() }).unwrap();
    place.reopen();
    let later = START.after(Duration::from_secs(31 * 24 * 3600));
    let streams = place.open().load(Rules::default(), later).unwrap().streams;
    assert_eq!(streams.keys().collect::<Vec<_>>(), [&client("bob")]);
}

fn entry(seq: u64) -> JournalEntry {
    JournalEntry {
        seq,
        at: Timestamp(START.0 + seq),
        what: Happening::LeaseGranted,
        text: "Ünï \" ' \\ \u{1f600}".into(),
        warning: seq % 2 == 1,
        serial: Some(serial("A")),
        status: Some(BoardStatus::Reserved),
        worker: Some("w".parse().unwrap()),
        lease: Some(LeaseId(7)),
        client: Some(client("ann \"' ;--")),
    }
}

fn write(place: &mut impl Place, entries: Vec<JournalEntry>) -> Result<Vec<u64>, StoreError> {
    place.open().commit(&Batch { at: START, entries, ..Batch::default() })
}

fn the_journal_is_kept_and_bounded(mut place: impl Place) {
    assert_eq!(load(&mut place).journal, []);
    let plain = JournalEntry {
        serial: None,
        status: None,
        worker: None,
        lease: None,
        client: None,
        ..entry(2)
    };
    write(&mut place, vec![entry(1), plain.clone()]).unwrap();
    write(&mut place, vec![entry(3)]).unwrap();
    assert_eq!(load(&mut place).journal, [entry(1), plain, entry(3)]);
    // A number that was used is a sign that two write the journal.
    assert!(write(&mut place, vec![entry(4), entry(3)]).is_err());
    assert_eq!(load(&mut place).journal.len(), 3, "nothing of a batch that failed");

    write(&mut place, (4..=JOURNAL_KEPT + 10).map(entry).collect()).unwrap();
    let journal = load(&mut place).journal;
    assert_eq!(journal.len() as u64, JOURNAL_KEPT);
    assert_eq!((journal[0].seq, journal.last().unwrap().seq), (11, JOURNAL_KEPT + 10));
}

fn boards_stand_until_they_are_removed(mut place: impl Place) {
    let silent = JournalEntry { status: None, ..entry(2) };
    let other =
        JournalEntry { serial: Some(serial("B")), status: Some(BoardStatus::Broken), ..entry(3) };
    write(&mut place, vec![entry(1), silent, other]).unwrap();
    let stands = |status, since| Standing { status, since: Timestamp(START.0 + since) };
    let (a, b) = (serial("A"), serial("B"));
    let expected =
        [(a.clone(), stands(BoardStatus::Reserved, 1)), (b, stands(BoardStatus::Broken, 3))];
    assert_eq!(load(&mut place).standings, BTreeMap::from(expected.clone()));
    let changes = vec![Change::BoardRemoved { serial: a }];
    place.open().commit(&Batch { at: START, changes, ..Batch::default() }).unwrap();
    assert_eq!(load(&mut place).standings, BTreeMap::from([expected[1].clone()]));
}

fn everything_goes_again(mut place: impl Place) {
    let mut lab = live(place.open());
    for seconds in [200, 3600, 8 * 24 * 3600] {
        let decision = lab.wait(seconds);
        place.open().commit(&batch(&decision)).unwrap();
    }
    let farm = load(&mut place).farm;
    assert!(farm.workers.is_empty() && farm.boards.is_empty());
    assert!(farm.leases.is_empty() && farm.requests.is_empty());
    assert_eq!(farm.given.len(), 3);
}

#[test]
fn a_file_is_a_store() {
    suite(file);
}

#[test]
fn memory_is_a_store() {
    suite(|| Memory(SqliteStore::in_memory().unwrap()));
}

#[test]
fn a_transaction_that_was_under_way_leaves_no_trace() {
    let mut place = file();
    live(place.open());
    let before = load(&mut place);
    let path = place.folder.path().join("farm.db");
    place.reopen();
    {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM leases; DELETE FROM given").unwrap();
        // The connection goes without commit, as in a crash.
    }
    assert_eq!(load(&mut place), before);
}

#[test]
fn one_program_uses_a_database_at_a_time() {
    let mut place = file();
    place.open();
    let path = place.folder.path().join("farm.db");
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("farm.db") && error.to_string().contains("in use"));
    place.reopen();
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_later_schema_is_refused_by_its_version() {
    let mut place = file();
    place.open();
    place.reopen();
    let path = place.folder.path().join("farm.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("version 99") && error.contains("up to 2"), "{error}");
}

#[test]
fn a_database_of_the_first_schema_is_upgraded_and_keeps_everything() {
    let mut place = file();
    let path = place.folder.path().join("farm.db");
    {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(include_str!("../../migrations/0001.sql")).unwrap();
        connection.pragma_update(None, "application_id", 0x6963_6546).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute_batch("UPDATE meta SET next_lease = 42").unwrap();
    }
    let stored = load(&mut place);
    assert_eq!((stored.farm.next_lease, stored.journal.len()), (LeaseId(42), 0));
    write(&mut place, vec![entry(1)]).unwrap();
    assert_eq!(load(&mut place).journal, [entry(1)]);
}

#[test]
fn what_is_no_farm_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let error = SqliteStore::open(&foreign).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");

    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all ".repeat(1000)).unwrap();
    let error = SqliteStore::open(&text).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");

    let nowhere = folder.path().join("none").join("farm.db");
    let error = SqliteStore::open(&nowhere).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[test]
fn a_schema_that_is_not_what_its_version_says_is_told_in_a_sentence() {
    for (version, batch) in [(0, "SELECT 1"), (-1, "SELECT 1"), (1, "CREATE TABLE journal (x)")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("farm.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(include_str!("../../migrations/0001.sql")).unwrap();
        connection.execute_batch(batch).unwrap();
        connection.pragma_update(None, "application_id", 0x6963_6546).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        let error = SqliteStore::open(&path).unwrap_err().to_string();
        assert!(error.contains("move it away to begin with an empty farm"), "{error}");
        assert!(!error.contains("CREATE") && error.len() < 500, "{error}");
    }
}

#[test]
fn damage_is_found_and_said() {
    let mut place = file();
    live(place.open());
    place.reopen();
    let path = place.folder.path().join("farm.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4096..12288] {
        *byte = 0x5a;
    }
    std::fs::write(&path, bytes).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("backup"));
}

#[test]
fn a_row_that_makes_no_sense_is_named_by_its_table() {
    let mut place = file();
    live(place.open());
    place.reopen();
    let path = place.folder.path().join("farm.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE leases SET args = '{'").unwrap();
    drop(connection);
    let error = place.open().load(Rules::default(), START).unwrap_err().to_string();
    assert!(error.contains("`leases`"), "{error}");
}

#[test]
#[cfg(unix)]
fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let mut place = file();
    place.open();
    let mode = std::fs::metadata(place.folder.path().join("farm.db")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}
