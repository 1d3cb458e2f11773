//! One connection: a reader, and a task that writes, so that a slow server cannot keep us from
//! reading what it waits to write.

use crate::link::LinkSetup;
use icefarm_core::wire::{ClientFrame, Hello, Position, ServerFrame};
use icefarm_net::{
    ClientSocket, Endpoint, EndpointError, SocketError, SocketParams, SocketReceiver, SocketSender,
    SubscriberId,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a server may take to agree that a socket is closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct OpenError {
    pub(crate) reason: String,
    /// The server does not want this client: trying again soon is of no use.
    pub(crate) refused: bool,
    pub(crate) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl OpenError {
    pub(crate) fn transient(reason: String) -> Self {
        Self { reason, refused: false, source: None }
    }
}

impl From<EndpointError> for OpenError {
    fn from(error: EndpointError) -> Self {
        Self { reason: error.to_string(), refused: true, source: Some(Arc::new(error)) }
    }
}

impl From<SocketError> for OpenError {
    fn from(error: SocketError) -> Self {
        let refused = match &error {
            SocketError::Refused { status, .. } => {
                // 429 and the like pass; so does 404 of a proxy whose server is starting.
                matches!(status.as_u16(), 400 | 401 | 403)
            }
            SocketError::Version { .. } => true,
            _ => false,
        };
        Self { reason: error.to_string(), refused, source: Some(Arc::new(error)) }
    }
}

enum Outgoing {
    Command(ClientFrame),
    Ack(Position),
    Close,
}

pub(crate) struct Socket {
    receiver: SocketReceiver,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    writer: JoinHandle<Result<(), SocketError>>,
}

impl Socket {
    pub(crate) async fn open(
        setup: &LinkSetup,
        position: Option<Position>,
    ) -> Result<(Self, Hello), OpenError> {
        let endpoint: Endpoint = setup.url.parse()?;
        let sub = SubscriberId::new(setup.instance.as_str()).map_err(|error| OpenError {
            reason: error.to_string(),
            refused: true,
            source: None,
        })?;
        let params = SocketParams::new(setup.name.clone(), sub).resume(position);
        let connect = async || {
            let params = match setup.tickets.bearer(&setup.url).await? {
                Some(bearer) => params.clone().bearer(bearer),
                None => params.clone(),
            };
            let opened = ClientSocket::connect(&*setup.connector, &endpoint, params).await;
            opened.map_err(OpenError::from)
        };
        let opened = match connect().await {
            // What was kept is out of date; with a new ticket it is another matter.
            Err(error) if error.refused && setup.tickets.reject(&setup.url) => connect().await,
            opened => opened,
        };
        let (socket, hello) = opened?;
        let (sender, receiver) = socket.split();
        let (outgoing, queue) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write(sender, queue));
        Ok((Self { receiver, outgoing, writer }, hello))
    }

    /// Hands a command to the writer, whose failure [`Self::next`] tells.
    pub(crate) fn send(&self, frame: ClientFrame) {
        let _ = self.outgoing.send(Outgoing::Command(frame));
    }

    /// As [`Self::send`].
    pub(crate) fn ack(&self, position: Position) {
        let _ = self.outgoing.send(Outgoing::Ack(position));
    }

    /// The next frame; `None` when the server closed the socket. Nothing is lost if the future is
    /// dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerFrame>, SocketError> {
        tokio::select! {
            frame = self.receiver.next() => frame,
            written = &mut self.writer => match written {
                // A command that cannot be written is no frame that cannot be read.
                Ok(Err(SocketError::Codec(error))) => {
                    Err(SocketError::Broken { reason: error.to_string(), source: None })
                }
                Ok(Err(error)) => Err(error),
                // It ends only with an error, unless the runtime is being shut down.
                Ok(Ok(())) | Err(_) => Ok(None),
            },
        }
    }

    /// Writes what is left and says goodbye.
    pub(crate) async fn close(mut self) {
        let _ = self.outgoing.send(Outgoing::Close);
        let farewell = async {
            let _ = (&mut self.writer).await;
            while let Ok(Some(_)) = self.receiver.next().await {}
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!("a server did not agree that a websocket is closed");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

async fn write(
    mut sender: SocketSender,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) -> Result<(), SocketError> {
    while let Some(next) = queue.recv().await {
        match next {
            Outgoing::Command(frame) => sender.send(&frame).await?,
            Outgoing::Ack(position) => sender.ack(&position).await?,
            Outgoing::Close => return sender.close().await,
        }
    }
    Ok(())
}
