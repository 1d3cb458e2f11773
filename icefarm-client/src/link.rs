//! The socket to one server: opened, kept open, and resumed where it broke off.

use crate::backoff::Backoff;
use crate::builder::Bounds;
use crate::client::Connected;
use crate::error::ClientError;
use crate::events::ClientEvent;
use crate::hub::{Hub, Reach};
use crate::loss::{Loss, codes};
use crate::outstanding::{Command, Outstanding};
use crate::socket::{OpenError, Socket};
use crate::tickets::TicketOffice;
use icefarm_core::wire::{Event, META_SERIAL, Position, ServerFrame, events};
use icefarm_core::{ClientName, Epoch, InstanceId, Serial};
use icefarm_net::codec::CodecError;
use icefarm_net::{Connector, SocketError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a socket needs.
pub(crate) struct LinkSetup {
    pub(crate) url: Arc<str>,
    pub(crate) name: ClientName,
    pub(crate) instance: InstanceId,
    pub(crate) bounds: Bounds,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) tickets: Arc<TicketOffice>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) undelivered: mpsc::UnboundedSender<Undelivered>,
    /// Outlives the link, so that a socket that is opened anew tells nothing twice.
    pub(crate) place: Arc<Place>,
}

/// Events on their way to the handlers.
pub(crate) struct Undelivered {
    pub(crate) serial: Serial,
    pub(crate) contents: Vec<Event>,
    /// What to acknowledge when the handlers have run.
    pub(crate) position: Option<Position>,
    pub(crate) handled: watch::Sender<Option<Position>>,
}

/// Where this client stands in a server's event stream.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Received>);

#[derive(Debug, Default)]
struct Received {
    epoch: Option<Epoch>,
    /// The last frame that came; zero if none did.
    seq: u64,
}

impl Place {
    fn with<T>(&self, look: impl FnOnce(&mut Received) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where a new connection goes on.
    fn position(&self) -> Option<Position> {
        self.with(|received| {
            let epoch = received.epoch.clone().filter(|_| received.seq > 0)?;
            Some(Position { epoch, seq: received.seq })
        })
    }

    /// A connection tells its stream. Whether that is another one than before, so that what was in
    /// the old one may be missing: the server says so itself to who came with a position.
    fn enter(&self, epoch: &Epoch) -> bool {
        self.with(|received| {
            let known = received.epoch.replace(epoch.clone());
            let other = known.is_some_and(|known| known != *epoch);
            let had = if other { std::mem::take(&mut received.seq) } else { received.seq };
            other && had == 0
        })
    }

    /// A frame came. Whether it is a new one.
    fn advance(&self, position: &Position) -> bool {
        self.with(|received| {
            let new =
                received.epoch.as_ref() != Some(&position.epoch) || position.seq > received.seq;
            if new {
                received.epoch = Some(position.epoch.clone());
                received.seq = position.seq;
            }
            new
        })
    }
}

enum ToLink {
    Command(Command),
    LoseBoard(Serial, Loss),
    Close,
}

/// A handle on the task that keeps the socket.
pub(crate) struct Link {
    inbox: mpsc::UnboundedSender<ToLink>,
    task: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts connecting, and tells how the first try ended.
    pub(crate) fn open(setup: LinkSetup) -> (Self, Connected) {
        let (inbox, messages) = mpsc::unbounded_channel();
        let (connected, first) = oneshot::channel();
        let handled = watch::Sender::new(None);
        let task = Task {
            acks: handled.subscribe(),
            handled,
            messages,
            connected: Some(connected),
            outstanding: Outstanding::default(),
            backoff: Backoff::new(&format!("{} {}", setup.instance, setup.url)),
            setup: Arc::new(setup),
        };
        (Self { inbox, task: Some(tokio::spawn(task.run())) }, first)
    }

    /// Sends a command, or gives it back if the link is closed.
    pub(crate) fn command(&self, command: Command) -> Option<Command> {
        match self.inbox.send(ToLink::Command(command)) {
            Err(mpsc::error::SendError(ToLink::Command(command))) => Some(command),
            _ => None,
        }
    }

    /// Nothing is to be expected of the board any more.
    pub(crate) fn lose_board(&self, serial: &Serial, loss: &Loss) {
        // A closed link has told everybody already.
        let _ = self.inbox.send(ToLink::LoseBoard(serial.clone(), loss.clone()));
    }

    /// Closes the socket. Returns what to wait for, once.
    pub(crate) fn close(&mut self) -> Option<JoinHandle<()>> {
        let _ = self.inbox.send(ToLink::Close);
        self.task.take()
    }
}

/// The link was told to close.
struct Closed;

struct Task {
    setup: Arc<LinkSetup>,
    messages: mpsc::UnboundedReceiver<ToLink>,
    connected: Option<oneshot::Sender<Result<(), ClientError>>>,
    outstanding: Outstanding,
    backoff: Backoff,
    handled: watch::Sender<Option<Position>>,
    acks: watch::Receiver<Option<Position>>,
}

impl Task {
    async fn run(mut self) {
        while let Ok((socket, missed)) = self.connect().await {
            self.setup.hub.reach(&self.setup.url, Reach::Connected);
            if missed {
                self.missed("the stream of events began anew");
            }
            if let Err(Closed) = self.session(socket).await {
                break;
            }
        }
        let loss =
            Loss::new(codes::CLIENT_CLOSED, format!("the socket to {} was closed", self.setup.url));
        self.messages.close();
        while let Some(message) = self.messages.recv().await {
            if let ToLink::Command(command) = message {
                self.outstanding.add(command);
            }
        }
        self.outstanding.lose_all(&loss);
    }

    /// Tries until there is a connection. Whether events were missed.
    async fn connect(&mut self) -> Result<(Socket, bool), Closed> {
        let (setup, url) = (self.setup.clone(), self.setup.url.clone());
        setup.hub.reach(&url, Reach::Away);
        let since = Instant::now();
        let mut given_up = false;
        loop {
            let position = setup.place.position();
            let opening =
                tokio::time::timeout(setup.bounds.connect, Socket::open(&setup, position));
            let deadline = (!given_up).then(|| since + setup.bounds.away);
            let error = match self.meanwhile(opening, deadline, given_up).await? {
                Some(Ok(Ok((socket, hello)))) => {
                    self.backoff.reset();
                    self.tell_first(Ok(()));
                    return Ok((socket, setup.place.enter(&hello.epoch)));
                }
                Some(Ok(Err(error))) => error,
                Some(Err(_)) => {
                    OpenError::transient(format!("no connection within {:?}", setup.bounds.connect))
                }
                None => OpenError::transient("it is still being tried".to_owned()),
            };
            tracing::debug!(%url, error = %error.reason, "a websocket cannot be opened");
            let overdue = since.elapsed() >= setup.bounds.away;
            self.tell_first(Err(ClientError::Unreachable {
                url: url.to_string(),
                reason: error.reason.clone(),
                source: error.source.clone(),
            }));
            if !given_up && (overdue || error.refused) {
                given_up = true;
                self.give_up(since.elapsed(), &error.reason);
            }
            let pause = tokio::time::sleep(self.backoff.next());
            let deadline = (!given_up).then(|| since + setup.bounds.away);
            if self.meanwhile(pause, deadline, given_up).await?.is_none() {
                given_up = true;
                self.give_up(since.elapsed(), &error.reason);
            }
        }
    }

    /// Waits for `work` and takes messages meanwhile. `None` if the deadline comes first.
    async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = T>,
        deadline: Option<Instant>,
        given_up: bool,
    ) -> Result<Option<T>, Closed> {
        let mut work = std::pin::pin!(work);
        loop {
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = self.messages.recv() => {
                    self.take(message)?;
                    if given_up {
                        let reason = format!("{} cannot be reached", self.setup.url);
                        self.outstanding.lose_all(&Loss::new(codes::UNREACHABLE, reason));
                    }
                }
                done = &mut work => return Ok(Some(done)),
                () = due => return Ok(None),
            }
        }
    }

    /// Takes a message. Commands wait for their answer, and for a connection if there is none.
    fn take(&mut self, message: Option<ToLink>) -> Result<(), Closed> {
        match message {
            Some(ToLink::Command(command)) => self.outstanding.add(command),
            Some(ToLink::LoseBoard(serial, loss)) => self.outstanding.lose_board(&serial, &loss),
            Some(ToLink::Close) | None => return Err(Closed),
        }
        Ok(())
    }

    fn tell_first(&mut self, result: Result<(), ClientError>) {
        if let Some(connected) = self.connected.take() {
            // Only who connects for the first time waits for it.
            let _ = connected.send(result);
        }
    }

    /// Whatever waits for this server has waited long enough.
    fn give_up(&mut self, away: Duration, reason: &str) {
        let url = &self.setup.url;
        let seconds = away.as_secs();
        let reason = format!("{url} cannot be reached, for {seconds} s now: {reason}");
        tracing::warn!(%url, reason, "what waits for a server fails");
        let loss = Loss::new(codes::UNREACHABLE, reason);
        self.outstanding.lose_all(&loss);
        self.setup.hub.reach(url, Reach::Unreachable(loss));
    }

    fn missed(&self, why: &str) {
        let url = &self.setup.url;
        tracing::info!(%url, why, "events may be missing");
        self.setup.hub.resync(url);
    }

    /// Uses a connection until it breaks.
    async fn session(&mut self, mut socket: Socket) -> Result<(), Closed> {
        // What was not answered is sent again under the same ids, and done once.
        for frame in self.outstanding.frames() {
            socket.send(frame.clone());
        }
        // The last one may not have arrived.
        self.acks.mark_changed();
        loop {
            tokio::select! {
                frame = socket.next() => match frame {
                    Ok(Some(frame)) => self.receive(frame),
                    Ok(None) => {
                        tracing::debug!(url = %self.setup.url, "the server closed the websocket");
                        return Ok(());
                    }
                    Err(SocketError::Codec(error)) => self.unreadable(&error),
                    Err(error) => {
                        tracing::debug!(url = %self.setup.url, %error, "the websocket ended");
                        return Ok(());
                    }
                },
                message = self.messages.recv() => {
                    if let Some(ToLink::Command(command)) = &message {
                        socket.send(command.frame.clone());
                    }
                    if let Err(Closed) = self.take(message) {
                        self.acknowledge(&socket);
                        socket.close().await;
                        return Err(Closed);
                    }
                },
                Ok(()) = self.acks.changed() => self.acknowledge(&socket),
            }
        }
    }

    fn acknowledge(&mut self, socket: &Socket) {
        if let Some(position) = self.acks.borrow_and_update().clone() {
            socket.ack(position);
        }
    }

    fn receive(&mut self, frame: ServerFrame) {
        let position = frame.epoch.zip(frame.seq).map(|(epoch, seq)| Position { epoch, seq });
        if position.as_ref().is_some_and(|position| !self.setup.place.advance(position)) {
            return;
        }
        let serial = match Serial::new(frame.serial.as_str()) {
            Ok(serial) => serial,
            Err(error) => {
                tracing::error!(url = %self.setup.url, %error, "a frame without a proper serial");
                return;
            }
        };
        let mut contents = Vec::new();
        for event in frame.contents {
            if self.outstanding.event(&serial, &event) || self.setup.hub.repeats(&serial, &event) {
                continue;
            }
            if matches!(event.event.as_str(), events::RESYNC | events::DROPPED) {
                self.missed(&event.event);
            }
            self.publish(&serial, &event);
            contents.push(event);
        }
        self.hand_over(serial, contents, position);
    }

    fn publish(&self, serial: &Serial, event: &Event) {
        let (server, serial, event) = (self.setup.url.clone(), serial.clone(), event.clone());
        self.setup.hub.event(ClientEvent { server, serial, event });
    }

    fn hand_over(&self, serial: Serial, contents: Vec<Event>, position: Option<Position>) {
        let handled = self.handled.clone();
        // The handlers end only with the client.
        let _ = self.setup.undelivered.send(Undelivered { serial, contents, position, handled });
    }

    /// A frame cannot be read. It would be the same the next time, so it is passed over: the next
    /// one that is acknowledged acknowledges it, too. Open circuits are not given again for it,
    /// since what came of them may be what cannot be read.
    fn unreadable(&self, error: &CodecError) {
        let url = &self.setup.url;
        tracing::error!(%url, %error, "a frame of the server cannot be read and is dropped");
        let Ok(serial) = Serial::new(META_SERIAL) else { return };
        let event = Event::new(events::DROPPED).with("reason", error.to_string());
        self.publish(&serial, &event);
        self.hand_over(serial, vec![event], None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outstanding::CommandFailure;
    use futures::future::BoxFuture;
    use icefarm_core::Object;
    use icefarm_core::wire::ClientFrame;
    use icefarm_net::{BoxIo, Endpoint};

    /// A network without any server.
    struct Nowhere;

    impl Connector for Nowhere {
        fn connect<'a>(&'a self, _: &'a Endpoint) -> BoxFuture<'a, std::io::Result<BoxIo>> {
            Box::pin(async { Err(std::io::Error::other("no route")) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_for_too_long_fails_what_waits_for_it() {
        let hub = Arc::new(Hub::new());
        let url: Arc<str> = Arc::from("http://nowhere:1");
        let (undelivered, _events) = mpsc::unbounded_channel();
        let (link, connected) = Link::open(LinkSetup {
            url: url.clone(),
            name: ClientName::new("me").unwrap(),
            instance: "i".into(),
            bounds: Bounds::default().away(Duration::from_secs(180)),
            connector: Arc::new(Nowhere),
            tickets: Arc::new(TicketOffice {
                http: icefarm_net::HttpClient::new(Arc::new(Nowhere)),
                control: "http://nowhere:1".parse().unwrap(),
                control_url: url.clone(),
                name: ClientName::new("me").unwrap(),
                token: None,
                timeout: Duration::from_secs(20),
                kept: Mutex::default(),
            }),
            hub: hub.clone(),
            undelivered,
            place: Arc::default(),
        });
        let began = Instant::now();
        assert!(matches!(connected.await.unwrap(), Err(ClientError::Unreachable { .. })));
        let (tell, mut told) = mpsc::unbounded_channel();
        let command = || {
            let tell = tell.clone();
            let answer = move |_: &Serial, result: Result<_, CommandFailure>| {
                let _ = tell.send(result);
            };
            let serials = vec![Serial::new("S").unwrap()];
            let (event, contents, id) = ("e".to_owned(), Object::new(), "1".to_owned());
            let leases = std::collections::BTreeMap::new();
            let frame = ClientFrame { serials, event, contents, id: Some(id.clone()), leases };
            Command { id, frame, answer: Box::new(answer) }
        };
        assert!(link.command(command()).is_none());
        let Err(CommandFailure::Lost(loss)) = told.recv().await.unwrap() else {
            panic!("nobody can have answered")
        };
        assert_eq!(loss.code, codes::UNREACHABLE);
        assert!(loss.reason.contains("no route"), "{}", loss.reason);
        assert_eq!(began.elapsed().as_secs(), 180);
        let reach = hub.follow(&[]).reach;
        assert!(matches!(reach[&url], Reach::Unreachable(_)));
        // Whatever comes now fails at once.
        assert!(link.command(command()).is_none());
        assert!(told.recv().await.unwrap().is_err());
        assert_eq!(began.elapsed().as_secs(), 180);
    }

    #[test]
    fn a_place_is_kept_within_an_epoch_only() {
        let place = Place::default();
        let at = |epoch: &str, seq| Position { epoch: epoch.into(), seq };
        assert!(!place.enter(&"e".into()), "the first stream is not another one");
        assert_eq!(place.position(), None);
        assert!(place.advance(&at("e", 3)));
        assert!(!place.advance(&at("e", 3)), "a repeated frame");
        assert_eq!(place.position(), Some(at("e", 3)));
        assert!(!place.enter(&"e".into()));
        assert_eq!(place.position(), Some(at("e", 3)));
        assert!(!place.enter(&"f".into()), "the server itself says it");
        assert_eq!(place.position(), None);
        assert!(place.enter(&"g".into()), "the server does not know what we know");
        assert!(place.advance(&at("g", 1)));
    }
}
