//! What is shown to servers: the token to control, and to workers the tickets that control gives
//! for it.

use crate::socket::OpenError;
use icefarm_core::wire::{ErrorCode, Tickets};
use icefarm_core::{ClientName, Object};
use icefarm_net::{Endpoint, HttpClient, HttpError, RequestOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A ticket that lasts no longer than this is not shown any more.
const MARGIN: Duration = Duration::from_secs(30);

/// Where tickets come from.
pub(crate) struct TicketOffice {
    pub(crate) http: HttpClient,
    pub(crate) control: Endpoint,
    pub(crate) control_url: Arc<str>,
    pub(crate) name: ClientName,
    /// Without one the farm asks for none, and gives no tickets either.
    pub(crate) token: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) kept: Mutex<Kept>,
}

#[derive(Default)]
pub(crate) struct Kept {
    tickets: BTreeMap<String, String>,
    until: Option<Instant>,
}

impl TicketOffice {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to show to the server at `url`, if anything.
    pub(crate) async fn bearer(&self, url: &str) -> Result<Option<String>, OpenError> {
        let Some(token) = &self.token else { return Ok(None) };
        if *url == *self.control_url {
            return Ok(Some(token.clone()));
        }
        if let Some(ticket) = self.kept_for(url) {
            return Ok(Some(ticket));
        }
        let options = RequestOptions::default().timeout(self.timeout).bearer(token.as_str());
        let body = Object::from_iter([("name".to_owned(), self.name.as_str().into())]);
        let asked = self.http.post_json(&self.control, "/v1/tickets", &body, &options).await;
        let Tickets { tickets, expires_in_ms } = asked.map_err(refusal)?;
        // A farm that gives no tickets asks for none.
        let ticket = tickets.get(url).cloned();
        let lasts = Duration::from_millis(expires_in_ms);
        *self.kept() = Kept { tickets, until: Some(Instant::now() + lasts) };
        Ok(ticket)
    }

    fn kept_for(&self, url: &str) -> Option<String> {
        let kept = self.kept();
        kept.until.filter(|until| Instant::now() + MARGIN < *until)?;
        kept.tickets.get(url).cloned()
    }

    /// The worker did not take its ticket: it may have been started again. Says whether another one
    /// may be better.
    pub(crate) fn reject(&self, url: &str) -> bool {
        self.token.is_some() && self.kept().tickets.remove(url).is_some()
    }
}

fn refusal(error: HttpError) -> OpenError {
    let refused = matches!(error.code(), Some(ErrorCode::Unauthorized | ErrorCode::Forbidden));
    let reason = format!("control gave no ticket for it: {error}");
    OpenError { reason, refused, source: Some(Arc::new(error)) }
}
