//! How much happened.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Figures for the summary.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) control_crashes: u64,
    pub(crate) worker_crashes: u64,
    pub(crate) client_crashes: u64,
    pub(crate) partitions: u64,
    pub(crate) holds: u64,
    pub(crate) stalls: u64,
    pub(crate) echoes: u64,
    pub(crate) unplugs: u64,
    pub(crate) board_faults: u64,
    pub(crate) failed_writes: u64,
    pub(crate) lost_transactions: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) leases: u64,
    pub(crate) waits: u64,
    pub(crate) wait_ends: BTreeMap<String, u64>,
    /// Requests that a living client gave up in the middle.
    pub(crate) impatient: u64,
    pub(crate) readings: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) lease_ends: BTreeMap<String, u64>,
    pub(crate) events: u64,
    pub(crate) resumes: u64,
    pub(crate) resyncs: u64,
    pub(crate) dropped: u64,
    pub(crate) strays: u64,
    pub(crate) strays_refused: u64,
    pub(crate) simulated_s: u64,
    pub(crate) commits: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.control_crashes += other.control_crashes;
        self.worker_crashes += other.worker_crashes;
        self.client_crashes += other.client_crashes;
        self.partitions += other.partitions;
        self.holds += other.holds;
        self.stalls += other.stalls;
        self.echoes += other.echoes;
        self.unplugs += other.unplugs;
        self.board_faults += other.board_faults;
        self.failed_writes += other.failed_writes;
        self.lost_transactions += other.lost_transactions;
        self.clock_jumps += other.clock_jumps;
        self.leases += other.leases;
        self.waits += other.waits;
        self.impatient += other.impatient;
        self.readings += other.readings;
        self.events += other.events;
        self.resumes += other.resumes;
        self.resyncs += other.resyncs;
        self.dropped += other.dropped;
        self.strays += other.strays;
        self.strays_refused += other.strays_refused;
        self.simulated_s += other.simulated_s;
        self.commits += other.commits;
        for (mine, theirs) in [
            (&mut self.failures, &other.failures),
            (&mut self.refusals, &other.refusals),
            (&mut self.lease_ends, &other.lease_ends),
            (&mut self.wait_ends, &other.wait_ends),
        ] {
            for (word, count) in theirs {
                *mine.entry(word.clone()).or_default() += count;
            }
        }
    }
}

/// `12 a, 3 b`.
struct Words<'a>(&'a BTreeMap<String, u64>);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let mut words: Vec<_> = self.0.iter().collect();
        words.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (at, (word, count)) in words.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {word}")?;
        }
        Ok(())
    }
}

/// The summary's lines.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crashes = self.control_crashes + self.worker_crashes + self.client_crashes;
        writeln!(
            f,
            "crashes       {crashes}: {} of control ({} in a transaction), {} of workers, {} of \
             clients; {} clocks jumped",
            self.control_crashes,
            self.lost_transactions,
            self.worker_crashes,
            self.client_crashes,
            self.clock_jumps
        )?;
        writeln!(
            f,
            "network       {} partitions, {} links held back, {} with stalled connections, {} \
             requests that came again",
            self.partitions, self.holds, self.stalls, self.echoes
        )?;
        writeln!(
            f,
            "boards        {} unplugged, {} other faults",
            self.unplugs, self.board_faults
        )?;
        writeln!(
            f,
            "store         {} commits, {} failed writes",
            self.commits, self.failed_writes
        )?;
        writeln!(f, "leases        {}; ended: {}", self.leases, Words(&self.lease_ends))?;
        writeln!(
            f,
            "queue         {} waited; ended: {}; {} were given up by their caller",
            self.waits,
            Words(&self.wait_ends),
            self.impatient
        )?;
        writeln!(f, "readings      {}; failed: {}", self.readings, Words(&self.failures))?;
        writeln!(f, "refusals      {}", Words(&self.refusals))?;
        writeln!(
            f,
            "events        {} numbered, {} resumed streams, {} begun anew, {} told of dropped ones",
            self.events, self.resumes, self.resyncs, self.dropped
        )?;
        writeln!(
            f,
            "strays        {} commands without a lease, {} of them answered by a refusal",
            self.strays, self.strays_refused
        )?;
        write!(f, "simulated     {} h", self.simulated_s / 3600)
    }
}
