//! The simulated network in the place of TCP.

use crate::dice::Dice;
use crate::witness::{self, note};
use futures::future::BoxFuture;
use icefarm_net::{BoxIo, Connector, Endpoint, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// Listens on a simulated host.
pub(crate) struct SimListener(TcpListener);

impl SimListener {
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        Ok(Self(TcpListener::bind(("0.0.0.0", port)).await?))
    }
}

impl Listener for SimListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Connects from the simulated host that asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimConnector;

impl Connector for SimConnector {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// Connects as well, and some of what is asked on these connections comes a second time, late: a
/// message that was kept somewhere on its way.
#[derive(Debug, Clone)]
pub(crate) struct EchoingConnector {
    dice: Arc<Mutex<Dice>>,
    percent: u64,
}

impl EchoingConnector {
    pub(crate) fn new(dice: Dice, percent: u64) -> Self {
        Self { dice: Arc::new(Mutex::new(dice)), percent }
    }

    /// When a request comes again, if it does.
    fn draw(&self) -> Option<Duration> {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        dice.percent(self.percent).then(|| dice.millis(1_000, 60_000))
    }
}

impl Connector for EchoingConnector {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let to = (endpoint.host().to_owned(), endpoint.port());
            let stream = TcpStream::connect((to.0.as_str(), to.1)).await?;
            Ok(Box::new(Echoing { stream, to, connector: self.clone() }) as BoxIo)
        })
    }
}

/// What may come twice.
const ECHOED: [&[u8]; 3] = [b"POST /reserve ", b"POST /extend ", b"POST /end "];

struct Echoing {
    stream: TcpStream,
    to: (String, u16),
    connector: EchoingConnector,
}

impl Echoing {
    fn sent(&self, request: &[u8]) {
        if !ECHOED.iter().any(|start| request.starts_with(start)) {
            return;
        }
        let Some(later) = self.connector.draw() else { return };
        let ((host, port), request) = (self.to.clone(), request.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(later).await;
            let line = String::from_utf8_lossy(&request);
            note!("storm: to {host} again: {}", line.lines().next().unwrap_or_default());
            witness::with(|witness| witness.tally.echoes += 1);
            // Nobody waits for an answer, and the way may be closed by now.
            if let Ok(mut stream) = TcpStream::connect((host.as_str(), port)).await
                && stream.write_all(&request).await.is_ok()
            {
                let _ = stream.read(&mut [0; 1024]).await;
            }
        });
    }
}

impl AsyncRead for Echoing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Echoing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if written == bytes.len() {
            self.sent(bytes);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
