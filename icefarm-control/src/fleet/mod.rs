//! Control's side of its bonds with the workers. Each worker is attended to by tasks of its own,
//! so one that hangs holds up no other.

mod courier;
mod plan;
mod probe;
mod pulse;

use crate::access::Tokens;
use crate::ledger::Ledger;
use crate::machine::{Contact, Farm, Worker};
use futures::future;
use icefarm_core::wire::{ErrorCode, ErrorDetail, OneBoard};
use icefarm_core::{Incarnation, WorkerName};
use icefarm_net::{Endpoint, HttpClient, HttpError, RequestOptions};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// How the workers are dealt with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// The pause between heartbeats.
    pub(crate) heartbeat: Duration,
    /// How long a worker may take to answer one.
    pub(crate) heartbeat_timeout: Duration,
    /// How long a worker may take to answer everything else.
    pub(crate) timeout: Duration,
}

/// All workers.
pub(crate) struct Fleet {
    ledger: Arc<Ledger>,
    http: HttpClient,
    manners: Manners,
    tokens: Arc<Tokens>,
}

impl Fleet {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        http: HttpClient,
        manners: Manners,
        tokens: Arc<Tokens>,
    ) -> Self {
        Self { ledger, http, manners, tokens }
    }

    /// Attends to every worker that registers, for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut farm = self.ledger.watch();
        let mut tasks = JoinSet::new();
        let mut attended: BTreeMap<WorkerName, (Address, AbortHandle)> = BTreeMap::new();
        loop {
            let present = farm.borrow_and_update().clone();
            attended.retain(|name, (_, task)| {
                // One that has left says nothing more; when it is started again it registers.
                let known = present.workers.get(name);
                let stays = known.is_some_and(|worker| worker.contact != Contact::Left);
                if !stays {
                    task.abort();
                }
                stays
            });
            let there = |worker: &&Arc<Worker>| worker.contact != Contact::Left;
            for worker in present.workers.values().filter(there) {
                let address = Address::of(worker);
                if attended.get(&worker.name).is_some_and(|(known, _)| *known == address) {
                    continue;
                }
                let task = tasks.spawn(self.line(worker).attend(self.ledger.clone(), self.manners));
                if let Some((_, before)) = attended.insert(worker.name.clone(), (address, task)) {
                    before.abort();
                }
            }
            while tasks.try_join_next().is_some() {}
            if farm.changed().await.is_err() {
                // The ledger has ended, and with it everything that is to be told. The server goes
                // on, and says so to whoever asks.
                return std::future::pending().await;
            }
        }
    }

    /// Asks a board's worker to do something with it.
    pub(crate) async fn ask(
        &self,
        farm: &Farm,
        path: &'static str,
        board: &OneBoard,
    ) -> Result<(), ErrorDetail> {
        let serial = &board.serial;
        let Some(worker) = farm.boards.get(serial).and_then(|board| farm.worker_of(board)) else {
            let message = format!("no worker has a board `{serial}`");
            return Err(ErrorDetail::new(ErrorCode::UnknownSerial, message));
        };
        if worker.contact.is_gone() {
            let message = format!(
                "the worker `{}` of `{serial}` is not there: it is {}",
                worker.name,
                worker.contact.as_str()
            );
            return Err(ErrorDetail::new(ErrorCode::WorkerUnreachable, message));
        }
        let asked = self.line(worker);
        let asked = asked.post::<IgnoredAny>(path, board, self.manners.timeout).await;
        asked.map(drop).map_err(told)
    }

    /// What a worker shows under `/metrics`, which it shows to nobody but control.
    ///
    /// # Errors
    /// What the worker answers, `worker_unreachable` if it does not.
    pub(crate) async fn figures(&self, worker: &Worker) -> Result<String, ErrorDetail> {
        let Line { http, endpoint, options, .. } = self.line(worker);
        let options = options.timeout(self.manners.timeout);
        let figures = match &endpoint {
            Ok(endpoint) => http.get_text(endpoint, "/metrics", &options).await,
            Err(error) => Err(HttpError::from(error.clone())),
        };
        figures.map_err(told)
    }

    fn line(&self, worker: &Worker) -> Line {
        Line {
            http: self.http.clone(),
            worker: worker.name.clone(),
            incarnation: worker.incarnation.clone(),
            // Control checks addresses when workers register; a database may still hold any text.
            endpoint: worker.url.parse().map_err(|error: icefarm_net::EndpointError| {
                tracing::error!(worker = %worker.name, %error, "the worker has no usable address");
                error
            }),
            options: RequestOptions::default().bearer(worker.secret.0.clone()),
            tokens: self.tokens.clone(),
        }
    }
}

/// What a caller is told when a worker did not do what it was asked for.
fn told(error: HttpError) -> ErrorDetail {
    match error {
        HttpError::Answer { error, .. } => error,
        error => ErrorDetail::new(ErrorCode::WorkerUnreachable, error.to_string()),
    }
}

/// What makes a worker another one to talk to.
#[derive(PartialEq)]
struct Address {
    url: String,
    incarnation: Incarnation,
    secret: crate::machine::Secret,
}

impl Address {
    fn of(worker: &Worker) -> Self {
        Self {
            url: worker.url.clone(),
            incarnation: worker.incarnation.clone(),
            secret: worker.secret.clone(),
        }
    }
}

/// The way to one start of a worker.
#[derive(Clone)]
struct Line {
    http: HttpClient,
    worker: WorkerName,
    incarnation: Incarnation,
    endpoint: Result<Endpoint, icefarm_net::EndpointError>,
    options: RequestOptions,
    tokens: Arc<Tokens>,
}

impl Line {
    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, HttpError> {
        let endpoint = self.endpoint.as_ref().map_err(|error| HttpError::from(error.clone()))?;
        let options = self.options.clone().timeout(timeout);
        self.http.post_json(endpoint, path, body, &options).await
    }

    /// Feels the worker's pulse and brings it what control wants of it, apart from each other: a
    /// delivery that hangs must not make the worker look dead.
    async fn attend(self, ledger: Arc<Ledger>, manners: Manners) {
        future::join(
            pulse::run(self.clone(), ledger.clone(), manners),
            courier::run(self, ledger, manners),
        )
        .await;
    }
}
