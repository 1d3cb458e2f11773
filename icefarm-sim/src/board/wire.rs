//! The serial line between a host and a firmware, from one enumeration of the board to the next.
//!
//! Sizes and habits are those of a CDC port of TinyUSB 0.18: 512 bytes each way; while no host has
//! the port open, the board's side keeps the newest of what the firmware writes, and the next host
//! that opens the port gets to read it.

use super::throttle::Throttle;
use crate::faults::Script;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// What a CDC port of the firmware holds, each way, in bytes (`CFG_TUD_CDC_RX_BUFSIZE` and
/// `CFG_TUD_CDC_TX_BUFSIZE` of the farm's firmware).
const FIFO: usize = 512;

/// What a host reads ahead while a program has the port open. Chosen: Linux gives its terminals
/// 4096 bytes.
const READ_AHEAD: usize = 4096;

/// How long a firmware that writes more than is kept is held up. On hardware every write costs time;
/// here a loop of nothing but writes to nobody would never let go of its thread.
const TO_NOBODY: Duration = Duration::from_millis(1);

/// Both ends hold it; the board cuts it when it leaves the bus.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    line: Arc<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    to_board: VecDeque<u8>,
    to_host: VecDeque<u8>,
    /// Counts how often the port was opened: only the last opener has it.
    opening: u64,
    open: watch::Sender<bool>,
    cut: bool,
    /// How many of the next bytes to the host become noise, and the noise's generator.
    noise: usize,
    generator: u64,
    board_reads: Option<Waker>,
    board_writes: Option<Waker>,
    host_reads: Option<Waker>,
    host_writes: Option<Waker>,
    script: Arc<Script>,
}

impl Wire {
    /// A line of which nobody has the port open, after the firmware has started so many times.
    pub(crate) fn new(starts: u64, script: Arc<Script>) -> (Self, FirmwarePort) {
        let line = Line {
            to_board: VecDeque::new(),
            to_host: VecDeque::new(),
            opening: 0,
            open: watch::Sender::new(false),
            cut: false,
            noise: 0,
            // The generator would stay at zero for ever.
            generator: script.noise(starts) | 1,
            board_reads: None,
            board_writes: None,
            host_reads: None,
            host_writes: None,
            script,
        };
        let wire = Self { line: Arc::new(Mutex::new(line)) };
        let port = FirmwarePort { wire: wire.clone(), held_up: None };
        (wire, port)
    }

    /// Opens the host's end. Who had it before has it no longer.
    pub(crate) fn open(&self) -> HostPort {
        let mut line = self.line();
        line.opening += 1;
        line.open.send_replace(true);
        line.wake_host();
        let (input, output) = Default::default();
        HostPort { opening: line.opening, wire: self.clone(), input, output }
    }

    /// The board has left the bus.
    pub(crate) fn cut(&self) {
        let mut line = self.line();
        line.cut = true;
        line.open.send_replace(false);
        line.wake_host();
    }

    /// Turns the next bytes to the host into noise.
    pub(crate) fn garble(&self, bytes: usize) {
        self.line().noise += bytes;
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing that can panic is done while the lock is held.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn wake_host(&mut self) {
        wake(&mut self.host_reads);
        wake(&mut self.host_writes);
    }

    fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// What the firmware's byte becomes on its way to the host.
    fn transmit(&mut self, byte: u8) -> u8 {
        if self.noise == 0 {
            return byte;
        }
        self.noise -= 1;
        // xorshift64 (Marsaglia 2003).
        self.generator ^= self.generator << 13;
        self.generator ^= self.generator >> 7;
        self.generator ^= self.generator << 17;
        // Never plain text, so that noise cannot happen to be a figure.
        0x80 | (self.generator >> 32) as u8
    }

    /// Why `opening` has the port no longer, if so.
    fn lost(&self, opening: u64) -> Option<io::Error> {
        if self.cut {
            let what = "the board has left the bus";
            Some(io::Error::new(io::ErrorKind::NotConnected, what))
        } else if self.opening != opening {
            let what = "the serial port was opened a second time";
            Some(io::Error::new(io::ErrorKind::ConnectionAborted, what))
        } else {
            None
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn remember(place: &mut Option<Waker>, context: &Context<'_>) {
    *place = Some(context.waker().clone());
}

/// Moves what fits, and at most so much, from the front of `queue` into `buffer`.
fn take(queue: &mut VecDeque<u8>, most: usize, buffer: &mut ReadBuf<'_>) -> usize {
    let amount = queue.len().min(buffer.remaining()).min(most);
    let (front, back) = queue.as_slices();
    let from_front = amount.min(front.len());
    buffer.put_slice(&front[..from_front]);
    buffer.put_slice(&back[..amount - from_front]);
    queue.drain(..amount);
    amount
}

/// The serial port as a firmware sees it: bytes from and to whichever host has it open.
///
/// Reading waits while there is nothing to read, whether a host has the port open or not. Writing
/// waits while a host has the port open and does not read; while none has, the newest 512 bytes
/// are kept for the next one, and who writes more is held up for a moment.
#[derive(Debug)]
pub struct FirmwarePort {
    wire: Wire,
    held_up: Option<Pin<Box<Sleep>>>,
}

impl FirmwarePort {
    /// Whether a host has the port open (DTR is on).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.wire.line().is_open()
    }

    /// Waits until a host has the port open.
    pub async fn opened(&self) {
        self.becomes(true).await;
    }

    /// Waits until no host has the port open.
    pub async fn closed(&self) {
        self.becomes(false).await;
    }

    /// Follows whether a host has the port open, for a model that reads or writes at the same
    /// time.
    #[must_use]
    pub fn dtr(&self) -> watch::Receiver<bool> {
        self.wire.line().open.subscribe()
    }

    async fn becomes(&self, open: bool) {
        let mut state = self.dtr();
        // The port outlives the waiting, so the sender does too.
        let _ = state.wait_for(|is| *is == open).await;
    }
}

impl AsyncRead for FirmwarePort {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut line = self.wire.line();
        if line.to_board.is_empty() {
            remember(&mut line.board_reads, context);
            return Poll::Pending;
        }
        take(&mut line.to_board, usize::MAX, buffer);
        wake(&mut line.host_writes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FirmwarePort {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(held_up) = &mut self.held_up {
            ready!(held_up.as_mut().poll(context));
            self.held_up = None;
        }
        let mut line = self.wire.line();
        if !line.is_open() {
            for &byte in bytes {
                let byte = line.transmit(byte);
                line.to_host.push_back(byte);
            }
            let excess = line.to_host.len().saturating_sub(FIFO);
            line.to_host.drain(..excess);
            drop(line);
            self.held_up = (excess > 0).then(|| Box::pin(sleep(TO_NOBODY)));
            return Poll::Ready(Ok(bytes.len()));
        }
        let room = (FIFO + READ_AHEAD).saturating_sub(line.to_host.len());
        if room == 0 {
            remember(&mut line.board_writes, context);
            return Poll::Pending;
        }
        let amount = room.min(bytes.len());
        for &byte in &bytes[..amount] {
            let byte = line.transmit(byte);
            line.to_host.push_back(byte);
        }
        wake(&mut line.host_reads);
        Poll::Ready(Ok(amount))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The host's end of an open port. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct HostPort {
    wire: Wire,
    opening: u64,
    /// From and to the board, where the line is slow.
    input: Throttle,
    output: Throttle,
}

impl Drop for HostPort {
    fn drop(&mut self) {
        let mut line = self.wire.line();
        if line.lost(self.opening).is_none() {
            line.open.send_replace(false);
            // What the host had read ahead is gone; what the board's side still holds is not.
            let ahead = line.to_host.len().min(READ_AHEAD);
            line.to_host.drain(..ahead);
            wake(&mut line.board_writes);
        }
    }
}

impl AsyncRead for HostPort {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { wire, opening, input, .. } = self.get_mut();
        let mut line = wire.line();
        if let Some(error) = line.lost(*opening) {
            return Poll::Ready(Err(error));
        }
        // Also while the link is slow: the board may be cut meanwhile.
        remember(&mut line.host_reads, context);
        if line.to_host.is_empty() {
            return Poll::Pending;
        }
        let rate = line.script.rate();
        let most = ready!(input.poll(context, rate));
        input.moved(take(&mut line.to_host, most, buffer), rate);
        wake(&mut line.board_writes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HostPort {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { wire, opening, output, .. } = self.get_mut();
        let mut line = wire.line();
        if let Some(error) = line.lost(*opening) {
            return Poll::Ready(Err(error));
        }
        let amount = FIFO.saturating_sub(line.to_board.len()).min(bytes.len());
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        remember(&mut line.host_writes, context);
        if amount == 0 {
            return Poll::Pending;
        }
        let rate = line.script.rate();
        let amount = ready!(output.poll(context, rate)).min(amount);
        line.to_board.extend(&bytes[..amount]);
        line.script.received(amount);
        output.moved(amount, rate);
        wake(&mut line.board_reads);
        Poll::Ready(Ok(amount))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.wire.line();
        Poll::Ready(line.lost(self.opening).map_or(Ok(()), Err))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn bytes_go_both_ways_whatever_their_number() {
        let (wire, mut board) = Wire::new(1, Script::none());
        let mut host = wire.open();
        let sent: Vec<u8> = (0..104_090u32).map(|n| n as u8).collect();
        let echo = async {
            let mut received = vec![0; sent.len()];
            board.read_exact(&mut received).await.unwrap();
            board.write_all(&received).await.unwrap();
            std::future::pending::<()>().await;
        };
        let use_it = async {
            host.write_all(&sent).await.unwrap();
            let mut back = vec![0; sent.len()];
            host.read_exact(&mut back).await.unwrap();
            assert_eq!(back, sent);
        };
        tokio::select! { () = use_it => {}, () = echo => {} }
    }

    #[tokio::test]
    async fn what_is_written_while_the_port_is_closed_waits_for_the_next_opener() {
        let (wire, mut board) = Wire::new(1, Script::none());
        board.write_all(&[b'x'; 600]).await.unwrap();
        board.write_all(b"late").await.unwrap();
        let mut host = wire.open();
        let mut bytes = vec![0; 1000];
        let amount = host.read(&mut bytes).await.unwrap();
        assert_eq!(amount, 512);
        assert!(bytes[..amount].ends_with(b"xlate"));
    }

    #[tokio::test]
    async fn only_the_last_opener_has_the_port() {
        let (wire, mut board) = Wire::new(1, Script::none());
        let mut first = wire.open();
        let mut second = wire.open();
        board.write_all(b"hello").await.unwrap();
        let error = first.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        drop(first);
        assert!(board.is_open());
        assert_eq!(second.read_u8().await.unwrap(), b'h');
        drop(second);
        assert!(board.closed().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_cut_wakes_who_waits() {
        let (wire, _board) = Wire::new(1, Script::none());
        let mut host = wire.open();
        let waiting = tokio::spawn(async move { host.read_u8().await });
        tokio::task::yield_now().await;
        wire.cut();
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), io::ErrorKind::NotConnected);
    }

    #[tokio::test]
    async fn noise_is_never_text_and_ends() {
        const NOISE: usize = 96;
        let (wire, mut board) = Wire::new(7, Script::none());
        let mut host = wire.open();
        wire.garble(NOISE);
        board.write_all(&[b'1'; NOISE + 1]).await.unwrap();
        let mut bytes = [0; NOISE + 1];
        host.read_exact(&mut bytes).await.unwrap();
        assert!(bytes[..NOISE].iter().all(|byte| !byte.is_ascii()));
        assert_eq!(bytes[NOISE], b'1');
    }
}
