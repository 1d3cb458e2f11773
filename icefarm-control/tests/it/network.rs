//! TCP, or a network in memory, on which time can be paused: between a message and its answer
//! nothing waits for the system.

use futures::future::BoxFuture;
use icefarm_net::{BoxIo, Connector, Endpoint, HttpClient, Listener, TcpConnector};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[derive(Clone)]
pub(crate) enum Net {
    Tcp,
    Memory(Arc<Switchboard>),
}

#[derive(Default)]
pub(crate) struct Switchboard(Mutex<BTreeMap<u16, mpsc::UnboundedSender<BoxIo>>>);

pub(crate) enum Door {
    Tcp(TcpListener),
    Memory(u16, mpsc::UnboundedReceiver<BoxIo>),
}

impl Net {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// A listener on `port`, or on any if that is zero.
    pub(crate) async fn listen(&self, port: u16) -> Door {
        match self {
            Self::Tcp => Door::Tcp(TcpListener::bind(("127.0.0.1", port)).await.unwrap()),
            Self::Memory(switchboard) => {
                let mut lines = switchboard.0.lock().unwrap();
                let next = lines.last_key_value().map_or(1000, |(last, _)| last + 1);
                let port = if port == 0 { next } else { port };
                let (sender, receiver) = mpsc::unbounded_channel();
                lines.insert(port, sender);
                Door::Memory(port, receiver)
            }
        }
    }

    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        match self {
            Self::Tcp => Arc::new(TcpConnector),
            Self::Memory(switchboard) => Arc::new(Caller(switchboard.clone())),
        }
    }

    pub(crate) fn http(&self) -> HttpClient {
        HttpClient::new(self.connector())
    }
}

impl Listener for Door {
    type Io = BoxIo;

    async fn accept(&mut self) -> io::Result<(BoxIo, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (io, peer) = listener.accept().await?;
                Ok((Box::new(io), peer))
            }
            Self::Memory(_, calls) => match calls.recv().await {
                Some(io) => Ok((io, (Ipv4Addr::LOCALHOST, 1).into())),
                None => std::future::pending().await,
            },
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Memory(port, _) => Ok((Ipv4Addr::LOCALHOST, *port).into()),
        }
    }
}

struct Caller(Arc<Switchboard>);

impl Connector for Caller {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(1 << 16);
            let line = self.0.0.lock().unwrap().get(&endpoint.port()).cloned();
            match line.map(|line| line.send(Box::new(far))) {
                Some(Ok(())) => Ok(Box::new(near) as BoxIo),
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}
