//! A line that carries only so much.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much moves at a time: a packet of full-speed USB, in bytes.
const PACKET: usize = 64;

/// How late a line may make use of its time. Timers count milliseconds, packets take less.
const SLACK: Duration = Duration::from_millis(5);

/// One direction of a line. While it is not slow it holds up nothing.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// What was moved last is still on its way until then.
    free: Option<Instant>,
    /// Waits for that.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Throttle {
    /// Waits until the line is free, and says how many bytes may move now. `rate` is in bytes per
    /// second of `tokio::time`; `None` is a line that is not slow.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, rate: Option<f64>) -> Poll<usize> {
        let Some(rate) = rate else {
            *self = Self::default();
            return Poll::Ready(usize::MAX);
        };
        if let Some(free) = self.free.filter(|free| *free > Instant::now()) {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(free)));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        self.sleep = None;
        // On a very slow line a whole packet would come too late after the line was mended.
        let packet = (rate / 10.0) as usize;
        Poll::Ready(packet.clamp(1, PACKET))
    }

    /// So many bytes are on their way now.
    pub(super) fn moved(&mut self, bytes: usize, rate: Option<f64>) {
        if let Some(rate) = rate {
            let takes = Duration::try_from_secs_f64(bytes as f64 / rate);
            let now = Instant::now();
            let begins =
                self.free.map_or(now, |free| free.max(now.checked_sub(SLACK).unwrap_or(now)));
            self.free = Some(begins + takes.unwrap_or(Duration::from_secs(3600)));
        }
    }
}
