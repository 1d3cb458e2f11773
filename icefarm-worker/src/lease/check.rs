//! The checks that keep out who holds no lease, or holds it no longer. They are always made. Only
//! the simulation of whole farms can leave one out, to show that it would be noticed: for that it
//! is built with `--cfg icefarm_simulation`, which no feature of Cargo sets.

#[cfg(icefarm_simulation)]
use std::sync::atomic::{AtomicBool, Ordering};

/// A check of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// A lease is refused that is not later than the latest one of the board.
    Lease,
    /// A command is refused that does not come from the holder of the lease.
    Holder,
}

impl Check {
    #[cfg(not(icefarm_simulation))]
    pub(crate) const fn is_made(self) -> bool {
        true
    }

    #[cfg(icefarm_simulation)]
    pub(crate) fn is_made(self) -> bool {
        !OMITTED[self as usize].load(Ordering::Relaxed)
    }
}

#[cfg(icefarm_simulation)]
static OMITTED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// From now on no worker of this process makes the check `lease` or `holder`. Says whether there
/// is such a check.
#[cfg(icefarm_simulation)]
pub fn omit_check(name: &str) -> bool {
    let check = match name {
        "lease" => Check::Lease,
        "holder" => Check::Holder,
        _ => return false,
    };
    OMITTED[check as usize].store(true, Ordering::Relaxed);
    true
}
