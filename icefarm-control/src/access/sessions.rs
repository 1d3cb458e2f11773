//! Sessions of the panel: who has logged in with a browser.

use icefarm_core::{Timestamp, TokenId};
use icefarm_net::{Token, TokenDigest};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a session lasts.
pub(crate) const LASTS: Duration = Duration::from_secs(12 * 3600);
/// So many sessions there may be; one more ends the oldest.
const AT_ONCE: usize = 1024;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The token that was shown at its beginning.
    pub(crate) token: TokenId,
    expires: Timestamp,
}

/// All sessions. They end with the program: people log in anew.
#[derive(Debug)]
pub(crate) struct Sessions {
    open: Mutex<BTreeMap<TokenDigest, Session>>,
    version: watch::Sender<u64>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { open: Mutex::default(), version: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TokenDigest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session, whose name is all that the browser is told.
    pub(crate) fn begin(&self, token: TokenId, name: &Token, now: Timestamp) {
        let mut open = self.lock();
        open.retain(|_, session| now < session.expires);
        if open.len() >= AT_ONCE {
            let oldest = open.iter().min_by_key(|(_, session)| session.expires);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                open.remove(&oldest);
            }
        }
        open.insert(name.digest(), Session { token, expires: now.after(LASTS) });
    }

    /// The session of this name, if it goes on.
    pub(crate) fn get(&self, name: &str, now: Timestamp) -> Option<(TokenDigest, Session)> {
        let digest = name.parse::<Token>().ok()?.digest();
        let session = self.lock().get(&digest).filter(|session| now < session.expires).cloned();
        session.map(|session| (digest, session))
    }

    /// Whether the session goes on.
    pub(crate) fn is_open(&self, session: &TokenDigest, now: Timestamp) -> bool {
        self.lock().get(session).is_some_and(|session| now < session.expires)
    }

    /// Ends a session.
    pub(crate) fn end(&self, session: &TokenDigest) {
        self.lock().remove(session);
        self.version.send_modify(|version| *version += 1);
    }

    /// Rises whenever a session is ended.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> Token {
        Token::of_chance([number.to_string().as_str()])
    }

    #[test]
    fn sessions_end_by_themselves_or_by_logout() {
        let sessions = Sessions::new();
        sessions.begin("t".into(), &name(1), Timestamp(0));
        let (digest, session) = sessions.get(name(1).as_str(), Timestamp(5)).unwrap();
        assert_eq!(session.token, "t".into());
        assert!(sessions.get(name(2).as_str(), Timestamp(5)).is_none());
        let over = Timestamp(0).after(LASTS);
        assert!(sessions.get(name(1).as_str(), over).is_none());
        assert!(sessions.is_open(&digest, Timestamp(5)) && !sessions.is_open(&digest, over));
        sessions.end(&digest);
        assert!(sessions.get(name(1).as_str(), Timestamp(5)).is_none());
    }

    #[test]
    fn there_are_only_so_many() {
        let sessions = Sessions::new();
        for number in 0..2000 {
            sessions.begin("t".into(), &name(number), Timestamp(number.into()));
        }
        assert_eq!(sessions.lock().len(), AT_ONCE);
        assert!(sessions.get(name(1999).as_str(), Timestamp(2000)).is_some());
        assert!(sessions.get(name(0).as_str(), Timestamp(2000)).is_none());
    }
}
