//! What is known of the boards of this client: a pure book, kept from answers and events.

use crate::loss::{Loss, codes};
use icefarm_core::wire::{Event, GrantedBoard, events};
use icefarm_core::{LeaseId, Serial, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far a board is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Initializing,
    Ready,
    Lost(Loss),
}

/// A board that this client holds, or held and still remembers.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) url: Arc<str>,
    pub(crate) lease: LeaseId,
    pub(crate) phase: Phase,
}

impl Held {
    /// Why the lease is over, if it is: a later one on the same board is another.
    pub(crate) fn loss_of(&self, lease: Option<LeaseId>) -> Option<Loss> {
        match &self.phase {
            _ if lease.is_some_and(|lease| lease < self.lease) => {
                Some(Loss::new(codes::LEASE_ENDED, "there is a later lease on the board"))
            }
            Phase::Lost(loss) => Some(loss.clone()),
            Phase::Initializing | Phase::Ready => None,
        }
    }
}

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Initialized(Serial),
    Lost(Serial, Loss),
}

/// An event of a board that is not in the book. The answer that grants the board may be under
/// way: the worker can be faster than control's answer.
#[derive(Debug)]
struct Early {
    mark: u64,
    lease: Option<LeaseId>,
    phase: Phase,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    boards: BTreeMap<Serial, Held>,
    early: BTreeMap<Serial, Early>,
    mark: u64,
}

impl Book {
    /// To be called before a reservation is asked for: events from here on may belong to it.
    pub(crate) fn begin(&mut self) -> u64 {
        self.mark += 1;
        self.mark
    }

    /// Boards are granted by a request that began at `mark`.
    pub(crate) fn grant(&mut self, mark: u64, granted: &[GrantedBoard]) {
        for board in granted {
            // The answer to a repeated request may come late: a later lease stays.
            if self.boards.get(&board.serial).is_some_and(|held| held.lease >= board.lease) {
                continue;
            }
            let early = self.early.remove(&board.serial).filter(|early| match early.lease {
                Some(lease) => lease == board.lease,
                None => early.mark >= mark,
            });
            let phase = early.map_or(Phase::Initializing, |early| early.phase);
            let held = Held { url: Arc::from(board.url.as_str()), lease: board.lease, phase };
            self.boards.insert(board.serial.clone(), held);
        }
    }

    /// Boards that another process of the same name was granted, and made ready: nobody will say
    /// again that they are. What was heard of them since `mark` counts.
    pub(crate) fn adopt(&mut self, mark: u64, granted: &[GrantedBoard]) {
        self.grant(mark, granted);
        for board in granted {
            if let Some(held) = self.boards.get_mut(&board.serial)
                && held.lease == board.lease
                && held.phase == Phase::Initializing
            {
                held.phase = Phase::Ready;
            }
        }
    }

    /// Takes note of an event, of whatever name.
    pub(crate) fn event(&mut self, serial: &Serial, event: &Event) -> Option<Change> {
        let phase = match event.event.as_str() {
            events::INITIALIZED => Phase::Ready,
            // Where the board was reserved for what it cannot do, the server has the word for it.
            events::FAILURE => Phase::Lost(Loss::new(
                event.fields.get("code").and_then(Value::as_str).unwrap_or(codes::BOARD_FAILED),
                format!("board {serial} failed: {}", said(event, &["reason"])),
            )),
            events::RESERVATION_END => Phase::Lost(Loss::new(
                codes::LEASE_ENDED,
                format!("the lease on {serial} is over: {}", said(event, &["message", "reason"])),
            )),
            _ => return None,
        };
        let lease = event.fields.get("lease").and_then(Value::as_u64).map(LeaseId);
        let mark = self.mark;
        let Some(held) = self.boards.get_mut(serial) else {
            self.remember(serial, Early { mark, lease, phase });
            return None;
        };
        match (lease, &held.phase) {
            // Told late, of a lease that was over before this one began.
            (Some(lease), _) if lease < held.lease => None,
            (Some(lease), _) if lease > held.lease => {
                self.remember(serial, Early { mark, lease: Some(lease), phase });
                None
            }
            (None, Phase::Lost(_)) => {
                self.remember(serial, Early { mark, lease, phase });
                None
            }
            (Some(_), Phase::Lost(_)) => None,
            _ => {
                held.phase = phase.clone();
                match phase {
                    Phase::Lost(loss) => Some(Change::Lost(serial.clone(), loss)),
                    _ => Some(Change::Initialized(serial.clone())),
                }
            }
        }
    }

    /// What was lost is not undone by an `initialized` that is told late.
    fn remember(&mut self, serial: &Serial, early: Early) {
        let known = self.early.get(serial);
        let settled = known.is_some_and(|known| {
            let same = known.lease == early.lease && known.mark == early.mark;
            same && matches!(known.phase, Phase::Lost(_))
        });
        if !settled {
            self.early.insert(serial.clone(), early);
        }
    }

    /// The client itself gave boards back, or is done with all.
    pub(crate) fn lose<'a>(
        &mut self,
        serials: impl IntoIterator<Item = &'a Serial>,
        loss: &Loss,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for serial in serials {
            let Some(held) = self.boards.get_mut(serial) else { continue };
            if !matches!(held.phase, Phase::Lost(_)) {
                held.phase = Phase::Lost(loss.clone());
                changes.push(Change::Lost(serial.clone(), loss.clone()));
            }
        }
        changes
    }

    pub(crate) fn get(&self, serial: &Serial) -> Option<&Held> {
        self.boards.get(serial)
    }

    /// The boards that are held, not those that were lost.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&Serial, &Held)> {
        self.boards.iter().filter(|(_, held)| !matches!(held.phase, Phase::Lost(_)))
    }

    /// The workers whose sockets are needed.
    pub(crate) fn workers(&self) -> BTreeSet<Arc<str>> {
        self.held().map(|(_, held)| held.url.clone()).collect()
    }
}

/// The first text under one of the keys.
fn said(event: &Event, keys: &[&str]) -> String {
    let text = keys.iter().find_map(|key| event.fields.get(*key)?.as_str());
    text.unwrap_or("no reason was given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(text: &str) -> Serial {
        Serial::new(text).unwrap()
    }

    fn grant(lease: u64) -> [GrantedBoard; 1] {
        let url = "http://w:1".to_owned();
        [GrantedBoard {
            serial: serial("S"),
            url,
            lease: LeaseId(lease),
            expires_in_ms: 1,
            name: None,
        }]
    }

    fn phase(book: &Book) -> &Phase {
        &book.get(&serial("S")).unwrap().phase
    }

    #[test]
    fn an_initialized_that_is_faster_than_the_answer_counts() {
        let mut book = Book::default();
        let mark = book.begin();
        assert_eq!(book.event(&serial("S"), &Event::new("initialized")), None);
        book.grant(mark, &grant(1));
        assert_eq!(*phase(&book), Phase::Ready);
    }

    #[test]
    fn an_initialized_of_an_earlier_lease_does_not_count() {
        let mut book = Book::default();
        book.begin();
        book.event(&serial("S"), &Event::new("initialized"));
        let mark = book.begin();
        book.grant(mark, &grant(2));
        assert_eq!(*phase(&book), Phase::Initializing);
        book.event(&serial("S"), &Event::new("initialized").with("lease", 1));
        assert_eq!(*phase(&book), Phase::Initializing);
        book.event(&serial("S"), &Event::new("initialized").with("lease", 2));
        assert_eq!(*phase(&book), Phase::Ready);
    }

    #[test]
    fn an_early_event_of_the_same_lease_counts_whenever_it_came() {
        let mut book = Book::default();
        let mark = book.begin();
        book.event(&serial("S"), &Event::new("failure").with("lease", 3).with("reason", "hot"));
        book.event(&serial("S"), &Event::new("initialized").with("lease", 3));
        book.begin();
        book.grant(mark, &grant(3));
        let Phase::Lost(loss) = phase(&book) else { panic!("the failure was forgotten") };
        assert_eq!(loss.reason, "board S failed: hot");
    }

    #[test]
    fn a_failure_has_the_code_that_the_server_gives_it() {
        for (failure, code) in [
            (Event::new("failure"), codes::BOARD_FAILED),
            (Event::new("failure").with("code", "bad_arguments"), "bad_arguments"),
        ] {
            let mut book = Book::default();
            let mark = book.begin();
            book.grant(mark, &grant(1));
            let Some(Change::Lost(_, loss)) = book.event(&serial("S"), &failure.with("lease", 1))
            else {
                panic!("the board is lost");
            };
            assert_eq!(loss.code, code);
        }
    }

    #[test]
    fn the_end_of_a_lease_is_told_once_and_not_undone() {
        let mut book = Book::default();
        let mark = book.begin();
        book.grant(mark, &grant(1));
        let failure = Event::new("failure").with("lease", 1);
        assert!(matches!(book.event(&serial("S"), &failure), Some(Change::Lost(..))));
        let end = Event::new("reservation end").with("lease", 1);
        assert_eq!(book.event(&serial("S"), &end), None);
        assert_eq!(book.event(&serial("S"), &Event::new("initialized").with("lease", 1)), None);
        assert_eq!(book.held().count(), 0);
        assert!(book.workers().is_empty());
    }

    #[test]
    fn a_board_can_be_reserved_again() {
        let mut book = Book::default();
        let mark = book.begin();
        book.grant(mark, &grant(1));
        book.lose([&serial("S")], &Loss::new(codes::LEASE_ENDED, "ended"));
        let mark = book.begin();
        // From a worker that names no leases, before the answer.
        book.event(&serial("S"), &Event::new("initialized"));
        book.grant(mark, &grant(2));
        assert_eq!(*phase(&book), Phase::Ready);
        // The end of the first lease arrives late.
        assert_eq!(book.event(&serial("S"), &Event::new("reservation end").with("lease", 1)), None);
        book.grant(1, &grant(1));
        assert_eq!(book.get(&serial("S")).unwrap().lease, LeaseId(2));
    }
}
