//! The access tokens of the farm, as they are in the store.

use crate::store::{KeptToken, TokenChange};
use icefarm_core::wire::{Role, TokenDetail};
use icefarm_core::{Timestamp, TokenId};
use icefarm_net::{Token, TokenDigest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// So many tokens are kept. One more takes the place of the oldest that is over.
const KEPT: usize = 4096;

/// Why a token is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Useless {
    Unknown,
    Revoked,
    Expired,
}

/// All tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    kept: Mutex<Kept>,
    /// Rises with every change.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    tokens: BTreeMap<TokenDigest, Arc<TokenDetail>>,
    digests: BTreeMap<TokenId, TokenDigest>,
}

impl Tokens {
    pub(crate) fn new(kept: Vec<KeptToken>) -> Self {
        let tokens = Self { kept: Mutex::default(), version: watch::Sender::new(0) };
        let created = |token| TokenChange::Created(Box::new(token));
        tokens.apply(&kept.into_iter().map(created).collect::<Vec<_>>());
        tokens
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes that were written down.
    pub(crate) fn apply(&self, changes: &[TokenChange]) {
        if changes.is_empty() {
            return;
        }
        let mut kept = self.lock();
        for change in changes {
            match change {
                TokenChange::Created(token) => {
                    kept.digests.insert(token.detail.id.clone(), token.digest);
                    kept.tokens.insert(token.digest, Arc::new(token.detail.clone()));
                }
                TokenChange::Revoked { id, at } => {
                    if let Some(digest) = kept.digests.get(id).copied()
                        && let Some(token) = kept.tokens.get_mut(&digest)
                    {
                        Arc::make_mut(token).revoked.get_or_insert(*at);
                    }
                }
                TokenChange::Forgotten { id } => {
                    if let Some(digest) = kept.digests.remove(id) {
                        kept.tokens.remove(&digest);
                    }
                }
            }
        }
        drop(kept);
        self.version.send_modify(|version| *version += 1);
    }

    /// Whether nobody has ever made a token here: then nobody is asked for one. A farm whose tokens
    /// are all over is not open.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().tokens.is_empty()
    }

    /// The token, if it is one that is good for something.
    pub(crate) fn find(&self, token: &Token, now: Timestamp) -> Result<Arc<TokenDetail>, Useless> {
        let found = self.lock().tokens.get(&token.digest()).cloned();
        let detail = found.ok_or(Useless::Unknown)?;
        match (detail.revoked, detail.is_valid(now)) {
            (Some(_), _) => Err(Useless::Revoked),
            (None, false) => Err(Useless::Expired),
            (None, true) => Ok(detail),
        }
    }

    /// What is known of a token.
    pub(crate) fn get(&self, id: &TokenId) -> Option<Arc<TokenDetail>> {
        let kept = self.lock();
        kept.tokens.get(kept.digests.get(id)?).cloned()
    }

    /// Whether the token is still good for something.
    pub(crate) fn is_valid(&self, id: &TokenId, now: Timestamp) -> bool {
        self.get(id).is_some_and(|token| token.is_valid(now))
    }

    /// All of them, the oldest first.
    pub(crate) fn list(&self) -> Vec<TokenDetail> {
        let mut tokens: Vec<_> = self.lock().tokens.values().map(|t| (**t).clone()).collect();
        tokens.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        tokens
    }

    /// Whether an operator could still get in without this token.
    pub(crate) fn has_other_operator(&self, than: &TokenId, now: Timestamp) -> bool {
        let is_operator = |token: &Arc<TokenDetail>| {
            token.role == Role::Operator && token.id != *than && token.is_valid(now)
        };
        self.lock().tokens.values().any(is_operator)
    }

    /// What has to go for one more token: nothing, or the one that has been over for longest.
    ///
    /// # Errors
    /// How many there are, if none of them is over.
    pub(crate) fn room(&self, now: Timestamp) -> Result<Option<TokenId>, usize> {
        let tokens = self.list();
        if tokens.len() < KEPT {
            return Ok(None);
        }
        let over = tokens.iter().find(|token| !token.is_valid(now));
        over.map(|token| Some(token.id.clone())).ok_or(tokens.len())
    }

    /// Rises with every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::make_token;
    use icefarm_core::wire::CreateToken;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn made(role: Role, expires_in_s: Option<u64>) -> (Token, KeptToken) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ids = || NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let names = vec!["a-*".parse().unwrap()];
        let wanted = CreateToken { role, names, label: None, expires_in_s };
        make_token(wanted, Timestamp(1000), &ids).unwrap()
    }

    #[test]
    fn a_token_is_good_until_it_is_revoked_or_over() {
        let (token, kept) = made(Role::Client, Some(5));
        let id = kept.detail.id.clone();
        let tokens = Tokens::new(Vec::new());
        assert!(tokens.is_empty());
        assert_eq!(tokens.find(&token, Timestamp(1000)).unwrap_err(), Useless::Unknown);
        tokens.apply(&[TokenChange::Created(Box::new(kept))]);
        assert!(tokens.find(&token, Timestamp(5999)).is_ok());
        assert_eq!(tokens.find(&token, Timestamp(6000)).unwrap_err(), Useless::Expired);
        tokens.apply(&[TokenChange::Revoked { id: id.clone(), at: Timestamp(2000) }]);
        assert_eq!(tokens.find(&token, Timestamp(2000)).unwrap_err(), Useless::Revoked);
        assert!(!tokens.is_empty() && !tokens.is_valid(&id, Timestamp(2000)));
        assert!(!format!("{tokens:?}").contains(token.as_str()));
    }

    #[test]
    fn the_last_operator_is_known() {
        let ((_, one), (_, other)) = (made(Role::Operator, None), made(Role::Operator, Some(5)));
        let id = one.detail.id.clone();
        let tokens = Tokens::new(vec![one, other]);
        assert!(tokens.has_other_operator(&id, Timestamp(1000)));
        assert!(!tokens.has_other_operator(&id, Timestamp(6000)), "the other one is over");
    }

    #[test]
    fn the_oldest_that_is_over_makes_room() {
        let (_, over) = made(Role::Client, Some(1));
        let id = over.detail.id.clone();
        let mut all: Vec<KeptToken> = (1..KEPT).map(|_| made(Role::Client, None).1).collect();
        assert_eq!(Tokens::new(all.clone()).room(Timestamp(9000)), Ok(None));
        all.push(over);
        let tokens = Tokens::new(all);
        assert_eq!(tokens.room(Timestamp(9000)), Ok(Some(id)));
        assert_eq!(tokens.room(Timestamp(1000)), Err(KEPT));
    }
}
