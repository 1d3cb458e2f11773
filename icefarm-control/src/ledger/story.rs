//! What happens, in words that the owner of a lab understands.

use crate::machine::{Change, Contact, EndReason, Farm};
use icefarm_core::Timestamp;
use icefarm_core::wire::BoardStatus;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many lines are kept to be shown.
const KEPT: usize = 200;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What happened.
    pub(crate) text: String,
    /// Whether somebody should look after it.
    pub(crate) is_warning: bool,
}

fn info(text: String) -> Option<Line> {
    Some(Line { text, is_warning: false })
}

fn warning(text: String) -> Option<Line> {
    Some(Line { text, is_warning: true })
}

/// What to say about a change of `farm`, if anything.
pub(super) fn line(farm: &Farm, change: &Change) -> Option<Line> {
    match change {
        Change::WorkerRegistered(worker) => {
            let (name, url) = (&worker.name, &worker.url);
            let kinds: Vec<_> = worker.kinds.iter().map(|info| info.kind.as_str()).collect();
            let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
            match farm.workers.get(name) {
                Some(before) if before.incarnation == worker.incarnation => {
                    (before.url != *url).then(|| info(format!("worker {name} is now at {url}")))?
                }
                Some(_) => info(format!("worker {name} was started again, at {url}")),
                None => info(format!("worker {name} came, at {url}; kinds: {kinds}")),
            }
        }
        Change::WorkerHeard { worker, .. } => match farm.workers.get(worker)?.contact {
            Contact::Reachable => None,
            _ => info(format!("worker {worker} answers")),
        },
        Change::WorkerSilent { worker } => {
            warning(format!("worker {worker} cannot be reached; its leases are kept for now"))
        }
        Change::WorkerLost { worker, .. } => {
            warning(format!("worker {worker} is lost: it has not answered for too long"))
        }
        Change::WorkerFound { .. } => None,
        Change::WorkerForgotten { worker } => {
            info(format!("worker {worker} was lost for so long that it is forgotten"))
        }
        Change::ClaimsRefused { worker, serials } => {
            let before = &farm.workers.get(worker)?.refused;
            let new: Vec<_> = serials.difference(before).map(|serial| serial.as_str()).collect();
            if new.is_empty() {
                return None;
            }
            warning(format!(
                "worker {worker} reports boards that another worker has, so they are not taken \
                 from it: {}",
                new.join(", ")
            ))
        }
        Change::BoardReported(board) => {
            let serial = board.serial();
            let report = &board.report;
            let before = farm.boards.get(serial);
            let reason = report.reason.as_deref().unwrap_or("no reason given");
            match before {
                None => info(format!(
                    "board {serial} came to worker {}: {}",
                    board.worker, report.status
                )),
                Some(before) if before.report.status == report.status => None,
                Some(_) if report.status == BoardStatus::Broken => {
                    warning(format!("board {serial} is broken: {reason}"))
                }
                Some(before) if before.report.status == BoardStatus::Broken => {
                    info(format!("board {serial} is no longer broken: {}", report.status))
                }
                Some(_) => None,
            }
        }
        Change::BoardMissing { serial, .. } => {
            warning(format!("board {serial} is not listed by its worker any more"))
        }
        Change::BoardRemoved { serial } => info(format!("board {serial} is gone")),
        Change::LeasesMoved { next } => (next.0 > farm.next_lease.0 + 1)
            .then(|| {
                warning(format!(
                    "leases go on at {next}, because a worker has seen later ones than this \
                     database knows of"
                ))
            })
            .flatten(),
        Change::LeaseGranted(lease) => info(format!(
            "{} reserved board {} for {} (lease {}, {} s)",
            lease.client,
            lease.serial,
            lease.kind,
            lease.id,
            lease.ttl.as_secs()
        )),
        Change::LeaseExtended { .. }
        | Change::LeaseWarned { .. }
        | Change::RequestAnswered { .. }
        | Change::RequestForgotten { .. } => None,
        Change::LeaseEnded { lease, reason } => {
            let text = format!(
                "{}'s lease {} of board {} is over: {reason}",
                lease.client, lease.id, lease.serial
            );
            match reason {
                EndReason::Ended | EndReason::Expired | EndReason::Revoked => info(text),
                _ => warning(text),
            }
        }
    }
}

/// The last lines, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Chronicle(Mutex<VecDeque<(Timestamp, Line)>>);

impl Chronicle {
    /// Logs lines and keeps them.
    pub(super) fn add(&self, at: Timestamp, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            if line.is_warning {
                tracing::warn!("{}", line.text);
            } else {
                tracing::info!("{}", line.text);
            }
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back((at, line));
        }
    }

    pub(crate) fn lines(&self) -> Vec<(Timestamp, Line)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
