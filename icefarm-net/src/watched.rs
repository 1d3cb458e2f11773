//! A stream that remembers when something last came out of it, and counts it.

use crate::memory::Intake;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// When the peer was last heard of. A message may take minutes to arrive over a slow line, and
/// each of its bytes is a sign of life.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), millis: Arc::default() }
    }

    fn now(&self) {
        let millis = self.start.elapsed().as_millis();
        self.millis.store(millis.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until nothing has been heard for so long.
    pub(crate) async fn silence(&self, limit: Duration) {
        loop {
            let last = self.millis.load(Ordering::Relaxed);
            tokio::time::sleep_until(self.start + Duration::from_millis(last) + limit).await;
            if self.millis.load(Ordering::Relaxed) == last {
                return;
            }
        }
    }
}

pub(crate) struct Watched<I> {
    io: I,
    heard: Heard,
    intake: Option<Arc<Intake>>,
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I, heard: Heard) -> Self {
        Self { io, heard, intake: None }
    }

    /// The same, with everything that arrives counted. Reading fails with [`io::ErrorKind::OutOfMemory`]
    /// when there is no memory for it.
    pub(crate) fn counted(mut self, intake: Arc<Intake>) -> Self {
        self.intake = Some(intake);
        self
    }
}

impl<I: std::fmt::Debug> std::fmt::Debug for Watched<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("io", &self.io).finish_non_exhaustive()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.heard.now();
            if self.intake.as_ref().is_some_and(|intake| !intake.arrived(count)) {
                return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
            }
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
