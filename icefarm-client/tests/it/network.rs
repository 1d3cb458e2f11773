//! TCP that breaks when a test wants it to.

use futures::future::BoxFuture;
use icefarm_net::{BoxIo, Connector, Endpoint, TcpConnector};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Connects by TCP, can break all connections, and can refuse new ones.
#[derive(Clone)]
pub(crate) struct Network {
    /// How often connections were broken, and whether new ones are refused.
    state: Arc<watch::Sender<(u64, bool)>>,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new((0, false))) }
    }

    /// Breaks all connections that there are.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|(cuts, _)| *cuts += 1);
    }

    /// Breaks all connections, and lets none come about until [`Self::repair`].
    pub(crate) fn go_down(&self) {
        self.state.send_modify(|(cuts, down)| {
            *cuts += 1;
            *down = true;
        });
    }

    pub(crate) fn repair(&self) {
        self.state.send_modify(|(_, down)| *down = false);
    }
}

impl Connector for Network {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let mut state = self.state.subscribe();
            let (cuts, down) = *state.borrow_and_update();
            if down {
                return Err(io::Error::other("the network is down"));
            }
            let inner = TcpConnector.connect(endpoint).await?;
            let cut = Box::pin(async move {
                // Ends with an error when the network is dropped, which is not a cut.
                if state.wait_for(|(now, _)| *now > cuts).await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            Ok(Box::new(Cable { inner, cut: Some(cut) }) as BoxIo)
        })
    }
}

struct Cable {
    inner: BoxIo,
    /// `None` once it is cut.
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Cable {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(context).is_ready()) {
            self.cut = None;
        }
        match self.cut {
            Some(_) => Ok(()),
            None => Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut")),
        }
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
