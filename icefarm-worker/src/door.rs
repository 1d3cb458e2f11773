//! Who may open sockets here: on a farm with tokens, only who shows a ticket of control.

use crate::secret::Secret;
use http::request::Parts;
use icefarm_core::wire::{ErrorCode, ErrorDetail, HeartbeatNews};
use icefarm_core::{Clock, SteadyClock, Timestamp, WorkerName};
use icefarm_net::{Access, Denial, Pass, TicketClaims, TicketKey, bearer};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use warp::http;

/// Decides about every request to this worker.
#[derive(Debug)]
pub(crate) struct Door {
    worker: WorkerName,
    secret: Secret,
    key: TicketKey,
    /// Whether tickets are asked for whatever control says.
    is_strict: bool,
    /// What control said last: its clock, and whether tickets are needed.
    heard: Mutex<Option<(SteadyClock, bool)>>,
}

impl Door {
    pub(crate) fn new(worker: WorkerName, secret: Secret, is_strict: bool) -> Self {
        let key = TicketKey::derive(secret.as_str());
        Self { worker, secret, key, is_strict, heard: Mutex::new(None) }
    }

    fn heard(&self) -> Option<(SteadyClock, bool)> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Control has said what it makes of tickets.
    pub(crate) fn hear(&self, news: HeartbeatNews) {
        let heard = Some((SteadyClock::starting_at(news.now), news.tickets));
        let before = std::mem::replace(
            &mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner),
            heard,
        );
        let is_new = before.is_none_or(|(_, tickets)| tickets != news.tickets);
        if is_new && self.is_strict && !news.tickets {
            tracing::error!(
                "this worker listens on an address that others can reach, and its control server \
                 asks nobody for tokens, so nobody is let in here: say `icefarm init` at control, \
                 or start this worker with --insecure if the network itself keeps strangers out"
            );
        }
    }

    /// Whether clients must show tickets.
    pub(crate) fn asks(&self) -> bool {
        self.is_strict || self.heard().is_some_and(|(_, tickets)| tickets)
    }

    /// Control's time, by which tickets end.
    fn now(&self) -> Option<Timestamp> {
        self.heard().map(|(clock, _)| clock.now())
    }

    /// Whether a socket must end: its ticket is over, or it came before there were tickets.
    pub(crate) fn is_over(&self, pass: Option<&Pass>) -> bool {
        match pass {
            None => self.asks(),
            Some(pass) => {
                let (Some(expires), Some(now)) = (pass.expires, self.now()) else { return false };
                expires <= now
            }
        }
    }

    fn ticket(&self, request: &Parts) -> Result<TicketClaims, ErrorDetail> {
        let (now, tickets) =
            self.heard().map(|(clock, tickets)| (clock.now(), tickets)).ok_or_else(|| {
                let message = "this worker has not registered at control yet; try again";
                ErrorDetail::new(ErrorCode::Unavailable, message)
            })?;
        let refuse = |message: String| ErrorDetail::new(ErrorCode::Unauthorized, message);
        if !tickets {
            return Err(refuse(
                "this worker wants tickets, and its control server gives none because it asks \
                 nobody for tokens; its operator can say `icefarm init` at control"
                    .to_owned(),
            ));
        }
        let shown = match bearer(&request.headers)? {
            Some(shown) => shown,
            None => in_query(request.uri.query().unwrap_or_default()).ok_or_else(|| {
                refuse(
                    "this worker wants a ticket, as `Authorization: Bearer TICKET` or `ticket=` in \
                     the query: POST /v1/tickets at control gives one"
                        .to_owned(),
                )
            })?,
        };
        self.key.read(shown, &self.worker, now).map_err(|error| {
            refuse(format!("the ticket is not valid: {error}; get another one of control"))
        })
    }
}

/// The ticket in a query. It has no characters that would have to be escaped.
fn in_query(query: &str) -> Option<&str> {
    let mut found = query.split('&').filter_map(|pair| pair.strip_prefix("ticket="));
    found.next().filter(|_| found.next().is_none())
}

impl Access for Door {
    fn admit(&self, request: &mut Parts, _: SocketAddr) -> Result<(), Denial> {
        let path = request.uri.path();
        if path == "/healthz" || !self.asks() {
            return Ok(());
        }
        if matches!(path, "/" | "/ws") {
            let claims = self.ticket(request)?;
            request.extensions.insert(claims);
            return Ok(());
        }
        // Everything else is control's.
        match bearer(&request.headers)? {
            Some(shown) if self.secret.is(shown) => Ok(()),
            _ => {
                let message = "only the control server that this worker is registered at may ask \
                               this";
                Err(ErrorDetail::new(ErrorCode::Unauthorized, message).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn door(is_strict: bool) -> Door {
        Door::new("w".parse().unwrap(), Secret::new("s3cret"), is_strict)
    }

    fn claims(expires: u64) -> TicketClaims {
        TicketClaims {
            client: "ann".parse().unwrap(),
            worker: "w".parse().unwrap(),
            token: "t".into(),
            expires: Timestamp(expires),
        }
    }

    fn admit(
        door: &Door,
        path: &str,
        shown: Option<&str>,
    ) -> Result<Option<TicketClaims>, ErrorDetail> {
        let mut request = http::Request::get(path);
        if let Some(shown) = shown {
            request = request.header("authorization", format!("Bearer {shown}"));
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let admitted = door.admit(&mut parts, ([127, 0, 0, 1], 5).into());
        admitted.map(|()| parts.extensions.get().cloned()).map_err(|denial| denial.detail)
    }

    fn news(now: u64, tickets: bool) -> HeartbeatNews {
        HeartbeatNews { now: Timestamp(now), tickets }
    }

    #[tokio::test(start_paused = true)]
    async fn tickets_are_asked_for_when_control_says_so() {
        let door = door(false);
        assert_eq!(admit(&door, "/ws?client_id=ann", None), Ok(None));
        door.hear(news(0, true));
        let refused = admit(&door, "/ws?client_id=ann", None).unwrap_err();
        assert!(refused.message.contains("/v1/tickets"), "{refused}");
        let ticket = TicketKey::derive("s3cret").issue(&claims(60_000));
        assert_eq!(admit(&door, "/ws", Some(&ticket)), Ok(Some(claims(60_000))));
        let query = format!("/?client_id=ann&ticket={ticket}");
        assert_eq!(admit(&door, &query, None), Ok(Some(claims(60_000))));
        assert!(admit(&door, &format!("{query}&ticket={ticket}"), None).is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        let over = admit(&door, "/ws", Some(&ticket)).unwrap_err();
        assert!(over.message.contains("its time is over"), "{over}");
        let pass = Pass { token: "t".into(), expires: Some(Timestamp(60_000)) };
        assert!(door.is_over(Some(&pass)) && door.is_over(None));
        door.hear(news(30_000, true));
        assert!(!door.is_over(Some(&pass)), "control's clock counts");
    }

    #[test]
    fn everything_else_is_for_control() {
        let door = door(true);
        for path in ["/heartbeat", "/version", "/reserve", "/x"] {
            assert_eq!(admit(&door, path, None).unwrap_err().code, ErrorCode::Unauthorized);
            assert_eq!(admit(&door, path, Some("s3cret")), Ok(None));
        }
        assert_eq!(admit(&door, "/healthz", None), Ok(None));
    }

    #[tokio::test]
    async fn a_worker_that_others_reach_lets_nobody_in_without_tickets() {
        let door = door(true);
        assert_eq!(admit(&door, "/ws", None).unwrap_err().code, ErrorCode::Unavailable);
        door.hear(news(0, false));
        let refused = admit(&door, "/ws", None).unwrap_err();
        assert!(refused.message.contains("icefarm init"), "{refused}");
    }
}
