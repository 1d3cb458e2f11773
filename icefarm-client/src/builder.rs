//! How a client is set up.

use crate::client::{Client, Inner};
use crate::error::ClientError;
use crate::events::EventServer;
use icefarm_core::{ClientName, InstanceId, Registered};
use icefarm_net::{Connector, Endpoint, HttpClient, TcpConnector};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long things may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Bounds {
    /// One HTTP request. 20 s unless changed.
    pub request: Duration,
    /// A request that has no answer, repeated. 60 s unless changed.
    pub retry: Duration,
    /// Opening a websocket once. 10 s unless changed.
    pub connect: Duration,
    /// How long a server may be away before what waits for it fails. It is tried on. 180 s unless
    /// changed, as long as control waits for a worker.
    pub away: Duration,
    /// A command's answer. 120 s unless changed.
    pub command: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(20),
            retry: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            away: Duration::from_secs(180),
            command: Duration::from_secs(120),
        }
    }
}

impl Bounds {
    /// The same with another bound for servers that are away.
    #[must_use]
    pub fn away(mut self, away: Duration) -> Self {
        self.away = away;
        self
    }

    /// The same with another bound for requests that are repeated.
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// The same with another bound for a single request.
    #[must_use]
    pub fn request(mut self, request: Duration) -> Self {
        self.request = request;
        self
    }

    /// The same with another bound for commands.
    #[must_use]
    pub fn command(mut self, command: Duration) -> Self {
        self.command = command;
        self
    }
}

/// Makes the ids of requests, commands and evaluations.
pub(crate) type IdSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Sets a [`Client`] up, see [`Client::builder`].
pub struct ClientBuilder {
    pub(crate) url: String,
    pub(crate) name: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) bounds: Bounds,
    pub(crate) events: EventServer,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) ids: IdSource,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, name) = (&self.url, &self.name);
        f.debug_struct("ClientBuilder")
            .field("url", url)
            .field("name", name)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            name: None,
            token: None,
            bounds: Bounds::default(),
            events: EventServer::new(),
            connector: Arc::new(TcpConnector),
            ids: Arc::new(|| uuid::Uuid::new_v4().to_string()),
        }
    }

    /// The name that boards are held under. A random one unless given, so that programs that give
    /// none do not hear each other's events.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The bearer token that is shown to control.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long things may take.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Hands events to these handlers, instead of those given so far.
    #[must_use]
    pub fn events(mut self, events: EventServer) -> Self {
        self.events = events;
        self
    }

    /// Hands events to one more handler, see [`EventServer::handler`].
    #[must_use]
    pub fn handler(mut self, handler: impl Registered) -> Self {
        self.events = self.events.handler(handler);
        self
    }

    /// Connects in another way than by TCP, for example over a simulated network.
    #[must_use]
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = connector;
        self
    }

    /// Takes ids from `source` instead of drawing UUIDs. They must never repeat.
    #[must_use]
    pub fn ids(mut self, source: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.ids = Arc::new(source);
        self
    }

    /// Opens the control socket. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::Address`] and [`ClientError::Name`] for what is none,
    /// [`ClientError::Unreachable`] if control is not there or does not want this client.
    pub async fn connect(self) -> Result<Client, ClientError> {
        let control: Endpoint = self.url.parse()?;
        let instance = (self.ids)();
        let name = ClientName::new(self.name.unwrap_or_else(|| format!("client-{instance}")))?;
        let inner = Inner::start(Setup {
            control,
            name,
            instance: InstanceId::from(instance),
            token: self.token,
            bounds: self.bounds,
            http: HttpClient::new(self.connector.clone()),
            connector: self.connector,
            ids: self.ids,
            events: self.events,
        });
        Client::connect(inner).await
    }
}

/// A builder's settings, checked.
pub(crate) struct Setup {
    pub(crate) control: Endpoint,
    pub(crate) name: ClientName,
    pub(crate) instance: InstanceId,
    pub(crate) token: Option<String>,
    pub(crate) bounds: Bounds,
    pub(crate) http: HttpClient,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) ids: IdSource,
    pub(crate) events: EventServer,
}
