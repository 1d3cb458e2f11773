//! What has come of one lease.

use crate::{TestError, TestEvent};
use icefarm_core::wire::{ServerFrame, events};
use icefarm_core::{ClientName, LeaseId, Serial};
use icefarm_worker::EventSink;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// A message lists the last so many events.
const LISTED: usize = 20;
/// And so many characters of each.
const LISTED_CHARS: usize = 300;

/// The events of one lease, and which of them the test has taken.
pub(crate) struct Log {
    begun: Instant,
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    events: Vec<(TestEvent, bool)>,
    bad_ends: Vec<String>,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        let (begun, inner) = (Instant::now(), Mutex::default());
        Arc::new(Self { begun, inner, changed: watch::Sender::new(()) })
    }

    /// Takes the first event as wanted that was not taken yet; waits for it for `patience`.
    /// `None` if the lease has failed, and it never will come.
    pub(crate) async fn take(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&TestEvent) -> bool,
    ) -> Result<TestEvent, TestError> {
        let mut changed = self.changed.subscribe();
        let taken = timeout(patience, async {
            loop {
                if let Some(event) = self.take_now(&wanted) {
                    return Ok(event);
                }
                if let Some(reason) = self.failure() {
                    return Err(TestError::LeaseFailed { reason, came: self.came() });
                }
                // The sender lives in `self`.
                let _ = changed.changed().await;
            }
        });
        taken.await.unwrap_or_else(|_| {
            Err(TestError::TimedOut { what: what.to_owned(), after: patience, came: self.came() })
        })
    }

    fn take_now(&self, wanted: impl Fn(&TestEvent) -> bool) -> Option<TestEvent> {
        let mut inner = self.lock();
        let (event, taken) =
            inner.events.iter_mut().find(|(event, taken)| !*taken && wanted(event))?;
        *taken = true;
        Some(event.clone())
    }

    /// Why the lease failed, if it has.
    pub(crate) fn failure(&self) -> Option<String> {
        let inner = self.lock();
        let (event, _) = inner.events.iter().find(|(event, _)| event.name == events::FAILURE)?;
        Some(reason(event))
    }

    /// The same, unless the test knows of it.
    pub(crate) fn unnoticed_failure(&self) -> Option<String> {
        let inner = self.lock();
        let failed = |(event, taken): &&(TestEvent, bool)| event.name == events::FAILURE && !taken;
        inner.events.iter().find(failed).map(|(event, _)| reason(event))
    }

    /// What went wrong after the lease was over.
    pub(crate) fn bad_ends(&self) -> Vec<String> {
        self.lock().bad_ends.clone()
    }

    /// What came since the reservation, for people.
    pub(crate) fn came(&self) -> String {
        let inner = self.lock();
        if inner.events.is_empty() {
            return "nothing came since the reservation".to_owned();
        }
        let skipped = inner.events.len().saturating_sub(LISTED);
        let mut text = "what came since the reservation:".to_owned();
        if skipped > 0 {
            text.push_str(&format!("\n  .. {skipped} more"));
        }
        for (event, taken) in &inner.events[skipped..] {
            let line = format!("{event:?}");
            let mut line: String = match line.char_indices().nth(LISTED_CHARS) {
                Some((cut, _)) => format!("{} ..", &line[..cut]),
                None => line,
            };
            if *taken {
                line.push_str(" (taken)");
            }
            text.push_str("\n  ");
            text.push_str(&line);
        }
        text
    }

    fn push(&self, frame: ServerFrame) {
        let at = self.begun.elapsed();
        let events =
            frame.contents.into_iter().map(|event| TestEvent::new(event.event, event.fields, at));
        self.lock().events.extend(events.map(|event| (event, false)));
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(failure: &TestEvent) -> String {
    failure["reason"].as_str().unwrap_or("no reason was given").to_owned()
}

/// Where the worker's code puts events: into the log of the present lease.
pub(crate) struct Logs(Mutex<Arc<Log>>);

impl Logs {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Log::new()))
    }

    /// Begins the log of the next lease.
    pub(crate) fn next(&self) -> Arc<Log> {
        let log = Log::new();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = log.clone();
        log
    }

    fn present(&self) -> Arc<Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventSink for Logs {
    fn publish(&self, _client: &ClientName, frame: ServerFrame) {
        self.present().push(frame);
    }

    fn ended_badly(&self, _serial: &Serial, _lease: LeaseId, reason: &str) {
        self.present().lock().bad_ends.push(reason.to_owned());
    }
}
