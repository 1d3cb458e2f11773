//! What the witness knows of requests that wait for boards, and who got boards before whom.

use super::{Invariant, Witness, now};
use icefarm_control::machine::{Change, Lease, WaitEnd, Waiting};
use icefarm_core::wire::Selection;
use icefarm_core::{ReservationId, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How late a request may be granted that has waited for long enough, because control looks at
/// its clock a moment later.
const LATE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
struct Entry {
    reservation: String,
    client: String,
    priority: i32,
    wants: Selection,
    /// When it is to be given up at the latest, if control is well.
    due: Duration,
}

impl Entry {
    fn amount(&self) -> usize {
        match &self.wants {
            Selection::Amount(amount) => *amount as usize,
            Selection::Serials(serials) => serials.iter().collect::<BTreeSet<_>>().len(),
        }
    }

    /// Whether these boards would have done.
    fn would_do(&self, boards: &BTreeSet<String>) -> bool {
        match &self.wants {
            Selection::Amount(_) => self.amount() <= boards.len(),
            Selection::Serials(serials) => {
                serials.iter().all(|serial| boards.contains(serial.as_str()))
            }
        }
    }
}

/// Everybody who waits, and what every reservation has brought.
#[derive(Debug, Default)]
pub(super) struct Queue {
    line: BTreeMap<u64, Entry>,
    /// The boards that each reservation was given.
    given: BTreeMap<String, (String, BTreeSet<String>)>,
    /// Reservations that get no boards any more.
    settled: BTreeSet<String>,
    /// The priority that each client has when it waits.
    priorities: BTreeMap<String, i32>,
}

impl Witness {
    /// Whenever this client waits, it does so with this priority.
    pub(crate) fn waits_with(&mut self, client: &str, priority: i32) {
        self.queue.priorities.insert(client.to_owned(), priority);
    }

    pub(super) fn queued(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::LeaseGranted(lease) => self.given(lease),
            Change::RequestAnswered { answered, .. } => self.answered(&answered.reservation),
            Change::WaitBegan(waiting) => self.wait_began(waiting),
            Change::WaitEnded { waiting, end } => self.wait_ended(waiting, *end, at),
            _ => {}
        }
    }

    fn given(&mut self, lease: &Lease) {
        let reservation = lease.reservation.to_string();
        if self.queue.settled.contains(&reservation) {
            let id = lease.id;
            let what =
                format_args!("lease {id} is of {reservation}, which had its boards or ended");
            self.broken(Invariant::Queue, what);
        }
        let client = lease.client.to_string();
        let given =
            self.queue.given.entry(reservation).or_insert_with(|| (client, BTreeSet::new()));
        given.1.insert(lease.serial.to_string());
    }

    /// A reservation has the boards that it was given since the last change of another sort, or
    /// none and will have none.
    fn answered(&mut self, reservation: &ReservationId) {
        let reservation = reservation.as_str();
        self.queue.settled.insert(reservation.to_owned());
        let Some((client, boards)) = self.queue.given.get(reservation).cloned() else { return };
        let own = self.queue.line.iter().find(|(_, entry)| entry.reservation == reservation);
        let own = own.map(|(arrival, entry)| (*arrival, entry.clone()));
        if let Some((_, entry)) = &own
            && (entry.client != client
                || entry.amount() != boards.len()
                || !entry.would_do(&boards))
        {
            let what = format_args!("{client} was given {boards:?}, and waited for {entry:?}");
            self.broken(Invariant::Queue, what);
        }
        let priority = self.queue.priorities.get(&client).copied().unwrap_or(0);
        let comes_before = |arrival: u64, entry: &Entry| match &own {
            Some((mine, own)) => {
                (Reverse(entry.priority), arrival) < (Reverse(own.priority), *mine)
            }
            // It has not waited, so all come before who have at least the priority that it may
            // have.
            None => entry.priority >= priority,
        };
        let passed = self.queue.line.iter().find(|(arrival, entry)| {
            entry.reservation != reservation
                && comes_before(**arrival, entry)
                && entry.would_do(&boards)
        });
        if let Some((_, passed)) = passed {
            let passed = passed.clone();
            let what = format_args!("{client} was given {boards:?} and passed {passed:?}");
            self.broken(Invariant::Queue, what);
        }
    }

    fn wait_began(&mut self, waiting: &Waiting) {
        let (client, priority) = (waiting.client().to_string(), waiting.priority());
        let reservation = waiting.reservation.to_string();
        let arrival = waiting.arrival;
        self.tally.waits += 1;
        self.note(format_args!("store: {client} waits as {arrival}, {reservation}"));
        let is_known = self.queue.settled.contains(&reservation)
            || self.queue.given.contains_key(&reservation)
            || self.queue.line.last_key_value().is_some_and(|(last, _)| *last >= arrival);
        if is_known {
            let what = format_args!("{reservation} of {client} joins the queue as {arrival}");
            self.broken(Invariant::Queue, what);
        }
        let due = now() + waiting.until.since(waiting.since);
        let wants = waiting.request.selection.clone();
        self.queue.line.insert(arrival, Entry { reservation, client, priority, wants, due });
    }

    fn wait_ended(&mut self, waiting: &Waiting, end: WaitEnd, at: Timestamp) {
        let reservation = waiting.reservation.as_str();
        let word = end.as_str();
        self.note(format_args!("store: {reservation} waits no more: {word}"));
        *self.tally.wait_ends.entry(word.to_owned()).or_default() += 1;
        let entry = self.queue.line.remove(&waiting.arrival);
        if entry.is_none_or(|entry| entry.reservation != reservation) {
            let what = format_args!("{reservation} ended to wait and did not wait");
            self.broken(Invariant::Queue, what);
        }
        let has_boards = self.queue.given.contains_key(reservation);
        if has_boards != (end == WaitEnd::Granted) {
            let boards = if has_boards { "boards" } else { "no boards" };
            let what = format_args!("{reservation} ended as {word} and has {boards}");
            self.broken(Invariant::Queue, what);
        }
        if end == WaitEnd::Granted && at > waiting.until.after(LATE) {
            let late = at.since(waiting.until).as_millis();
            let what = format_args!("{reservation} was granted {late} ms after its time");
            self.broken(Invariant::Queue, what);
        }
    }

    /// A process has died: its requests are given up after so long without a sign of life.
    pub(super) fn waiter_gone(&mut self, client: &str) {
        let due = now() + self.rules.silence;
        for entry in self.queue.line.values_mut().filter(|entry| entry.client == client) {
            entry.due = entry.due.min(due);
        }
    }

    /// Who waits longer than it may, control being well since `well`.
    pub(super) fn waits_too_long(&self, well: Duration, allowed: Duration) -> Option<String> {
        let late = self.queue.line.values().find(|entry| now() > entry.due.max(well) + allowed)?;
        Some(format!("{} of {} still waits", late.reservation, late.client))
    }

    /// Who waits.
    pub(crate) fn line(&self) -> Vec<String> {
        let one = |entry: &Entry| format!("{} of {} waits", entry.reservation, entry.client);
        self.queue.line.values().map(one).collect()
    }
}
