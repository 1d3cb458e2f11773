//! A serial port that can be cut off from whoever holds it.

use futures::task::AtomicWaker;
use icefarm_core::SerialPort;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The worker's end of a port that a state holds.
#[derive(Clone)]
pub(crate) struct PortLeash {
    shared: Arc<Shared>,
}

struct Shared {
    port: Mutex<Option<SerialPort>>,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// What the state holds.
struct LeasedPort {
    shared: Arc<Shared>,
}

/// Puts a leash on a port.
pub(crate) fn leash(port: SerialPort) -> (SerialPort, PortLeash) {
    let shared = Arc::new(Shared {
        port: Mutex::new(Some(port)),
        reader: AtomicWaker::new(),
        writer: AtomicWaker::new(),
    });
    (Box::new(LeasedPort { shared: shared.clone() }), PortLeash { shared })
}

impl PortLeash {
    /// Closes the port. Whoever reads or writes it gets an error from now on.
    pub(crate) fn cut(&self) {
        self.shared.close();
        self.shared.reader.wake();
        self.shared.writer.wake();
    }

    /// Whether the state has dropped the port, or it was cut.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.port.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Shared {
    fn close(&self) {
        let port = self.port.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(port);
    }

    fn with<T>(
        &self,
        poll: impl FnOnce(Pin<&mut SerialPort>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut *self.port.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(port) => poll(Pin::new(port)),
            None => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the lease is over, and the port with it",
            ))),
        }
    }
}

/// The port closes with the state's end of it, whoever still knows of the leash.
impl Drop for LeasedPort {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl AsyncRead for LeasedPort {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared.reader.register(cx.waker());
        self.shared.with(|port| port.poll_read(cx, buffer))
    }
}

impl AsyncWrite for LeasedPort {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared.writer.register(cx.waker());
        self.shared.with(|port| port.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.writer.register(cx.waker());
        self.shared.with(|port| port.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.writer.register(cx.waker());
        self.shared.with(|port| port.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_cut_port_refuses_and_wakes_who_waits() {
        let (mut other, port) = tokio::io::duplex(64);
        let (mut leased, leash) = leash(Box::new(port));
        leased.write_all(b"hi").await.unwrap();
        let mut two = [0; 2];
        other.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"hi");

        let reading = tokio::spawn(async move { (leased.read_u8().await, leased) });
        tokio::task::yield_now().await;
        leash.cut();
        let (read, mut leased) = reading.await.unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(leased.write_all(b"x").await.is_err());
        assert_eq!(other.read(&mut two).await.unwrap(), 0, "the port itself is closed");
    }

    #[tokio::test]
    async fn a_dropped_port_is_closed_in_spite_of_its_leash() {
        let (mut other, port) = tokio::io::duplex(64);
        let (leased, leash) = leash(Box::new(port));
        assert!(!leash.is_closed());
        drop(leased);
        assert!(leash.is_closed());
        assert_eq!(other.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
