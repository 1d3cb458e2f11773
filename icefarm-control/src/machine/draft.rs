//! A decision in the making.

use super::farm::millis;
use super::{Answer, Board, Change, Decision, EndReason, Farm, Lease, Notice, queue};
use icefarm_core::wire::{Event, events};
use icefarm_core::{ClientName, Serial, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// Collects changes and shows the farm as it will be.
pub(super) struct Draft<'a> {
    before: &'a Farm,
    farm: Cow<'a, Farm>,
    pub(super) now: Timestamp,
    changes: Vec<Change>,
    notices: Vec<Notice>,
    may_serve: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(farm: &'a Farm, now: Timestamp) -> Self {
        let (changes, notices) = (Vec::new(), Vec::new());
        let (before, farm) = (farm, Cow::Borrowed(farm));
        Self { before, farm, now, changes, notices, may_serve: false }
    }

    /// The farm with all changes so far.
    pub(super) fn farm(&self) -> &Farm {
        &self.farm
    }

    pub(super) fn change(&mut self, change: Change) {
        self.may_serve |= queue::may_serve(&self.farm, &change);
        self.farm.to_mut().apply(&change);
        self.changes.push(change);
    }

    /// Whether something has changed that may let somebody have boards who waits.
    pub(super) fn may_serve(&self) -> bool {
        self.may_serve
    }

    /// Tells a client something that is about no board.
    pub(super) fn tell_client(&mut self, client: &ClientName, event: Event) {
        let (client, serial, contents) = (client.clone(), Serial::meta(), vec![event]);
        self.notices.push(Notice::Client { client, serial, contents });
    }

    /// Tells a lease's holder something. Every event names the lease.
    pub(super) fn tell(&mut self, lease: &Lease, contents: Vec<Event>) {
        let contents = contents.into_iter().map(|event| event.with("lease", lease.id.0)).collect();
        let (client, serial) = (lease.client.clone(), lease.serial.clone());
        self.notices.push(Notice::Client { client, serial, contents });
    }

    /// Ends the lease on a board, if there is one. Every lease ends here, whatever the cause.
    pub(super) fn end_lease(&mut self, serial: &Serial, reason: EndReason) {
        let Some(lease) = self.farm.leases.get(serial).map(Arc::clone) else { return };
        let mut contents = Vec::new();
        if reason.is_failure() {
            let failure = Event::new(events::FAILURE).with("reason", reason.to_string());
            contents.push(match reason.code() {
                Some(code) => failure.with("code", code.as_str()),
                None => failure,
            });
        }
        let end = Event::new(events::RESERVATION_END)
            .with("reason", reason.word())
            .with("message", reason.to_string());
        contents.push(end);
        self.tell(&lease, contents);
        self.change(Change::LeaseEnded { lease, reason });
    }

    /// Lets a lease last its time to live from now on.
    pub(super) fn extend_lease(&mut self, lease: &Lease) {
        let expires = self.now.after(lease.ttl).max(lease.expires);
        let (serial, revision) = (lease.serial.clone(), lease.revision + 1);
        self.change(Change::LeaseExtended { serial, revision, expires });
    }

    /// Tells a lease's holder, once, that it ends soon.
    pub(super) fn warn(&mut self, lease: &Lease) {
        let left = millis(lease.expires.since(self.now));
        self.tell(lease, vec![Event::new(events::ENDING_SOON).with("expires_in_ms", left)]);
        self.change(Change::LeaseWarned { serial: lease.serial.clone() });
    }

    pub(super) fn finish(mut self, answer: Answer) -> Decision {
        if !self.changes.is_empty() && self.became_available() {
            self.notices.push(Notice::Available { amount: self.farm.offered().len() });
        }
        Decision { changes: self.changes, notices: self.notices, answer }
    }

    /// Whether a board can be reserved now that could not before.
    fn became_available(&self) -> bool {
        let is_new = |board: &&Arc<Board>| match self.before.boards.get(board.serial()) {
            Some(before) => self.before.obstacle(before).is_some(),
            None => true,
        };
        let offered = self.farm.offered();
        if self.before.queue.is_empty() {
            return offered.iter().any(is_new);
        }
        // It may have been free before, and set aside.
        let before: Vec<&Serial> =
            self.before.offered().into_iter().map(|board| board.serial()).collect();
        offered.iter().any(|board| !before.contains(&board.serial()))
    }
}
