//! Connections that are kept for the next request.

use crate::Endpoint;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) type Idle = SendRequest<Full<Bytes>>;

/// Kept connections to one server.
const PER_ENDPOINT: usize = 4;
/// Well below the 30 s after which our servers end an idle connection.
const KEEP: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<BTreeMap<Endpoint, Vec<(Instant, Idle)>>>,
}

impl Pool {
    /// The connection that was used last, since the server keeps it longest.
    pub(crate) fn take(&self, endpoint: &Endpoint) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(endpoint)?;
        let now = Instant::now();
        while let Some((since, connection)) = kept.pop() {
            if now - since < KEEP && connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    pub(crate) fn put(&self, endpoint: &Endpoint, connection: Idle) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        idle.retain(|_, kept| {
            kept.retain(|(since, connection)| now - *since < KEEP && !connection.is_closed());
            !kept.is_empty()
        });
        let kept = idle.entry(endpoint.clone()).or_default();
        if kept.len() < PER_ENDPOINT {
            kept.push((now, connection));
        }
    }
}
