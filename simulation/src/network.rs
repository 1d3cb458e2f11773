//! The simulated network in the place of TCP.

use futures::future::BoxFuture;
use icefarm_net::{BoxIo, Connector, Endpoint, Listener};
use std::io;
use std::net::SocketAddr;
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
