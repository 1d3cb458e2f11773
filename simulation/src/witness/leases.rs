//! What the witness knows of leases, and who may use a board.

use super::{Invariant, Witness, now};
use icefarm_control::machine::Change;
use icefarm_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, Clone)]
struct Fact {
    serial: String,
    client: String,
    /// When it is to end at the latest, if control is well.
    due: Duration,
    ended: Option<Duration>,
}

/// Every lease that was ever written down.
#[derive(Debug, Default)]
pub(super) struct Leases {
    facts: BTreeMap<u64, Fact>,
    /// The lease that each board has by what was written down.
    present: BTreeMap<String, u64>,
    /// The highest lease that has reached each board.
    reached: BTreeMap<String, u64>,
    /// Leases that a client was told of.
    told: BTreeSet<u64>,
}

impl Witness {
    pub(super) fn changed(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::LeaseGranted(lease) => {
                let (id, serial) = (lease.id.0, lease.serial.to_string());
                let client = lease.client.to_string();
                self.tally.leases += 1;
                self.note(format_args!("store: lease {id} of {serial} to {client}"));
                if let Some((last, _)) = self.leases.facts.last_key_value().filter(|l| *l.0 >= id) {
                    let last = *last;
                    self.broken(
                        Invariant::LeaseIds,
                        format_args!("lease {id} was given after lease {last}"),
                    );
                }
                if let Some(present) = self.leases.present.insert(serial.clone(), id) {
                    let what = format_args!("{serial} is leased as {id} and still as {present}");
                    self.broken(Invariant::LeaseIds, what);
                }
                let due = now() + lease.ttl;
                self.leases.facts.insert(id, Fact { serial, client, due, ended: None });
            }
            Change::LeaseExtended { serial, expires, .. } => {
                let present = self.leases.present.get(serial.as_str());
                if let Some(fact) = present.and_then(|id| self.leases.facts.get_mut(id)) {
                    fact.due = now() + expires.since(at);
                }
            }
            Change::LeaseEnded { lease, reason } => {
                let (id, serial) = (lease.id.0, lease.serial.as_str());
                self.note(format_args!("store: lease {id} of {serial} ends: {}", reason.word()));
                *self.tally.lease_ends.entry(reason.word().to_owned()).or_default() += 1;
                if self.leases.present.remove(serial) != Some(id) {
                    let what = format_args!("lease {id} of {serial} ended and was not there");
                    self.broken(Invariant::LeaseIds, what);
                }
                if let Some(fact) = self.leases.facts.get_mut(&id) {
                    fact.ended = Some(now());
                }
            }
            _ => {}
        }
    }

    /// A command has reached the board itself: a state that serves `lease` for `client` gives it
    /// a circuit that `sender` has sent.
    pub(crate) fn used(&mut self, serial: &str, lease: u64, client: &str, sender: &str) {
        let reached = self.leases.reached.entry(serial.to_owned()).or_default();
        let before = std::mem::replace(reached, lease.max(*reached));
        if before > lease {
            let what = format_args!("lease {lease} used {serial} after lease {before} had");
            self.broken(Invariant::OneUser, what);
        }
        if sender != client {
            let what = format_args!("{sender} used {serial}, which {client} holds as {lease}");
            self.broken(Invariant::OneUser, what);
        }
        let Some(fact) = self.leases.facts.get(&lease).cloned() else {
            let what = format_args!("{serial} is used under lease {lease}, which nobody was given");
            return self.broken(Invariant::OneUser, what);
        };
        if fact.serial != serial || fact.client != client {
            let what = format_args!(
                "lease {lease} is of {} to {}, and {client} uses {serial} under it",
                fact.serial, fact.client
            );
            self.broken(Invariant::OneUser, what);
        }
        let allowed = self.rules.orphaned;
        if let Some(ended) = fact.ended.filter(|ended| now() > *ended + allowed) {
            let late = (now() - ended).as_secs();
            let what = format_args!("lease {lease} is served on {serial} {late} s after its end");
            self.broken(Invariant::Orphan, what);
        }
    }

    /// A client was told that it holds a board.
    pub(crate) fn granted(&mut self, client: &str, serial: &str, lease: u64) {
        let holds = |fact: &Fact| fact.serial == serial && fact.client == client;
        if !self.leases.facts.get(&lease).is_some_and(holds) {
            let what = format_args!("{client} was told of lease {lease} of {serial}");
            self.broken(Invariant::Answered, what);
        }
        if !self.leases.told.insert(lease) {
            let what = format_args!("{client} was told twice of lease {lease} of {serial}");
            self.broken(Invariant::Answered, what);
        }
    }

    /// The lease that should have ended, control being well since `well`.
    pub(super) fn held_too_long(&self, well: Duration, allowed: Duration) -> Option<String> {
        let late = |id: &&u64| {
            let fact = self.leases.facts.get(id);
            fact.is_some_and(|fact| now() > fact.due.max(well) + allowed)
        };
        let id = self.leases.present.values().find(late)?;
        let fact = self.leases.facts.get(id)?;
        Some(format!("lease {id} of {} to {} does not end", fact.serial, fact.client))
    }

    /// Who holds the board by what was written down.
    pub(crate) fn holder(&self, serial: &str) -> Option<&str> {
        let lease = self.leases.present.get(serial)?;
        Some(&self.leases.facts.get(lease)?.client)
    }

    /// The leases that are not over.
    pub(crate) fn open_leases(&self) -> Vec<String> {
        let one = |(serial, lease): (&String, &u64)| {
            let client = self.leases.facts.get(lease).map_or("?", |fact| fact.client.as_str());
            format!("{lease} of {serial} to {client}")
        };
        self.leases.present.iter().map(one).collect()
    }
}
