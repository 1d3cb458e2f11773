//! The worker's side of its bond with control: it registers, tells what changes, and registers
//! anew when control seems to have forgotten it.

use crate::LinkConfig;
use crate::door::Door;
use crate::ledger::{Ledger, Told};
use crate::secret::Secret;
use icefarm_core::wire::{BoardsReport, ErrorCode, PROTOCOL, Registration, RegistrationAnswer};
use icefarm_core::{Incarnation, KindInfo, PluginInfo, WorkerName};
use icefarm_net::{Endpoint, HttpClient, HttpError, RequestOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// When control was last heard.
#[derive(Clone)]
pub(crate) struct Heard(Arc<watch::Sender<Instant>>);

impl Heard {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now())))
    }

    pub(crate) fn now(&self) {
        self.0.send_replace(Instant::now());
    }

    fn last(&self) -> Instant {
        *self.0.borrow()
    }
}

pub(crate) struct Link {
    pub(crate) client: HttpClient,
    pub(crate) control: Endpoint,
    pub(crate) config: LinkConfig,
    pub(crate) worker: WorkerName,
    pub(crate) incarnation: Incarnation,
    pub(crate) secret: Secret,
    pub(crate) url: Option<String>,
    pub(crate) port: u16,
    pub(crate) kinds: Vec<KindInfo>,
    pub(crate) plugins: Vec<PluginInfo>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) heard: Heard,
    pub(crate) door: Arc<Door>,
    /// What lets this worker in at control, on a farm with tokens.
    pub(crate) token: Option<String>,
}

/// Why a registration does not count any more.
enum Lost {
    Silent(Duration),
    Unknown(HttpError),
}

impl Link {
    /// Keeps the bond for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut pauses = Pauses::new(&self.config);
        loop {
            let (answer, mut told) = self.register().await;
            let silence = Duration::from_millis(answer.heartbeat_ms.max(100)) * 3;
            tracing::info!(
                "registered at {}; clients reach this worker at {}",
                self.control,
                answer.url
            );
            let since = Instant::now();
            let lost = self.report(&mut told, silence).await;
            if since.elapsed() > silence {
                pauses = Pauses::new(&self.config);
            }
            match lost {
                Lost::Silent(silence) => tracing::warn!(
                    control = %self.control,
                    "control was not heard for {} s; registering again", silence.as_secs_f64()
                ),
                Lost::Unknown(error) => {
                    tracing::warn!("control does not know this worker; registering again: {error}");
                    // Two workers of one name would otherwise take it from each other without end.
                    sleep(pauses.next()).await;
                }
            }
        }
    }

    /// Tells control once where everything stands, and that this worker has stopped, within so
    /// long.
    pub(crate) async fn last_report(&self, limit: Duration) {
        let untold = self.ledger.untold(&Told::default(), &self.worker, &self.incarnation);
        let report = untold.map_or_else(Vec::new, |(report, _)| report.boards);
        let report = BoardsReport {
            worker: self.worker.clone(),
            incarnation: self.incarnation.clone(),
            boards: report,
            gone: Vec::new(),
            stops_in_ms: None,
            left: true,
        };
        let options = self.reporting().timeout(limit.min(self.config.request));
        let sent: Result<serde_json::Value, _> =
            self.client.post_json(&self.control, "/worker/boards", &report, &options).await;
        match sent {
            Ok(_) => {}
            Err(error) if report.boards.iter().any(|board| board.ended.is_some()) => {
                tracing::warn!("control could not be told of the leases that end here: {error}");
            }
            Err(error) => tracing::debug!("control does not know that this worker stops: {error}"),
        }
    }

    async fn register(&self) -> (RegistrationAnswer, Told) {
        let mut pauses = Pauses::new(&self.config);
        loop {
            let (boards, told) = self.ledger.inventory_told();
            let registration = Registration {
                name: self.worker.clone(),
                url: self.url.clone(),
                port: self.port,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                protocol: PROTOCOL.to_owned(),
                incarnation: self.incarnation.clone(),
                secret: self.secret.as_str().to_owned(),
                kinds: self.kinds.clone(),
                plugins: self.plugins.clone(),
                boards,
                stops_in_ms: self.ledger.stops_in_ms(),
            };
            let mut options = self.options();
            if let Some(token) = &self.token {
                options = options.bearer(token.as_str());
            }
            let path = "/worker/register";
            match self.client.post_json(&self.control, path, &registration, &options).await {
                Ok(answer) => {
                    let answer: RegistrationAnswer = answer;
                    self.heard.now();
                    if let Some(news) = answer.news {
                        self.door.hear(news);
                    }
                    return (answer, told);
                }
                Err(error) => {
                    let pause = match advice(&error, &self.worker) {
                        Some(advice) => {
                            tracing::error!("control refused this worker: {error}; {advice}");
                            self.config.refused
                        }
                        None => {
                            let pause = pauses.next();
                            tracing::warn!(
                                "not registered yet, next try in {} s: {error}",
                                pause.as_secs_f64()
                            );
                            pause
                        }
                    };
                    sleep(pause).await;
                }
            }
        }
    }

    /// Reports changes until the registration no longer counts.
    async fn report(&self, told: &mut Told, silence: Duration) -> Lost {
        let mut changes = self.ledger.changes();
        let mut pauses = Pauses::new(&self.config);
        let mut retry = None;
        loop {
            changes.mark_unchanged();
            let untold = self.ledger.untold(told, &self.worker, &self.incarnation);
            if let Some((report, now)) = untold.filter(|_| retry.is_none()) {
                let options = self.reporting();
                let path = "/worker/boards";
                let sent: Result<serde_json::Value, _> =
                    self.client.post_json(&self.control, path, &report, &options).await;
                match sent {
                    Ok(_) => {
                        *told = now;
                        pauses = Pauses::new(&self.config);
                    }
                    Err(error @ HttpError::Answer { .. }) if is_lasting(&error) => {
                        return Lost::Unknown(error);
                    }
                    Err(error) => {
                        let pause = pauses.next();
                        tracing::warn!(
                            "control was not told of changes, next try in {} s: {error}",
                            pause.as_secs_f64()
                        );
                        retry = Some(Instant::now() + pause);
                    }
                }
            }
            let deadline = self.heard.last() + silence;
            tokio::select! {
                biased;
                // While a retry is due later, what changes meanwhile goes with it.
                _ = changes.changed(), if retry.is_none() => {}
                () = due(retry) => retry = None,
                () = sleep_until(deadline) => {
                    if self.heard.last() + silence <= Instant::now() {
                        return Lost::Silent(silence);
                    }
                }
            }
        }
    }

    /// The secret is shown as the bearer, unless a token takes its place.
    fn reporting(&self) -> RequestOptions {
        let secret = self.secret.as_str();
        match &self.token {
            Some(token) => self.options().bearer(token.as_str()).secret(secret),
            None => self.options().bearer(secret),
        }
    }

    fn options(&self) -> RequestOptions {
        RequestOptions::default().timeout(self.config.request)
    }
}

async fn due(retry: Option<Instant>) {
    match retry {
        Some(retry) => sleep_until(retry).await,
        None => std::future::pending().await,
    }
}

/// Whether repeating the same request is of no use.
fn is_lasting(error: &HttpError) -> bool {
    !matches!(
        error.code(),
        Some(
            ErrorCode::Overloaded
                | ErrorCode::Internal
                | ErrorCode::Unavailable
                | ErrorCode::Timeout
                | ErrorCode::Other
        ) | None
    )
}

/// What somebody has to do about a registration that was refused; `None` if time may help.
fn advice(error: &HttpError, worker: &WorkerName) -> Option<String> {
    if !is_lasting(error) {
        return None;
    }
    Some(match error.code() {
        Some(ErrorCode::Conflict) => format!(
            "if another worker is called `{worker}`, give this one another name; if a board is \
             plugged to another worker as well, unplug it there"
        ),
        Some(ErrorCode::VersionMismatch) => {
            "install the same version of icefarm on both machines".to_owned()
        }
        Some(ErrorCode::Unauthorized | ErrorCode::Forbidden) => {
            "give it the token of a worker that `icefarm init` or `icefarm token create --role \
             worker` made: --token-file FILE, or ICEFARM_TOKEN"
                .to_owned()
        }
        Some(ErrorCode::NotFound) => {
            "check that the address is that of a control server".to_owned()
        }
        _ => "see control's log for more".to_owned(),
    })
}

/// Pauses that double, up to a bound.
struct Pauses {
    next: Duration,
    at_most: Duration,
}

impl Pauses {
    fn new(config: &LinkConfig) -> Self {
        Self { next: config.retry, at_most: config.retry_at_most }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next.min(self.at_most);
        self.next = pause.saturating_mul(2);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let (retry, retry_at_most) = (Duration::from_secs(1), Duration::from_secs(3));
        let config = LinkConfig { retry, retry_at_most, ..LinkConfig::default() };
        let mut pauses = Pauses::new(&config);
        let taken: Vec<u64> = (0..4).map(|_| pauses.next().as_secs()).collect();
        assert_eq!(taken, [1, 2, 3, 3]);
    }
}
