use super::*;
use icefarm_core::wire::Event;
use proptest::prelude::*;
use std::collections::BTreeSet;

const AWAY: Duration = Duration::from_secs(600);
const START: Duration = Duration::ZERO;

fn limits(bytes: usize) -> OutboxLimits {
    OutboxLimits { bytes, away: AWAY, remembered: 3 }
}

fn outbox() -> Outbox {
    Outbox::new(at(0), limits(1 << 20))
}

fn at(seq: u64) -> Position {
    Position { epoch: "e".into(), seq }
}

fn frame(bytes: usize) -> Arc<ServerFrame> {
    let event = Event::new("results").with("data", "x".repeat(bytes));
    ServerFrame::new("S", vec![event]).into()
}

fn named(name: &str) -> SubscriberKey {
    SubscriberKey::Named(name.into())
}

fn seqs(outbox: &Outbox, mut cursor: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(delivery) = outbox.next(cursor) {
        assert!(matches!(delivery, Delivery::Frame(..)), "{delivery:?}");
        cursor = delivery.seq();
        seqs.push(cursor);
    }
    seqs
}

#[test]
fn a_first_subscriber_gets_what_waited_for_it() {
    let mut outbox = outbox();
    outbox.push(START, frame(1));
    outbox.push(START, frame(1));
    let start = outbox.attach(AWAY / 2, &named("a"), None);
    assert_eq!(start, Attachment { cursor: 0, resync: false, dropped: None });
    assert_eq!(seqs(&outbox, start.cursor), [1, 2]);
}

#[test]
fn frames_for_nobody_do_not_wait_for_ever() {
    let mut outbox = outbox();
    outbox.push(START, frame(1));
    outbox.push(AWAY / 2, frame(1));
    outbox.trim(AWAY);
    assert_eq!(seqs(&outbox, 0), [2]);
    // Whoever comes later is not bothered with it.
    assert_eq!(outbox.attach(AWAY, &named("a"), None).dropped, None);
}

#[test]
fn a_frame_goes_when_all_have_acknowledged_it() {
    let mut outbox = outbox();
    outbox.attach(START, &named("a"), None);
    outbox.attach(START, &named("b"), None);
    for _ in 0..3 {
        outbox.push(START, frame(1));
    }
    assert!(outbox.ack(START, &named("a"), &at(3)));
    assert_eq!(seqs(&outbox, 0), [1, 2, 3]);
    assert!(outbox.ack(START, &named("b"), &at(2)));
    assert_eq!(seqs(&outbox, 0), [3]);
    assert_eq!(outbox.trimmed(), Trimmed { done: 2, dropped: 0 });
    // Late and repeated acknowledgements change nothing.
    assert!(outbox.ack(START, &named("b"), &at(1)));
    assert_eq!(seqs(&outbox, 0), [3]);
}

#[test]
fn strange_acknowledgements_are_refused() {
    let mut outbox = outbox();
    outbox.attach(START, &named("a"), None);
    outbox.push(START, frame(1));
    assert!(!outbox.ack(START, &named("a"), &at(2)));
    assert!(!outbox.ack(START, &named("a"), &Position { epoch: "other".into(), seq: 1 }));
    assert!(outbox.ack(START, &named("unknown"), &at(1)));
    assert_eq!(seqs(&outbox, 0), [1]);
}

#[test]
fn a_subscriber_resumes_where_it_was() {
    let mut outbox = outbox();
    outbox.attach(START, &named("a"), None);
    for _ in 0..3 {
        outbox.push(START, frame(1));
    }
    outbox.ack(START, &named("a"), &at(1));
    outbox.detach(START, &named("a"));
    let without = outbox.attach(AWAY / 2, &named("a"), None);
    assert_eq!(without.cursor, 1);
    outbox.detach(AWAY / 2, &named("a"));
    let with = outbox.attach(AWAY, &named("a"), Some(&at(2)));
    assert_eq!(with, Attachment { cursor: 2, resync: false, dropped: None });
    // The position is an acknowledgement.
    assert_eq!(seqs(&outbox, 0), [3]);
}

#[test]
fn a_position_of_another_epoch_or_from_the_future_means_resync() {
    let mut outbox = outbox();
    outbox.push(START, frame(1));
    for position in [Position { epoch: "other".into(), seq: 1 }, at(2)] {
        let start = outbox.attach(START, &named("a"), Some(&position));
        assert_eq!(start, Attachment { cursor: 0, resync: true, dropped: None });
    }
}

#[test]
fn who_is_away_too_long_is_forgotten_and_told_what_it_missed() {
    let mut outbox = outbox();
    outbox.attach(START, &named("a"), None);
    outbox.attach(START, &named("b"), None);
    outbox.detach(START, &named("a"));
    outbox.push(START, frame(1));
    outbox.push(START, frame(1));
    outbox.ack(START, &named("b"), &at(2));
    outbox.trim(AWAY - Duration::from_millis(1));
    assert_eq!(seqs(&outbox, 0), [1, 2]);
    outbox.trim(AWAY);
    assert!(outbox.is_empty() && !outbox.knows(&named("a")));
    let start = outbox.attach(AWAY, &named("a"), Some(&at(0)));
    assert_eq!(start, Attachment { cursor: 2, resync: false, dropped: Some((1, 2)) });
    // Who has no position has no claim to the past.
    assert_eq!(outbox.attach(AWAY, &named("c"), None).dropped, None);
}

#[test]
fn the_oldest_are_given_up_at_the_bound_and_that_is_told() {
    let mut outbox = Outbox::new(at(0), limits(5000));
    let start = outbox.attach(START, &named("a"), None);
    for _ in 0..5 {
        outbox.push(START, frame(1000));
    }
    assert_eq!(outbox.next(start.cursor), Some(Delivery::Dropped { from: 1, to: 3 }));
    assert_eq!(seqs(&outbox, 3), [4, 5]);
    assert_eq!(outbox.trimmed(), Trimmed { done: 0, dropped: 3 });
    // One frame over the bound is still delivered.
    outbox.push(START, frame(5000));
    assert_eq!(seqs(&outbox, 5), [6]);
    // A first subscriber is told, too: its events were given up before it could come.
    let late = outbox.attach(START, &named("b"), None);
    assert_eq!(outbox.next(late.cursor), Some(Delivery::Dropped { from: 1, to: 5 }));
}

#[test]
fn plain_sockets_have_what_was_written_to_them() {
    let mut outbox = outbox();
    let (first, second) = (SubscriberKey::Plain(1), SubscriberKey::Plain(2));
    outbox.attach(START, &first, None);
    outbox.push(START, frame(1));
    outbox.written(START, &first, 1);
    assert!(outbox.is_empty());
    // Events of the time without a socket wait for the next one.
    outbox.detach(START, &first);
    outbox.push(START, frame(1));
    let start = outbox.attach(AWAY / 2, &second, None);
    assert_eq!(seqs(&outbox, start.cursor), [2]);
    assert!(!outbox.knows(&first));
}

#[test]
fn two_plain_sockets_both_get_everything() {
    let mut outbox = outbox();
    let (first, second) = (SubscriberKey::Plain(1), SubscriberKey::Plain(2));
    let one = outbox.attach(START, &first, None);
    let two = outbox.attach(START, &second, None);
    outbox.push(START, frame(1));
    outbox.push(START, frame(1));
    outbox.written(START, &first, 2);
    assert_eq!(seqs(&outbox, one.cursor), [1, 2]);
    assert_eq!(seqs(&outbox, two.cursor), [1, 2]);
    outbox.written(START, &second, 1);
    assert_eq!(seqs(&outbox, two.cursor), [2]);
    // The one that ends does not hold anything back.
    outbox.detach(START, &second);
    assert!(outbox.is_empty() && outbox.knows(&first));
}

#[test]
fn only_so_many_subscribers_are_remembered() {
    let mut outbox = outbox();
    outbox.attach(START, &named("here"), None);
    for n in 0..5_u32 {
        let now = Duration::from_secs(n.into());
        outbox.attach(now, &named(&n.to_string()), None);
        outbox.detach(now, &named(&n.to_string()));
    }
    let known = |name: &str| outbox.knows(&named(name));
    assert!(known("here") && known("2") && known("3") && known("4"));
    assert!(!known("0") && !known("1"));
}

#[test]
fn numbers_of_the_caller_may_have_gaps_and_come_once() {
    let mut outbox = Outbox::new(at(100), limits(1 << 20));
    assert_eq!(outbox.last(), 100);
    // A socket may come between a transaction and its frame.
    let start = outbox.attach(START, &named("a"), None);
    assert!(outbox.push_numbered(START, 98, frame(1)));
    assert!(outbox.push_numbered(START, 107, frame(1)));
    assert!(!outbox.push_numbered(START, 107, frame(1)));
    assert!(!outbox.push_numbered(START, 103, frame(1)));
    assert_eq!(seqs(&outbox, start.cursor), [98, 107]);
    assert_eq!(outbox.last(), 107);
    assert!(outbox.ack(START, &named("a"), &at(107)));
    assert_eq!(outbox.trimmed().through(), 107);
}

#[test]
fn after_a_restart_frames_wait_for_everybody_who_may_come() {
    let frames = [(5, frame(1)), (8, frame(1))];
    let mut outbox = Outbox::restored(START, at(8), 3, frames, limits(1 << 20));
    let quick = outbox.attach(START, &SubscriberKey::Plain(1), None);
    assert_eq!(outbox.next(quick.cursor), Some(Delivery::Dropped { from: 1, to: 3 }));
    outbox.written(START, &SubscriberKey::Plain(1), 8);
    let slow = outbox.attach(AWAY / 2, &named("a"), Some(&at(4)));
    assert_eq!(slow, Attachment { cursor: 4, resync: false, dropped: None });
    assert_eq!(seqs(&outbox, 4), [5, 8]);
    outbox.ack(AWAY / 2, &named("a"), &at(8));
    outbox.trim(AWAY);
    assert!(outbox.is_empty());
}

#[test]
fn who_comes_back_after_a_restart_is_told_of_what_others_had_done_with() {
    for (kept, first_gone, last_gone) in [(vec![], 2, 5), (vec![4, 5], 2, 3)] {
        let frames = kept.iter().map(|seq| (*seq, frame(1)));
        let mut outbox = Outbox::restored(START, at(5), 0, frames, limits(1 << 20));
        let late = outbox.attach(START, &named("late"), Some(&at(1)));
        let dropped = Some((first_gone, last_gone));
        assert_eq!(late, Attachment { cursor: last_gone, resync: false, dropped });
        assert_eq!(seqs(&outbox, late.cursor), kept);
        let whole = outbox.attach(START, &named("whole"), Some(&at(last_gone)));
        assert_eq!((whole.cursor, whole.dropped), (last_gone, None));
        let new = outbox.attach(START, &named("new"), None);
        assert_eq!((new.dropped, seqs(&outbox, new.cursor)), (None, kept));
    }
    // Nothing was kept, and so nothing was restored.
    let mut outbox = Outbox::new(at(5), limits(1 << 20));
    let late = outbox.attach(START, &named("late"), Some(&at(3)));
    assert_eq!(late.dropped, Some((4, 5)));
}

#[test]
fn what_was_dropped_is_told_until_it_is_acknowledged() {
    let mut outbox =
        Outbox::restored(START, at(5), 0, [(4, frame(1)), (5, frame(1))], limits(1 << 20));
    // The socket breaks before it is told.
    for _ in 0..2 {
        let late = outbox.attach(START, &named("late"), Some(&at(1)));
        assert_eq!(late, Attachment { cursor: 3, resync: false, dropped: Some((2, 3)) });
        outbox.detach(START, &named("late"));
    }
    outbox.ack(START, &named("late"), &at(3));
    let late = outbox.attach(START, &named("late"), Some(&at(3)));
    assert_eq!((late.dropped, seqs(&outbox, late.cursor)), (None, vec![4, 5]));
}

/// What a client knows of the stream.
#[derive(Debug, Default)]
struct Client {
    connected: bool,
    cursor: u64,
    /// Events before this are from before its time.
    since: Option<u64>,
    /// Numbers that it saw, or was told to be lost.
    covered: BTreeSet<u64>,
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Toggle(usize),
    Read(usize, usize),
    Ack(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..900_usize).prop_map(Step::Push),
        2 => (0..4_usize).prop_map(Step::Toggle),
        4 => ((0..4_usize), (1..6_usize)).prop_map(|(who, many)| Step::Read(who, many)),
        2 => (0..4_usize).prop_map(Step::Ack),
        1 => (1..400_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Nothing is lost without a word: a named subscriber sees every event of its time, or is
    /// told that it is gone, whatever the others do.
    #[test]
    fn nothing_is_lost_without_a_word(steps in prop::collection::vec(step(), 0..120)) {
        let mut outbox = Outbox::new(at(0), limits(3000));
        let mut now = START;
        let mut clients: [Client; 4] = Default::default();
        // The last one is of the old protocol.
        let key = |who: usize| match who {
            3 => SubscriberKey::Plain(3),
            who => named(&who.to_string()),
        };
        for step in steps {
            match step {
                Step::Push(bytes) => {
                    let last = outbox.last();
                    prop_assert_eq!(outbox.push(now, frame(bytes)), last + 1);
                }
                Step::Toggle(who) => {
                    let client = &mut clients[who];
                    client.connected = !client.connected;
                    if client.connected {
                        let resume = client.since.map(|_| at(client.cursor));
                        let resume = resume.filter(|_| who != 3);
                        let start = outbox.attach(now, &key(who), resume.as_ref());
                        prop_assert!(!start.resync);
                        if let Some((from, to)) = start.dropped {
                            client.covered.extend(from..=to);
                        }
                        client.since.get_or_insert(start.cursor);
                        client.cursor = start.cursor;
                    } else {
                        outbox.detach(now, &key(who));
                    }
                }
                Step::Read(who, many) if clients[who].connected => {
                    let client = &mut clients[who];
                    for _ in 0..many {
                        let Some(next) = outbox.next(client.cursor) else { break };
                        prop_assert!(next.seq() > client.cursor);
                        match next {
                            Delivery::Frame(seq, _) => { client.covered.insert(seq); }
                            Delivery::Dropped { from, to } => client.covered.extend(from..=to),
                        }
                        client.cursor = next.seq();
                    }
                    if who == 3 {
                        outbox.written(now, &key(who), client.cursor);
                    }
                }
                Step::Ack(who) if who != 3 && clients[who].connected => {
                    prop_assert!(outbox.ack(now, &key(who), &at(clients[who].cursor)));
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    outbox.trim(now);
                }
                Step::Read(..) | Step::Ack(_) => {}
            }
            prop_assert!(outbox.bytes <= 3000 || outbox.frames.len() == 1);
            let bytes: usize = outbox.frames.iter().map(|queued| queued.bytes).sum();
            prop_assert_eq!(bytes, outbox.bytes);
            for client in clients.iter().take(3) {
                let since = client.since.unwrap_or(client.cursor);
                let missed = (since + 1..=client.cursor).find(|seq| !client.covered.contains(seq));
                prop_assert_eq!(missed, None);
            }
        }
        // In the end, everybody who is here can catch up.
        for client in clients.iter().filter(|client| client.connected) {
            let mut cursor = client.cursor;
            while let Some(next) = outbox.next(cursor) {
                cursor = next.seq();
            }
            prop_assert_eq!(cursor, if client.cursor > outbox.pushed { client.cursor } else { outbox.pushed });
        }
    }
}
