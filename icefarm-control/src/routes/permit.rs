//! Who may do what to the farm. Every path that is for operators asks here, and nowhere else.

use super::Context;
use icefarm_net::ApiError;

/// What only an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// End somebody else's lease.
    End,
    /// Reboot a board that somebody else holds.
    Reboot,
    /// Take a board out of the books.
    Delete,
    /// Take a worker out of the books.
    Forget,
    /// Take a board or a worker out of service, or back into it.
    Drain,
    /// See who holds what, live.
    Watch,
}

/// Whether whoever sends a request may do this.
///
/// A farm without tokens listens on the loopback, where everybody is its operator. Pages of other
/// origins never get this far: the guard of the server refuses them.
#[expect(clippy::unnecessary_wraps, reason = "with tokens, the answer may be no")]
pub(super) fn permit(_: &Context, deed: Deed) -> Result<(), ApiError> {
    tracing::trace!(?deed, "permitted");
    Ok(())
}
