//! What happened last, as it is in the store.

use crate::store::{JOURNAL_KEPT, Standing};
use icefarm_core::wire::{Happening, JournalEntry, JournalPage};
use icefarm_core::{Epoch, Serial};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tracing::field::display;

/// Where all boards stand.
pub(crate) type Standings = BTreeMap<Serial, Standing>;

/// The journal, copied from the store so that reading it does not hold up the writer.
#[derive(Debug)]
pub(crate) struct Chronicle {
    epoch: Epoch,
    kept: Mutex<Kept>,
    last: watch::Sender<u64>,
    /// Whether the server is ending, so that nobody waits for more.
    ending: watch::Sender<bool>,
}

#[derive(Debug)]
struct Kept {
    /// The newest last; the numbers rise by one.
    entries: VecDeque<Arc<JournalEntry>>,
    standings: Arc<Standings>,
}

/// What of the journal is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The oldest entries after this one; the newest of all if absent.
    pub(crate) after: Option<u64>,
    /// So many at most.
    pub(crate) limit: usize,
    /// Only those of this board.
    pub(crate) serial: Option<Serial>,
}

impl Chronicle {
    /// The journal as it was loaded.
    pub(crate) fn new(epoch: Epoch, entries: Vec<JournalEntry>, standings: Standings) -> Self {
        let last = entries.last().map_or(0, |entry| entry.seq);
        let entries = entries.into_iter().map(Arc::new).collect();
        let kept = Kept { entries, standings: Arc::new(standings) };
        let (last, ending) = (watch::Sender::new(last), watch::Sender::new(false));
        Self { epoch, kept: Mutex::new(kept), last, ending }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes entries that were written down, and logs them.
    pub(crate) fn add(&self, entries: Vec<JournalEntry>) {
        let Some(last) = entries.last().map(|entry| entry.seq) else { return };
        let mut kept = self.lock();
        for entry in entries {
            log(&entry);
            let standings = Arc::make_mut(&mut kept.standings);
            match (&entry.serial, entry.status) {
                (Some(serial), _) if entry.what == Happening::BoardGone => {
                    standings.remove(serial);
                }
                (Some(serial), Some(status)) => {
                    standings.insert(serial.clone(), Standing { status, since: entry.at });
                }
                _ => {}
            }
            kept.entries.push_back(Arc::new(entry));
            while kept.entries.len() as u64 > JOURNAL_KEPT {
                kept.entries.pop_front();
            }
        }
        drop(kept);
        self.last.send_replace(last);
    }

    /// The number of the newest entry, for who wants to be told of every one.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Lets go of everybody who waits for more.
    pub(crate) fn close(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until the server is ending.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as the journal.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// The number of the newest entry; zero if there is none.
    pub(crate) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Where all boards stand.
    pub(crate) fn standings(&self) -> Arc<Standings> {
        self.lock().standings.clone()
    }

    /// A part of the journal.
    pub(crate) fn page(&self, wanted: &Wanted) -> JournalPage {
        let kept = self.lock();
        let last = kept.entries.back().map_or_else(|| self.last(), |entry| entry.seq);
        let first = kept.entries.front().map_or(last + 1, |entry| entry.seq);
        let is_meant =
            |entry: &&Arc<JournalEntry>| wanted.serial.is_none() || entry.serial == wanted.serial;
        let events: Vec<_> = match wanted.after {
            Some(after) => {
                let known = after.saturating_add(1).saturating_sub(first);
                let known = usize::try_from(known).unwrap_or(usize::MAX).min(kept.entries.len());
                kept.entries.range(known..).filter(is_meant).take(wanted.limit).cloned().collect()
            }
            None => {
                let newest = kept.entries.iter().rev().filter(is_meant).take(wanted.limit);
                let mut newest: Vec<_> = newest.cloned().collect();
                newest.reverse();
                newest
            }
        };
        drop(kept);
        let events = events.into_iter().map(Arc::unwrap_or_clone).collect();
        JournalPage { epoch: self.epoch.clone(), first, last, events }
    }

    /// The newest entries that are fit, the oldest first.
    pub(crate) fn newest(
        &self,
        limit: usize,
        is_fit: impl Fn(&JournalEntry) -> bool,
    ) -> Vec<Arc<JournalEntry>> {
        let kept = self.lock();
        let newest = kept.entries.iter().rev().filter(|entry| is_fit(entry)).take(limit);
        let mut newest: Vec<_> = newest.cloned().collect();
        newest.reverse();
        newest
    }
}

fn log(entry: &JournalEntry) {
    let JournalEntry { seq, text, .. } = entry;
    let serial = entry.serial.as_ref().map(display);
    let worker = entry.worker.as_ref().map(display);
    let client = entry.client.as_ref().map(display);
    let lease = entry.lease.map(display);
    if entry.warning {
        tracing::warn!(seq, serial, worker, lease, client, "{text}");
    } else if entry.what == Happening::BoardStatus {
        // The usual life of a board.
        tracing::debug!(seq, serial, worker, lease, client, "{text}");
    } else {
        tracing::info!(seq, serial, worker, lease, client, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::Timestamp;
    use icefarm_core::wire::BoardStatus;

    fn entry(seq: u64, serial: &str) -> JournalEntry {
        JournalEntry {
            seq,
            at: Timestamp(seq),
            what: Happening::BoardStatus,
            text: format!("{serial} {seq}"),
            warning: false,
            serial: Some(serial.parse().unwrap()),
            status: Some(BoardStatus::Available),
            worker: None,
            lease: None,
            client: None,
        }
    }

    fn seqs(page: &JournalPage) -> Vec<u64> {
        page.events.iter().map(|entry| entry.seq).collect()
    }

    fn page(chronicle: &Chronicle, after: Option<u64>, limit: usize, serial: &str) -> Vec<u64> {
        let serial = (!serial.is_empty()).then(|| serial.parse().unwrap());
        seqs(&chronicle.page(&Wanted { after, limit, serial }))
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let loaded = vec![entry(8, "A"), entry(9, "B")];
        let chronicle = Chronicle::new("e".into(), loaded, Standings::new());
        assert_eq!(page(&chronicle, None, 9, ""), [8, 9]);
        chronicle.add(vec![entry(10, "A"), entry(11, "B")]);
        assert_eq!(page(&chronicle, None, 3, ""), [9, 10, 11], "the newest");
        assert_eq!(page(&chronicle, Some(8), 2, ""), [9, 10], "the oldest after");
        assert_eq!(page(&chronicle, Some(0), 9, "A"), [8, 10], "those that are left");
        assert_eq!(page(&chronicle, Some(11), 9, ""), [0; 0]);
        assert_eq!(page(&chronicle, Some(u64::MAX), 9, ""), [0; 0]);
        let all = chronicle.page(&Wanted::default());
        assert_eq!((all.first, all.last, all.events.len()), (8, 11, 0));
        assert_eq!(chronicle.last(), 11);
    }

    #[test]
    fn an_empty_journal_says_so() {
        let chronicle = Chronicle::new("e".into(), Vec::new(), Standings::new());
        let page = chronicle.page(&Wanted { limit: 5, ..Wanted::default() });
        assert_eq!((page.first, page.last, page.events.len()), (1, 0, 0));
    }

    #[test]
    fn the_oldest_entries_go() {
        let chronicle = Chronicle::new("e".into(), Vec::new(), Standings::new());
        chronicle.add((1..=JOURNAL_KEPT + 5).map(|seq| entry(seq, "A")).collect());
        let page = chronicle.page(&Wanted { after: Some(0), limit: 1, serial: None });
        assert_eq!((page.first, seqs(&page)), (6, vec![6]));
    }

    #[test]
    fn boards_stand_where_their_last_entry_says() {
        let chronicle = Chronicle::new("e".into(), Vec::new(), Standings::new());
        let broken = JournalEntry { status: Some(BoardStatus::Broken), ..entry(2, "A") };
        let silent = JournalEntry { status: None, ..entry(3, "A") };
        let gone = JournalEntry { what: Happening::BoardGone, status: None, ..entry(5, "B") };
        chronicle.add(vec![entry(1, "A"), broken, silent, entry(4, "B"), gone]);
        let standings = chronicle.standings();
        let a = Standing { status: BoardStatus::Broken, since: Timestamp(2) };
        assert_eq!(*standings, BTreeMap::from([("A".parse().unwrap(), a)]));
    }
}
