//! The client: one control socket, one socket for each worker whose boards are held.

use crate::book::Change;
use crate::builder::{Bounds, ClientBuilder, IdSource, Setup};
use crate::error::ClientError;
use crate::events::{ClientEvent, EventServer};
use crate::hub::{Hub, Notice, Reach};
use crate::link::{Link, LinkSetup, Place, Undelivered};
use crate::loss::{Loss, codes};
use crate::outstanding::{Answer, Command, CommandFailure};
use crate::tickets::TicketOffice;
use futures::Stream;
use icefarm_core::wire::ClientFrame;
use icefarm_core::{ClientName, InstanceId, LeaseId, Serial};
use icefarm_net::{Connector, Endpoint, HttpClient};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A connection to a farm. Clones are the same client.
///
/// A client holds boards as long as its control socket lives: control renews leases of 60 seconds
/// for it. End it with [`Self::close`]; dropping the last clone ends what it holds as far as that
/// can be done without waiting, and whatever is left ends within a minute.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    _guard: Arc<Guard>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (control, name) = (&self.inner.control, &self.inner.name);
        f.debug_struct("Client").field("control", control).field("name", name).finish()
    }
}

impl Client {
    /// Sets a client of the control server at `url` (`http://HOST:PORT`) up.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    pub(crate) async fn connect(inner: Arc<Inner>) -> Result<Self, ClientError> {
        let guard = Arc::new(Guard(inner.clone()));
        let control = inner.control_url.clone();
        let connected = inner.open_link(&control);
        connected.await.map_err(|_| ClientError::Closed)??;
        Ok(Self { inner, _guard: guard })
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// The name that boards are held under.
    #[must_use]
    pub fn name(&self) -> &ClientName {
        &self.inner.name
    }

    /// Which process of that name this is.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.inner.instance
    }

    /// All events of boards and of the farm from now on, also `resync` and `dropped`, which say
    /// that events may be missing. What is not read is kept in memory.
    pub fn events(&self) -> impl Stream<Item = ClientEvent> + Send + Unpin + use<> {
        let events = self.inner.hub.stream();
        Box::pin(futures::stream::unfold(events, async |mut events| {
            Some((events.recv().await?, events))
        }))
    }

    /// Ends the leases of this client and closes its sockets. Evaluations that are open fail with
    /// `client_closed`.
    ///
    /// # Errors
    /// If control could not be told: then the leases end by themselves, within a minute.
    pub async fn close(self) -> Result<(), ClientError> {
        self.inner.clone().close().await
    }
}

/// Ends the client with its last clone.
struct Guard(Arc<Inner>);

impl Drop for Guard {
    fn drop(&mut self) {
        let inner = self.0.clone();
        let holds = inner.has_any();
        drop(inner.shut());
        if let (true, Ok(runtime)) = (holds, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = inner.end_all().await {
                    tracing::warn!(%error, "the boards of a dropped client end with their leases");
                }
            });
        }
    }
}

/// What all clones, reservations and evaluators share.
pub(crate) struct Inner {
    pub(crate) control: Endpoint,
    pub(crate) control_url: Arc<str>,
    pub(crate) name: ClientName,
    pub(crate) instance: InstanceId,
    pub(crate) token: Option<String>,
    pub(crate) bounds: Bounds,
    pub(crate) http: HttpClient,
    pub(crate) hub: Arc<Hub>,
    /// How many requests for boards are under way.
    pub(crate) asking: AtomicUsize,
    connector: Arc<dyn Connector>,
    tickets: Arc<TicketOffice>,
    ids: IdSource,
    undelivered: mpsc::UnboundedSender<Undelivered>,
    places: Mutex<BTreeMap<Arc<str>, Arc<Place>>>,
    /// `None` once the client is closed.
    links: Mutex<Option<BTreeMap<Arc<str>, Link>>>,
}

impl Inner {
    pub(crate) fn start(setup: Setup) -> Arc<Self> {
        let hub = Arc::new(Hub::new());
        let (undelivered, events) = mpsc::unbounded_channel();
        tokio::spawn(handle_events(setup.events, events));
        let followed = hub.follow(&[]).notices;
        let control_url: Arc<str> = Arc::from(setup.control.to_string());
        let tickets = Arc::new(TicketOffice {
            http: setup.http.clone(),
            control: setup.control.clone(),
            control_url: control_url.clone(),
            name: setup.name.clone(),
            token: setup.token.clone(),
            timeout: setup.bounds.connect,
            kept: Mutex::default(),
        });
        let inner = Arc::new(Self {
            control_url,
            control: setup.control,
            name: setup.name,
            instance: setup.instance,
            token: setup.token,
            bounds: setup.bounds,
            http: setup.http,
            hub,
            asking: AtomicUsize::new(0),
            connector: setup.connector,
            tickets,
            ids: setup.ids,
            undelivered,
            places: Mutex::default(),
            links: Mutex::new(Some(BTreeMap::new())),
        });
        tokio::spawn(keep(Arc::downgrade(&inner), followed));
        inner
    }

    pub(crate) fn new_id(&self) -> String {
        (self.ids)()
    }

    fn links(&self) -> MutexGuard<'_, Option<BTreeMap<Arc<str>, Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.links().is_none()
    }

    /// Opens the sockets of workers whose boards are held, and closes those of others.
    pub(crate) fn match_links(&self) {
        let mut links = self.links();
        let Some(links) = links.as_mut() else { return };
        let mut wanted = self.hub.workers();
        wanted.insert(self.control_url.clone());
        links.retain(|url, link| {
            let keep = wanted.contains(url);
            if !keep {
                drop(link.close());
            }
            keep
        });
        for url in wanted {
            // Nobody waits for how the first try ends.
            links.entry(url.clone()).or_insert_with(|| self.link(&url).0);
        }
    }

    fn open_link(&self, url: &Arc<str>) -> Connected {
        let (link, connected) = self.link(url);
        if let Some(links) = self.links().as_mut() {
            links.insert(url.clone(), link);
        }
        connected
    }

    fn link(&self, url: &Arc<str>) -> (Link, Connected) {
        // What became of an earlier socket to the server says nothing of this one.
        self.hub.reach(url, Reach::Away);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(url.clone()).or_default().clone();
        Link::open(LinkSetup {
            url: url.clone(),
            name: self.name.clone(),
            instance: self.instance.clone(),
            bounds: self.bounds.clone(),
            connector: self.connector.clone(),
            tickets: self.tickets.clone(),
            hub: self.hub.clone(),
            undelivered: self.undelivered.clone(),
            place,
        })
    }

    /// Sends a command to boards of one worker. Never waits; `answer` is called for each board.
    pub(crate) fn send_command(&self, worker: &Arc<str>, mut frame: ClientFrame, answer: Answer) {
        let id = self.new_id();
        frame.id = Some(id.clone());
        let command = Command { id, frame, answer };
        let links = self.links();
        let unsent = match links.as_ref().and_then(|links| links.get(worker)) {
            Some(link) => link.command(command),
            None => Some(command),
        };
        drop(links);
        if let Some(Command { frame, mut answer, .. }) = unsent {
            let loss = Loss::new(codes::CLIENT_CLOSED, format!("the socket to {worker} is closed"));
            for serial in &frame.serials {
                answer(serial, Err(CommandFailure::Lost(loss.clone())));
            }
        }
    }

    /// Whether there may be anything at control to be ended: boards, or requests for some.
    fn has_any(&self) -> bool {
        self.hub.holds_any() || self.asking.load(Ordering::SeqCst) > 0
    }

    /// See [`Client::close`].
    pub(crate) async fn close(self: Arc<Self>) -> Result<(), ClientError> {
        let known = self.held();
        let mut ended = if self.has_any() { self.end_all().await.map(drop) } else { Ok(()) };
        let (tasks, mut late) = self.shut();
        // They were granted when control had been asked to end all.
        late.retain(|board| !known.contains(board));
        if ended.is_ok() && !late.is_empty() {
            let late: Vec<Serial> = late.into_iter().map(|(serial, _)| serial).collect();
            ended = self.end(&late).await.map(drop);
        }
        for task in tasks {
            // A link ends at once when it is told to; one that panicked has ended as well.
            let _ = task.await;
        }
        ended
    }

    /// The boards that are held, with their leases.
    fn held(&self) -> Vec<(Serial, LeaseId)> {
        self.hub.held().into_iter().map(|(serial, held)| (serial, held.lease)).collect()
    }

    /// Closes everything. What was open is told that it is lost. Returns the links' tasks, and the
    /// boards that were still held.
    fn shut(&self) -> (Vec<JoinHandle<()>>, Vec<(Serial, LeaseId)>) {
        let links = self.links().take().unwrap_or_default();
        let tasks = links.into_values().filter_map(|mut link| link.close()).collect();
        let held = self.held();
        let serials: Vec<Serial> = held.iter().map(|(serial, _)| serial.clone()).collect();
        self.hub.lose(&serials, &Loss::new(codes::CLIENT_CLOSED, "the client was closed"));
        self.hub.close();
        (tasks, held)
    }
}

/// Told once, how the first try to connect ended.
pub(crate) type Connected = tokio::sync::oneshot::Receiver<Result<(), ClientError>>;

/// Runs the handlers of everything that comes, in order, and acknowledges it afterwards.
async fn handle_events(
    mut handlers: EventServer,
    mut events: mpsc::UnboundedReceiver<Undelivered>,
) {
    while let Some(Undelivered { serial, contents, position, handled }) = events.recv().await {
        for event in &contents {
            handlers.dispatch(&serial, event).await;
        }
        if let Some(position) = position {
            // A link that is closed has nobody to acknowledge to.
            handled.send_replace(Some(position));
        }
    }
}

/// Keeps the sockets and what waits on them in step with the boards.
async fn keep(client: Weak<Inner>, mut notices: mpsc::UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        let Some(client) = client.upgrade() else { return };
        match notice {
            Notice::Changed(Change::Lost(serial, loss)) => {
                if let Some(links) = client.links().as_ref() {
                    for link in links.values() {
                        link.lose_board(&serial, &loss);
                    }
                }
                client.match_links();
            }
            Notice::Resync(server) if server == client.control_url => {
                tokio::spawn(async move { client.check_leases().await });
            }
            _ => {}
        }
    }
}
