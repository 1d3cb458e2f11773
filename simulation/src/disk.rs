//! The store of the simulated control server: what was committed outlives its crashes.

use crate::witness;
use icefarm_control::machine::{Change, Farm, Rules};
use icefarm_control::store::{
    AuditWanted, Batch, JOURNAL_KEPT, KeptToken, Standing, Store, StoreError, Stored, Stream,
    TokenChange,
};
use icefarm_core::wire::{AuditEntry, JournalEntry};
use icefarm_core::{ClientName, Epoch, Serial, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An event stream that nothing was sent on for so long is forgotten.
const FORGET_STREAM_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a disk does with the next transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Nothing of it is kept, and nobody hears of it any more.
    Before,
    /// It is kept, and nobody hears of it any more.
    After,
}

/// A disk. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

struct Contents {
    farm: Farm,
    epoch: Epoch,
    streams: BTreeMap<ClientName, Stream>,
    journal: VecDeque<JournalEntry>,
    standings: BTreeMap<Serial, Standing>,
    tokens: Vec<KeptToken>,
    audit: VecDeque<AuditEntry>,
}

struct Platter {
    stored: Contents,
    /// When each stream was last written to.
    used: BTreeMap<ClientName, Timestamp>,
    /// Who has it open: an earlier one has crashed.
    session: u64,
    /// Whether writes fail at the moment.
    failing: bool,
    crash: Option<Crash>,
    crashed: bool,
}

impl Disk {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let stored = Contents {
            farm: Farm::empty(Rules::default(), Timestamp(0)),
            epoch: Epoch::from("control".to_owned()),
            streams: BTreeMap::new(),
            journal: VecDeque::new(),
            standings: BTreeMap::new(),
            tokens: Vec::new(),
            audit: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(Platter {
            stored,
            used: BTreeMap::new(),
            session: 0,
            failing: false,
            crash: None,
            crashed: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens it. Whoever had it open before can write no more.
    pub(crate) fn open(&self) -> DiskStore {
        let mut platter = self.lock();
        platter.session += 1;
        platter.crashed = false;
        DiskStore { disk: self.clone(), session: platter.session }
    }

    /// Lets writes fail, or not any more.
    pub(crate) fn fail(&self, failing: bool) {
        self.lock().failing = failing;
    }

    /// Whether whoever has it open can write.
    pub(crate) fn is_well(&self) -> bool {
        let platter = self.lock();
        !platter.failing && !platter.crashed
    }

    /// The machine dies at the next transaction.
    pub(crate) fn crash_at_next(&self, crash: Crash) {
        self.lock().crash = Some(crash);
    }

    /// Nothing more goes wrong.
    pub(crate) fn calm(&self) {
        let mut platter = self.lock();
        platter.failing = false;
        platter.crash = None;
    }
}

/// An open disk.
pub(crate) struct DiskStore {
    disk: Disk,
    session: u64,
}

impl Store for DiskStore {
    fn load(&mut self, rules: Rules, started: Timestamp) -> Result<Stored, StoreError> {
        let mut platter = self.disk.lock();
        let old = Timestamp(started.0.saturating_sub(FORGET_STREAM_AFTER.as_millis() as u64));
        let Platter { stored, used, .. } = &mut *platter;
        stored.streams.retain(|client, stream| {
            !stream.letters.is_empty() || used.get(client).is_some_and(|used| *used >= old)
        });
        let mut farm = stored.farm.clone();
        (farm.rules, farm.started) = (rules, started);
        Ok(Stored {
            farm: farm.as_stored(),
            epoch: stored.epoch.clone(),
            streams: stored.streams.clone(),
            journal: stored.journal.iter().cloned().collect(),
            standings: stored.standings.clone(),
            tokens: stored.tokens.clone(),
            last_audit: stored.audit.back().map_or(0, |entry| entry.seq),
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut platter = self.disk.lock();
        if platter.session != self.session || platter.crashed {
            return Err(failed("the machine is down"));
        }
        if platter.failing {
            witness::with(|witness| witness.write_failed());
            return Err(failed("no space left on the device"));
        }
        let crash = platter.crash.take();
        if let Some(crash) = crash {
            platter.crashed = true;
            // Not a word leaves the machine after this.
            witness::with(|witness| witness.silence_control());
            if crash == Crash::Before {
                return Err(failed("the machine died before the transaction was written"));
            }
        }
        let numbers = platter.write(batch)?;
        witness::with(|witness| witness.committed(batch, &numbers));
        match crash {
            Some(_) => Err(failed("the machine died when the transaction was written")),
            None => Ok(numbers),
        }
    }

    fn audit(&mut self, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError> {
        let platter = self.disk.lock();
        let is_wanted = |entry: &&AuditEntry| {
            wanted.client.as_ref().is_none_or(|client| entry.client.as_ref() == Some(client))
                && wanted.serial.as_ref().is_none_or(|serial| entry.serials.contains(serial))
                && wanted.since.is_none_or(|since| entry.at >= since)
        };
        let newest = platter.stored.audit.iter().rev().filter(is_wanted).take(wanted.limit);
        let mut entries: Vec<AuditEntry> = newest.cloned().collect();
        entries.reverse();
        Ok(entries)
    }
}

impl Platter {
    /// All of it or nothing: what could be wrong is looked for before anything is changed.
    fn write(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError> {
        // Cheap: the entries are shared.
        let mut farm = self.stored.farm.clone();
        for change in batch.changes.iter().filter(|change| change.is_stored()) {
            if let Change::LeaseGranted(lease) = change
                && !farm.boards.contains_key(&lease.serial)
            {
                return Err(failed("a lease on a board that is not there"));
            }
            farm.apply(change);
        }
        let mut last = self.stored.journal.back().map_or(0, |entry| entry.seq);
        for entry in &batch.entries {
            if entry.seq <= last {
                return Err(failed("two write the journal"));
            }
            last = entry.seq;
        }
        let mut last_audit = self.stored.audit.back().map_or(0, |entry| entry.seq);
        for entry in &batch.audit {
            if entry.seq <= last_audit {
                return Err(failed("two write the audit log"));
            }
            last_audit = entry.seq;
        }
        let Contents { streams, journal, standings, tokens, audit, .. } = &mut self.stored;
        for change in &batch.changes {
            if let Change::BoardRemoved { serial } = change {
                standings.remove(serial);
            }
        }
        let mut numbers = Vec::with_capacity(batch.letters.len());
        for (client, letter) in &batch.letters {
            let stream: &mut Stream = streams.entry(client.clone()).or_default();
            stream.seq += 1;
            stream.letters.push((stream.seq, letter.clone()));
            numbers.push(stream.seq);
            self.used.insert(client.clone(), batch.at);
        }
        for trim in &batch.trims {
            if let Some(stream) = streams.get_mut(&trim.client) {
                stream.letters.retain(|(seq, _)| *seq > trim.through);
                stream.dropped = stream.dropped.max(trim.dropped);
            }
        }
        for entry in &batch.entries {
            if let (Some(serial), Some(status)) = (&entry.serial, entry.status) {
                standings.insert(serial.clone(), Standing { status, since: entry.at });
            }
            journal.push_back(entry.clone());
        }
        let gone = last.saturating_sub(JOURNAL_KEPT);
        while journal.front().is_some_and(|entry| entry.seq <= gone) {
            journal.pop_front();
        }
        for change in &batch.tokens {
            match change {
                TokenChange::Created(token) => tokens.push((**token).clone()),
                TokenChange::Revoked { id, at } => {
                    let token = tokens.iter_mut().find(|token| token.detail.id == *id);
                    if let Some(token) = token {
                        token.detail.revoked.get_or_insert(*at);
                    }
                }
                TokenChange::Forgotten { id } => tokens.retain(|token| token.detail.id != *id),
            }
        }
        audit.extend(batch.audit.iter().cloned());
        let gone = last_audit.saturating_sub(batch.audit_kept);
        while !batch.audit.is_empty() && audit.front().is_some_and(|entry| entry.seq <= gone) {
            audit.pop_front();
        }
        self.stored.farm = farm;
        Ok(numbers)
    }
}

fn failed(why: &'static str) -> StoreError {
    StoreError::Failed { source: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_control::store::suite::{Place, suite};

    struct Machine {
        disk: Disk,
        store: Option<DiskStore>,
    }

    impl Place for Machine {
        type Store = DiskStore;

        fn open(&mut self) -> &mut DiskStore {
            let disk = &self.disk;
            self.store.get_or_insert_with(|| disk.open())
        }

        fn reopen(&mut self) {
            self.store = None;
        }
    }

    #[test]
    fn it_is_a_store() {
        suite(|| Machine { disk: Disk::new(), store: None });
    }

    #[test]
    fn whoever_crashed_writes_no_more_and_what_was_committed_is_there() {
        let disk = Disk::new();
        let mut before = disk.open();
        let letter = icefarm_control::store::Letter {
            serial: Serial::new("A").unwrap(),
            contents: Vec::new(),
        };
        let batch =
            Batch { letters: vec![(ClientName::new("ann").unwrap(), letter)], ..Batch::default() };
        assert_eq!(before.commit(&batch).unwrap(), [1]);
        disk.crash_at_next(Crash::Before);
        assert!(before.commit(&batch).is_err());
        disk.crash_at_next(Crash::After);
        assert!(before.commit(&batch).is_err(), "it is down");
        let mut after = disk.open();
        assert!(after.commit(&batch).is_err(), "this one it keeps, and tells nobody");
        let mut last = disk.open();
        let stored = last.load(Rules::default(), Timestamp(0)).unwrap();
        assert_eq!(stored.streams.values().next().unwrap().seq, 2);
        assert!(before.commit(&batch).is_err() && after.commit(&batch).is_err());
    }
}
