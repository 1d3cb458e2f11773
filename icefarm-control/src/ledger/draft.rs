//! A batch in the making: decisions, and what is to be said about them.

use super::chronicle::Standings;
use super::story;
use super::writer::Reply;
use super::{LedgerError, Trail, Work};
use crate::machine::{Answer, Change, Contact, Decision, Farm, Notice, decide};
use crate::store::{Batch, Letter, Standing};
use crate::view;
use icefarm_core::wire::JournalEntry;
use icefarm_core::{Serial, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) struct Draft {
    pub(super) farm: Farm,
    pub(super) batch: Batch,
    pub(super) available: Option<usize>,
    pub(super) replies: Vec<(Reply, Result<Answer, LedgerError>)>,
    /// Where boards stood before, by the journal.
    standings: Arc<Standings>,
    /// Where they stand now, if that is elsewhere.
    moved: BTreeMap<Serial, Standing>,
    last_entry: u64,
    pub(super) last_audit: u64,
}

impl Draft {
    pub(super) fn new(
        farm: &Farm,
        at: Timestamp,
        standings: Arc<Standings>,
        last_entry: u64,
    ) -> Self {
        Self {
            farm: farm.clone(),
            batch: Batch { at, ..Batch::default() },
            available: None,
            replies: Vec::new(),
            standings,
            moved: BTreeMap::new(),
            last_entry,
            last_audit: 0,
        }
    }

    pub(super) fn add(&mut self, work: Work, now: Timestamp, reply: Reply) {
        // Commands overtake each other on their way here; time must not go back for that.
        self.batch.at = self.batch.at.max(now);
        let answer = match work {
            Work::Nothing => Ok(Answer::Done),
            Work::Note(entry) => {
                self.note(*entry);
                Ok(Answer::Done)
            }
            Work::Tokens(changes, trail) => {
                self.batch.tokens.extend(changes);
                self.audit(*trail);
                Ok(Answer::Done)
            }
            Work::Trail(trail) => {
                self.audit(*trail);
                Ok(Answer::Done)
            }
            Work::Command(command, trail) => match decide(&self.farm, *command, self.batch.at) {
                Ok(decision) => {
                    let changes = !decision.changes.is_empty();
                    let answer = self.take(decision);
                    if let Some(trail) = trail.filter(|_| changes) {
                        self.audit(trail.with_answer(&answer));
                    }
                    Ok(answer)
                }
                Err(refusal) => Err(LedgerError::Refused(refusal)),
            },
        };
        self.replies.push((reply, answer));
    }

    fn take(&mut self, decision: Decision) -> Answer {
        let before = self.batch.entries.len();
        let mut touched = BTreeSet::new();
        for change in decision.changes {
            if let Some(entry) = story::of_change(&self.farm, &change, self.batch.at) {
                self.note(entry);
            }
            touch(&self.farm, &change, &mut touched);
            self.farm.apply(&change);
            self.batch.changes.push(change);
        }
        for serial in touched {
            self.follow(&serial, before);
        }
        for notice in decision.notices {
            match notice {
                Notice::Client { client, serial, contents } => {
                    self.batch.letters.push((client, Letter { serial, contents }));
                }
                Notice::Available { amount } => self.available = Some(amount),
            }
        }
        decision.answer
    }

    /// Says where a board stands now, if that is elsewhere than before: with the last of the
    /// entries from `first` on that is about it, or else with one of its own.
    fn follow(&mut self, serial: &Serial, first: usize) {
        let Some(board) = self.farm.boards.get(serial) else {
            self.moved.remove(serial);
            return;
        };
        // Nobody knows yet. When its worker answers, the board most likely stands where it stood.
        if self.farm.worker_of(board).is_some_and(|worker| worker.contact == Contact::Awaited) {
            return;
        }
        let status = self.farm.status(board);
        let known = self.moved.get(serial).or_else(|| self.standings.get(serial));
        let before = known.map(|standing| standing.status);
        if before == Some(status) {
            return;
        }
        self.moved.insert(serial.clone(), Standing { status, since: self.batch.at });
        let mut entries = self.batch.entries[first..].iter_mut().rev();
        if let Some(entry) = entries.find(|entry| entry.serial.as_ref() == Some(serial)) {
            entry.status = Some(status);
            return;
        }
        let reason = view::reason(&self.farm, board);
        if let Some(entry) = story::of_status(&self.farm, serial, before, reason.as_deref()) {
            self.note(entry);
        }
    }

    fn audit(&mut self, trail: Trail) {
        self.last_audit += 1;
        self.batch.audit.push(trail.entry(self.last_audit, self.batch.at));
    }

    fn note(&mut self, entry: JournalEntry) {
        self.last_entry += 1;
        self.batch.entries.push(JournalEntry { seq: self.last_entry, at: self.batch.at, ..entry });
    }
}

/// The boards that may stand elsewhere after a change.
fn touch(farm: &Farm, change: &Change, touched: &mut BTreeSet<Serial>) {
    let worker = match change {
        Change::BoardReported(board) => {
            touched.insert(board.serial().clone());
            return;
        }
        Change::LeaseGranted(lease) | Change::LeaseEnded { lease, .. } => {
            touched.insert(lease.serial.clone());
            return;
        }
        Change::BoardMissing { serial, .. } => {
            touched.insert(serial.clone());
            return;
        }
        Change::WorkerHeard { worker, .. } => match farm.workers.get(worker) {
            Some(known) if known.contact == Contact::Reachable => return,
            _ => worker,
        },
        Change::BoardDrained { serial, .. } => {
            touched.insert(serial.clone());
            return;
        }
        Change::WorkerSilent { worker }
        | Change::WorkerStops { worker, .. }
        | Change::WorkerDrained { worker, .. }
        | Change::WorkerLeft { worker, .. }
        | Change::WorkerLost { worker, .. }
        | Change::WorkerFound { worker, .. } => worker,
        _ => return,
    };
    let boards = farm.boards.values().filter(|board| board.worker == *worker);
    touched.extend(boards.map(|board| board.serial().clone()));
}
