//! What every store must do, for the tests of stores: call [`suite`] in one.

use super::{Batch, JOURNAL_KEPT, Letter, Standing, Store, StoreError, Stored, Trim};
use crate::machine::lab::{Lab, START, ask, free, serial, serving};
use crate::machine::{Change, Command, Decision, Notice, Rules};
use icefarm_core::wire::{BoardStatus, Event, Happening, JournalEntry, ReserveRequest, Selection};
use icefarm_core::{ClientName, LeaseId, Object, Timestamp, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A store, and a way to come back to it as after the end of the program.
pub trait Place {
    /// The store.
    type Store: Store;
    /// The store that is open, or one that is opened now.
    fn open(&mut self) -> &mut Self::Store;
    /// Drops what is open, committed or not.
    fn reopen(&mut self);
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

pub(super) fn load(place: &mut impl Place) -> Stored {
    place.reopen();
    place.open().load(Rules::default(), START).unwrap()
}

fn client(name: &str) -> ClientName {
    name.parse().unwrap()
}

/// A farm with every sort of entry in it, each step committed by itself.
pub(super) fn live(store: &mut impl Store) -> Lab {
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
    let request = Box::new(ReserveRequest {
        request: Some("w".into()),
        wait_s: Some(100_000),
        priority: Some(-3),
        labels: [("colour".to_owned(), "\"'ü".to_owned())].into(),
        ..ask("cy", Selection::Serials(vec![serial("A"), serial("B")]))
    });
    for board in ["A", "B", "C"] {
        let set =
            [("colour".to_owned(), "\"'ü".to_owned()), ("name".to_owned(), format!("{board}-1"))];
        go(&mut lab, Command::Label { serial: serial(board), set: set.into(), remove: Vec::new() });
    }
    go(
        &mut lab,
        Command::Label {
            serial: serial("C"),
            set: Default::default(),
            remove: vec!["name".into()],
        },
    );
    go(&mut lab, Command::Reserve { request, reservation: "r3".into() });
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

/// Tries everything, each time on a place of its own.
///
/// # Panics
/// If the store does not do what it must.
pub fn suite<P: Place>(make: impl Fn() -> P) {
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
    assert_eq!((stored.farm.workers.len(), stored.farm.leases.len()), (3, 2));
    assert_eq!((stored.farm.drained.workers.len(), stored.farm.drained.boards.len()), (1, 1));
    assert_eq!((stored.farm.queue.len(), stored.farm.labels.len()), (1, 3));
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

pub(super) fn entry(seq: u64) -> JournalEntry {
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

pub(super) fn write(
    place: &mut impl Place,
    entries: Vec<JournalEntry>,
) -> Result<Vec<u64>, StoreError> {
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
    for seconds in [200, 3600, 8 * 24 * 3600, 3600] {
        let decision = lab.wait(seconds);
        place.open().commit(&batch(&decision)).unwrap();
    }
    let farm = load(&mut place).farm;
    assert!(farm.workers.is_empty() && farm.boards.is_empty());
    assert!(farm.leases.is_empty() && farm.requests.is_empty() && farm.queue.is_empty());
    assert_eq!(farm.labels.len(), 3, "what boards are called stays");
    assert_eq!(farm.given.len(), 3);
}
