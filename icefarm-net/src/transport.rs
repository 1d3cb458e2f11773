//! The seam below HTTP: where connections come from and how they are made.

use crate::Endpoint;
use futures::future::BoxFuture;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A byte stream in both directions: TCP, TLS, or a simulated network's.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A byte stream of any kind.
pub type BoxIo = Box<dyn Io>;

/// Where a server's connections come from.
///
/// [`serve`](crate::serve) is generic over it, so that TLS and simulated networks take TCP's
/// place. `accept` only waits for a connection: a handshake belongs into the stream's first
/// read, since a slow peer must not hold up the others.
pub trait Listener: Send + 'static {
    /// The connections' type.
    type Io: Io;

    /// Waits for the next connection and the address that it comes from. No connection is lost if
    /// the future is dropped before it is ready.
    ///
    /// # Errors
    /// Those of the operating system. None of them ends a server.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;

    /// The address that it listens on, with the port that the system chose.
    ///
    /// # Errors
    /// Those of the operating system.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Whether nobody on the way can read or change what is sent. Then requests carry [`Secured`]
    /// in their extensions.
    fn is_secure(&self) -> bool {
        false
    }
}

/// The request came over a connection that nobody on the way can read or change, in its
/// extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured;

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Frames are small and answered one by one: Nagle's algorithm would delay each of them.
        // A peer that is gone already makes this fail, and then the first read says so.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

/// How connections to servers are made.
pub trait Connector: Send + Sync + 'static {
    /// Connects to the endpoint's host and port.
    ///
    /// # Errors
    /// If the host cannot be resolved or reached. There is no time limit in here.
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>>;
}

/// Connects by TCP, trying all addresses of a host name in turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            if endpoint.is_secure() {
                let message = "nothing says whom to trust with https://: give the file of the \
                               farm's CA, --ca FILE or ICEFARM_CA";
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
            let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// The address that a request came from, in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
