//! What a worker must be told about a board, from what control knows and what the worker says.

use crate::machine::{Board, Farm, Lease};
use icefarm_core::LeaseId;
use std::sync::Arc;

/// A call to a worker. Repeating it does no harm.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    /// To take a lease.
    Reserve(Arc<Lease>),
    /// To keep a lease for longer.
    Extend(Arc<Lease>),
    /// That a lease is over, and that none up to it is valid any more.
    End(LeaseId),
}

impl Call {
    /// What tells it from other calls about the same board.
    pub(super) fn key(&self) -> (u8, LeaseId, u64) {
        match self {
            Self::Reserve(lease) => (0, lease.id, 0),
            Self::Extend(lease) => (1, lease.id, lease.revision),
            Self::End(lease) => (2, *lease, 0),
        }
    }

    /// The lease and the revision that the worker has when it is done.
    pub(super) fn tells(&self) -> Option<(LeaseId, u64)> {
        match self {
            Self::Reserve(lease) | Self::Extend(lease) => Some((lease.id, lease.revision)),
            Self::End(_) => None,
        }
    }
}

/// What the worker must be told now. `told` is the lease and the revision that it has
/// acknowledged to this control server, if any.
///
/// It follows from the ledger alone, so nothing that happens to control or to a message can make
/// it forget to tell a worker something.
pub(super) fn wanted(farm: &Farm, board: &Board, told: Option<(LeaseId, u64)>) -> Option<Call> {
    if board.missing.is_some() {
        return None;
    }
    let report = &board.report;
    let serving = report.lease.as_ref().map(|lease| lease.lease);
    match farm.leases.get(board.serial()) {
        Some(lease) if serving == Some(lease.id) => {
            let is_told = told.is_some_and(|(id, rev)| id == lease.id && rev >= lease.revision);
            (!is_told).then(|| Call::Extend(lease.clone()))
        }
        Some(lease) => Some(Call::Reserve(lease.clone())),
        None => {
            let given = farm.given.get(board.serial()).map_or(LeaseId(0), |given| given.lease);
            // One that failed on the worker is remembered there until control confirms the end.
            let failed = report.ended.as_ref().map(|ended| ended.lease);
            match (serving, failed) {
                (Some(lease), _) => Some(Call::End(lease)),
                (None, Some(lease)) => Some(Call::End(lease.max(given))),
                (None, None) => (report.token < given).then_some(Call::End(given)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::lab::{Lab, failed, free, serial, serving};
    use icefarm_core::wire::BoardReport;

    fn plan(lab: &Lab, told: Option<(u64, u64)>) -> String {
        let board = &lab.farm.boards[&serial("A")];
        match wanted(&lab.farm, board, told.map(|(id, rev)| (LeaseId(id), rev))) {
            None => "nothing".into(),
            Some(Call::Reserve(lease)) => format!("reserve {}", lease.id),
            Some(Call::Extend(lease)) => format!("extend {} to {}", lease.id, lease.revision),
            Some(Call::End(lease)) => format!("end {lease}"),
        }
    }

    fn beat(lab: &mut Lab, report: BoardReport) {
        lab.beat("w", "w1", vec![report]);
    }

    #[test]
    fn a_worker_is_told_until_it_says_what_control_says() {
        let mut lab = Lab::with(&["A"]);
        assert_eq!(plan(&lab, None), "nothing");
        lab.reserve("ann", 1);
        assert_eq!(plan(&lab, None), "reserve 1");
        beat(&mut lab, serving("A", 1, 2));
        assert_eq!(plan(&lab, Some((1, 1))), "nothing");
        assert_eq!(plan(&lab, None), "extend 1 to 1", "control was started again");

        let client = "ann".parse().unwrap();
        lab.run(crate::machine::Command::Extend { client, serials: None, instance: None });
        assert_eq!(plan(&lab, Some((1, 1))), "extend 1 to 2");
        assert_eq!(plan(&lab, Some((1, 2))), "nothing");

        lab.end_all("ann");
        assert_eq!(plan(&lab, Some((1, 2))), "end 1");
        beat(&mut lab, free("A", 1, 3));
        assert_eq!(plan(&lab, Some((1, 2))), "nothing");
    }

    #[test]
    fn a_lease_that_never_arrived_is_over_for_the_worker_too() {
        let mut lab = Lab::with(&["A"]);
        lab.reserve("ann", 1);
        lab.end_all("ann");
        assert_eq!(plan(&lab, None), "end 1", "or a late message could start it");
    }

    #[test]
    fn a_worker_that_lost_its_memory_is_given_the_lease_again() {
        let mut lab = Lab::with(&["A"]);
        lab.reserve("ann", 1);
        beat(&mut lab, serving("A", 1, 2));
        lab.join("w", "w2", vec![]);
        assert_eq!(plan(&lab, Some((1, 1))), "nothing", "it has not found the board yet");
        lab.beat("w", "w2", vec![free("A", 0, 1)]);
        assert_eq!(plan(&lab, Some((1, 1))), "reserve 1");
    }

    #[test]
    fn foreign_leases_and_failures_are_ended() {
        let mut lab = Lab::with(&["A"]);
        beat(&mut lab, serving("A", 7, 2));
        assert_eq!(plan(&lab, None), "end 7");
        beat(&mut lab, failed("A", 7, 3));
        assert_eq!(plan(&lab, None), "end 7");
        beat(&mut lab, free("A", 7, 4));
        assert_eq!(plan(&lab, None), "nothing");
    }
}
