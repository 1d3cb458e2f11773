//! The signals that are passed on to a command.

use crate::serve::{self, ServeError};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use rustix::process::Signal;
use std::fs::File;
use tokio::signal::unix::{SignalKind, signal};

/// Everything that asks a process to stop, and what programs use among themselves.
const PASSED: [Signal; 6] =
    [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// A signal that this process got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked(Signal);

impl Asked {
    pub(super) fn signal(self) -> Signal {
        self.0
    }

    pub(super) fn number(self) -> i32 {
        self.0.as_raw()
    }

    fn is_to_stop(self) -> bool {
        self.0 != Signal::USR1 && self.0 != Signal::USR2
    }

    /// Whether it comes from the keyboard: a terminal sends it to every process in its foreground.
    pub(super) fn is_from_terminal(self) -> bool {
        (self.0 == Signal::INT || self.0 == Signal::QUIT) && is_foreground()
    }
}

fn is_foreground() -> bool {
    let terminal = File::open("/dev/tty").ok();
    let foreground = terminal.and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok());
    foreground == Some(rustix::process::getpgrp())
}

/// From now on these signals are this program's to deal with.
pub(super) struct Signals(SelectAll<BoxStream<'static, Asked>>);

impl Signals {
    pub(super) fn listen() -> Result<Self, ServeError> {
        let mut all = SelectAll::new();
        // A command that is to live on without its terminal is not told of its end either.
        let is_ignored = |signal: &Signal| *signal == Signal::HUP && serve::is_hangup_ignored();
        for number in PASSED.into_iter().filter(|signal| !is_ignored(signal)) {
            let kind = SignalKind::from_raw(number.as_raw());
            let stream = signal(kind).map_err(ServeError::Signals)?;
            let asked = futures::stream::unfold(stream, move |mut stream| async move {
                stream.recv().await?;
                Some((Asked(number), stream))
            });
            all.push(asked.boxed());
        }
        Ok(Self(all))
    }

    pub(super) async fn next(&mut self) -> Asked {
        match self.0.next().await {
            Some(asked) => asked,
            // Signals come as long as the runtime lives.
            None => std::future::pending().await,
        }
    }

    /// The next one that asks this program itself to stop.
    pub(super) async fn stop(&mut self) -> Asked {
        loop {
            let asked = self.next().await;
            if asked.is_to_stop() {
                return asked;
            }
        }
    }
}
