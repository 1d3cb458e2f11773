//! The worker's side of a state's [`Device`](icefarm_core::Device). Everything that touches the
//! board is asked of the board's supervisor, which outlives the state: whatever becomes of the
//! state, a board is never left in the middle of something that nobody knows of.

use super::Fence;
use super::state_task::Note;
use crate::board::ResidueLedger;
use futures::FutureExt;
use futures::future::BoxFuture;
use icefarm_core::wire::{Event, ServerFrame, events};
use icefarm_core::{
    BoardError, ClientName, Clock, DeviceHost, DeviceInfo, ImageInfo, ImageName, LeaseId, Message,
    NextState, Object, Residue, Serial, SerialPort, Timestamp,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Where events for clients go: the worker's outboxes, or what a test kit has instead.
pub trait EventSink: Send + Sync + 'static {
    /// Numbers the frame and keeps it until the client has acknowledged it. Never waits.
    fn publish(&self, client: &ClientName, frame: ServerFrame);

    /// A state whose lease had ended did not end well. Its client is not told, for whom the lease
    /// is over; the worker's log is.
    fn ended_badly(&self, serial: &Serial, lease: LeaseId, reason: &str) {
        tracing::warn!(%serial, %lease, "after the end of the lease: {reason}");
    }
}

/// What a state asks of its board.
pub(crate) enum Ask {
    Flash(ImageName, oneshot::Sender<Result<ImageInfo, BoardError>>),
    Restart(oneshot::Sender<Result<(), BoardError>>),
    Open(oneshot::Sender<Result<SerialPort, BoardError>>),
}

/// Answers for the `Device` of one lease.
pub(crate) struct LeaseHost {
    pub(crate) info: DeviceInfo,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) residue: Arc<ResidueLedger>,
    pub(crate) asks: mpsc::UnboundedSender<Ask>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
    pub(crate) tasks: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    pub(crate) inbox: mpsc::UnboundedSender<Message>,
    pub(crate) switches: mpsc::UnboundedSender<NextState>,
}

impl LeaseHost {
    /// Tells the client that the board takes commands, and under which lease: an event that is
    /// sent again after a reconnect may be of an earlier one.
    pub(crate) fn announce(&self) {
        let lease = Object::from([("lease".to_owned(), self.info.lease.0.into())]);
        self.emit(events::INITIALIZED, lease);
    }

    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, BoardError>>) -> Ask + Send + 'static,
    ) -> BoxFuture<'static, Result<T, BoardError>> {
        let (asks, fence) = (self.asks.clone(), self.fence.clone());
        async move {
            let (sender, answer) = oneshot::channel();
            if !fence.is_open() || asks.send(ask(sender)).is_err() {
                return Err(BoardError::LeaseOver);
            }
            answer.await.unwrap_or(Err(BoardError::LeaseOver))
        }
        .boxed()
    }
}

// What is sent to a state that is gone has no receiver any more, which is as it should be.
impl DeviceHost for LeaseHost {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn emit(&self, event: &str, contents: Object) {
        let event = Event { event: event.to_owned(), fields: contents };
        let frame = ServerFrame::new(self.info.serial.as_str(), vec![event]);
        self.fence.if_heard(|| self.events.publish(&self.info.client, frame));
    }

    fn flash(&self, image: ImageName) -> BoxFuture<'static, Result<ImageInfo, BoardError>> {
        self.ask(|answer| Ask::Flash(image, answer))
    }

    fn restart(&self) -> BoxFuture<'static, Result<(), BoardError>> {
        self.ask(Ask::Restart)
    }

    fn open(&self) -> BoxFuture<'static, Result<SerialPort, BoardError>> {
        self.ask(Ask::Open)
    }

    fn load_circuit(&self, sha256: &str) -> Residue {
        // A state that is gone puts nothing onto the board any more.
        if self.fence.is_open() { self.residue.load(sha256) } else { self.residue.look() }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let _ = self.tasks.send(task);
    }

    fn post(&self, message: Message) {
        let _ = self.inbox.send(message);
    }

    fn switch(&self, next: NextState) {
        let _ = self.switches.send(next);
    }

    fn fail(&self, reason: String) {
        let _ = self.notes.send(Note::Failed(reason));
    }
}
