//! Who may do what to the farm. Every path asks here, and nowhere else.

use super::Context;
use crate::access::Identity;
use crate::ledger::Trail;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Role, TokenDetail};
use icefarm_core::{ClientName, WorkerName};
use icefarm_net::{ApiError, Peer};
use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;
use warp::Filter;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed<'a> {
    /// See what boards and workers there are, and what is free.
    Look,
    /// Reserve in this name; extend, end, see or reboot what is reserved in it, and hear of it.
    Hold(&'a ClientName),
    /// Register the worker of this name, and report its boards.
    Serve(&'a WorkerName),
    /// What only an operator may do.
    Operate,
}

/// Whether this token allows it.
fn allows(token: &TokenDetail, deed: Deed<'_>) -> Result<(), String> {
    let names = || {
        let names: Vec<_> = token.names.iter().map(|pattern| pattern.as_str()).collect();
        names.join(", ")
    };
    let label = &token.label;
    match (token.role, deed) {
        (Role::Operator, _) | (Role::Client, Deed::Look) => Ok(()),
        (Role::Client, Deed::Hold(name)) if token.allows(name.as_str()) => Ok(()),
        (Role::Worker, Deed::Serve(name)) if token.allows(name.as_str()) => Ok(()),
        (Role::Client, Deed::Hold(name)) => Err(format!(
            "the token `{label}` may not use the client name `{name}`, but: {}; say --name, or ask \
             an operator for another token",
            names()
        )),
        (Role::Worker, Deed::Serve(name)) => Err(format!(
            "the token `{label}` may not register a worker `{name}`, but: {}; give the worker \
             another --name, or ask an operator for another token",
            names()
        )),
        (role, Deed::Operate) => {
            Err(format!("only an operator may do this, and the token `{label}` is for a {role}"))
        }
        (role, _) => Err(format!("the token `{label}` is for a {role}, which may not do this")),
    }
}

/// Somebody whose request was let in, and what it is answered with.
#[derive(Clone)]
pub(super) struct Asker {
    context: Arc<Context>,
    /// Nobody, at the paths that everybody may see.
    identity: Option<Identity>,
    peer: Option<Peer>,
}

impl Deref for Asker {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

/// Who asks.
pub(super) fn asker(
    context: &Arc<Context>,
) -> impl Filter<Extract = (Asker,), Error = Infallible> + Clone + use<> {
    let context = context.clone();
    let identity = warp::ext::optional::<Identity>();
    identity.and(warp::ext::optional::<Peer>()).map(move |identity, peer| Asker {
        context: context.clone(),
        identity,
        peer,
    })
}

impl Asker {
    /// The same, known by what it has just shown.
    pub(super) fn with(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Who it is.
    ///
    /// # Errors
    /// `unauthorized` for somebody of whom the gate knew nothing.
    pub(super) fn identity(&self) -> Result<&Identity, ApiError> {
        self.identity.as_ref().ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthorized, "this path asks for an access token")
        })
    }

    /// The token that was shown, if this farm asks for one.
    pub(super) fn token(&self) -> Option<&Arc<TokenDetail>> {
        self.identity.as_ref()?.token()
    }

    pub(super) fn peer(&self) -> Option<Peer> {
        self.peer
    }

    /// Whether it may do this, at a glance.
    ///
    /// # Errors
    /// `unauthorized`, or `forbidden` with what would be allowed.
    pub(super) fn check(&self, deed: Deed<'_>) -> Result<(), ApiError> {
        let identity = self.identity()?;
        // It may have ended since the request was let in: a body can take long to come.
        if !self.gate.holds(identity) {
            let message = "the access token or the login that was shown has ended meanwhile";
            return Err(ApiError::new(ErrorCode::Unauthorized, message));
        }
        match identity.token() {
            // A farm without tokens listens on the loopback, where everybody is its operator. Pages
            // of other origins never get this far: the guard of the server refuses them.
            None => Ok(()),
            Some(token) => allows(token, deed)
                .map_err(|message| ErrorDetail::new(ErrorCode::Forbidden, message).into()),
        }
    }

    /// Whether it may do what the trail says. That it may not is written down.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) async fn permit(&self, deed: Deed<'_>, trail: &Trail) -> Result<(), ApiError> {
        let checked = self.check(deed);
        if let Err(ApiError(error)) = &checked {
            self.note_refusal(trail.clone().refused(error.code)).await;
        }
        checked
    }

    /// Writes down that something was not allowed.
    pub(super) async fn note_refusal(&self, trail: Trail) {
        let Some(token) = self.token() else { return };
        // Who tries without end is not to fill the log.
        if self.forbidden.take(&token.id).is_ok() {
            // What cannot be written down stands in the program's own log.
            let _ = self.ledger.audit(trail).await;
        }
    }

    /// The beginning of what is written down about a deed.
    pub(super) fn trail(&self, action: &str) -> Trail {
        let role = self.identity.as_ref().map_or(Role::Client, Identity::role);
        let peer = self.peer.map_or_else(
            || "unknown".to_owned(),
            |Peer(peer)| peer.ip().to_canonical().to_string(),
        );
        let trail = Trail::new(role, peer, action);
        match self.token() {
            Some(token) => trail.by(&token.id, &token.label),
            None => trail,
        }
    }

    /// Whether what is reserved in this name may be shown.
    pub(super) fn sees(&self, name: &ClientName) -> bool {
        self.check(Deed::Hold(name)).is_ok()
    }

    pub(super) fn is_operator(&self) -> bool {
        self.check(Deed::Operate).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::Timestamp;

    fn token(role: Role, names: &[&str]) -> TokenDetail {
        TokenDetail {
            id: "t".into(),
            label: "of a test".into(),
            role,
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            created: Timestamp(0),
            expires: None,
            revoked: None,
        }
    }

    #[test]
    fn every_role_may_do_its_own() {
        let (ann, bob): (ClientName, ClientName) =
            ("ann-1".parse().unwrap(), "bob".parse().unwrap());
        let bench: WorkerName = "bench-1".parse().unwrap();
        let deeds =
            [Deed::Look, Deed::Hold(&ann), Deed::Hold(&bob), Deed::Serve(&bench), Deed::Operate];
        let may = |role, names: &[&str]| {
            let token = token(role, names);
            deeds.map(|deed| allows(&token, deed).is_ok())
        };
        assert_eq!(may(Role::Operator, &[]), [true; 5]);
        assert_eq!(may(Role::Client, &["ann-*"]), [true, true, false, false, false]);
        assert_eq!(may(Role::Client, &["*"]), [true, true, true, false, false]);
        assert_eq!(may(Role::Client, &["bench-1"]), [true, false, false, false, false]);
        assert_eq!(may(Role::Worker, &["bench-*"]), [false, false, false, true, false]);
        assert_eq!(may(Role::Worker, &["ann-1", "other"]), [false; 5]);
    }

    #[test]
    fn who_may_not_is_told_what_he_may() {
        let bob: ClientName = "bob".parse().unwrap();
        let refusal =
            allows(&token(Role::Client, &["ann", "ann-*"]), Deed::Hold(&bob)).unwrap_err();
        assert!(refusal.contains("`bob`, but: ann, ann-*; say --name"), "{refusal}");
    }
}
