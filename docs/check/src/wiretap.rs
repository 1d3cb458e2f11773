//! Listeners that write down what goes in and out.

use icefarm_net::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What one connection carried.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The server that it came to.
    pub server: &'static str,
    /// What the server was sent.
    pub received: Vec<u8>,
    /// What the server sent.
    pub sent: Vec<u8>,
}

/// Writes down what goes in and out of servers. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Wiretap {
    connections: Arc<Mutex<Vec<Arc<Mutex<Recording>>>>>,
}

impl Wiretap {
    /// Nothing is written down yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes down all connections that come to `listener`, as those of `server`.
    #[must_use]
    pub fn listen(&self, server: &'static str, listener: TcpListener) -> Tapped {
        Tapped { server, listener, wiretap: self.clone() }
    }

    /// What was written down so far.
    #[must_use]
    pub fn recordings(&self) -> Vec<Recording> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections
            .iter()
            .map(|recording| recording.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}

/// A listener whose connections are written down.
#[derive(Debug)]
pub struct Tapped {
    server: &'static str,
    listener: TcpListener,
    wiretap: Wiretap,
}

impl Listener for Tapped {
    type Io = TappedIo;

    async fn accept(&mut self) -> io::Result<(TappedIo, SocketAddr)> {
        let (io, peer) = Listener::accept(&mut self.listener).await?;
        let recording = Recording { server: self.server, ..Recording::default() };
        let recording = Arc::new(Mutex::new(recording));
        let mut connections =
            self.wiretap.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(recording.clone());
        Ok((TappedIo { io, recording }, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that is written down.
#[derive(Debug)]
pub struct TappedIo {
    io: TcpStream,
    recording: Arc<Mutex<Recording>>,
}

impl AsyncRead for TappedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        recording.received.extend_from_slice(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for TappedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
            recording.sent.extend_from_slice(&bytes[..written]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
