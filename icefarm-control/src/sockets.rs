//! Control's side of its clients' websockets.

use crate::ledger::{Ledger, Outlet, Trims};
use crate::machine::{Change, Command};
use crate::metrics::Decisions;
use crate::store::{Letter, Stream};
use futures::stream::{self, BoxStream, StreamExt as _};
use icefarm_core::wire::{
    ClientFrame, ErrorCode, ErrorDetail, Event, META_SERIAL, Position, ServerFrame,
};
use icefarm_core::{ClientName, Clock, Epoch, SteadyClock};
use icefarm_net::{Answer, Caller, Hub, Journal, SocketService, Trimmed};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where each client's event stream stands. The letters themselves are in the store.
pub(crate) struct Streams {
    epoch: Epoch,
    last: Mutex<BTreeMap<ClientName, u64>>,
    trims: Arc<Trims>,
}

impl Streams {
    pub(crate) fn new(
        epoch: Epoch,
        streams: &BTreeMap<ClientName, Stream>,
        trims: Arc<Trims>,
    ) -> Self {
        let last = streams.iter().map(|(client, stream)| (client.clone(), stream.seq)).collect();
        Self { epoch, last: Mutex::new(last), trims }
    }

    pub(crate) fn position(&self, client: &ClientName) -> Position {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Position { epoch: self.epoch.clone(), seq: last.get(client).copied().unwrap_or(0) }
    }

    fn reached(&self, client: &ClientName, seq: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(client.clone(), seq);
    }
}

impl Journal for Streams {
    fn open(&self, client: &ClientName) -> Position {
        self.position(client)
    }

    fn trimmed(&self, client: &ClientName, gone: Trimmed) {
        self.trims.note(client, gone.through(), gone.dropped);
    }
}

/// Hands what the ledger has written down to the websockets.
pub(crate) struct Post {
    hub: Hub,
    streams: Arc<Streams>,
    decisions: Arc<Decisions>,
    clock: SteadyClock,
}

impl Post {
    pub(crate) fn new(
        hub: Hub,
        streams: Arc<Streams>,
        decisions: Arc<Decisions>,
        clock: SteadyClock,
    ) -> Self {
        Self { hub, streams, decisions, clock }
    }
}

impl Outlet for Post {
    fn deliver(&self, client: &ClientName, seq: u64, letter: &Letter) {
        // First the number: the hub may ask for it while it takes the frame.
        self.streams.reached(client, seq);
        let frame = ServerFrame::new(letter.serial.as_str(), letter.contents.clone());
        self.hub.publish_numbered(client, seq, frame);
    }

    fn announce(&self, event: Event) {
        self.hub.broadcast(ServerFrame::new(META_SERIAL, vec![event]));
    }

    fn whisper(&self, client: &ClientName, event: Event) {
        self.hub.whisper(client, ServerFrame::new(META_SERIAL, vec![event]));
    }

    fn committed(&self, changes: &[Change], took: Duration) {
        self.decisions.committed(changes, self.clock.now(), took);
    }

    fn failed(&self) {
        self.decisions.failed();
    }
}

/// What control does with what its sockets say: it takes their signs of life.
pub(crate) struct Sockets {
    ledger: Arc<Ledger>,
}

impl Sockets {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// A process names itself alike at its sockets, `sub`, and in its reservations, `instance`.
    fn renew(&self, caller: &Caller) {
        let Some(sub) = &caller.sub else { return };
        let (client, instance) = (caller.client.clone(), sub.instance().clone());
        let farm = self.ledger.farm();
        let now = self.ledger.now();
        let waits = farm.queue.values().any(|waiting| {
            *waiting.client() == client
                && waiting.request.instance.as_ref() == Some(&instance)
                && waiting.renew_at(&farm) <= now
        });
        let is_due = waits
            || farm.leases.values().any(|lease| {
                lease.client == client
                    && lease.instance.as_ref() == Some(&instance)
                    && lease.renewed_by_socket
                    && lease.renew_at() <= now
            });
        if is_due {
            let ledger = self.ledger.clone();
            tokio::spawn(async move {
                if let Err(error) = ledger.submit(Command::Renew { client, instance }).await {
                    tracing::warn!(%error, "leases could not be renewed");
                }
            });
        }
    }
}

impl SocketService for Sockets {
    fn command(&self, _: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer> {
        let message = "control takes no commands over its websocket: commands for boards go to \
                       their workers, everything else to control by HTTP";
        let refuse =
            move |serial| (serial, Err(ErrorDetail::new(ErrorCode::UnknownCommand, message)));
        stream::iter(frame.serials).map(refuse).boxed()
    }

    fn is_guest(&self, client: &ClientName) -> bool {
        let farm = self.ledger.farm();
        !farm.leases.values().any(|lease| lease.client == *client)
            && !farm.queue.values().any(|waiting| waiting.client() == client)
    }

    fn opened(&self, caller: &Caller) {
        self.renew(caller);
    }

    fn alive(&self, caller: &Caller) {
        self.renew(caller);
    }
}
