//! What a board's FPGA may still remember, across leases.

use icefarm_core::Residue;
use std::sync::{Mutex, PoisonError};

/// Counts the circuits of one board, and knows the last one.
#[derive(Debug, Default)]
pub(crate) struct ResidueLedger {
    inner: Mutex<(u64, Option<String>)>,
}

impl ResidueLedger {
    /// Notes the next circuit, and tells what was there before.
    pub(crate) fn load(&self, sha256: &str) -> Residue {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let residue = Residue { sequence: inner.0, previous_sha256: inner.1.take() };
        *inner = (residue.sequence + 1, Some(sha256.to_owned()));
        residue
    }

    /// What is there, without adding to it.
    pub(crate) fn look(&self) -> Residue {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Residue { sequence: inner.0, previous_sha256: inner.1.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_circuit_finds_the_one_before() {
        let ledger = ResidueLedger::default();
        assert_eq!(ledger.load("a"), Residue { sequence: 0, previous_sha256: None });
        assert_eq!(ledger.load("b"), Residue { sequence: 1, previous_sha256: Some("a".into()) });
        let look = Residue { sequence: 2, previous_sha256: Some("b".into()) };
        assert_eq!((ledger.look(), ledger.look()), (look.clone(), look));
    }
}
