//! How the rest of the worker reaches a board's supervisor.

use crate::lease::Command;
use icefarm_core::wire::{EndBoard, ErrorCode, ErrorDetail, ExtendBoard, ReserveBoard};
use icefarm_core::{ClientName, LeaseId, Object, Serial, Value};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Where the outcome of a request goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, ErrorDetail>>;

/// What a supervisor is asked.
pub(crate) enum Request {
    Reserve(Box<ReserveBoard>, Answer<()>),
    Extend(ExtendBoard, Answer<()>),
    End(EndBoard, Answer<()>),
    /// Under this lease, if one is meant.
    Reboot(Option<LeaseId>, Answer<()>),
    Delete(Answer<()>),
    Command(ClientName, Command),
    /// The worker is stopping: the lease is ended.
    Drain,
    Close,
}

/// How many requests may wait at one board.
const MAILBOX: usize = 1024;

/// The way to one board's supervisor.
#[derive(Clone)]
pub(crate) struct BoardHandle {
    serial: Serial,
    mailbox: mpsc::Sender<Request>,
}

impl BoardHandle {
    pub(super) fn new(serial: Serial) -> (Self, mpsc::Receiver<Request>) {
        let (mailbox, receiver) = mpsc::channel(MAILBOX);
        (Self { serial, mailbox }, receiver)
    }

    pub(crate) async fn reserve(&self, terms: ReserveBoard) -> Result<(), ErrorDetail> {
        self.ask(|answer| Request::Reserve(Box::new(terms), answer)).await
    }

    pub(crate) async fn extend(&self, extend: ExtendBoard) -> Result<(), ErrorDetail> {
        self.ask(|answer| Request::Extend(extend, answer)).await
    }

    pub(crate) async fn end(&self, end: EndBoard) -> Result<(), ErrorDetail> {
        self.ask(|answer| Request::End(end, answer)).await
    }

    /// Has the state bring its board back to work, unless a later lease than `lease` is there.
    pub(crate) async fn reboot(&self, lease: Option<LeaseId>) -> Result<(), ErrorDetail> {
        self.ask(|answer| Request::Reboot(lease, answer)).await
    }

    pub(crate) async fn delete(&self) -> Result<(), ErrorDetail> {
        self.ask(Request::Delete).await
    }

    /// Ends the lease, and takes no other one.
    pub(crate) async fn drain(&self) {
        // A supervisor that is gone serves nobody.
        let _ = self.mailbox.send(Request::Drain).await;
    }

    /// Ends the supervisor, and with it the lease that it serves.
    pub(crate) async fn close(&self) {
        // A supervisor that is gone is closed.
        let _ = self.mailbox.send(Request::Close).await;
    }

    /// Puts a command into the board's queue before it returns: commands are done in the order of
    /// these calls, however their answers are awaited. `lease` is the one that the client means, if
    /// it says so; `bytes` is what the contents take in memory.
    pub(crate) fn command(
        &self,
        client: &ClientName,
        lease: Option<LeaseId>,
        event: String,
        contents: Arc<Object>,
        bytes: usize,
    ) -> impl Future<Output = Result<Value, ErrorDetail>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let command = Command { lease, event, contents, bytes, answer };
        let command = Request::Command(client.clone(), command);
        let sent = self.mailbox.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ErrorDetail::new(
                ErrorCode::Overloaded,
                format!("{MAILBOX} requests wait at this board; send more later"),
            ),
            mpsc::error::TrySendError::Closed(_) => closed(&self.serial),
        });
        async move {
            sent?;
            answered.await.unwrap_or_else(|_| {
                let message = "the lease ended before the command was done";
                Err(ErrorDetail::new(ErrorCode::NotReserved, message))
            })
        }
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, ErrorDetail> {
        let (answer, answered) = oneshot::channel();
        if self.mailbox.send(request(answer)).await.is_err() {
            return Err(closed(&self.serial));
        }
        answered.await.unwrap_or_else(|_| Err(closed(&self.serial)))
    }
}

fn closed(serial: &Serial) -> ErrorDetail {
    let message = format!("the worker is stopping and no longer serves the board {serial}");
    ErrorDetail::new(ErrorCode::Unavailable, message)
}
