//! A network in memory: with it nothing waits for the operating system, so time can be paused.

use futures::future::BoxFuture;
use icefarm_net::{BoxIo, Connector, Endpoint, Listener};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

type Accepted = (DuplexStream, SocketAddr);

/// Clones are the same network.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    ports: Arc<Mutex<HashMap<u16, mpsc::UnboundedSender<Accepted>>>>,
}

pub(crate) struct MemoryListener {
    port: u16,
    accepted: mpsc::UnboundedReceiver<Accepted>,
}

impl Memory {
    pub(crate) fn listen(&self, port: u16) -> MemoryListener {
        let (sender, accepted) = mpsc::unbounded_channel();
        self.ports.lock().unwrap().insert(port, sender);
        MemoryListener { port, accepted }
    }

    pub(crate) fn dial(&self, port: u16) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let ports = self.ports.lock().unwrap();
        let listener = ports.get(&port).ok_or_else(refused)?;
        listener.send((theirs, address(1))).map_err(|_| refused())?;
        Ok(ours)
    }
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

impl Listener for MemoryListener {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Accepted> {
        match self.accepted.recv().await {
            Some(accepted) => Ok(accepted),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.port))
    }
}

impl Connector for Memory {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(self.dial(endpoint.port())?) as BoxIo) })
    }
}
